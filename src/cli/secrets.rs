//! Secrets on their way in: from stdin, a file or the environment, never from the arguments.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroize;

use super::failure::Failure;
use super::options::read;
use crate::base::secret::Secret;

/// The most bytes that a secret may have; anything longer is a mistake.
const MOST_BYTES: u64 = 64 * 1024;

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `-`: all of stdin.
    Stdin,
    /// `env:NAME`: a variable of the environment.
    Variable(String),
    /// Anything else: a file.
    File(PathBuf),
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("env:")) {
            ("-", _) => Ok(Self::Stdin),
            ("", _) | (_, Some("")) => Err("expected '-', 'env:NAME' or a file".to_owned()),
            (_, Some(name)) => Ok(Self::Variable(name.to_owned())),
            _ => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl SecretSource {
    /// Reads the secret, without space around it. `what` names it in errors. A terminal as stdin is refused, since what
    /// is typed there would be shown.
    pub fn read(&self, what: &str) -> Result<Secret, Failure> {
        let mut text = match self {
            Self::Stdin => from_stdin(what)?,
            Self::Variable(name) => std::env::var_os(name)
                .and_then(|value| value.into_string().ok())
                .ok_or_else(|| Failure::Usage(format!("{name} is not set; it should hold {what}")))?,
            Self::File(path) => String::from_utf8(read(path)?)
                .map_err(|_| Failure::Usage(format!("{} is not text; it should hold {what}", path.display())))?,
        };
        let trimmed = text.trim().to_owned();
        text.zeroize();
        if trimmed.is_empty() {
            return Err(Failure::Usage(format!(
                "{what} is empty there; name a source that holds it: '-' for stdin, 'env:NAME', or a file"
            )));
        }
        Ok(Secret::new(trimmed))
    }
}

fn from_stdin(what: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::Usage(format!("{what} is read from stdin: pipe it in, or name a file or env:NAME")));
    }
    let mut text = String::new();
    let source = PathBuf::from("stdin");
    let read = stdin.lock().take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(|error| Failure::File { path: source, source: error })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        assert_eq!("-".parse(), Ok(SecretSource::Stdin));
        assert_eq!("env:TOKEN".parse(), Ok(SecretSource::Variable("TOKEN".to_owned())));
        assert_eq!("./token".parse(), Ok(SecretSource::File("./token".into())));
        assert!("env:".parse::<SecretSource>().is_err());
        assert!("".parse::<SecretSource>().is_err());
    }

    #[test]
    fn a_file_is_read_without_its_line_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "  abc\n").expect("written");
        let secret = SecretSource::File(path.clone()).read("the token").expect("readable");
        assert_eq!(secret.expose(), "abc");
        std::fs::write(&path, "\n").expect("written");
        assert_eq!(
            SecretSource::File(path).read("the token").err().expect("refused").to_string(),
            "the token is empty there; name a source that holds it: '-' for stdin, 'env:NAME', or a file"
        );
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = SecretSource::Variable("TOKEN_BROKER_NO_SUCH".to_owned()).read("the token").err().expect("refused");
        assert_eq!(error.to_string(), "TOKEN_BROKER_NO_SUCH is not set; it should hold the token");
    }
}
