//! Options that every command of the API takes, and pieces that several commands share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueHint};

use super::failure::Failure;
use super::terminal::{ColorChoice, Format};
use super::times::parse_span;
use crate::base::secret::Secret;
use crate::grpc::client::ClientSettings;

/// The heading of the options that say which broker.
pub const CONNECTION: &str = "Connection";
const KEY_VARIABLE: &str = "TOKEN_BROKER_KEY";

/// How output looks.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Form of the output.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub output: Format,
    /// Whether to colour output; NO_COLOR turns it off, too.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", hide_short_help = true)]
    pub color: ColorChoice,
    /// Print only what was asked for: no notices, no progress.
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// Which store is meant, for commands that work on it while no broker does.
#[derive(Args, Debug, Default)]
pub struct StoreArgs {
    /// Configuration file (TOML).
    #[arg(long, env = "TOKEN_BROKER_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Where the embedded store and the sealing key are kept.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
}

/// Which broker, and as whom.
#[derive(Args)]
#[command(next_help_heading = CONNECTION)]
pub struct ConnectionOptions {
    /// The broker's gRPC address.
    #[arg(
        long,
        global = true,
        env = "TOKEN_BROKER_SERVER",
        default_value = "http://127.0.0.1:7070",
        value_name = "URL"
    )]
    pub server: String,
    /// File that holds the key; else TOKEN_BROKER_KEY, else ~/.config/token-broker/key.
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Refused: see [`ConnectionOptions::check`].
    #[arg(long, global = true, hide = true, num_args = 0..=1, value_name = "KEY")]
    key: Option<Option<OsString>>,
    /// Certificates (PEM) that the broker's must come from, instead of those that the machine trusts.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub ca: Option<PathBuf>,
    /// Our certificate (PEM, with its chain), for brokers that ask for one.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub cert: Option<PathBuf>,
    /// The private key (PEM) of our certificate.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// How long one call may take.
    #[arg(long, global = true, value_name = "SPAN", default_value = "30s", value_parser = parse_span, hide_short_help = true)]
    pub timeout: Duration,
    /// The team that is meant; `-` for all teams in lists. If there is only one, it need not be named.
    #[arg(long, short, global = true, env = "TOKEN_BROKER_TEAM", value_name = "TEAM")]
    pub team: Option<String>,
    /// Makes a retry of a change safe: the same id does the same thing once. Otherwise each run has a new one.
    #[arg(long, global = true, value_name = "ID", hide_short_help = true)]
    pub request_id: Option<String>,
}

impl ConnectionOptions {
    /// Finds what clap can't: options that go together only, and a key where others can read it.
    pub fn check(&self) -> Result<(), Failure> {
        let wrong = |text: &str| Err(Failure::Usage(text.to_owned()));
        if self.key.is_some() {
            return wrong(
                "use --key-file or TOKEN_BROKER_KEY: arguments are visible to other users. If this key is in use, revoke it",
            );
        }
        match (&self.cert, &self.client_key) {
            (Some(_), None) => wrong("--cert needs --client-key, the private key of the certificate"),
            (None, Some(_)) => wrong("--client-key needs --cert, the certificate that it belongs to"),
            _ => Ok(()),
        }
    }

    /// Reads the key and the certificates.
    pub fn settings(&self) -> Result<ClientSettings, Failure> {
        self.check()?;
        let identity = match (&self.cert, &self.client_key) {
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            _ => None,
        };
        Ok(ClientSettings {
            server: self.server.clone(),
            key: self.find_key(&Surroundings::of_process())?,
            ca: self.ca.as_deref().map(read).transpose()?,
            identity,
        })
    }

    /// Whether the key would cross a network in the clear.
    pub fn sends_key_in_the_clear(&self) -> bool {
        let Some(rest) = self.server.strip_prefix("http://") else { return false };
        let host = rest.split(['/', '?']).next().unwrap_or(rest);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
        let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        !is_loopback && host != "localhost"
    }

    /// The file that the key comes from, if others than its owner may read it.
    pub fn exposed_key_file(&self) -> Option<PathBuf> {
        self.file_of_key(&Surroundings::of_process()).filter(|path| is_exposed(path))
    }

    /// `--key-file`, else the environment, else the default file if it is there.
    fn find_key(&self, surroundings: &Surroundings) -> Result<Option<Secret>, Failure> {
        match (self.file_of_key(surroundings), &surroundings.key) {
            (Some(path), _) => read_key(&path).map(Some),
            (None, Some(key)) => Ok(Some(Secret::new(key.trim().to_owned()))),
            (None, None) => Ok(None),
        }
    }

    /// The file that the key comes from; none where it comes from the environment, or where there is none.
    fn file_of_key(&self, surroundings: &Surroundings) -> Option<PathBuf> {
        match (&self.key_file, &surroundings.key) {
            (Some(path), _) => Some(path.clone()),
            (None, Some(_)) => None,
            (None, None) => surroundings.default_file().filter(|path| path.exists()),
        }
    }
}

/// What the environment says about the key.
struct Surroundings {
    key: Option<String>,
    config_home: Option<PathBuf>,
    home: Option<PathBuf>,
}

impl Surroundings {
    fn of_process() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let key = std::env::var_os(KEY_VARIABLE).and_then(|value| value.into_string().ok());
        Self { key: key.filter(|key| !key.is_empty()), config_home: path("XDG_CONFIG_HOME"), home: path("HOME") }
    }

    fn default_file(&self) -> Option<PathBuf> {
        let config = self.config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")))?;
        Some(config.join("token-broker").join("key"))
    }
}

