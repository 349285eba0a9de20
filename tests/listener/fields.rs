//! Every field of every answer is filled by somebody: a scenario drives the whole API, and a field that no answer ever filled fails.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use token_broker::grpc::client::Client;

use crate::dynamic::{conversation, first_answers, held_open, message, pool};
use crate::rules::Bench;

/// Fields that this scenario does not see filled, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("Member.accounts", "are learnt when a member connects an account"),
    ("Member.join_time", "a member joins by a page: see the tests of signing in"),
    ("Consent.text", "is recorded with a consent that a person gave: see the tests of consents"),
    ("Consent.text_version", "as its text"),
    ("ConsentChange.text_version", "as its text"),
    ("ConsentChange.member", "a member withdraws by a page: see the tests of consents"),
    ("DepartedToken.heir", "needs an account that two members have: see the tests of leaving"),
    ("Departure.connections", "members start connections in the console: see the tests of leaving"),
    ("Departure.keys", "members make keys in the console: see the tests of leaving"),
    ("Departure.revoked_keys", "members make keys in the console: see the tests of leaving"),
    ("Departure.sessions_ended", "needs a member who signed in: see the tests of leaving"),
    ("ListManagersResponse.", "needs a member who joined: see the tests of profiles"),
    ("Manager.", "as the list of them"),
    ("ListSessionsResponse.", "needs a member who signed in: see the tests of signing in"),
    ("Session.", "as the list of them"),
    ("MemberAccount.network", "as Member.accounts"),
    ("MemberAccount.person", "as Member.accounts"),
    ("Job.failed", "needs a job that runs: see the tests of jobs"),
    ("Job.needs_person", "as Job.failed"),
    ("Job.nothing_to_renew", "as Job.failed"),
    ("Job.renewed", "as Job.failed"),
    ("JobResult.message", "as Job.failed"),
    ("JobResult.outcome", "as Job.failed"),
    ("JobResult.time", "as Job.failed"),
    ("JobResult.token", "as Job.failed"),
    ("ListJobResultsResponse.next_page_token", "as Job.failed"),
    ("ListJobResultsResponse.results", "as Job.failed"),
    ("NetworkRevocation.", "needs a network that is told: see the tests of revocations"),
    ("RenewTokenResponse.token", "a renewal asks a network; `service::renew` tests it"),
    ("ProbeTokenResponse.token", "a check asks a network; `service::probe` tests it"),
    ("Token.last_check_time", "as ProbeTokenResponse.token"),
    ("Token.last_check_outcome", "as ProbeTokenResponse.token"),
    ("SignProofResponse.proof", "needs a token that is bound to a key: see `tests/program/bound.rs`"),
    ("Lease.proof_required", "as SignProofResponse.proof"),
    ("App.client_secret", "is read and never shown"),
    ("App.client_secret_damaged", "needs a store that was changed from outside: see the tests of sealing"),
    ("CompleteConnectionResponse.connection", "needs a person's consent at a network: see `tests/program/connect.rs`"),
    ("ConnectableProfile.", "as CompleteConnectionResponse.connection"),
    ("Connection.account", "as CompleteConnectionResponse.connection"),
    ("Connection.problem", "as CompleteConnectionResponse.connection"),
    ("Connection.text_version", "as CompleteConnectionResponse.connection"),
    ("Connection.tokens", "as CompleteConnectionResponse.connection"),
    ("ConnectionAccount.", "as CompleteConnectionResponse.connection"),
    ("ConnectionProblem.", "as CompleteConnectionResponse.connection"),
    ("ListConnectableProfilesResponse.", "as CompleteConnectionResponse.connection"),
    ("PushSubscription.auth", "is read and never shown"),
    ("PushSubscription.endpoint", "is read and never shown"),
    ("PushSubscription.p256dh", "is read and never shown"),
    ("Destination.signing_secrets", "are read and never shown"),
    ("Destination.gone_time", "needs a receiver that is gone: `service::notices` tests it"),
    ("Destination.damaged", "needs a store that was changed from outside: see the tests of sealing"),
    ("Destination.target", "is read and never shown"),
    ("WatchNoticesResponse.notice", "comes when an event is told: see the tests of watching"),
    ("WatchNoticesResponse.missed", "needs a reader that falls behind: see the tests of watching"),
    ("ClassLoad.advice", "needs demand that has held for a time: see the tests of watching"),
    ("ClosedOperation.close_time", "needs a network's refusal of one operation: see the tests of the pool"),
    ("ClosedOperation.operation", "as its close_time"),
    ("Token.closed_operations", "as the messages in it"),
    ("CollectResync.more", "needs more leases than a message holds: see the stream tests of the lease service"),
    ("Sealing.damaged", "needs a store that was changed from outside: see the tests of sealing"),
    (
        "CollectResponse.dead_span",
        "needs a token that is healed while the stream is open: see the stream tests of the lease service",
    ),
    ("WatchIncidentsResponse.restarted", "as WatchAlertsResponse.restarted"),
    ("WatchAlertsResponse.restarted", "needs a reader that falls behind: see the tests of watching"),
];

/// What answers have filled so far, as `Message.field`.
#[derive(Default)]
struct Filled(BTreeSet<String>);

