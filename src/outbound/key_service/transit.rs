//! HashiCorp Vault's (and OpenBao's) secrets engine *transit*: it encrypts and decrypts with a key that never leaves it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::transit::data::{decrypt, encrypt};
use zeroize::Zeroizing;

use super::{KeyService, KeyServiceError, TIMEOUT, read};
use crate::config::Transit;

const NAME: &str = "HashiCorp Vault";

/// A key of the engine.
pub(super) struct TransitService {
    address: String,
    mount: String,
    key: String,
    namespace: Option<String>,
    token_file: PathBuf,
    ca_file: Option<PathBuf>,
}

impl TransitService {
    pub(super) fn new(settings: &Transit) -> Result<Self, KeyServiceError> {
        let service = Self {
            address: settings.address.to_string(),
            mount: settings.mount.clone(),
            key: settings.key.clone(),
            namespace: settings.namespace.clone(),
            token_file: settings.token_file.clone(),
            ca_file: settings.ca_file.clone(),
        };
        service.client().map(|_| service)
    }

    /// A client with the token as its file has it now: an agent renews it there.
    fn client(&self) -> Result<VaultClient, KeyServiceError> {
        let token = read("transit.token_file", &self.token_file)?;
        let certificates = self.ca_file.iter().map(|file| file.display().to_string()).collect();
        let settings = VaultClientSettingsBuilder::default()
            .address(&self.address)
            .token(token.trim())
            .namespace(self.namespace.clone())
            .ca_certs(certificates)
            .identity(None)
            .verify(true)
            .timeout(Some(TIMEOUT))
            .build()
            .map_err(|_| KeyServiceError::Setting {
                setting: "transit.address",
                hint: "it must be the URL of Vault",
            })?;
        let hint = "it must hold certificates in PEM";
        VaultClient::new(settings).map_err(|_| KeyServiceError::Setting { setting: "transit.ca_file", hint })
    }

    fn failed(&self, error: ClientError) -> KeyServiceError {
        let address = self.address.clone();
        match error {
            ClientError::APIError { code, .. } => {
                KeyServiceError::Refused { service: NAME, address, why: format!("status {code}") }
            }
            _ => KeyServiceError::Unreachable { service: NAME, address },
        }
    }
}

// The client logs what it can't read, which may be the key: it is run without a log.
#[async_trait::async_trait]
impl KeyService for TransitService {
    fn name(&self) -> &'static str {
        "vault-transit"
    }

    async fn wrap(&self, key: &[u8; 32]) -> Result<String, KeyServiceError> {
        let (client, plain) = (self.client()?, Zeroizing::new(STANDARD.encode(key)));
        let asked = encrypt(&client, &self.mount, &self.key, &plain, None).with_subscriber(NoSubscriber::default());
        Ok(asked.await.map_err(|error| self.failed(error))?.ciphertext)
    }

    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<[u8; 32]>, KeyServiceError> {
        let client = self.client()?;
        let asked = decrypt(&client, &self.mount, &self.key, wrapped, None).with_subscriber(NoSubscriber::default());
        let plain = Zeroizing::new(asked.await.map_err(|error| self.failed(error))?.plaintext);
        let bytes = STANDARD.decode(plain.as_bytes()).map(Zeroizing::new);
        let key = bytes.ok().and_then(|bytes| bytes.as_slice().try_into().ok());
        key.map(Zeroizing::new).ok_or_else(|| KeyServiceError::NoKey { service: NAME, address: self.address.clone() })
    }
}
