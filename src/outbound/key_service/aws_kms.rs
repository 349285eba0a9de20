//! AWS Key Management Service: it encrypts and decrypts with a key that never leaves it.

use aws_sdk_kms::Client;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{BehaviorVersion, Region};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::{KeyService, KeyServiceError, TIMEOUT};
use crate::config::AwsKms;

const NAME: &str = "AWS KMS";
/// What the service binds to the wrapped key, and writes into its log: it tells what the key is for.
const CONTEXT: (&str, &str) = ("purpose", "token-broker sealing key");

/// A key of the service. Credentials come from where AWS's own tools look for them.
pub(super) struct AwsKmsService {
    settings: AwsKms,
    client: OnceCell<Client>,
}

impl AwsKmsService {
    pub(super) fn new(settings: &AwsKms) -> Self {
        Self { settings: settings.clone(), client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        self.client
            .get_or_init(async || {
                let timeouts = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
                let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
                if let Some(region) = &self.settings.region {
                    loader = loader.region(Region::new(region.clone()));
                }
                if let Some(endpoint) = &self.settings.endpoint {
                    loader = loader.endpoint_url(endpoint.as_str());
                }
                Client::new(&loader.load().await)
            })
            .await
    }

    fn address(&self) -> String {
        let place = self.settings.endpoint.as_ref().map(ToString::to_string).or_else(|| self.settings.region.clone());
        place.unwrap_or_else(|| "the configured region".to_owned())
    }

    fn failed<E: ProvideErrorMetadata, R>(&self, error: SdkError<E, R>) -> KeyServiceError {
        let (service, address) = (NAME, self.address());
        match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some(code) => KeyServiceError::Refused { service, address, why: code.to_owned() },
            None => KeyServiceError::Unreachable { service, address },
        }
    }

    fn no_key(&self) -> KeyServiceError {
        KeyServiceError::NoKey { service: NAME, address: self.address() }
    }
}

#[async_trait::async_trait]
impl KeyService for AwsKmsService {
    fn name(&self) -> &'static str {
        "aws-kms"
    }

    async fn wrap(&self, key: &[u8; 32]) -> Result<String, KeyServiceError> {
        let asked = self.client().await.encrypt().key_id(&self.settings.key_id).plaintext(Blob::new(*key));
        let answer = asked.encryption_context(CONTEXT.0, CONTEXT.1).send().await.map_err(|error| self.failed(error))?;
        answer.ciphertext_blob.map(|wrapped| STANDARD.encode(wrapped)).ok_or_else(|| self.no_key())
    }

    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<[u8; 32]>, KeyServiceError> {
        let wrapped = STANDARD.decode(wrapped).map_err(|_| self.no_key())?;
        let asked = self.client().await.decrypt().key_id(&self.settings.key_id).ciphertext_blob(Blob::new(wrapped));
        let answer = asked.encryption_context(CONTEXT.0, CONTEXT.1).send().await.map_err(|error| self.failed(error))?;
        let plain = answer.plaintext.map(|plain| Zeroizing::new(plain.into_inner()));
        let key = plain.and_then(|plain| plain.as_slice().try_into().ok());
        key.map(Zeroizing::new).ok_or_else(|| self.no_key())
    }
}