impl Filled {
    fn note(&mut self, answer: &DynamicMessage) {
        use prost_reflect::ReflectMessage;
        for (field, value) in answer.fields() {
            self.0.insert(format!("{}.{}", answer.descriptor().name(), field.name()));
            self.note_value(value);
        }
    }

    fn note_value(&mut self, value: &Value) {
        match value {
            Value::Message(inner) => self.note(inner),
            Value::List(values) => values.iter().for_each(|value| self.note_value(value)),
            Value::Map(values) => values.values().for_each(|value| self.note_value(value)),
            _ => {}
        }
    }

    /// Makes a call; its last answer.
    async fn ask(&mut self, client: &Client, call: &str, texts: &[&str]) -> DynamicMessage {
        let requests: Vec<_> = texts.iter().map(|text| message(call, text)).collect();
        let answers = conversation(client, call, &requests).await.unwrap_or_else(|status| panic!("{call}: {status:?}"));
        answers.iter().for_each(|answer| self.note(answer));
        answers.into_iter().next_back().unwrap_or_else(|| panic!("{call}: no answer"))
    }

    /// Sends commands on a stream, and keeps it open until each is answered and what comes unasked has come.
    async fn collect(&mut self, client: &Client, commands: &[&str], unasked: &[&str]) {
        let commands: Vec<_> = commands.iter().map(|text| message("LeaseService/Collect", text)).collect();
        let mut waits: BTreeSet<_> = unasked.iter().map(|field| (*field).to_owned()).collect();
        let mut asked = commands.len();
        let done = |answer: &DynamicMessage| {
            let is_answer = answer.fields().any(|(field, _)| field.name() == "tag");
            asked -= usize::from(is_answer);
            answer.fields().for_each(|(field, _)| {
                waits.remove(field.name());
            });
            asked == 0 && waits.is_empty()
        };
        let answers = held_open(client, "LeaseService/Collect", &commands, done).await;
        answers.unwrap_or_else(|status| panic!("{status:?}")).iter().for_each(|answer| self.note(answer));
    }

    /// Makes a call whose answers do not end, and takes the first ones.
    async fn watched(&mut self, client: &Client, call: &str, text: &str, most: usize) {
        let answers = first_answers(client, call, &[message(call, text)], most).await;
        answers.unwrap_or_else(|status| panic!("{call}: {status:?}")).iter().for_each(|answer| self.note(answer));
    }
}

/// The text at a path of fields, such as `lease.name`.
fn text(message: &DynamicMessage, path: &str) -> String {
    let (field, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = message.get_field_by_name(field).unwrap_or_else(|| panic!("no {field}"));
    match value.as_ref() {
        Value::Message(inner) => text(inner, rest),
        Value::String(text) => text.clone(),
        other => panic!("{path}: {other:?}"),
    }
}

/// Every field of every message that an answer may hold.
fn fields() -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let of_api = pool().services().filter(|service| service.package_name() == "tokenbroker.v1");
    for service in of_api {
        service.methods().for_each(|method| collect(&method.output(), &mut seen));
    }
    seen
}

fn collect(message: &MessageDescriptor, seen: &mut BTreeSet<String>) {
    for field in message.fields() {
        let is_new = message.is_map_entry() || seen.insert(format!("{}.{}", message.name(), field.name()));
        if let Kind::Message(inner) = field.kind()
            && is_new
            && (inner.is_map_entry() || inner.package_name() == "tokenbroker.v1")
        {
            collect(&inner, seen);
        }
    }
}

#[tokio::test]
async fn every_field_of_every_answer_is_filled() {
    let bench = Bench::start().await;
    let mut filled = Filled::default();
    networks(&mut filled, &bench.admin).await;
    teams_and_keys(&mut filled, &bench).await;
    members(&mut filled, &bench.admin).await;
    tokens(&mut filled, &bench.admin).await;
    notices(&mut filled, &bench).await;
    jobs(&mut filled, &bench.admin).await;
    connections(&mut filled, &bench.admin).await;
    leases(&mut filled, &bench).await;
    sealing(&mut filled, &bench.admin).await;
    loads_and_alerts(&mut filled, &bench).await;
    audit(&mut filled, &bench.admin).await;
    profiles_and_leaving(&mut filled, &bench.admin).await;
    losses(&mut filled, &bench.admin).await;
    incidents(&mut filled, &bench).await;
    bench.stop().await;

    let excepted = |field: &String| {
        EXCEPTIONS.iter().any(|(known, _)| field == known || (known.ends_with('.') && field.starts_with(known)))
    };
    let never: Vec<_> = fields().into_iter().filter(|field| !filled.0.contains(field) && !excepted(field)).collect();
    assert!(never.is_empty(), "no answer ever fills these: remove them, or fill them: {never:#?}");
    let needless: Vec<_> = EXCEPTIONS.iter().filter(|(field, _)| filled.0.contains(*field)).collect();
    assert!(needless.is_empty(), "these are filled and need no exception: {needless:?}");
}

