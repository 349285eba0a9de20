//! No secret leaves by accident (rule 9). Unique markers are put into every secret that the broker is given; then everything that
//! can be seen of it is searched for them, also as base64, as hex, and escaped for URLs and JSON.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use token_broker::grpc::pb;
use token_broker::grpc::pb::key_service_client::KeyServiceClient;
use tonic::Status;

use crate::support::{Api, Launch, Scene, cli, person_token, run_bounded};

/// What must not be seen, in every form that a careless program would write it.
pub(crate) struct Scanner {
    forms: Vec<(String, Vec<u8>)>,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self { forms: Vec::new() }
    }

    /// Looks for a secret from now on.
    pub(crate) fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 24, "{name} is too short to be found for sure");
        let bytes = secret.as_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let url: String = url::form_urlencoded::byte_serialize(bytes).collect();
        let json = serde_json::to_string(secret).unwrap();
        let list = format!("{bytes:?}");
        let mut forms = vec![
            ("as it is", secret.to_owned()),
            ("as HEX", hex.to_uppercase()),
            ("as hex", hex),
            ("in a URL", url),
            ("in JSON", json.trim_matches('"').to_owned()),
            ("as a list of bytes", list.trim_matches(['[', ']']).to_owned()),
        ];
        // A secret inside something longer is shifted by none to two bytes; what depends on its neighbours is cut off.
        for shift in 0..3 {
            let shifted = [&[0; 2][..shift], bytes].concat();
            let whole = shifted.len() / 3 * 3;
            for (how, text) in [
                ("as base64", STANDARD.encode(&shifted[..whole])),
                ("as base64 for URLs", URL_SAFE_NO_PAD.encode(&shifted[..whole])),
            ] {
                forms.push((how, text[if shift == 0 { 0 } else { 4 }..].to_owned()));
            }
        }
        self.forms.extend(forms.into_iter().map(|(how, text)| (format!("{name}, {how}"), text.into_bytes())));
    }

    /// The first secret that stands in `bytes`.
    fn find(&self, bytes: &[u8]) -> Option<&str> {
        self.forms.iter().find(|(_, form)| contains(bytes, form)).map(|(name, _)| name.as_str())
    }

    pub(crate) fn must_be_absent(&self, place: &str, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if let Some(found) = self.find(bytes) {
            panic!("{found} stands in {place}");
        }
    }
}

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    let Some(first) = form.first() else { return false };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.into_iter().any(|(at, _)| bytes[at..].starts_with(form))
}

#[test]
fn the_scanner_finds_what_is_planted() {
    let mut scanner = Scanner::new();
    let secret = "canary-\"quoted\"+and/more=24";
    scanner.add("planted", secret);
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let planted = [
        secret.to_owned(),
        hex.clone(),
        hex.to_uppercase(),
        format!("{:?}", secret.as_bytes()),
        serde_json::json!({"message": secret}).to_string(),
        format!(
            "https://x.example/?token={}",
            url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>()
        ),
        STANDARD.encode(secret),
        STANDARD.encode(format!("a{secret}")),
        STANDARD.encode(format!("ab{secret}tail")),
        URL_SAFE_NO_PAD.encode(format!("Bearer {secret}")),
    ];
    for text in planted {
        let surrounded = [b"\0\xffbefore".as_slice(), text.as_bytes(), b"after\n"].concat();
        assert!(scanner.find(&surrounded).is_some(), "not found in {text}");
    }
    for harmless in ["", "canary-", "canary-\"quoted\"+and/more=2", "Y2FuYXJ5"] {
        assert_eq!(scanner.find(harmless.as_bytes()), None, "{harmless}");
    }
}

/// A marker that occurs nowhere else.
fn marker(number: u32) -> String {
    format!("CANARY{:018x}", 0x00C0_FFEE_0000_u64 + u64::from(number) * 0x9E37_79B9)
}

/// A broker whose every secret is a canary, and what is looked for.
struct Cage {
    scene: Scene,
    scanner: Scanner,
    /// Error texts that clients were shown.
    errors: String,
}

