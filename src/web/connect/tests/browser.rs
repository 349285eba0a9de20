//! A browser that keeps cookies and follows nothing by itself, and the stage that it plays on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use tokio::net::TcpListener;

use crate::base::clock::ManualClock;
use crate::base::ids::{NetworkId, TeamId, TokenId};
use crate::base::secret::Secret;
use crate::base::tasks::Tasks;
use crate::config::Config;
use crate::domain::connection::{Connection, Stage as Progress};
use crate::domain::member::Role;
use crate::domain::networks::{Catalogue, Purpose};
use crate::outbound::authorities::Authorities;
use crate::outbound::http::HttpClient;
use crate::service;
use crate::service::apps::UpdateApp;
use crate::service::connect::StartConnection;
use crate::service::members::InviteMember;
use crate::service::sessions::{Join, StartedSession};
use crate::service::testing::{START, TestBroker, World, catalogue_of};
use crate::sim::{Simulation, serve_on};
use crate::store::StoredToken;
use crate::web::connect::routes;
use crate::web::server::{HttpLimits, HttpServer};

/// Where browsers think that the broker is.
pub(super) const PUBLIC: &str = "http://localhost:7072";

/// A broker with its pages, among simulated networks.
pub(super) struct Stage {
    pub test: TestBroker,
    pub team: TeamId,
    pub simulation: Arc<Simulation>,
    /// Where the pages are served.
    pub pages: String,
    pub serving: Tasks,
}

/// What is to be connected.
pub(super) fn ask(network: &str, kind: &str, purpose: Purpose) -> StartConnection {
    StartConnection {
        network: network.to_owned(),
        kind: kind.to_owned(),
        purposes: [purpose].into_iter().collect(),
        ..StartConnection::default()
    }
}

impl Stage {
    pub async fn set() -> Self {
        Self::set_with("").await
    }

    /// With settings of `[connections]`.
    pub async fn set_with(connections: &str) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let simulation = Arc::new(Simulation::new(Catalogue::embedded().iter().cloned(), clock.clone(), 5).unwrap());
        let serving = Tasks::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = serve_on(listener, simulation.clone(), &serving).unwrap();
        let world = World {
            catalogue: catalogue_of(&simulation, address),
            endpoint: Arc::new(HttpClient::new(&Authorities::default()).unwrap()),
        };
        let text = format!("[http]\npublic_url = \"{PUBLIC}\"\n[connections]\n{connections}");
        let config = Config::read("test.toml", &text, [], &[], |_| Vec::new()).unwrap();
        let test = TestBroker::start_in(world, config, clock).await;
        let team = test.team("acme").await;
        let open = test.broker.metrics.connections("web");
        let any = ([127, 0, 0, 1], 0).into();
        let pages = routes(test.broker.clone());
        let served = HttpServer::start("web", any, HttpLimits::default(), pages, open, &serving).await.unwrap();
        let stage = Self { test, team, simulation, pages: format!("http://{}", served.local_addr()), serving };
        for network in stage.test.broker.catalogue.clone().iter() {
            stage.register(&network.id).await;
        }
        stage
    }

    /// Tells the broker its client at a network.
    async fn register(&self, network: &NetworkId) {
        let (app, broker) = ("default".parse().unwrap(), &self.test.broker);
        if broker.network(network).unwrap().takes_client_keys() {
            let said = UpdateApp { generate_key: true, ..UpdateApp::default() };
            broker.update_app(&self.test.admin, network, &app, said).await.unwrap();
            let document = broker.client_metadata(network.as_str(), "default").unwrap().unwrap();
            return self.simulation.know_client(network, &document).unwrap();
        }
        let said = UpdateApp {
            client_id: Some("app:1".to_owned()),
            client_secret: Some(Some(Secret::new("client secret/1".to_owned()))),
            ..UpdateApp::default()
        };
        broker.update_app(&self.test.admin, network, &app, said).await.unwrap();
    }

    /// Starts a connection; its link.
    pub async fn start(&self, ask: StartConnection) -> (Connection, String) {
        self.start_for(&self.team, ask).await
    }

    pub async fn start_for(&self, team: &TeamId, ask: StartConnection) -> (Connection, String) {
        let started = self.test.broker.start_connection(&self.test.admin, team, ask).await.unwrap();
        (started.connection, started.link.expose().to_owned())
    }

    /// Connects everything that can be, as `person`; the tokens.
    pub async fn connect(&self, team: &TeamId, ask: StartConnection, person: &str) -> Vec<TokenId> {
        let (connection, link) = self.start_for(team, ask).await;
        let browser = Browser::at(self);
        let page = browser.consent(&link, person, &[]).await;
        assert_eq!(page.status, 200, "{}", page.text);
        browser.choose_all(&connection, &page).await;
        match self.look(&connection).await.stage {
            Progress::Connected { tokens, .. } => tokens,
            other => panic!("{} {}: {other:?} {}", connection.network, connection.kind, page.text),
        }
    }

    /// A person of the team who joined and is signed in.
    pub async fn member(&self, mail: &str, role: Role) -> StartedSession {
        self.member_of(&self.team, mail, role).await
    }

    /// A person of some team who joined and is signed in.
    pub async fn member_of(&self, team: &TeamId, mail: &str, role: Role) -> StartedSession {
        let ask = InviteMember {
            team: team.clone(),
            mail: mail.parse().unwrap(),
            display_name: mail.split('@').next().unwrap().to_owned(),
            role,
            time_zone: Default::default(),
            language: Default::default(),
        };
        let secret = self.test.broker.invite_member(&self.test.admin, ask).await.unwrap().secret;
        let password = Secret::new("violet+tractor+humming+sideways".to_owned());
        let browser = service::sessions::Browser { address: [127, 0, 0, 1].into(), agent: String::new() };
        let join = Join { secret, password, display_name: String::new(), browser };
        self.test.broker.join(join).await.unwrap()
    }

    pub async fn look(&self, connection: &Connection) -> Connection {
        self.test.broker.show_connection(&connection.team, connection.id).await.unwrap()
    }

    pub async fn token(&self, token: TokenId) -> StoredToken {
        self.test.broker.store.find_token(token).await.unwrap().unwrap()
    }

    pub async fn stop(self) {
        self.serving.stop();
        assert!(self.serving.join(Duration::from_secs(10)).await);
        self.test.stop().await;
    }
}