/// Reads a file, whole.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::File { path: path.to_owned(), source })
}

fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o077 != 0)
}

fn read_key(path: &Path) -> Result<Secret, Failure> {
    let text = String::from_utf8(read(path)?).unwrap_or_default();
    match text.trim() {
        "" => Err(Failure::Usage(format!("{} holds no key", path.display()))),
        key => Ok(Secret::new(key.to_owned())),
    }
}

/// How much of a list to show.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Paging {
    /// How many to show at most; 0: all. Default: 100 in tables, all in JSON.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

/// Why something is done, for the audit.
#[derive(Args, Clone, Debug, Default)]
pub struct Comment {
    /// Why, for the audit.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub comment: String,
}

/// Reads `name=number`, a fact such as `engaged_users=1200`.
pub fn parse_fact(text: &str) -> Result<(String, i64), String> {
    let wrong = || "expected a name and a whole number, such as engaged_users=1200".to_owned();
    let (name, number) = text.split_once('=').ok_or_else(wrong)?;
    let number = number.trim().parse().map_err(|_| wrong())?;
    let name = name.trim();
    if name.is_empty() { Err(wrong()) } else { Ok((name.to_owned(), number)) }
}

/// The mask of an update: the fields whose options were given. None at all is wrong usage.
pub fn update_mask(fields: &[(&str, bool)], facts: &[(String, i64)]) -> Result<prost_types::FieldMask, Failure> {
    let mut paths: Vec<_> = fields.iter().filter(|(_, given)| *given).map(|(field, _)| (*field).to_owned()).collect();
    paths.extend(facts.iter().map(|(name, _)| format!("facts.{name}")));
    if paths.is_empty() {
        return Err(Failure::Usage("say what to change; see --help for the options".to_owned()));
    }
    Ok(prost_types::FieldMask { paths })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(server: &str) -> ConnectionOptions {
        ConnectionOptions {
            server: server.to_owned(),
            key_file: None,
            key: None,
            ca: None,
            cert: None,
            client_key: None,
            timeout: Duration::from_secs(30),
            team: None,
            request_id: None,
        }
    }

    #[test]
    fn a_key_as_an_argument_is_refused_without_repeating_it() {
        let with_key = ConnectionOptions { key: Some(Some("tbk_canary".into())), ..options("http://localhost") };
        let text = with_key.check().expect_err("refused").to_string();
        assert!(text.contains("--key-file or TOKEN_BROKER_KEY"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }

    #[test]
    fn the_key_comes_from_the_first_place_that_has_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let default = folder.path().join("token-broker/key");
        std::fs::create_dir_all(default.parent().expect("has one")).expect("made");
        let named = folder.path().join("named");
        std::fs::write(&named, "tbk_named\n").expect("written");
        let mut surroundings =
            Surroundings { key: Some("tbk_env".to_owned()), config_home: Some(folder.path().to_owned()), home: None };
        let found = |options: &ConnectionOptions, surroundings: &Surroundings| {
            options.find_key(surroundings).expect("readable").map(|key| key.expose().to_owned())
        };
        let plain = options("http://localhost");
        let with_file = ConnectionOptions { key_file: Some(named), ..options("http://localhost") };
        assert_eq!(found(&with_file, &surroundings).as_deref(), Some("tbk_named"));
        assert_eq!(found(&plain, &surroundings).as_deref(), Some("tbk_env"));
        surroundings.key = None;
        assert_eq!(found(&plain, &surroundings), None);
        std::fs::write(&default, "tbk_default").expect("written");
        assert_eq!(found(&plain, &surroundings).as_deref(), Some("tbk_default"));
    }

    #[test]
    fn a_key_file_that_others_can_read_is_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, "tbk_key").expect("written");
        for (mode, exposed) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(is_exposed(&path), exposed, "{mode:o}");
        }
        assert!(!is_exposed(Path::new("/dev/null")), "a pipe is nobody's file");
    }

    #[test]
    fn an_empty_or_missing_key_file_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = folder.path().join("empty");
        std::fs::write(&empty, " \n").expect("written");
        assert!(read_key(&empty).err().expect("refused").to_string().contains("holds no key"));
        assert!(matches!(read_key(&folder.path().join("missing")), Err(Failure::File { .. })));
    }

    #[test]
    fn a_key_in_the_clear_is_noticed() {
        let cases = [
            ("http://127.0.0.1:7070", false),
            ("http://localhost:7070", false),
            ("http://[::1]:7070", false),
            ("https://broker.example", false),
            ("http://broker.example:7070", true),
            ("http://10.0.0.1", true),
        ];
        for (server, clear) in cases {
            assert_eq!(options(server).sends_key_in_the_clear(), clear, "{server}");
        }
    }

    #[test]
    fn facts_are_names_and_numbers() {
        assert_eq!(parse_fact("engaged_users=1200"), Ok(("engaged_users".to_owned(), 1200)));
        for bad in ["engaged_users", "=5", "a=b", ""] {
            assert!(parse_fact(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_update_of_nothing_is_wrong_usage() {
        assert!(update_mask(&[("weight", false)], &[]).is_err());
        let mask = update_mask(&[("weight", true), ("name", false)], &[("a".to_owned(), 1)]).expect("something");
        assert_eq!(mask.paths, ["weight", "facts.a"]);
    }
}