impl Cage {
    async fn new(format: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let hook = format!("whsec_{}", STANDARD.encode(marker(1)));
        let config = home.path().join("broker.toml");
        std::fs::write(home.path().join("hook.secret"), &hook).unwrap();
        let text = format!(
            "[[alerts.webhooks]]\nurl = \"http://127.0.0.1:9/hook\"\nallow_private = true\nsecret_file = \"{}\"\n",
            home.path().join("hook.secret").display()
        );
        std::fs::write(&config, text).unwrap();
        let launch = Launch::new(&home.path().join("data")).arg("--config").arg(config.display());
        let launch = launch.set("LOG__FORMAT", format).set("LOG__FILTER", "trace").set("LOAD__HOLD", "0s");
        let scene = Scene::launch(home, &launch, 0).await;
        let mut scanner = Scanner::new();
        scanner.add("the webhook's secret", &hook);
        scanner.add("the webhook's bare secret", &marker(1));
        for (name, key) in [("the admin's key", &scene.admin_key), ("the collector's key", &scene.collector_key)] {
            let secret = key.rsplit('_').next().unwrap();
            scanner.add(name, &secret[..64]);
        }
        let sealing = std::fs::read_to_string(scene.data().join("sealing.key")).unwrap();
        let sealing = sealing.split_whitespace().find(|word| word.len() == 64).expect("the key file holds its key");
        scanner.add("the sealing key", sealing);
        Self { scene, scanner, errors: String::new() }
    }

    fn marked(&mut self, what: &str, number: u32) -> String {
        let secret = marker(number);
        self.scanner.add(what, &secret);
        secret
    }

    fn note<T: std::fmt::Debug>(&mut self, result: Result<T, Status>) {
        match result {
            Ok(answer) => self.errors.push_str(&format!("{answer:?}\n")),
            Err(status) => {
                let details = String::from_utf8_lossy(status.details()).into_owned();
                self.errors.push_str(&format!("{status:?} {status} {details} {:?}\n", status.metadata()));
            }
        }
    }

    fn token(&mut self, person: &str, number: u32) -> pb::AddTokenRequest {
        let mut request = person_token("x", person);
        request.secrets = Some(pb::TokenSecrets {
            access_token: self.marked("an access token", number),
            refresh_token: self.marked("a refresh token", number + 1),
            ..Default::default()
        });
        request
    }

    /// The life of some tokens and leases, with much that goes wrong.
    async fn live(&mut self) {
        let admin = self.scene.admin.clone();
        let kept = self.token("kept", 10);
        let revoked = self.token("revoked", 20);
        for request in [kept.clone(), revoked] {
            self.note(admin.tokens().add_token(request).await);
        }
        let collector = self.scene.collector.clone();
        for _ in 0..3 {
            let lease = collector.acquire(self.scene.search(5)).await.unwrap();
            assert!(lease.access_token.starts_with("CANARY"), "the lease holds the token");
            self.errors.push_str(&format!("{lease:?}\n"));
            self.report(&collector, &lease.name).await;
        }
        self.go_wrong(&kept).await;
        for token in admin.list_tokens("teams/acme").await {
            if token.person == "revoked" {
                admin.revoke_token(&token.name).await.unwrap();
            }
        }
        self.errors.push_str(&format!("{:?}", admin.audit("").await));
        self.errors.push_str(&format!("{:?}", admin.list_tokens("teams/acme").await));
    }

    /// Answers of a network that repeat secrets: headers and bodies often do.
    async fn report(&mut self, collector: &Api, lease: &str) {
        let secret = self.marked("a header of a network", 30);
        let body = self.marked("a body of a network", 31);
        let bodies = [
            format!("{{\"error\":{{\"message\":\"bad token {body}\",\"code\":190}}}}"),
            format!("<html>{body}</html>"),
            body.repeat(1 << 15),
        ];
        for (body, sequence) in bodies.into_iter().zip(1..) {
            let headers = vec![
                pb::Header { name: "set-cookie".to_owned(), value: secret.clone() },
                pb::Header { name: "x-rate-limit-remaining".to_owned(), value: secret.clone() },
                pb::Header { name: secret.clone(), value: "1".to_owned() },
            ];
            let answer = pb::NetworkAnswer { http_status: 403, headers, body: body.into(), receive_time: None };
            let calls = Some(pb::CallCounts { error: 1, ..Default::default() });
            let request = pb::ReportUsageRequest {
                lease: lease.to_owned(),
                sequence,
                calls,
                answer: Some(answer),
                ..Default::default()
            };
            self.note(collector.leases().report_usage(request).await);
        }
    }