/// What a page answered.
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn location(&self) -> String {
        self.headers[LOCATION].to_str().unwrap().to_owned()
    }

    /// Where a page goes on to by itself.
    pub fn away(&self) -> String {
        let rest = self.text.split("http-equiv=\"refresh\" content=\"0; url=").nth(1);
        let rest = rest.unwrap_or_else(|| panic!("it stays: {} {}", self.status, self.text));
        let url = rest.split('"').next().unwrap();
        assert!(self.text.contains(&format!("<a href=\"{url}\">")), "nor by a link: {}", self.text);
        url.replace("&#38;", "&")
    }

    /// The value of a hidden field of its form.
    pub fn hidden(&self, name: &str) -> String {
        let field = format!("<input type=\"hidden\" name=\"{name}\" value=\"");
        let rest = self.text.split(&field).nth(1).unwrap_or_else(|| panic!("no {name}: {}", self.text));
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A browser.
pub(super) struct Browser {
    client: reqwest::Client,
    pages: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub fn at(stage: &Stage) -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { client, pages: stage.pages.clone(), cookies: Mutex::default() }
    }

    /// One in which a member is signed in.
    pub fn of_member(stage: &Stage, begun: &StartedSession) -> Self {
        let browser = Self::at(stage);
        browser.sign_in(begun);
        browser
    }

    pub fn sign_in(&self, begun: &StartedSession) {
        let secret = begun.secret.expose().to_owned();
        self.cookies.lock().unwrap().insert("__Host-session".to_owned(), secret);
    }

    pub fn sign_out(&self) {
        self.cookies.lock().unwrap().remove("__Host-session");
    }

    pub async fn get(&self, url: &str) -> Answer {
        self.send(reqwest::Method::GET, url, None).await
    }

    pub async fn post(&self, url: &str, form: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(reqwest::Method::POST, url, Some(form)).await
    }

    async fn send(&self, method: reqwest::Method, url: &str, form: Option<String>) -> Answer {
        let url = if url.starts_with('/') { format!("{PUBLIC}{url}") } else { url.to_owned() };
        let is_ours = url.starts_with(PUBLIC);
        let mut request =
            self.client.request(method, url.replace(PUBLIC, &self.pages)).header("accept", "text/html,*/*");
        let cookies =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        if is_ours && !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        if let Some(set) = headers.get(SET_COOKIE) {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        Answer { status, headers, text: answer.text().await.unwrap() }
    }

    /// Opens a link and goes on to the network; where it is sent.
    pub async fn go_on(&self, link: &str) -> String {
        let offer = self.get(link).await;
        assert_eq!(offer.status, 200, "{}", offer.text);
        let sent = self.post(link, &[("text_version", &offer.hidden("text_version"))]).await;
        assert_eq!(sent.status, 200, "{}", sent.text);
        sent.away()
    }

    /// Gives consent at the network as `person`, with more fields of its page; where it is sent back to.
    pub async fn agree(&self, network: &str, person: &str, more: &[(&str, &str)]) -> String {
        let page = self.get(network).await;
        assert!(page.status == 200 && page.text.contains("(simulated)"), "{} {}", page.status, page.text);
        let form = [&[("person", person), ("decision", "allow")], more].concat();
        let back = self.post(network, &form).await;
        assert_eq!(back.status, 302, "{network} {}", back.text);
        back.location()
    }

    /// From the link to the page after the network.
    pub async fn consent(&self, link: &str, person: &str, more: &[(&str, &str)]) -> Answer {
        let network = self.go_on(link).await;
        let back = self.agree(&network, person, more).await;
        self.arrive(&back).await
    }

    /// Follows the network's redirect to the page that it leads to.
    pub async fn arrive(&self, back: &str) -> Answer {
        let arrived = self.get(back).await;
        assert_eq!(arrived.status, 303, "{back} {}", arrived.text);
        self.get(&arrived.location()).await
    }

    /// Chooses every profile of a page that can be chosen, and sends those that are connected already.
    pub async fn choose_all(&self, connection: &Connection, page: &Answer) {
        let fields = page.text.split("<input ").skip(1).filter(|rest| rest.contains("name=\"profile\""));
        let open = fields.filter(|rest| !rest.split('>').next().unwrap().contains("disabled"));
        let ids: Vec<String> =
            open.map(|rest| rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect();
        let form: Vec<_> = ids.iter().map(|id| ("profile", id.as_str())).collect();
        let done = self.post(&format!("/connect/{}/choose", connection.id), &form).await;
        assert_eq!(done.status, 303, "{}", done.text);
    }
}
