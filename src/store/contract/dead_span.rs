//! Dead spans: written with the new secrets that end them, and by nothing else.

use super::Fixture;
use super::samples::{acme, at, event, seed};
use crate::base::ids::TokenId;
use crate::domain::reach::DeadSpan;
use crate::domain::token::{Reason, Token, TokenState};
use crate::store::{DeadSpanFilter, SealedSecrets, Store, TokenChange};

async fn change(store: &dyn Store, state: TokenState, healed_at: Option<i64>) -> Option<DeadSpan> {
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
    store.change_token(change).await.unwrap()
}

pub(crate) async fn a_dead_span_is_kept_with_the_secrets_that_end_it(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    let dead = TokenState::Invalid { reason: Reason::PasswordChanged, since: at(100) };
    assert_eq!(change(&*store, dead, None).await, None);
    assert_eq!(store.dead_spans(TokenId::from_u128(1), 10).await.unwrap(), []);
    let first = DeadSpan { from: at(100), until: at(300), reason: Reason::PasswordChanged };
    let second = DeadSpan { from: at(1000), until: at(1200), reason: Reason::Expired };
    assert_eq!(change(&*store, TokenState::Live, Some(300)).await, Some(first));
    assert_eq!(change(&*store, TokenState::Live, Some(400)).await, None);
    // Its access token ended at 1000.
    assert_eq!(change(&*store, TokenState::Live, Some(1200)).await, Some(second));
    let spans = store.dead_spans(TokenId::from_u128(1), 10).await.unwrap();
    assert_eq!(spans, [second, first]);
    assert_eq!(store.dead_spans(TokenId::from_u128(1), 1).await.unwrap(), [second]);
    assert_eq!(store.dead_spans(TokenId::from_u128(2), 10).await.unwrap(), []);
    let of_team = async |filter| store.dead_spans_of_team(&acme(), filter, 10).await.unwrap();
    let spans: Vec<_> = of_team(DeadSpanFilter::default()).await.into_iter().map(|stored| stored.span).collect();
    assert_eq!(spans, [first, second]);
    let behind_first = Some((first.until, TokenId::from_u128(1)));
    let filters = [
        (DeadSpanFilter { from: Some(first.until), ..DeadSpanFilter::default() }, 2),
        (DeadSpanFilter { from: Some(at(301)), ..DeadSpanFilter::default() }, 1),
        (DeadSpanFilter { after: behind_first, ..DeadSpanFilter::default() }, 1),
        (DeadSpanFilter { from: Some(at(0)), after: behind_first, ..DeadSpanFilter::default() }, 1),
        (DeadSpanFilter { from: Some(at(1201)), ..DeadSpanFilter::default() }, 0),
        (DeadSpanFilter { network: Some("reddit".parse().unwrap()), ..DeadSpanFilter::default() }, 0),
    ];
    for (filter, expected) in filters {
        assert_eq!(of_team(filter.clone()).await.len(), expected, "{filter:?}");
    }
    let foreign = store.dead_spans_of_team(&"beta".parse().unwrap(), DeadSpanFilter::default(), 10).await.unwrap();
    assert_eq!(foreign, []);
    assert_eq!(store.prune_dead_spans(at(301), 10).await.unwrap(), 1);
    assert_eq!(store.dead_spans(TokenId::from_u128(1), 10).await.unwrap(), [second]);
    store.close().await;
}