    /// Secrets where none belong, and requests that are refused while they carry one.
    async fn go_wrong(&mut self, kept: &pb::AddTokenRequest) {
        let (admin, secret) = (self.scene.admin.clone(), self.marked("a misplaced secret", 40));
        self.note(admin.tokens().add_token(kept.clone()).await);
        let mut spoilt = kept.clone();
        spoilt.token.as_mut().unwrap().kind = secret.clone();
        // What was asked for is repeated to whoever asked; the log must not have it.
        admin.tokens().add_token(spoilt).await.unwrap_err();
        for spoil in [
            |request: &mut pb::AddTokenRequest| request.parent.clear(),
            |request: &mut pb::AddTokenRequest| request.token = None,
            |request: &mut pb::AddTokenRequest| request.token.as_mut().unwrap().network = "networks/nowhere".to_owned(),
            |request: &mut pb::AddTokenRequest| request.token.as_mut().unwrap().purposes = vec![77],
        ] {
            let mut request = kept.clone();
            spoil(&mut request);
            self.note(admin.tokens().add_token(request).await);
        }
        let wrong_key = format!("tbk_{:032x}_{:064x}{:08x}", 1, 2, 3);
        self.scanner.add("a wrong key", &wrong_key);
        for key in [wrong_key, secret.clone(), self.scene.admin_key[..60].to_owned()] {
            let stranger = Api::connect(&self.scene.broker, &key).await;
            self.note(stranger.teams().list_teams(pb::ListTeamsRequest::default()).await);
            let request = pb::RevokeKeyByValueRequest { value: key, ..Default::default() };
            self.note(KeyServiceClient::new(stranger.0.clone()).revoke_key_by_value(request).await);
        }
        let rows = self.import_file();
        let mut import = cli(self.scene.path());
        import.args(["token", "import"]).arg(rows).env("TOKEN_BROKER_SERVER", self.scene.broker.url());
        let ended = run_bounded(import.env("TOKEN_BROKER_KEY", &self.scene.admin_key), b"");
        assert_eq!(ended.status.code(), Some(1), "{}", ended.text());
        self.errors.push_str(&ended.text());
        let errors = std::fs::read_to_string(self.scene.path().join("tokens.csv.errors.csv"));
        self.errors.push_str(&errors.unwrap_or_else(|error| panic!("{error}: {}", ended.text())));
        let mut wrong = cli(self.scene.path());
        let ended = run_bounded(wrong.args(["team", "list", "--key", &secret]), b"");
        assert_eq!(ended.status.code(), Some(2));
        self.errors.push_str(&ended.text());
    }

    /// A file with a good row, and rows with secrets in the wrong column.
    fn import_file(&mut self) -> std::path::PathBuf {
        let secret = self.marked("a secret in a file", 50);
        let file = self.scene.path().join("tokens.csv");
        let rows = format!(
            "network,kind,access_token,person,max_concurrent_leases\nx,user,{secret}a,p,\nx,user,{secret}b,p,{secret}\nnowhere,user,{secret}c,p,\nx,robot,{secret}d,p,\nx,user,\"{secret}\n"
        );
        std::fs::write(&file, rows).unwrap();
        file
    }
}

/// Every file below a folder, but for the key and what a client keeps.
pub(crate) fn stored(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of_broker = files.filter(|path| path.file_name().is_some_and(|name| name != "sealing.key"));
    let read: Vec<_> = of_broker.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    assert!(read.iter().any(|(name, bytes)| name.ends_with("broker.db") && !bytes.is_empty()), "{folder:?}");
    read
}

