//! Rows to write in tests.

use std::sync::Arc;

use aws_lc_rs::hmac;

use crate::base::clock::Timestamp;
use crate::base::ids::{AlertId, AuditId, BlockId, CollectorId, KeyId, LeaseId, MemberId, TeamId, TokenId};
use crate::domain::audit::{Actor, AuditEvent};
use crate::domain::credit::BlockTake;
use crate::domain::lease::{Lease, LeaseState};
use crate::domain::networks::Purpose;
use crate::domain::team::{Collector, CollectorScope, Key, KeyHolder, KeyProof, Team};
use crate::domain::token::{Clocks, Token, TokenState};
use crate::store::{
    AlertRow, AuditKey, Foundation, IdempotencyRecord, NewToken, OpenLease, OwnKeyRow, Store, StoreError,
    StoredRenewal, StoredToken, TakeBlocks,
};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn acme() -> TeamId {
    "acme".parse().unwrap()
}

pub(crate) fn event(action: &'static str, subject: &str) -> AuditEvent {
    AuditEvent {
        id: AuditId::generate(),
        at: at(0),
        actor: Actor::Broker,
        action,
        team: Some(acme()),
        subject: subject.to_owned(),
        detail: "n=1".to_owned(),
    }
}

/// Lays a store out, unless it is, and takes its audit up.
pub(crate) async fn start(store: &dyn Store) -> Result<(), StoreError> {
    if store.list_own_keys().await?.is_empty() {
        store.found(foundation()).await?;
    }
    store.start_audit(audit_key("test")).await
}

/// What the stores of tests begin with.
pub(crate) fn foundation() -> Foundation {
    let own_key = OwnKeyRow { id: 1, wrapped: vec![50], created_at: at(0) };
    Foundation { own_key, fingerprint: b"first".to_vec(), audit_key: audit_key("test") }
}

