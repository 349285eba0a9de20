//! Services that keep a key which never leaves them: they wrap the sealing key, and unwrap it at each start.
//!
//! * An attempt ends after 15 seconds.
//! * No error and no log holds anything of a request or an answer: both hold the key.
//! * Each service is a feature of the build. Where it is configured and not built in, the start says so.

#[cfg(feature = "aws-kms")]
mod aws_kms;
#[cfg(feature = "vault-transit")]
mod transit;

use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::VaultSettings;

/// How long an attempt may take.
#[cfg(any(feature = "vault-transit", feature = "aws-kms"))]
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// Why a key was not wrapped or unwrapped, or a service can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyServiceError {
    /// The broker was built without it.
    #[error(
        "this broker was built without {service}; build it with `--features {feature}`, or remove [vault.{section}]"
    )]
    NotBuilt {
        /// Its name for people.
        service: &'static str,
        /// The feature of the build.
        feature: &'static str,
        /// The section of the settings.
        section: &'static str,
    },
    /// The file with its credentials or certificates can't be read.
    #[error("vault.{setting}: '{file}' can't be read; create the file, or correct the setting")]
    Unreadable {
        /// The setting.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// A setting can't be used.
    #[error("vault.{setting} can't be used; {hint}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// It did not answer.
    #[error(
        "{service} at {address} did not answer; the broker needs it at each start and for `keys rotate`: see that it runs and can be reached"
    )]
    Unreachable {
        /// Its name for people.
        service: &'static str,
        /// Where it was looked for.
        address: String,
    },
    /// It refused.
    #[error(
        "{service} at {address} refused ({why}); check its key, and that the broker may encrypt and decrypt with it"
    )]
    Refused {
        /// Its name for people.
        service: &'static str,
        /// Where it is.
        address: String,
        /// A status or code.
        why: String,
    },
    /// It gave something else than a key.
    #[error(
        "{service} at {address} gave something that is no sealing key; check that the key file belongs to this key of the service"
    )]
    NoKey {
        /// Its name for people.
        service: &'static str,
        /// Where it is.
        address: String,
    },
}

/// Wraps and unwraps keys.
#[async_trait::async_trait]
pub trait KeyService: Send + Sync + 'static {
    /// Its name in key files: a word of printable ASCII.
    fn name(&self) -> &'static str;
    /// The key, wrapped: printable ASCII without spaces, at most 2 KiB.
    async fn wrap(&self, key: &[u8; 32]) -> Result<String, KeyServiceError>;
    /// The key that was wrapped.
    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<[u8; 32]>, KeyServiceError>;
}

/// The configured service, if there is one.
pub fn key_service(settings: &VaultSettings) -> Result<Option<Arc<dyn KeyService>>, KeyServiceError> {
    match (&settings.transit, &settings.aws_kms) {
        (Some(transit), _) => transit_service(transit).map(Some),
        (None, Some(aws_kms)) => aws_kms_service(aws_kms).map(Some),
        (None, None) => Ok(None),
    }
}

#[cfg(feature = "vault-transit")]
fn transit_service(settings: &crate::config::Transit) -> Result<Arc<dyn KeyService>, KeyServiceError> {
    Ok(Arc::new(transit::TransitService::new(settings)?))
}

#[cfg(not(feature = "vault-transit"))]
fn transit_service(_: &crate::config::Transit) -> Result<Arc<dyn KeyService>, KeyServiceError> {
    Err(KeyServiceError::NotBuilt { service: "HashiCorp Vault", feature: "vault-transit", section: "transit" })
}

#[cfg(feature = "aws-kms")]
fn aws_kms_service(settings: &crate::config::AwsKms) -> Result<Arc<dyn KeyService>, KeyServiceError> {
    Ok(Arc::new(aws_kms::AwsKmsService::new(settings)))
}

#[cfg(not(feature = "aws-kms"))]
fn aws_kms_service(_: &crate::config::AwsKms) -> Result<Arc<dyn KeyService>, KeyServiceError> {
    Err(KeyServiceError::NotBuilt { service: "AWS KMS", feature: "aws-kms", section: "aws_kms" })
}

#[cfg(any(feature = "vault-transit", feature = "aws-kms"))]
fn read(setting: &'static str, file: &std::path::Path) -> Result<Zeroizing<String>, KeyServiceError> {
    let text = std::fs::read_to_string(file);
    text.map(Zeroizing::new).map_err(|cause| KeyServiceError::Unreadable { setting, file: file.to_owned(), cause })
}

/// A service of this process's memory, for tests: it wraps by adding a byte to each of the key's.
#[cfg(test)]
pub(crate) struct FakeKeyService {
    /// Whether it answers.
    pub(crate) runs: std::sync::atomic::AtomicBool,
}

#[cfg(test)]
#[async_trait::async_trait]
impl KeyService for FakeKeyService {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn wrap(&self, key: &[u8; 32]) -> Result<String, KeyServiceError> {
        let mut text = String::from("wrapped:");
        crate::base::hex::push_hex(&mut text, &key.map(|byte| byte.wrapping_add(1)));
        Ok(text)
    }

    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<[u8; 32]>, KeyServiceError> {
        let address = "memory".to_owned();
        if !self.runs.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(KeyServiceError::Unreachable { service: "fake", address });
        }
        let bytes = wrapped.strip_prefix("wrapped:").and_then(crate::base::hex::hex_array::<32>);
        let key = bytes.ok_or(KeyServiceError::NoKey { service: "fake", address })?;
        Ok(Zeroizing::new(key.map(|byte| byte.wrapping_sub(1))))
    }
}