async fn networks(filled: &mut Filled, admin: &Client) {
    filled.ask(admin, "NetworkService/ListNetworks", &["page_size: 1"]).await;
    filled.ask(admin, "NetworkService/ListNetworks", &[""]).await;
    filled.ask(admin, "NetworkService/GetNetwork", &[r#"name: "networks/x""#]).await;
    let facebook = r#"name: "networks/facebook/apps/default" display_name: "Ours" client_id: "12" client_secret: "s" facts { key: "app_users" value: 9 }"#;
    let paths = r#"update_mask { paths: ["display_name", "client_id", "client_secret", "facts"] }"#;
    filled.ask(admin, "NetworkService/UpdateApp", &[&format!("app {{ {facebook} }} {paths}")]).await;
    filled.ask(admin, "NetworkService/CreateApp", &[r#"parent: "networks/x" app_id: "second""#]).await;
    let top_up = r#"name: "networks/x/apps/default" credit_class: "post_reads" units: 10000000 request_id: "one""#;
    filled.ask(admin, "NetworkService/TopUpBudget", &[top_up]).await;
    filled.ask(admin, "NetworkService/ListApps", &[r#"parent: "networks/-" page_size: 1"#]).await;
    filled.ask(admin, "NetworkService/DeleteApp", &[r#"name: "networks/x/apps/second""#]).await;
}

async fn teams_and_keys(filled: &mut Filled, bench: &Bench) {
    let admin = &bench.admin;
    for team in ["acme", "zenith"] {
        let create = format!(r#"team_id: "{team}" team {{ display_name: "A team" weight: 7 reserve_percent: 0 }}"#);
        filled.ask(admin, "TeamService/CreateTeam", &[&create]).await;
    }
    let update = r#"team { name: "teams/acme" weight: 8 } update_mask { paths: "weight" }"#;
    filled.ask(admin, "TeamService/UpdateTeam", &[update]).await;
    filled.ask(admin, "TeamService/ListTeams", &["page_size: 1"]).await;
    for name in ["one", "two"] {
        let scope = "networks: \"networks/-\" purposes: [PURPOSE_COLLECT_CONTENT, PURPOSE_COLLECT_STATISTICS]";
        let create = format!(
            r#"parent: "teams/acme" collector {{ display_name: "{name}" weight: 3 certificate_names: "{name}.example" {scope} }}"#
        );
        filled.ask(admin, "TeamService/CreateCollector", &[&create]).await;
    }
    let listed = filled.ask(admin, "TeamService/ListCollectors", &[r#"parent: "teams/acme" page_size: 1"#]).await;
    let collector = first(&listed, "collectors");
    let update = format!(r#"collector {{ name: "{collector}" weight: 4 }} update_mask {{ paths: "weight" }}"#);
    filled.ask(admin, "TeamService/UpdateCollector", &[&update]).await;
    let named = format!(r#"name: "{collector}""#);
    filled.ask(admin, "TeamService/DisableCollector", &[&named]).await;
    filled.ask(admin, "TeamService/EnableCollector", &[&named]).await;
    filled.ask(admin, "TeamService/GetCollector", &[&named]).await;

    let expire = "expire_time { seconds: 4000000000 }";
    let create = format!(r#"key {{ role: KEY_ROLE_COLLECTOR collector: "{collector}" display_name: "k" {expire} }}"#);
    let key = filled.ask(admin, "KeyService/CreateKey", &[&create]).await;
    let create = r#"key { role: KEY_ROLE_READER certificate_name: "grafana.example" }"#;
    filled.ask(admin, "KeyService/CreateKey", &[create]).await;
    filled.ask(admin, "KeyService/ListKeys", &["page_size: 1"]).await;
    filled.ask(admin, "KeyService/RevokeKeyByValue", &[&format!(r#"value: "{}""#, text(&key, "secret"))]).await;
    filled.ask(admin, "KeyService/RevokeKey", &[&format!(r#"name: "{}""#, text(&key, "key.name"))]).await;
}

async fn profiles_and_leaving(filled: &mut Filled, admin: &Client) {
    let members = filled.ask(admin, "MemberService/ListMembers", &[r#"parent: "teams/acme""#]).await;
    let ada = first(&members, "members");
    let named = r#"network: "networks/x" profile: "p1""#;
    let update = format!(
        r#"profile {{ team: "teams/acme" {named} display_name: "P" owner: "{ada}" admins: "{ada}" }} update_mask {{ paths: ["display_name", "owner", "admins"] }}"#
    );
    filled.ask(admin, "ProfileService/UpdateProfile", &[&update]).await;
    filled.ask(admin, "ProfileService/UpdateProfile", &[&update.replace("p1", "p2")]).await;
    filled.ask(admin, "ProfileService/GetProfile", &[&format!(r#"parent: "teams/acme" {named}"#)]).await;
    filled.ask(admin, "ProfileService/ListProfiles", &[r#"parent: "teams/acme" page_size: 1"#]).await;
    filled.ask(admin, "ProfileService/ListManagers", &[&format!(r#"parent: "teams/acme" {named}"#)]).await;
    let mia = format!(r#"parent: "teams/acme" token {{ {X} person: "mia" }} secrets {{ access_token: "m" }}"#);
    let token = text(&filled.ask(admin, "TokenService/AddToken", &[&mia]).await, "token.name");
    filled.ask(admin, "ConsentService/GetConsent", &[&format!(r#"token: "{token}""#)]).await;
    let withdraw = format!(r#"token: "{token}" purposes: PURPOSE_COLLECT_CONTENT"#);
    filled.ask(admin, "ConsentService/WithdrawConsent", &[&withdraw]).await;
    let granted = format!(r#"token {{ name: "{token}" granted_by: "{ada}" }} update_mask {{ paths: "granted_by" }}"#);
    filled.ask(admin, "TokenService/UpdateToken", &[&granted]).await;
    filled.ask(admin, "MemberService/ResendInvitation", &[&format!(r#"name: "{ada}""#)]).await;
    filled.ask(admin, "MemberService/RemoveMember", &[&format!(r#"name: "{ada}""#)]).await;
    filled.ask(admin, "MemberService/GetDeparture", &[&format!(r#"name: "{ada}""#)]).await;
    filled.ask(admin, "MemberService/GetMember", &[&format!(r#"name: "{ada}""#)]).await;
}

async fn members(filled: &mut Filled, admin: &Client) {
    let invite = |mail: &str| {
        let more = r#"display_name: "Ada" role: MEMBER_ROLE_OWNER time_zone: "Europe/Vienna" language: "de""#;
        format!(r#"parent: "teams/acme" member {{ mail: "{mail}" {more} }}"#)
    };
    let ada = filled.ask(admin, "MemberService/InviteMember", &[&invite("ada@example.com")]).await;
    let named = format!(r#"name: "{}""#, text(&ada, "member.name"));
    filled.ask(admin, "MemberService/InviteMember", &[&invite("bob@example.com")]).await;
    filled.ask(admin, "MemberService/ResendInvitation", &[&named]).await;
    filled.ask(admin, "MemberService/GetMember", &[&named]).await;
    filled.ask(admin, "MemberService/ListMembers", &[r#"parent: "teams/acme" page_size: 1"#]).await;
    let update = format!(r#"member {{ {named} language: "en" }} update_mask {{ paths: "language" }}"#);
    filled.ask(admin, "MemberService/UpdateMember", &[&update]).await;
    filled.ask(admin, "MemberService/WithdrawInvitation", &[&named]).await;
    filled.ask(admin, "MemberService/ListSessions", &[&named.replace("name:", "parent:")]).await;
}

async fn notices(filled: &mut Filled, bench: &Bench) {
    let admin = &bench.admin;
    let destination = r#"parent: "teams/acme" destination { kind: DESTINATION_KIND_MAIL target: "all@example.com" display_name: "All" }"#;
    let made = filled.ask(admin, "NoticeService/CreateDestination", &[destination]).await;
    filled.ask(admin, "NoticeService/CreateDestination", &[destination]).await;
    let named = format!(r#"name: "{}""#, text(&made, "destination.name"));
    let update =
        format!(r#"destination {{ {named} kinds: NOTICE_KIND_TOKEN_EXPIRED }} update_mask {{ paths: "kinds" }}"#);
    filled.ask(admin, "NoticeService/UpdateDestination", &[&update]).await;
    filled.ask(admin, "NoticeService/GetDestination", &[&named]).await;
    filled.ask(admin, "NoticeService/ListDestinations", &[r#"parent: "teams/acme" page_size: 1"#]).await;
    filled.ask(admin, "NoticeService/DeleteDestination", &[&named]).await;
    for nth in [1, 2] {
        bench.dead_letter("acme", nth).await;
    }
    let dead = filled.ask(admin, "NoticeService/ListDeadLetters", &["page_size: 1"]).await;
    let letter = format!(r#"name: "{}""#, first(&dead, "dead_letters"));
    filled.ask(admin, "NoticeService/ReplayDeadLetter", &[&letter]).await;

    let members = filled.ask(admin, "MemberService/ListMembers", &[r#"parent: "teams/acme""#]).await;
    let member = first(&members, "members");
    let parent = format!(r#"parent: "{member}""#);
    let mut tokens = Vec::new();
    for person in ["noa", "leo"] {
        let granted = format!(
            r#"parent: "teams/acme" token {{ {X} person: "{person}" granted_by: "{member}" }} secrets {{ access_token: "{person}'s" }}"#
        );
        let token = text(&filled.ask(admin, "TokenService/AddToken", &[&granted]).await, "token.name");
        let invalid = format!(r#"name: "{token}" reason: TOKEN_REASON_PASSWORD_CHANGED"#);
        filled.ask(admin, "TokenService/InvalidateToken", &[&invalid]).await;
        tokens.push(token);
    }
    filled.ask(admin, "NoticeService/ListTokensAtRisk", &[&format!("{parent} page_size: 1")]).await;
    let listed = filled.ask(admin, "NoticeService/ListNotices", &[&format!("{parent} page_size: 1")]).await;
    let read = format!(r#"{parent} notices: "{}""#, first(&listed, "notices"));
    filled.ask(admin, "NoticeService/MarkNoticesRead", &[&read]).await;
    filled.ask(admin, "TokenService/RevokeToken", &[&format!(r#"name: "{}""#, tokens[1])]).await;
    filled.ask(admin, "NoticeService/ListNotices", &[&parent]).await;
    let choices = r#"choices { kind: NOTICE_KIND_TOKEN_EXPIRED channel: NOTICE_CHANNEL_MAIL profile: "p1" on: true }"#;
    let settings = format!(
        r#"settings {{ name: "{member}/noticeSettings" {choices} quiet_hours {{ from_minute: 1320 until_minute: 450 }} }} update_mask {{ paths: ["choices", "quiet_hours"] }}"#
    );
    filled.ask(admin, "NoticeService/UpdateNoticeSettings", &[&settings]).await;
    filled.ask(admin, "NoticeService/GetNoticeSettings", &[&format!(r#"name: "{member}/noticeSettings""#)]).await;
    filled.watched(admin, "NoticeService/WatchNotices", &parent, 1).await;
    filled.ask(admin, "PushService/GetPushKey", &[""]).await;
    let keys = r#"p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4" auth: "BTBZMqHH6r4Tts7J_aSIgg""#;
    let subscription = |browser: u8| {
        format!(
            r#"{parent} push_subscription {{ display_name: "phone" endpoint: "https://push.example.com/{browser}" {keys} }}"#
        )
    };
    filled.ask(admin, "PushService/CreatePushSubscription", &[&subscription(1)]).await;
    let made = filled.ask(admin, "PushService/CreatePushSubscription", &[&subscription(2)]).await;
    filled.ask(admin, "PushService/ListPushSubscriptions", &[&format!("{parent} page_size: 1")]).await;
    let named = format!(r#"name: "{}""#, text(&made, "push_subscription.name"));
    filled.ask(admin, "PushService/DeletePushSubscription", &[&named]).await;
}

async fn jobs(filled: &mut Filled, admin: &Client) {
    let begin = |network: &str| format!(r#"parent: "teams/acme" network: "networks/{network}""#);
    let job = filled.ask(admin, "JobService/RenewAllTokens", &[&begin("x")]).await;
    filled.ask(admin, "JobService/RenewAllTokens", &[&begin("tiktok")]).await;
    let named = format!(r#"name: "{}""#, text(&job, "job.name"));
    filled.ask(admin, "JobService/CancelJob", &[&named]).await;
    filled.ask(admin, "JobService/GetJob", &[&named]).await;
    filled.ask(admin, "JobService/ResumeJob", &[&named]).await;
    filled.ask(admin, "JobService/ListJobs", &[r#"parent: "teams/acme" page_size: 1"#]).await;
}

async fn tokens_of_acme(filled: &mut Filled, admin: &Client) -> Vec<String> {
    let listed = filled.ask(admin, "TokenService/ListTokens", &[r#"parent: "teams/acme" page_size: 1000"#]).await;
    let tokens = listed.get_field_by_name("tokens").expect("it is there").into_owned();
    let tokens = tokens.as_list().expect("it is repeated").iter();
    tokens.map(|token| text(token.as_message().expect("a token"), "name")).collect()
}

/// The name of the first of the messages in a list.
fn first(listed: &DynamicMessage, field: &str) -> String {
    let values = listed.get_field_by_name(field).expect("it is there");
    let one = values.as_list().and_then(|values| values.first()).and_then(Value::as_message).expect("there is one");
    text(one, "name")
}

const X: &str = r#"network: "networks/x" kind: "user" scopes: ["tweet.read", "users.read", "like.read", "list.read", "offline.access"]"#;

fn seconds_from_now(seconds: i64) -> i64 {
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    i64::try_from(now).expect("the sun still shines") + seconds
}

fn in_days(days: i64) -> String {
    format!("seconds: {}", seconds_from_now(days * 86_400))
}

async fn tokens(filled: &mut Filled, admin: &Client) {
    let clocks = format!(
        "clocks {{ access_expire_time {{ {} }} refresh_expire_time {{ {} }} data_access_expire_time {{ {} }} consent_time {{ {} }} }}",
        in_days(5),
        in_days(20),
        in_days(60),
        in_days(-1)
    );
    let ann = format!(
        r#"parent: "teams/acme" token {{ {X} person: "ann" profile: "p1" display_name: "Ann" granted_by: "ann@example.com"
           purposes: PURPOSE_COLLECT_CONTENT max_concurrent_leases: 9 reserve_percent: 5 {clocks} }} secrets {{ access_token: "a" }}"#
    );
    let ann = filled.ask(admin, "TokenService/AddToken", &[&ann]).await;
    let name = text(&ann, "token.name");
    let named = format!(r#"name: "{name}""#);
    let update = format!(r#"token {{ name: "{name}" display_name: "A" }} update_mask {{ paths: "display_name" }}"#);
    filled.ask(admin, "TokenService/UpdateToken", &[&update]).await;
    filled.ask(admin, "TokenService/PauseToken", &[&named]).await;
    filled.ask(admin, "TokenService/ResumeToken", &[&named]).await;

    let soon_over = format!("clocks {{ access_expire_time {{ {0} }} refresh_expire_time {{ {0} }} }}", in_days(5));
    let zoe =
        format!(r#"parent: "teams/acme" token {{ {X} person: "zoe" {soon_over} }} secrets {{ access_token: "z" }}"#);
    filled.ask(admin, "TokenService/AddToken", &[&zoe]).await;

    let row = |number: u32, person: &str, access: &str| {
        format!(r#"rows {{ row: {number} token {{ {X} person: "{person}" }} secrets {{ access_token: "{access}" }} }}"#)
    };
    let bad = r#"rows { row: 3 token { network: "networks/x" kind: "robot" } secrets { access_token: "a" } }"#;
    let malformed = r#"rows { row: 4 token { network: "x" } secrets { access_token: "a" } }"#;
    let rows = format!("rows {{ {} {} {bad} {malformed} }}", row(1, "bob", "b"), row(2, "eve", "e"));
    let begin = r#"begin { parent: "teams/acme" import_id: "one" }"#;
    filled.ask(admin, "TokenService/ImportTokens", &[begin, &rows]).await;
    let rows = format!("rows {{ {} {} }}", row(1, "bob", "new"), row(2, "eve", "e"));
    let begin = r#"begin { parent: "teams/acme" import_id: "two" allow_existing: true }"#;
    filled.ask(admin, "TokenService/ImportTokens", &[begin, &rows]).await;
    let listed = filled.ask(admin, "TokenService/ListTokens", &[r#"parent: "teams/acme" page_size: 2"#]).await;
    assert_eq!(first(&listed, "tokens"), name);

    let page = r#"network: "networks/facebook" kind: "page" person: "ann" profile: "77" facts { key: "engaged_users" value: 90 }
        scopes: ["pages_read_engagement", "pages_show_list", "read_insights", "pages_read_user_content"]"#;
    let page = format!(r#"parent: "teams/acme" token {{ {page} }} secrets {{ access_token: "EAAB" }}"#);
    filled.ask(admin, "TokenService/AddToken", &[&page]).await;
    filled.ask(admin, "TeamService/GetTeam", &[r#"name: "teams/acme""#]).await;
    let own = r#"parent: "networks/x" app_id: "own" app { team: "teams/acme" }"#;
    filled.ask(admin, "NetworkService/CreateApp", &[own]).await;
    filled.ask(admin, "NetworkService/GetApp", &[r#"name: "networks/facebook/apps/default""#]).await;
}

async fn connections(filled: &mut Filled, admin: &Client) {
    let client = r#"app { name: "networks/x/apps/default" client_id: "id" } update_mask { paths: "client_id" }"#;
    filled.ask(admin, "NetworkService/UpdateApp", &[client]).await;
    let listed = filled.ask(admin, "TokenService/ListTokens", &[r#"parent: "teams/acme" page_size: 1"#]).await;
    let heal = format!(
        r#"parent: "teams/acme" token: "{}" allow_other_account: true scopes: "like.read" member: "ann" return_url: "https://app.example/""#,
        first(&listed, "tokens")
    );
    filled.ask(admin, "ConnectionService/StartConnection", &[&heal]).await;
    let started = filled.ask(admin, "ConnectionService/StartConnection", &[&heal]).await;
    filled.ask(admin, "ConnectionService/ListConnections", &[r#"parent: "teams/acme" page_size: 1"#]).await;
    let named = format!(r#"name: "{}""#, text(&started, "connection.name"));
    filled.ask(admin, "ConnectionService/GetConnection", &[&named]).await;
    filled.ask(admin, "ConnectionService/CancelConnection", &[&named]).await;
}

const SEARCH: &str = r#"team: "teams/acme" network: "networks/x" operation: "tweets.search_recent" purpose: PURPOSE_COLLECT_CONTENT collection: "brand""#;

async fn leases(filled: &mut Filled, bench: &Bench) {
    let admin = &bench.admin;
    let worker = bench.client(&bench.collector("acme", "worker", "networks/-").await).await;
    let of_ann = format!(r#"{SEARCH} calls: 5 profile: "p1""#);
    filled.ask(&worker, "LeaseService/AcquireLease", &[&of_ann]).await;
    let lease = filled.ask(&worker, "LeaseService/AcquireLease", &[&of_ann]).await;
    let lease = text(&lease, "lease.name");
    let report = |sequence: u32, more: &str| format!(r#"lease: "{lease}" sequence: {sequence} {more}"#);
    filled.ask(&worker, "LeaseService/ReportUsage", &[&report(1, "calls { ok: 1 } want_calls: 3")]).await;
    filled.ask(&worker, "LeaseService/ExtendLease", &[&format!(r#"lease: "{lease}" ttl {{ seconds: 900 }}"#)]).await;
    filled.ask(&worker, "LeaseService/GetLease", &[&format!(r#"name: "{lease}""#)]).await;
    filled.ask(admin, "TeamService/ListCollectors", &[r#"parent: "teams/acme""#]).await;
    let page = r#"team: "teams/acme" network: "networks/facebook" kind: "page" operation: "page.posts" calls: 1 purpose: PURPOSE_COLLECT_CONTENT"#;
    let of_page = filled.ask(&worker, "LeaseService/AcquireLease", &[page]).await;

    let reset = format!(r#"headers {{ name: "x-rate-limit-reset" value: "{}" }}"#, seconds_from_now(600));
    let limits =
        r#"headers { name: "x-rate-limit-limit" value: "300" } headers { name: "x-rate-limit-remaining" value: "0" }"#;
    let throttled = format!("calls {{ throttled: 1 }} answer {{ http_status: 429 {limits} {reset} }}");
    // The holder of the other lease on this token is told to rest, too.
    let reports = format!("tag: 2 report {{ {} }}", report(2, &throttled));
    filled.collect(&worker, &["tag: 1 resume {}", &reports], &["recall"]).await;
    let blocked =
        r#"calls { error: 1 } answer { http_status: 400 body: "{\"error\":{\"code\":368,\"message\":\"m\"}}" }"#;
    let blocked = format!(r#"lease: "{}" sequence: 1 {blocked}"#, text(&of_page, "lease.name"));
    filled.ask(&worker, "LeaseService/ReportUsage", &[&blocked]).await;
    for token in tokens_of_acme(filled, admin).await {
        filled.ask(admin, "TokenService/GetToken", &[&format!(r#"name: "{token}""#)]).await;
    }
    filled.ask(&worker, "LeaseService/Collect", &[r#"tag: 1 resume {}"#]).await;
    filled.ask(&worker, "LeaseService/ReleaseLease", &[&format!(r#"lease: "{lease}""#)]).await;
    on_a_stream(filled, &worker).await;
    filled.ask(admin, "LeaseService/ListLeases", &["page_size: 1"]).await;
}

async fn on_a_stream(filled: &mut Filled, worker: &Client) {
    let lease = filled.ask(worker, "LeaseService/Collect", &[&format!("tag: 1 acquire {{ {SEARCH} calls: 2 }}")]).await;
    let lease = text(&lease, "acquired.lease.name");
    let dead = r#"calls { error: 1 } answer { http_status: 403 body: "{\"errors\":[{\"code\":326}]}" }"#;
    let commands = [
        format!(r#"tag: 2 report {{ lease: "{lease}" sequence: 1 {dead} }}"#),
        r#"tag: 3 resume {}"#.to_owned(),
        format!(r#"tag: 4 extend {{ lease: "{lease}" }}"#),
        format!(r#"tag: 5 release {{ lease: "{lease}" }}"#),
        format!("tag: 6 acquire {{ {SEARCH} calls: 200 }}"),
        format!("tag: 9 acquire {{ {SEARCH} calls: 200 }}"),
        format!("tag: 10 acquire {{ {SEARCH} calls: 200 }}"),
        format!("tag: 7 acquire {{ {SEARCH} calls: 100000 }}"),
        format!(r#"tag: 8 acquire {{ {SEARCH} calls: 5 profile: "nobody" }}"#),
    ];
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    filled.collect(worker, &commands, &["recall", "retry_at"]).await;
    let lease = filled.ask(worker, "LeaseService/Collect", &[&format!("tag: 1 acquire {{ {SEARCH} calls: 2 }}")]).await;
    let extend = format!(r#"tag: 4 extend {{ lease: "{}" }}"#, text(&lease, "acquired.lease.name"));
    filled.ask(worker, "LeaseService/Collect", &[&extend]).await;
}

async fn loads_and_alerts(filled: &mut Filled, bench: &Bench) {
    let admin = &bench.admin;
    bench.measure_loads();
    filled.ask(admin, "LoadService/GetTeamLoad", &[r#"name: "teams/acme/load""#]).await;
    filled.ask(admin, "LoadService/ListTeamLoads", &["page_size: 1"]).await;
    let added = r#"network: "networks/x" kind: "user" count: 2"#;
    let estimate = format!(r#"team: "teams/acme" tokens {{ {added} }}"#);
    filled.ask(admin, "LoadService/EstimateLoad", &[&estimate]).await;
    let alert = bench.open_load_alert("acme").await;
    bench.open_load_alert("zenith").await;
    let acknowledge = format!(r#"name: "{alert}" comment: "seen""#);
    filled.ask(admin, "AlertService/AcknowledgeAlert", &[&acknowledge]).await;
    bench.clear_alert(&alert).await;
    filled.ask(admin, "AlertService/GetAlert", &[&format!(r#"name: "{alert}""#)]).await;
    filled.ask(admin, "AlertService/ListAlerts", &[r#"parent: "teams/-" page_size: 1"#]).await;
    filled.watched(admin, "AlertService/WatchAlerts", r#"parent: "teams/-""#, 2).await;
    filled.watched(admin, "LoadService/WatchTeamLoad", r#"name: "teams/acme/load""#, 1).await;
}

async fn sealing(filled: &mut Filled, admin: &Client) {
    filled.ask(admin, "KeyService/RotateSealingKey", &[""]).await;
    let is_busy = |answer: &DynamicMessage| {
        let sealing = answer.get_field_by_name("sealing").unwrap().into_owned();
        sealing.as_message().unwrap().has_field_by_name("resealing")
    };
    while is_busy(&filled.ask(admin, "KeyService/GetSealing", &[""]).await) {
        tokio::task::yield_now().await;
    }
}

async fn audit(filled: &mut Filled, admin: &Client) {
    filled.ask(admin, "AuditService/ListAuditEvents", &["page_size: 1"]).await;
    filled.ask(admin, "AuditService/ListAuditEvents", &["page_size: 1000"]).await;
    let tokens = tokens_of_acme(filled, admin).await;
    for token in &tokens {
        let state = format!(r#"token: "{token}" page_size: 1"#);
        filled.ask(admin, "AuditService/GetTokenUsageStatement", &[&format!(r#"token: "{token}""#)]).await;
        filled.ask(admin, "AuditService/GetTokenUsageStatement", &[&state]).await;
    }
    // Stating the use has written down what the leases were used for, and which have ended.
    filled.ask(admin, "LeaseService/ListLeases", &["state: LEASE_STATE_RELEASED"]).await;
    let revoke = format!(r#"name: "{}" comment: "over""#, tokens[0]);
    filled.ask(admin, "TokenService/RevokeToken", &[&revoke]).await;
    let invalidate = format!(r#"name: "{}" reason: TOKEN_REASON_PASSWORD_CHANGED"#, tokens[1]);
    filled.ask(admin, "TokenService/InvalidateToken", &[&invalidate]).await;
}

/// A token that was dead for longer than its network reaches back, one that must be connected again, and one whose data must go.
async fn losses(filled: &mut Filled, admin: &Client) {
    let clocks =
        format!("clocks {{ access_expire_time {{ {} }} refresh_expire_time {{ {} }} }}", in_days(-10), in_days(20));
    let secrets = |person: &str| format!(r#"secrets {{ access_token: "old" refresh_token: "of-{person}" }}"#);
    let mut healed = Vec::new();
    let mut rows = String::new();
    for (number, person) in [(1, "dee"), (2, "dov")] {
        let of_person = format!(r#"{X} person: "{person}" profile: "of-{person}""#);
        let add = format!(r#"parent: "teams/acme" token {{ {of_person} {clocks} }} {}"#, secrets(person));
        healed.push(text(&filled.ask(admin, "TokenService/AddToken", &[&add]).await, "token.name"));
        rows += &format!(r#"rows {{ row: {number} token {{ {of_person} }} secrets {{ access_token: "new" }} }}"#);
    }
    let begin = r#"begin { parent: "teams/acme" import_id: "healing" allow_existing: true }"#;
    filled.ask(admin, "TokenService/ImportTokens", &[begin, &format!("rows {{ {rows} }}")]).await;
    filled.ask(admin, "TokenService/ListDeadSpans", &[r#"parent: "teams/acme" page_size: 1"#]).await;
    let ends = format!("clocks {{ refresh_expire_time {{ {} }} }}", in_days(20));
    let lin =
        format!(r#"network: "networks/linkedin" kind: "user" person: "lin" scopes: "r_organization_social" {ends}"#);
    let lin = format!(r#"parent: "teams/acme" token {{ {lin} }} {}"#, secrets("lin"));
    let lin = text(&filled.ask(admin, "TokenService/AddToken", &[&lin]).await, "token.name");
    let scope = "https://www.googleapis.com/auth/youtube.readonly";
    let tube = format!(r#"network: "networks/youtube" kind: "user" person: "una" scopes: "{scope}""#);
    let tube = format!(r#"parent: "teams/acme" token {{ {tube} }} {}"#, secrets("una"));
    let tube = text(&filled.ask(admin, "TokenService/AddToken", &[&tube]).await, "token.name");
    let invalidate = format!(r#"name: "{tube}" reason: TOKEN_REASON_PASSWORD_CHANGED"#);
    filled.ask(admin, "TokenService/InvalidateToken", &[&invalidate]).await;
    for token in healed.into_iter().chain([lin, tube]) {
        filled.ask(admin, "TokenService/GetToken", &[&format!(r#"name: "{token}""#)]).await;
    }
}

async fn incidents(filled: &mut Filled, bench: &Bench) {
    let admin = &bench.admin;
    let of_ida = r#"person: "ida" profile: "of-ida""#;
    let add = format!(r#"parent: "teams/acme" token {{ {X} {of_ida} }} secrets {{ access_token: "a" }}"#);
    filled.ask(admin, "TokenService/AddToken", &[&add]).await;
    let of_ida = format!(r#"{SEARCH} calls: 1 profile: "of-ida""#);
    let lease = text(&filled.ask(admin, "LeaseService/AcquireLease", &[&of_ida]).await, "lease.name");
    let incident = bench.open_incident("x", "default").await;
    let refused = r#"calls { error: 1 } answer { http_status: 401 body: "{\"errors\":[{\"code\":89}]}" }"#;
    let refused = format!(r#"lease: "{lease}" sequence: 1 {refused}"#);
    filled.ask(admin, "LeaseService/ReportUsage", &[&refused]).await;
    bench.watch_incidents().await;
    let scope = "https://www.googleapis.com/auth/youtube.readonly";
    let ulf = format!(r#"network: "networks/youtube" kind: "user" person: "ulf" scopes: "{scope}""#);
    let ulf = format!(r#"parent: "teams/acme" token {{ {ulf} }} secrets {{ access_token: "u" }}"#);
    filled.ask(admin, "TokenService/AddToken", &[&ulf]).await;
    bench.open_incident("youtube", "default").await;
    filled.watched(admin, "IncidentService/WatchIncidents", "", 3).await;
    let named = format!(r#"name: "{incident}""#);
    filled.ask(admin, "IncidentService/GetIncident", &[&named]).await;
    filled.ask(admin, "IncidentService/ListIncidents", &["page_size: 1"]).await;
    let seen = format!(r#"{named} comment: "seen""#);
    filled.ask(admin, "IncidentService/AcknowledgeIncident", &[&seen]).await;
    let over = format!("{named} outcome: INCIDENT_OUTCOME_LOST");
    filled.ask(admin, "IncidentService/CloseIncident", &[&over]).await;
}