async fn no_secret_leaves(format: &str) {
    let mut cage = Cage::new(format).await;
    cage.live().await;
    let Cage { scene, scanner, errors } = cage;
    assert!(errors.contains("INVALID_FIELD") && errors.contains("UNKNOWN_NETWORK") && errors.contains("KEY_INVALID"));
    scanner.must_be_absent("an answer, an error, a file of errors or a Debug", &errors);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["metrics", "healthz", "readyz", &marker(40)] {
        let url = format!("http://{}/{path}", scene.broker.http);
        let text = client.get(url).send().await.unwrap().text().await.unwrap();
        scanner.must_be_absent(path, text);
    }
    for file in ["cmdline", "environ"] {
        match std::fs::read(format!("/proc/{}/{file}", scene.broker.pid())) {
            Ok(bytes) => {
                assert!(!bytes.is_empty());
                scanner.must_be_absent(&format!("the process's {file}"), bytes);
            }
            // Only root may look into a process that must not be dumped.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
        }
    }
    for (name, bytes) in stored(&scene.data()) {
        scanner.must_be_absent(&format!("{name} while the broker runs"), bytes);
    }
    let data = scene.data();
    let Scene { home: _home, broker, admin_key, .. } = scene;
    let ended = broker.stop();
    assert!(ended.status.success(), "{}", ended.stderr);
    for (name, bytes) in stored(&data) {
        scanner.must_be_absent(&format!("{name} after the stop"), bytes);
    }
    assert!(ended.stderr.contains("TRACE") && ended.stderr.contains("DEBUG"), "everything is logged");
    scanner.must_be_absent("the log", &ended.stderr);
    assert_eq!(ended.stdout.matches(&admin_key).count(), 1, "the first key is shown once");
    scanner.must_be_absent("stdout, but for the first key", ended.stdout.replace(&admin_key, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_secret_leaves_by_accident_with_a_log_of_json() {
    no_secret_leaves("json").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_secret_leaves_by_accident_with_a_log_of_text() {
    no_secret_leaves("text").await;
}

#[test]
fn no_message_shows_a_secret_through_debug() {
    let secret = marker(60);
    let mut scanner = Scanner::new();
    scanner.add("a secret in a message", &secret);
    let lease = pb::Lease {
        access_token: secret.clone(),
        request_parameters: [("appsecret_proof".to_owned(), secret.clone())].into(),
        ..Default::default()
    };
    let secrets =
        pb::TokenSecrets { access_token: secret.clone(), refresh_token: secret.clone(), token_secret: secret.clone() };
    let row = pb::ImportRow { secrets: Some(secrets.clone()), ..Default::default() };
    let rows = pb::import_tokens_request::Content::Rows(pb::ImportRows { rows: vec![row] });
    let answer = pb::NetworkAnswer {
        headers: vec![pb::Header { name: "authorization".to_owned(), value: secret.clone() }],
        body: secret.clone().into(),
        ..Default::default()
    };
    let acquired = pb::AcquireLeaseResponse { lease: Some(lease) };
    let shown = [
        format!("{:?}", pb::collect_response::Event::Acquired(Box::new(acquired.clone()))),
        format!("{acquired:?}"),
        format!("{:?}", pb::ImportTokensRequest { content: Some(rows) }),
        format!("{:?}", pb::AddTokenRequest { secrets: Some(secrets), ..Default::default() }),
        format!("{:?}", pb::ReleaseLeaseRequest { answer: Some(answer), ..Default::default() }),
        format!("{:?}", pb::CreateKeyResponse { secret: secret.clone(), ..Default::default() }),
        format!("{:?}", pb::RevokeKeyByValueRequest { value: secret.clone(), ..Default::default() }),
        format!("{:?}", token_broker::base::secret::Secret::new(secret.clone()).expose().len()),
    ];
    for text in shown {
        assert!(!text.is_empty());
        scanner.must_be_absent("a Debug", text);
    }
}
