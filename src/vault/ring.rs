//! The vault itself: the teams' data keys, opened once, and what is done with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use zeroize::Zeroize;

use super::data_key::{self, FORMAT, WrappedDataKey, WrappingKey};
use super::mac::MacKey;
use super::own::{self, OwnKeys, WrappedOwnKey};
use super::place::Place;
use super::random;
use super::sealing_key::{Fingerprint, SealingKey, derive};
use crate::base::ids::{KeyId, TeamId};
use crate::base::secret::Secret;

/// `format | number of the data key`.
const HEADER_LEN: usize = 5;
type Header = [u8; HEADER_LEN];

/// Seals and opens the secrets of every team. Shared by all tasks; a call takes a read lock for one look-up.
pub struct Vault {
    sealing: RwLock<Arc<Sealing>>,
    macs: Prk,
    api_keys: MacKey,
    teams: RwLock<HashMap<TeamId, Arc<TeamKeys>>>,
}

/// What changes when the sealing key does.
struct Sealing {
    fingerprint: Fingerprint,
    wrapping: WrappingKey,
    own: OwnKeys,
}

/// A team's data keys by number.
type TeamKeys = BTreeMap<u32, Arc<LessSafeKey>>;

/// A data key can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It was wrapped with another sealing key, or its row was changed.
    #[error(
        "data key {number} of team {team} does not open with the sealing key {fingerprint}: its row was changed or belongs to another store; \
         restore the store from a backup that belongs to this key"
    )]
    Unwrap {
        /// The team.
        team: TeamId,
        /// The number of the data key.
        number: u32,
        /// The sealing key that was tried.
        fingerprint: Fingerprint,
    },
    /// A key of the broker's own can't be used.
    #[error(
        "key {number} of the broker's own does not open with the sealing key {fingerprint}: its row was changed or is missing; \
         restore the store from a backup that belongs to this key"
    )]
    UnwrapOwn {
        /// Its number.
        number: u32,
        /// The sealing key that was tried.
        fingerprint: Fingerprint,
    },
    /// Two different data keys of one team have one number.
    #[error("team {team} has two data keys with the number {number}; read the data keys from the store again")]
    Duplicate {
        /// The team.
        team: TeamId,
        /// The number they share.
        number: u32,
    },
}

/// A secret can't be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The team has no data key yet.
    #[error("team {0} has no data key; store and install one before its first secret")]
    NoDataKey(TeamId),
}

/// A sealed text can't be sealed anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResealError {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// A change of the sealing key: what to store, and then to adopt.
pub struct Rotation {
    /// The fingerprint of the new sealing key.
    pub fingerprint: Fingerprint,
    wrapping: WrappingKey,
    /// All data keys, wrapped by the new sealing key, and a new one for each team.
    pub data_keys: Vec<WrappedDataKey>,
    /// All keys of the broker's own, wrapped by the new sealing key, and a new one.
    pub own_keys: Vec<WrappedOwnKey>,
}

/// A sealed text does not open. The place says where; nothing of the text is in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not something this vault sealed.
    #[error(
        "{table}.{column} of team {team} does not hold a sealed text of a known format; restore the row from a backup"
    )]
    Malformed {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The team.
        team: TeamId,
    },
    /// Its data key is not installed here, perhaps because another process has made it.
    #[error(
        "data key {number} of team {team} is not known here; read the team's data keys from the store and try again"
    )]
    UnknownDataKey {
        /// The team.
        team: TeamId,
        /// The number of the data key.
        number: u32,
    },
    /// It was changed, or belongs to another place or version.
    #[error(
        "{table}.{column} of team {team} was changed or moved outside the broker and does not open; the row must not be used"
    )]
    NotAuthentic {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The team.
        team: TeamId,
    },
}

impl Vault {
    /// Opens the vault with the broker's own keys.
    pub fn open(key: &SealingKey, own: &[WrappedOwnKey]) -> Result<Self, VaultError> {
        let wrapping = WrappingKey::new(key);
        let own = OwnKeys::open(&wrapping, own)
            .map_err(|number| VaultError::UnwrapOwn { number, fingerprint: key.fingerprint() })?;
        let macs = own.macs();
        let api_keys = mac_key(&macs, "api keys");
        let sealing = Sealing { fingerprint: key.fingerprint(), wrapping, own };
        Ok(Self { sealing: RwLock::new(Arc::new(sealing)), macs, api_keys, teams: RwLock::default() })
    }

