//! Where the sealing key comes from: a file or the environment, there open or wrapped by a key service.
//!
//! A service is asked once at the start and once for each new key. What was unwrapped stays in memory, so that a broker that runs goes on
//! while the service does not.

use std::sync::Arc;

use crate::config::{Config, VaultSettings};
use crate::outbound::key_service::{KeyService, KeyServiceError, key_service};
use crate::vault::{Fingerprint, KeptKey, KeyFile, SealingKey, SealingKeyError, WrappedKey};

const KEY: &str = "TOKEN_BROKER__VAULT__KEY";
const NEXT_KEY: &str = "TOKEN_BROKER__VAULT__NEXT_KEY";

/// Where the sealing key of a broker comes from.
pub struct KeySource {
    settings: VaultSettings,
    file: KeyFile,
    service: Option<Arc<dyn KeyService>>,
}

/// The sealing key can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// What keeps it is not in order.
    #[error(transparent)]
    Kept(#[from] SealingKeyError),
    /// The service that wraps it does not help.
    #[error(transparent)]
    Service(#[from] KeyServiceError),
}

/// A sealing key of the configured place.
pub struct FoundKey {
    /// The key.
    pub key: SealingKey,
    /// Whether it is the next one, which has not taken its place yet.
    pub is_next: bool,
}

impl KeySource {
    /// As configured.
    pub fn of_config(config: &Config) -> Result<Self, KeyServiceError> {
        Ok(Self::new(config, key_service(&config.vault)?))
    }

    /// As configured, but for the service.
    pub(super) fn new(config: &Config, service: Option<Arc<dyn KeyService>>) -> Self {
        Self { settings: config.vault.clone(), file: KeyFile::at(config.key_file()), service }
    }

    /// The key with the fingerprint that the store asks for.
    pub async fn find(&self, expected: Fingerprint) -> Result<FoundKey, KeySourceError> {
        let (present, next) = match &self.settings.key {
            Some(text) => {
                let next =
                    self.settings.next_key.as_ref().map(|text| KeptKey::parse(NEXT_KEY.to_owned(), text.expose()));
                (KeptKey::parse(KEY.to_owned(), text.expose()), next)
            }
            None => (self.file.read(), Some(self.file.read_next())),
        };
        if let Some(Ok(kept)) = next
            && kept.fingerprint() == expected
        {
            return Ok(FoundKey { key: self.open(&kept).await?, is_next: true });
        }
        let kept = present?;
        kept.must_be(expected)?;
        Ok(FoundKey { key: self.open(&kept).await?, is_next: false })
    }

    /// The key for a store that has none yet; made, where it is kept in a file and there is none.
    pub(super) async fn first(&self) -> Result<SealingKey, KeySourceError> {
        if let Some(text) = &self.settings.key {
            return self.open(&KeptKey::parse(KEY.to_owned(), text.expose())?).await;
        }
        match self.file.read() {
            Err(SealingKeyError::Missing { .. }) => {
                let key = SealingKey::generate();
                self.file.create(&self.kept(&key).await?)?;
                Ok(key)
            }
            kept => self.open(&kept?).await,
        }
    }

    /// A key to change to; `None`: it must come from the environment and is not there.
    pub(super) async fn next(&self) -> Result<Option<SealingKey>, KeySourceError> {
        match (&self.settings.key, &self.settings.next_key) {
            (None, _) => {
                let key = SealingKey::generate();
                self.file.create_next(&self.kept(&key).await?)?;
                Ok(Some(key))
            }
            (Some(_), Some(text)) => self.open(&KeptKey::parse(NEXT_KEY.to_owned(), text.expose())?).await.map(Some),
            (Some(_), None) => Ok(None),
        }
    }

    /// Gives the next key its place, where that is a file: the store is sealed with it.
    pub(super) fn put_in_place(&self, fingerprint: Fingerprint) -> Result<(), SealingKeyError> {
        if self.settings.key.is_some() {
            tracing::warn!(
                %fingerprint,
                "the store is sealed with the key in {NEXT_KEY}; put it into {KEY} and remove the old one"
            );
            return Ok(());
        }
        if let Some(retired) = self.file.promote_next()? {
            tracing::warn!(
                %fingerprint,
                retired = %retired.display(),
                "the store has a new sealing key; keep a copy of it apart, and the old one only for as long as backups need it"
            );
        }
        Ok(())
    }

    /// Says what of the present place is less safe than it could be.
    pub(super) fn warn(&self) {
        if self.settings.key.is_some() {
            tracing::warn!(
                "the sealing key comes from the environment, where other programs of this user and crash reports may see it; a key file is safer"
            );
        }
    }

    async fn open(&self, kept: &KeptKey) -> Result<SealingKey, KeySourceError> {
        match (kept.wrapped(), &self.service) {
            (Some(WrappedKey { service, text }), Some(own)) if service == own.name() => {
                Ok(kept.opened(own.unwrap(text).await?)?)
            }
            (None, Some(own)) => {
                tracing::warn!(
                    service = own.name(),
                    "{} is not wrapped by the configured service yet; `token-broker keys rotate` makes a key that is",
                    kept.place()
                );
                Ok(kept.open()?)
            }
            _ => Ok(kept.open()?),
        }
    }

    async fn kept(&self, key: &SealingKey) -> Result<KeptKey, KeySourceError> {
        let Some(service) = &self.service else { return Ok(key.kept()) };
        let text = service.wrap(key.bytes()).await?;
        Ok(key.kept_wrapped(WrappedKey { service: service.name().to_owned(), text }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::SeqCst;

    use super::*;
    use crate::outbound::key_service::FakeKeyService;

    struct Bench {
        config: Config,
        service: Arc<FakeKeyService>,
        _dir: tempfile::TempDir,
    }

    fn bench() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.store.dir = dir.path().to_owned();
        Bench { config, service: Arc::new(FakeKeyService { runs: AtomicBool::new(true) }), _dir: dir }
    }

    impl Bench {
        fn wrapping(&self) -> KeySource {
            KeySource::new(&self.config, Some(self.service.clone()))
        }

        fn open(&self) -> KeySource {
            KeySource::new(&self.config, None)
        }

        fn file(&self) -> String {
            std::fs::read_to_string(self.config.key_file()).unwrap()
        }
    }

    #[tokio::test]
    async fn a_new_key_is_wrapped_and_found_again() {
        let bench = bench();
        let key = bench.wrapping().first().await.unwrap();
        let mut digits = String::new();
        crate::base::hex::push_hex(&mut digits, key.bytes());
        assert!(bench.file().contains(" fake wrapped:") && !bench.file().contains(&digits));
        let found = bench.wrapping().find(key.fingerprint()).await.unwrap();
        assert_eq!((found.key.bytes(), found.is_next), (key.bytes(), false));
        assert_eq!(bench.wrapping().first().await.unwrap().bytes(), key.bytes(), "it is made once");
    }

    #[tokio::test]
    async fn an_open_key_is_taken_into_care_by_the_next_change() {
        let bench = bench();
        let old = bench.open().first().await.unwrap();
        assert_eq!(bench.wrapping().find(old.fingerprint()).await.unwrap().key.bytes(), old.bytes());
        let next = bench.wrapping().next().await.unwrap().unwrap();
        let found = bench.wrapping().find(next.fingerprint()).await.unwrap();
        assert_eq!((found.key.bytes(), found.is_next), (next.bytes(), true));
        bench.wrapping().put_in_place(next.fingerprint()).unwrap();
        assert!(bench.file().contains(" fake wrapped:"));
        assert!(!bench.wrapping().find(next.fingerprint()).await.unwrap().is_next);
    }

    #[tokio::test]
    async fn without_its_service_a_wrapped_key_is_not_had_and_not_made_anew() {
        let bench = bench();
        let key = bench.wrapping().first().await.unwrap();
        let before = bench.file();
        bench.service.runs.store(false, SeqCst);
        let silent = bench.wrapping().find(key.fingerprint()).await.err().unwrap();
        assert!(matches!(silent, KeySourceError::Service(KeyServiceError::Unreachable { .. })), "{silent}");
        bench.wrapping().first().await.err().unwrap();
        let missing = bench.open().find(key.fingerprint()).await.err().unwrap().to_string();
        assert!(missing.contains("wrapped by fake, which is not configured"), "{missing}");
        assert_eq!(bench.file(), before);
    }

    #[tokio::test]
    async fn what_the_service_gives_must_be_the_key() {
        let bench = bench();
        let key = bench.wrapping().first().await.unwrap();
        let text = bench.file();
        let (at, last) = text.char_indices().rev().nth(18).unwrap();
        let other = if last == '0' { "1" } else { "0" };
        std::fs::write(bench.config.key_file(), format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
        let changed = bench.wrapping().find(key.fingerprint()).await.err().unwrap().to_string();
        assert!(changed.contains("do not belong together"), "{changed}");
    }
}