/// A key for the audit's chain.
pub(crate) fn audit_key(secret: &str) -> AuditKey {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    Arc::new(move |parts| {
        let mut sum = hmac::Context::with_key(&key);
        for part in parts {
            sum.update(&(part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        sum.sign().as_ref().try_into().unwrap()
    })
}

pub(crate) fn team(id: &str) -> Team {
    Team {
        id: id.parse().unwrap(),
        display_name: "Acme".to_owned(),
        weight: 100,
        reserve_percent: Some(10),
        created_at: at(0),
    }
}

pub(crate) fn collector(n: u128) -> Collector {
    Collector {
        id: CollectorId::from_u128(n),
        team: acme(),
        display_name: format!("collector {n}"),
        scope: CollectorScope {
            networks: vec!["x".parse().unwrap(), "youtube".parse().unwrap()],
            all_networks: false,
            purposes: [Purpose::CollectContent, Purpose::Validate].into_iter().collect(),
            max_leases: 7,
        },
        weight: 100,
        certificates: vec![format!("worker-{n}.example").parse().unwrap()],
        disabled: false,
        created_at: at(0),
    }
}

pub(crate) fn key(n: u128, holder: KeyHolder) -> Key {
    Key {
        id: KeyId::from_u128(n),
        holder,
        display_name: format!("key {n}"),
        proof: KeyProof::Secret([7; 32]),
        made_by: n.is_multiple_of(2).then(|| MemberId::from_u128(n)),
        created_at: at(1),
        expires_at: Some(at(100)),
        revoked_at: None,
    }
}

pub(crate) fn token(n: u128) -> Token {
    Token {
        id: TokenId::from_u128(n),
        team: acme(),
        network: "x".parse().unwrap(),
        app: "default".parse().unwrap(),
        kind: "user".parse().unwrap(),
        person: format!("person {n}"),
        profiles: vec![format!("p{n}"), "shared".to_owned()],
        label: "Ada's account".to_owned(),
        granted_by: "ada@example.com".to_owned(),
        scopes: vec!["tweet.read".to_owned(), "offline.access".to_owned()],
        purposes: [Purpose::CollectContent].into_iter().collect(),
        facts: [("engaged_users".to_owned(), 12)].into(),
        reserve_percent: None,
        max_leases: Some(3),
        state: TokenState::Live,
        clocks: Clocks {
            access_expires_at: Some(at(1000)),
            consented_at: Some(at(-5)),
            refresh_end_fixed: true,
            ..Clocks::default()
        },
        cooling_until: None,
        refreshed: false,
        closed: [("tweets.get".parse().unwrap(), at(7))].into(),
        blocked_since: None,
        created_at: at(0),
        version: 1,
    }
}

/// A token that is due 500 s after its number.
pub(crate) fn stored(token: Token) -> StoredToken {
    let number = i64::try_from(token.id.as_u128()).unwrap();
    let renewal = StoredRenewal { due_at: Some(at(500 + number)), ..StoredRenewal::default() };
    StoredToken {
        token,
        sealed_access: vec![1, 2, 3],
        sealed_refresh: Some(vec![4, 5]),
        sealed_key: Some(vec![6]),
        renewal,
    }
}

pub(crate) fn new_token(token: Token) -> NewToken {
    let subject = format!("teams/acme/tokens/{}", token.id);
    NewToken { stored: stored(token), given_refresh: None, consent: None, trail: event("token.add", &subject).into() }
}

pub(crate) fn lease(n: u128, token: u128) -> Lease {
    Lease {
        id: LeaseId::from_u128(n),
        team: acme(),
        collector: Some(CollectorId::from_u128(1)),
        network: "x".parse().unwrap(),
        token: TokenId::from_u128(token),
        operation: "tweets.search_recent".parse().unwrap(),
        purpose: Purpose::CollectContent,
        collection: "brand".to_owned(),
        profile: String::new(),
        calls: 50,
        opened_at: at(0),
        use_by: at(60),
        expires_at: at(90),
        state: LeaseState::Open,
    }
}

pub(crate) fn open(n: u128, token: u128) -> OpenLease {
    OpenLease {
        lease: lease(n, token),
        audit: event("lease.open", &format!("teams/acme/leases/{n}")),
        takes: vec![],
        updates: vec![],
        keys: vec![],
        request: None,
    }
}

pub(crate) fn take(bucket: &str, amount: u64, cap: u64) -> BlockTake {
    BlockTake { bucket: bucket.into(), block: BlockId::generate(), amount, cap, charged_until: at(900) }
}

pub(crate) fn takes(takes: Vec<BlockTake>) -> TakeBlocks {
    TakeBlocks { takes, updates: vec![], keys: vec![], now: at(0) }
}

pub(crate) fn alert(n: u128, dedup_key: &str) -> AlertRow {
    AlertRow {
        id: AlertId::from_u128(n),
        dedup_key: dedup_key.to_owned(),
        kind: "load_high".to_owned(),
        team: acme(),
        network: Some("x".parse().unwrap()),
        class: None,
        level: "warning".to_owned(),
        message: "The load is too high.".to_owned(),
        opened_at: at(0),
        cleared_at: None,
        acknowledged_at: None,
        acknowledged_by: None,
        acknowledge_comment: None,
        detail_json: "{\"ratio\":1.2}".to_owned(),
    }
}

/// The note of a request, forgotten at second 600.
pub(crate) fn request(n: u8) -> IdempotencyRecord {
    IdempotencyRecord {
        scope: acme().to_string(),
        request_id: format!("r{n}"),
        content_hash: [n; 32],
        response: vec![n],
        expires_at: at(600),
    }
}

/// A team with that many tokens, numbered from 1.
pub(crate) async fn seed(store: &dyn Store, tokens: u128) {
    store.insert_team(team("acme"), event("team.add", "teams/acme").into()).await.unwrap();
    let tokens = (1..=tokens).map(|n| new_token(token(n))).collect();
    assert_eq!(store.insert_tokens(tokens, None).await.unwrap().duplicates, []);
}

/// The sum of what is charged in a bucket.
pub(crate) async fn charged(store: &dyn Store, bucket: &str, now: Timestamp) -> u64 {
    let blocks = store.live_blocks(now).await.unwrap();
    blocks.iter().filter(|block| &*block.bucket == bucket).map(|block| block.amount).sum()
}

/// How many audit rows have that action.
pub(crate) async fn audited(store: &dyn Store, action: &str) -> usize {
    let filter = crate::store::AuditFilter { action: Some(action.to_owned()), ..Default::default() };
    store.list_audit(filter, 100_000).await.unwrap().len()
}
