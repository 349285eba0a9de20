//! For tests of pages: a broker, and browsers in which its members are signed in.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::base::ids::{MemberId, TeamId};
use crate::base::secret::Secret;
use crate::config::Config;
use crate::domain::member::Role;
use crate::domain::team::{KeyHolder, OperatorRole};
use crate::service::members::InviteMember;
use crate::service::sessions::{Browser as Agent, Join};
use crate::service::testing::TestBroker;
use crate::service::{Broker, Caller};
use crate::web::{connect, cookie, page, sign_in};

const PASSWORD: &str = "violet+tractor+humming+sideways";
/// A name that would break out of a page that does not write it as text.
pub(super) const HOSTILE: &str = "\"><script>alert(1)</script>\u{202e}🦊";

/// A broker with a team.
pub(super) struct Scene {
    pub(super) test: TestBroker,
    pub(super) team: TeamId,
}

/// A browser in which a member is signed in.
pub(super) struct Browser {
    broker: Broker,
    cookie: String,
    pub(super) member: MemberId,
}

/// What a page answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Requires that nothing of [`HOSTILE`] is more than text.
    pub(super) fn must_be_tame(&self) {
        assert!(!self.body.contains("<script>alert") && self.body.contains("&#60;script&#62;alert"), "{}", self.body);
    }

    /// The value of the first hidden or shown field of that name.
    pub(super) fn value_of(&self, field: &str) -> String {
        let of_field = self.body.split(&format!("name=\"{field}\" value=\"")).nth(1);
        of_field.unwrap_or_else(|| panic!("no field {field}: {}", self.body)).split('"').next().unwrap().to_owned()
    }
}

impl Scene {
    /// With the team `acme`, and pages at an address.
    pub(super) async fn start() -> Self {
        let text = "[http]\npublic_url = \"https://tokens.example\"";
        let config = Config::read("test.toml", text, [], &[], |_| Vec::new()).unwrap();
        let test = TestBroker::start_with(config).await;
        let team = test.team("acme").await;
        Self { test, team }
    }

    pub(super) fn broker(&self) -> &Broker {
        &self.test.broker
    }

    pub(super) fn admin(&self) -> &Caller {
        &self.test.admin
    }

    /// A member of the team, signed in.
    pub(super) async fn member(&self, name: &str, role: Role) -> Browser {
        self.member_of(&self.team, name, role).await
    }

    /// The owner of a foreign team, signed in.
    pub(super) async fn stranger(&self) -> Browser {
        let team = self.test.team("zenith").await;
        self.member_of(&team, "Zoe", Role::Owner).await
    }

    async fn member_of(&self, team: &TeamId, name: &str, role: Role) -> Browser {
        let number = self.broker().now().micros() % 1_000_000 + name.len() as i64;
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        let ask = InviteMember {
            team: team.clone(),
            mail: format!("{}{number}@example.com", plain.to_lowercase()).parse().unwrap(),
            display_name: name.to_owned(),
            role,
            time_zone: "Europe/Vienna".parse().unwrap(),
            language: Default::default(),
        };
        let made = self.broker().invite_member(self.admin(), ask).await.unwrap();
        let agent = Agent { address: [127, 0, 0, 1].into(), agent: "Firefox".to_owned() };
        let password = Secret::new(PASSWORD.to_owned());
        let join = Join { secret: made.secret, password, display_name: name.to_owned(), browser: agent };
        let begun = self.broker().join(join).await.unwrap();
        let kept = cookie::keep(&begun.secret).unwrap();
        let cookie = kept.to_str().unwrap().split(';').next().unwrap().to_owned();
        Browser { broker: self.broker().clone(), cookie, member: made.member.member.id }
    }

    pub(super) async fn stop(self) {
        self.test.stop().await;
    }
}

impl Browser {
    /// The member, as it calls.
    pub(super) async fn caller(&self) -> Caller {
        self.broker.find_stay(self.secret()).await.unwrap().expect("it is signed in").caller()
    }

    /// One in which nobody is signed in.
    pub(super) fn of_nobody(scene: &Scene) -> Self {
        Self { broker: scene.broker().clone(), cookie: String::new(), member: MemberId::from_u128(0) }
    }

    /// One in which an operator is signed in.
    pub(super) async fn of_operator(scene: &Scene, role: OperatorRole) -> Self {
        let key = scene.test.key(KeyHolder::Operator(role)).await;
        let mut browser = Self::of_nobody(scene);
        let answer = browser.post("/operator/sign-in", &format!("key={key}")).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/operator"), "{}", answer.body);
        let cookie = answer.header("set-cookie");
        assert!(cookie.starts_with("__Host-operator=") && cookie.contains("SameSite=Strict"), "{cookie}");
        browser.keep(cookie);
        browser
    }

    /// Keeps a cookie that an answer set.
    pub(super) fn keep(&mut self, set: &str) {
        self.cookie = set.split(';').next().unwrap_or_default().to_owned();
    }

    /// What its cookie says.
    pub(super) fn secret(&self) -> &str {
        self.cookie.split_once('=').map_or("", |(_, secret)| secret)
    }

    /// As an open page asks by itself.
    pub(super) async fn get_by_itself(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[("x-by-itself", "yes")], "").await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    pub(super) async fn post(&self, path: &str, form: &str) -> Answer {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
        self.ask(Method::POST, path, &headers, form).await
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "tokens.example");
        request = request.header("cookie", &self.cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let routes = sign_in::routes(self.broker.clone()).merge(super::routes(self.broker.clone()));
        let routes = routes.merge(connect::routes(self.broker.clone()));
        let response = page::pages(routes).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        // What tells of changes does not end by itself.
        let is_endless = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let body = if is_endless { Bytes::new() } else { body.collect().await.unwrap().to_bytes() };
        let body = String::from_utf8_lossy(&body).into_owned();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}