    /// The sealing key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.sealing().fingerprint
    }

    /// The number of the data key that seals for `team`, if it has one.
    pub fn data_key_for(&self, team: &TeamId) -> Option<u32> {
        self.team(team).and_then(|keys| keys.last_key_value().map(|(number, _)| *number))
    }

    /// A fresh data key for `team`. Its number is above `known`, the team's highest in the store. Store it durably, then
    /// [`Vault::install`] it: what was sealed with a key that the store lost can't be opened.
    pub fn new_data_key(&self, team: &TeamId, known: Option<u32>) -> WrappedDataKey {
        let number = self.data_key_for(team).max(known).map_or(1, |last| last.saturating_add(1));
        self.sealing().wrapping.make(team, number)
    }

    /// Puts a stored data key to use. Twice is harmless.
    pub fn install(&self, key: WrappedDataKey) -> Result<(), VaultError> {
        let (number, team) = (key.number, key.team.clone());
        let Some(opened) = self.sealing().wrapping.unwrap(&key) else {
            return Err(VaultError::Unwrap { team, number, fingerprint: self.fingerprint() });
        };
        let mut teams = self.teams.write().unwrap_or_else(PoisonError::into_inner);
        let keys = Arc::make_mut(teams.entry(team.clone()).or_default());
        if let Some(known) = keys.get(&number) {
            return same_key(known, &opened).then_some(()).ok_or(VaultError::Duplicate { team, number });
        }
        keys.insert(number, Arc::new(opened));
        Ok(())
    }

    /// Forgets the data keys of a team whose row is deleted: nothing of it can be sealed or opened any more.
    pub fn forget(&self, team: &TeamId) {
        self.teams.write().unwrap_or_else(PoisonError::into_inner).remove(team);
    }

    /// Forgets the data keys of a team below the newest: nothing is sealed with them any more.
    pub fn retire_data_keys(&self, team: &TeamId) {
        let mut teams = self.teams.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = teams.get_mut(team).map(Arc::make_mut)
            && let Some((newest, _)) = keys.last_key_value()
        {
            let newest = *newest;
            keys.retain(|number, _| *number == newest);
        }
    }

    /// The teams of which more than one data key is known, each with the newest.
    pub fn teams_with_older_keys(&self) -> Vec<(TeamId, u32)> {
        let teams = self.teams.read().unwrap_or_else(PoisonError::into_inner);
        let newest = |(team, keys): (&TeamId, &Arc<TeamKeys>)| Some((team.clone(), *keys.last_key_value()?.0));
        teams.iter().filter(|(_, keys)| keys.len() > 1).filter_map(newest).collect()
    }

    /// Whether `sealed` is sealed with the data key that seals for `team` now.
    pub fn is_of_newest(&self, team: &TeamId, sealed: &[u8]) -> bool {
        let number = sealed.first_chunk::<HEADER_LEN>().and_then(data_key_number);
        number.is_some() && number == self.data_key_for(team)
    }

    /// The number of the data key that `sealed` is sealed with, if that is known here.
    pub fn knows(&self, team: &TeamId, sealed: &[u8]) -> Option<u32> {
        let number = sealed.first_chunk::<HEADER_LEN>().and_then(data_key_number)?;
        self.team(team)?.contains_key(&number).then_some(number)
    }

    /// What every text begins with that a team's data key of that number seals.
    pub fn header_of(&self, number: u32) -> Vec<u8> {
        header(number).to_vec()
    }

    /// Seals anew, with the team's newest data key, what was sealed for `place`.
    pub fn reseal(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, ResealError> {
        let plain = self.open_sealed(place, sealed)?;
        Ok(self.seal(place, plain.expose().as_bytes())?)
    }

    /// Prepares the change to the sealing key `next`: all of these data keys and own keys wrapped by it, with new ones for every
    /// team and the broker. Store all of it durably and at once, then [`Vault::adopt`] it. Keys that do not open are left out: they
    /// opened before for nobody.
    pub fn prepare(&self, next: &SealingKey, data_keys: &[WrappedDataKey], own_keys: &[WrappedOwnKey]) -> Rotation {
        let sealing = self.sealing();
        let wrapping = WrappingKey::new(next);
        let mut highest: BTreeMap<&TeamId, u32> = BTreeMap::new();
        for key in data_keys {
            let number = highest.entry(&key.team).or_default();
            *number = key.number.max(*number);
        }
        let fresh = highest.into_iter().map(|(team, number)| wrapping.make(team, number.saturating_add(1)));
        let kept = data_keys.iter().filter_map(|key| sealing.wrapping.rewrap(key, &wrapping));
        let data_keys = kept.chain(fresh).collect();
        let own_keys = own::rotate(&sealing.wrapping, &wrapping, own_keys);
        Rotation { fingerprint: next.fingerprint(), wrapping, data_keys, own_keys }
    }

    /// Uses the keys of a rotation that is durable from now on. What was sealed before still opens.
    pub fn adopt(&self, rotation: Rotation) -> Result<(), VaultError> {
        let Rotation { fingerprint, wrapping, data_keys, own_keys } = rotation;
        let own =
            OwnKeys::open(&wrapping, &own_keys).map_err(|number| VaultError::UnwrapOwn { number, fingerprint })?;
        let sealing = Arc::new(Sealing { fingerprint, wrapping, own });
        *self.sealing.write().unwrap_or_else(PoisonError::into_inner) = sealing;
        data_keys.into_iter().try_for_each(|key| self.install(key))
    }

    /// Seals `plain` for `place` with the team's newest data key: `format | number of the data key | nonce | ciphertext and tag`.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let keys = self.team(place.team);
        let newest = keys.as_ref().and_then(|keys| keys.last_key_value());
        let (number, key) = newest.ok_or_else(|| SealError::NoDataKey(place.team.clone()))?;
        let header = header(*number);
        Ok(data_key::seal(key, &header, &place.bind(&header), plain))
    }

    /// Opens what was sealed for exactly this `place`.
    pub fn open_sealed(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Secret, OpenError> {
        let (table, column) = (place.table, place.column);
        let malformed = || OpenError::Malformed { table, column, team: place.team.clone() };
        let (header, sealed) = sealed.split_first_chunk::<HEADER_LEN>().ok_or_else(malformed)?;
        let number = data_key_number(header).ok_or_else(malformed)?;
        let key = self.team(place.team).and_then(|keys| keys.get(&number).cloned());
        let key = key.ok_or_else(|| OpenError::UnknownDataKey { team: place.team.clone(), number })?;
        let plain = data_key::open(&key, &place.bind(header), sealed);
        let mut plain = plain.ok_or_else(|| OpenError::NotAuthentic { table, column, team: place.team.clone() })?;
        let text = String::from_utf8(std::mem::take(&mut *plain)).map_err(|error| {
            error.into_bytes().zeroize();
            malformed()
        })?;
        Ok(Secret::new(text))
    }

    /// The keyed hash of an API key's secret, bound to the key's id: what the store keeps of it.
    pub fn key_hash(&self, id: KeyId, secret: &[u8; 32]) -> [u8; 32] {
        self.api_keys.sign(&[id.as_bytes(), secret])
    }

    /// Whether `secret` belongs to the key whose hash is `stored`. With `None` (no such key) it takes as long and says no.
    pub fn verify_key(&self, id: KeyId, secret: &[u8; 32], stored: Option<&[u8; 32]>) -> bool {
        let matches = self.api_keys.verify(&[id.as_bytes(), secret], stored.unwrap_or(&[0; 32]));
        matches & stored.is_some()
    }

    /// A key for keyed hashes of another kind (`"page tokens"`, `"audit"`). Each label gives a key of its own, the same one at
    /// every start.
    pub fn mac_key(&self, label: &'static str) -> MacKey {
        mac_key(&self.macs, label)
    }

    fn sealing(&self) -> Arc<Sealing> {
        self.sealing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys of the broker itself.
    pub(super) fn own<T>(&self, work: impl FnOnce(&OwnKeys) -> T) -> T {
        work(&self.sealing().own)
    }

    fn team(&self, team: &TeamId) -> Option<Arc<TeamKeys>> {
        self.teams.read().unwrap_or_else(PoisonError::into_inner).get(team).cloned()
    }
}

fn mac_key(macs: &Prk, label: &str) -> MacKey {
    MacKey::new(derive(macs, &[b"keyed hash of ", label.as_bytes()], HKDF_SHA256.hmac_algorithm()))
}

fn header(number: u32) -> Header {
    let mut header = [FORMAT; HEADER_LEN];
    header[1..].copy_from_slice(&number.to_be_bytes());
    header
}

fn data_key_number(header: &Header) -> Option<u32> {
    let [FORMAT, number @ ..] = *header else { return None };
    Some(u32::from_be_bytes(number))
}

/// Whether what one key seals, the other opens.
fn same_key(one: &LessSafeKey, other: &LessSafeKey) -> bool {
    let probe = data_key::seal(one, &[], &[], &random::<16>());
    data_key::open(other, &[], &probe).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    struct Bench {
        vault: Vault,
        key: SealingKey,
        own: WrappedOwnKey,
    }

    fn team(name: &str) -> TeamId {
        name.parse().unwrap()
    }

    /// A vault with a data key for `acme` and for `zenith`.
    fn bench() -> Bench {
        let key = SealingKey::generate();
        let own = WrappedOwnKey::first(&key);
        let vault = Vault::open(&key, std::slice::from_ref(&own)).unwrap();
        for name in ["acme", "zenith"] {
            vault.install(vault.new_data_key(&team(name), None)).unwrap();
        }
        Bench { vault, key, own }
    }

    fn place(team: &TeamId) -> Place<'_> {
        Place { table: "token", row: b"row-1", column: "access_token", team, version: 7 }
    }

    #[test]
    fn a_secret_survives_a_restart() {
        let key = SealingKey::generate();
        let own = [WrappedOwnKey::first(&key)];
        let vault = Vault::open(&key, &own).unwrap();
        let acme = team("acme");
        let stored = vault.new_data_key(&acme, None);
        vault.install(stored.clone()).unwrap();
        let sealed = vault.seal(&place(&acme), b"EAAB-canary").unwrap();
        let again = Vault::open(&key.kept().open().unwrap(), &own).unwrap();
        again.install(stored).unwrap();
        assert_eq!(again.open_sealed(&place(&acme), &sealed).ok().unwrap().expose(), "EAAB-canary");
        assert_eq!(again.key_hash(KeyId::from_u128(1), &[2; 32]), vault.key_hash(KeyId::from_u128(1), &[2; 32]));
    }

    #[test]
    fn the_newest_data_key_seals_and_older_ones_open() {
        let Bench { vault, .. } = bench();
        let acme = team("acme");
        let old = vault.seal(&place(&acme), b"old").unwrap();
        vault.install(vault.new_data_key(&acme, None)).unwrap();
        assert_eq!(vault.data_key_for(&acme), Some(2));
        let new = vault.seal(&place(&acme), b"new").unwrap();
        assert_eq!(
            (old[..HEADER_LEN].to_vec(), new[..HEADER_LEN].to_vec()),
            (vec![1, 0, 0, 0, 1], vec![1, 0, 0, 0, 2])
        );
        assert_eq!(vault.open_sealed(&place(&acme), &old).ok().unwrap().expose(), "old");
        assert_eq!(vault.open_sealed(&place(&acme), &new).ok().unwrap().expose(), "new");
    }

    #[test]
    fn a_rotation_leaves_nothing_to_the_old_sealing_key() {
        let Bench { vault, key: old, own } = bench();
        let acme = team("acme");
        let stored = vault.new_data_key(&acme, None);
        vault.install(stored.clone()).unwrap();
        let (sealed, hash) =
            (vault.seal(&place(&acme), b"EAAB-canary").unwrap(), vault.key_hash(KeyId::from_u128(1), &[2; 32]));
        let next = SealingKey::generate();
        let damaged = WrappedDataKey { number: 9, ..stored.clone() };
        let rotation = vault.prepare(&next, &[stored, damaged], &[own]);
        let (data_keys, own_keys) = (rotation.data_keys.clone(), rotation.own_keys.clone());
        assert_eq!(data_keys.iter().map(|key| key.number).collect::<Vec<_>>(), [2, 10]);
        vault.adopt(rotation).unwrap();
        assert_eq!(vault.fingerprint(), next.fingerprint());
        assert_eq!(vault.open_sealed(&place(&acme), &sealed).ok().unwrap().expose(), "EAAB-canary");
        assert!(!vault.is_of_newest(&acme, &sealed));
        let resealed = vault.reseal(&place(&acme), &sealed).unwrap();
        assert!(vault.is_of_newest(&acme, &resealed));
        vault.retire_data_keys(&acme);
        assert!(vault.teams_with_older_keys().is_empty());
        assert!(vault.open_sealed(&place(&acme), &sealed).is_err());

        let again = Vault::open(&next, &own_keys).unwrap();
        data_keys.iter().for_each(|key| again.install(key.clone()).unwrap());
        assert_eq!(again.open_sealed(&place(&acme), &resealed).ok().unwrap().expose(), "EAAB-canary");
        assert_eq!(again.key_hash(KeyId::from_u128(1), &[2; 32]), hash, "API keys go on working");
        assert!(matches!(Vault::open(&old, &own_keys), Err(VaultError::UnwrapOwn { .. })));
        let wrapping = WrappingKey::new(&old);
        assert!(data_keys.iter().all(|key| wrapping.unwrap(key).is_none()));
    }

    #[test]
    fn a_team_without_a_data_key_seals_nothing() {
        let Bench { vault, .. } = bench();
        let other = team("other");
        assert_eq!(vault.data_key_for(&other), None);
        assert_eq!(vault.seal(&place(&other), b"x"), Err(SealError::NoDataKey(other.clone())));
    }

    #[test]
    fn a_data_key_opens_only_with_its_sealing_key_team_and_number() {
        let (Bench { vault, .. }, Bench { vault: foreign, .. }) = (bench(), bench());
        let acme = team("acme");
        let wrapped = vault.new_data_key(&acme, None);
        assert!(matches!(foreign.install(wrapped.clone()), Err(VaultError::Unwrap { .. })));
        let renumbered = WrappedDataKey { number: 9, ..wrapped.clone() };
        let given_away = WrappedDataKey { team: team("zenith"), ..wrapped.clone() };
        for wrong in [renumbered, given_away] {
            assert!(matches!(vault.install(wrong), Err(VaultError::Unwrap { .. })));
        }
        for at in 0..wrapped.wrapped.len() {
            let mut changed = wrapped.clone();
            changed.wrapped[at] ^= 1;
            assert!(vault.install(changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn installing_twice_is_harmless_and_a_second_key_of_one_number_is_refused() {
        let Bench { vault, .. } = bench();
        let acme = team("acme");
        let (one, other) = (vault.new_data_key(&acme, None), vault.new_data_key(&acme, None));
        assert_eq!(vault.install(one.clone()), Ok(()));
        assert_eq!(vault.install(one), Ok(()));
        assert_eq!(vault.install(other), Err(VaultError::Duplicate { team: acme, number: 2 }));
    }

    #[test]
    fn every_change_of_the_place_is_noticed() {
        let Bench { vault, .. } = bench();
        let (acme, zenith) = (team("acme"), team("zenith"));
        let right = place(&acme);
        let sealed = vault.seal(&right, b"EAAB-canary").unwrap();
        let wrong = [
            Place { table: "app", ..right },
            Place { row: b"row-2", ..right },
            Place { column: "refresh_token", ..right },
            Place { team: &zenith, ..right },
            Place { version: 6, ..right },
        ];
        for wrong in wrong {
            let error = vault.open_sealed(&wrong, &sealed).err().expect("another place");
            assert!(matches!(error, OpenError::NotAuthentic { .. }), "{wrong:?}");
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn what_is_not_sealed_text_is_refused() {
        let Bench { vault, .. } = bench();
        let acme = team("acme");
        let sealed = vault.seal(&place(&acme), b"x").unwrap();
        let mut of_the_future = sealed.clone();
        of_the_future[0] = 2;
        let binary = vault.seal(&place(&acme), &[0xff, 0xfe]).unwrap();
        for wrong in [&[][..], b"plain", &of_the_future, &binary] {
            assert!(
                matches!(vault.open_sealed(&place(&acme), wrong).err(), Some(OpenError::Malformed { .. })),
                "{wrong:?}"
            );
        }
        let mut of_another_process = sealed;
        of_another_process[4] = 9;
        let error = vault.open_sealed(&place(&acme), &of_another_process).err();
        assert_eq!(error, Some(OpenError::UnknownDataKey { team: acme.clone(), number: 9 }));
    }

    #[test]
    fn nonces_do_not_repeat() {
        let Bench { vault, .. } = bench();
        let acme = team("acme");
        let nonce = |_| vault.seal(&place(&acme), b"same").unwrap()[HEADER_LEN..HEADER_LEN + 12].to_vec();
        let nonces: HashSet<Vec<u8>> = (0..2000).map(nonce).collect();
        assert_eq!(nonces.len(), 2000);
    }

    #[test]
    fn an_api_key_is_known_by_its_keyed_hash_only() {
        let (Bench { vault, .. }, Bench { vault: foreign, .. }) = (bench(), bench());
        let (id, secret) = (KeyId::from_u128(1), [7; 32]);
        let stored = vault.key_hash(id, &secret);
        assert!(vault.verify_key(id, &secret, Some(&stored)));
        assert!(!vault.verify_key(KeyId::from_u128(2), &secret, Some(&stored)));
        assert!(!vault.verify_key(id, &[8; 32], Some(&stored)));
        assert!(!vault.verify_key(id, &secret, None));
        assert!(!foreign.verify_key(id, &secret, Some(&stored)));
        assert_ne!(vault.mac_key("page tokens").sign(&[id.as_bytes(), &secret]), stored);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_flipped_bit_is_noticed(plain in ".{0,80}", bit in any::<prop::sample::Index>()) {
            let Bench { vault, .. } = bench();
            let acme = team("acme");
            let mut sealed = vault.seal(&place(&acme), plain.as_bytes()).unwrap();
            let opened = vault.open_sealed(&place(&acme), &sealed).ok().unwrap();
            prop_assert_eq!(opened.expose(), &plain);
            let bit = bit.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(vault.open_sealed(&place(&acme), &sealed).is_err());
        }

        #[test]
        fn a_text_opens_in_its_own_place_only(
            (one_row, other_row) in (prop::collection::vec(any::<u8>(), 0..4), prop::collection::vec(any::<u8>(), 0..4)),
            (one_version, other_version) in (0..3u64, 0..3u64),
            (one_column, other_column) in (0..3usize, 0..3usize),
        ) {
            let Bench { vault, .. } = bench();
            let acme = team("acme");
            let columns = ["a", "ab", "b"];
            let one = Place { row: &one_row, version: one_version, column: columns[one_column], ..place(&acme) };
            let other = Place { row: &other_row, version: other_version, column: columns[other_column], ..place(&acme) };
            let same = (&one_row, one_version, one_column) == (&other_row, other_version, other_column);
            let sealed = vault.seal(&one, b"secret").unwrap();
            prop_assert_eq!(vault.open_sealed(&other, &sealed).is_ok(), same);
        }

        #[test]
        fn any_cut_or_addition_is_noticed(plain in ".{1,80}", keep in any::<prop::sample::Index>(), more in prop::collection::vec(any::<u8>(), 1..20)) {
            let Bench { vault, .. } = bench();
            let acme = team("acme");
            let sealed = vault.seal(&place(&acme), plain.as_bytes()).unwrap();
            prop_assert!(vault.open_sealed(&place(&acme), &sealed[..keep.index(sealed.len())]).is_err());
            prop_assert!(vault.open_sealed(&place(&acme), &[sealed, more].concat()).is_err());
        }
    }
}
