//! Dead spans: written with the new secrets that end them, and by nothing else.

use super::Fixture;
use super::samples::{at, event, seed};
use crate::base::ids::TokenId;
use crate::domain::reach::DeadSpan;
use crate::domain::token::{Reason, Token, TokenState};
use crate::store::{SealedSecrets, Store, TokenChange};

async fn change(store: &dyn Store, state: TokenState, healed_at: Option<i64>) {
    let before = store.find_token(TokenId::from_u128(1)).await.unwrap().unwrap().token;
    let mut audit = event("token.update", "t");
    audit.at = at(healed_at.unwrap_or(0));
    let change = TokenChange {
        expected_version: before.version,
        expected_state: before.state,
        token: Token { state, version: before.version + u32::from(healed_at.is_some()), ..before },
        secrets: healed_at.map(|_| SealedSecrets { access: vec![1], ..SealedSecrets::default() }),
        trail: audit.into(),
        revocation: None,
        alerts: Vec::new(),
    };
    store.change_token(change).await.unwrap();
}

pub(crate) async fn a_dead_span_is_kept_with_the_secrets_that_end_it(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    let dead = TokenState::Invalid { reason: Reason::PasswordChanged, since: at(100) };
    change(&*store, dead, None).await;
    assert_eq!(store.dead_spans(TokenId::from_u128(1), 10).await.unwrap(), []);
    change(&*store, TokenState::Live, Some(300)).await;
    change(&*store, TokenState::Live, Some(400)).await;
    // Its access token ended at 1000.
    change(&*store, TokenState::Live, Some(1200)).await;
    let spans = store.dead_spans(TokenId::from_u128(1), 10).await.unwrap();
    let first = DeadSpan { from: at(100), until: at(300), reason: Reason::PasswordChanged };
    let second = DeadSpan { from: at(1000), until: at(1200), reason: Reason::Expired };
    assert_eq!(spans, [second, first]);
    assert_eq!(store.dead_spans(TokenId::from_u128(1), 1).await.unwrap(), [second]);
    assert_eq!(store.dead_spans(TokenId::from_u128(2), 10).await.unwrap(), []);
    assert_eq!(store.prune_dead_spans(at(301), 10).await.unwrap(), 1);
    assert_eq!(store.dead_spans(TokenId::from_u128(1), 10).await.unwrap(), [second]);
    store.close().await;
}
