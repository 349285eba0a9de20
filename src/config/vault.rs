//! The sealing key: where it is kept, and who wraps it.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::reader::{Reader, Section, default_of};
use crate::base::secret::Secret;

/// The sealing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSettings {
    /// Its file; `None`: `sealing.key` in the store's directory. See [`super::Config::key_file`].
    pub key_file: Option<PathBuf>,
    /// The key itself, in the place of a file; from the environment only.
    pub key: Option<KeyText>,
    /// The key to change to, where `key` is set; from the environment only.
    pub next_key: Option<KeyText>,
    /// The key of HashiCorp Vault that wraps it; `None`: Vault does not.
    pub transit: Option<Transit>,
    /// The key of AWS KMS that wraps it; `None`: KMS does not.
    pub aws_kms: Option<AwsKms>,
}

/// A key of HashiCorp Vault's secrets engine *transit*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transit {
    /// Where Vault is.
    pub address: Url,
    /// Where the engine is mounted.
    pub mount: String,
    /// The name of the key.
    pub key: String,
    /// The namespace; `None`: the root.
    pub namespace: Option<String>,
    /// The file with the token that Vault is shown; read anew each time.
    pub token_file: PathBuf,
    /// The certificates by which Vault is known; `None`: the machine's.
    pub ca_file: Option<PathBuf>,
}

/// A key of AWS KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsKms {
    /// Its id, alias or ARN.
    pub key_id: String,
    /// The region; `None`: as AWS's own tools find it.
    pub region: Option<String>,
    /// Another address than the region's; `None`: the region's.
    pub endpoint: Option<Url>,
}

/// The text of a sealing key. `Debug` does not show it.
#[derive(Clone)]
pub struct KeyText(Arc<Secret>);

impl KeyText {
    /// The text itself.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl From<String> for KeyText {
    fn from(text: String) -> Self {
        Self(Arc::new(Secret::new(text)))
    }
}

impl PartialEq for KeyText {
    fn eq(&self, other: &Self) -> bool {
        self.0.matches(other.expose().as_bytes())
    }
}

impl Eq for KeyText {}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyText")
    }
}

impl Section for VaultSettings {
    fn read(from: &mut Reader<'_>) -> Self {
        Self {
            key_file: from.optional_path("key_file"),
            key: from.only_of_environment("key"),
            next_key: from.only_of_environment("next_key"),
            transit: from.section("transit"),
            aws_kms: from.section("aws_kms"),
        }
    }
}

/// Without an address there is none.
impl Section for Option<Transit> {
    fn read(from: &mut Reader<'_>) -> Self {
        let address = from.optional_parsed("address", "a URL that begins with https://");
        let mount = from.parsed("mount", "transit".to_owned(), "a path");
        let key = from.parsed("key", "token-broker".to_owned(), "a name");
        let namespace = from.optional_parsed("namespace", "a path");
        let token_file = from.path("token_file", "/run/secrets/vault-token");
        let ca_file = from.optional_path("ca_file");
        Some(Transit { address: address?, mount, key, namespace, token_file, ca_file })
    }
}

/// Without a key there is none.
impl Section for Option<AwsKms> {
    fn read(from: &mut Reader<'_>) -> Self {
        let key_id = from.optional_parsed("key_id", "the id, alias or ARN of a key");
        let region = from.optional_parsed("region", "a region such as eu-central-1");
        let endpoint = from.optional_parsed("endpoint", "a URL that begins with https://");
        Some(AwsKms { key_id: key_id?, region, endpoint })
    }
}

impl Default for VaultSettings {
    fn default() -> Self {
        default_of()
    }
}
