//! Tokens: changed only from what was read, with everything that belongs to the change.

use super::Fixture;
use super::notice::fact;
use super::samples::{acme, alert, at, audited, event, new_token, seed, stored, team, token};
use crate::base::ids::{NetworkId, TokenId};
use crate::domain::token::{Reason, Token, TokenState};
use crate::store::{
    AlertFilter, DuplicateToken, EndsWhen, ImportCounts, ImportProgress, SealedSecrets, Store, TokenChange,
    TokenChangeError, TokenFilter, Trail,
};

fn change(token: Token, expected_version: u32, expected_state: TokenState) -> TokenChange {
    let trail = event("token.change", "token").into();
    TokenChange { token, secrets: None, expected_version, expected_state, trail, revocation: None, alerts: vec![] }
}

async fn read(store: &dyn Store, n: u128) -> Token {
    store.find_token(TokenId::from_u128(n)).await.unwrap().unwrap().token
}

pub(crate) async fn a_token_comes_back_as_it_was(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let invalid = TokenState::Invalid { reason: Reason::PasswordChanged, since: at(4) };
    for (n, state) in
        [(2, invalid), (3, TokenState::Paused { since: at(5) }), (4, TokenState::Suspect { since: at(6) })]
    {
        let other = Token { state, ..token(n) };
        store.insert_tokens(vec![new_token(other.clone())], None).await.unwrap();
        assert_eq!(read(&*store, n).await, other);
    }
    let found = store.find_token(TokenId::from_u128(1)).await.unwrap().unwrap();
    assert!(found == stored(token(1)));
    assert!(!format!("{found:?}").contains("sealed"));
    assert!(store.find_token(TokenId::from_u128(9)).await.unwrap().is_none());
    store.close().await;
}

pub(crate) async fn duplicates_are_told_one_by_one(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    let same_grant = Token { id: TokenId::from_u128(50), profiles: vec!["shared".into(), "p2".into()], ..token(2) };
    let same_id = Token { person: "somebody else".to_owned(), ..token(1) };
    let other_profiles = Token { id: TokenId::from_u128(51), profiles: vec!["p2".into()], ..token(2) };
    let tokens = [same_grant, token(60), same_id, token(60), other_profiles].map(new_token).to_vec();
    let report = store.insert_tokens(tokens, None).await.unwrap();
    assert_eq!(report.inserted, 2);
    let expected = [(0, Some(2)), (2, None), (3, Some(60))]
        .map(|(index, existing)| DuplicateToken { index, existing: existing.map(TokenId::from_u128) });
    assert_eq!(report.duplicates, expected);
    assert_eq!(audited(&*store, "token.add").await, 4);
    store.close().await;
}

pub(crate) async fn a_revoked_token_makes_room(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let revoked = Token { state: TokenState::Live.revoke(at(3)), ..token(1) };
    store.change_token(change(revoked, 1, TokenState::Live)).await.unwrap();
    let again = Token { id: TokenId::from_u128(2), ..token(1) };
    assert_eq!(store.insert_tokens(vec![new_token(again)], None).await.unwrap().inserted, 1);
    store.close().await;
}

pub(crate) async fn a_change_needs_what_was_read(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 2).await;
    let paused = Token { state: TokenState::Paused { since: at(3) }, label: "new".to_owned(), ..token(1) };
    store.change_token(change(paused.clone(), 1, TokenState::Live)).await.unwrap();
    assert_eq!(read(&*store, 1).await, paused);
    // A renewal that was decided before the pause must not undo it.
    let renewed = Token { version: 2, ..token(1) };
    let late = store.change_token(change(renewed, 1, TokenState::Live)).await;
    assert!(
        matches!(late, Err(TokenChangeError::Changed { version: 1, state, .. }) if state == paused.state),
        "{late:?}"
    );
    let other_since = store.change_token(change(token(1), 1, TokenState::Paused { since: at(4) })).await;
    assert!(matches!(other_since, Err(TokenChangeError::Changed { .. })));
    let unknown = store.change_token(change(token(9), 1, TokenState::Live)).await;
    assert!(matches!(unknown, Err(TokenChangeError::NotFound(_))));
    let taken = Token { id: TokenId::from_u128(2), ..token(1) };
    assert!(matches!(store.change_token(change(taken, 1, TokenState::Live)).await, Err(TokenChangeError::Duplicate)));
    assert_eq!(read(&*store, 2).await, token(2));
    store.close().await;
}

pub(crate) async fn a_revoked_token_stays_so(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let revoked = Token { state: TokenState::Live.revoke(at(3)), ..token(1) };
    store.change_token(change(revoked.clone(), 1, TokenState::Live)).await.unwrap();
    for expected in [TokenState::Live, revoked.state] {
        let answer = store.change_token(change(token(1), 1, expected)).await;
        assert!(matches!(answer, Err(TokenChangeError::Revoked(_))), "{answer:?}");
    }
    assert_eq!(read(&*store, 1).await, revoked);
    store.close().await;
}

pub(crate) async fn a_change_writes_everything_or_nothing(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 1).await;
    let renewed = Token { version: 2, profiles: vec!["q".to_owned()], ..token(1) };
    let whole = TokenChange {
        secrets: Some(SealedSecrets { access: vec![7], ..SealedSecrets::default() }),
        revocation: None,
        alerts: vec![alert(1, "token 1")],
        trail: Trail::from(event("token.change", "token")).telling([fact(1, "whole")]),
        ..change(renewed.clone(), 1, TokenState::Live)
    };
    store.change_token(whole.clone()).await.unwrap();
    let late = TokenChange { alerts: vec![alert(2, "other")], ..whole };
    assert!(store.change_token(late).await.is_err());
    let found = store.find_token(TokenId::from_u128(1)).await.unwrap().unwrap();
    assert_eq!((found.token, found.sealed_access, found.sealed_refresh), (renewed, vec![7], None));
    assert_eq!(audited(&*store, "token.change").await, 1);
    let told: Vec<_> = store.untold_events(None, 10).await.unwrap().into_iter().map(|event| event.dedup_key).collect();
    assert_eq!(told, ["whole"]);
    assert_eq!(store.list_alerts(AlertFilter::default(), 10).await.unwrap(), [alert(1, "token 1")]);
    let by_profile = |profile: &str| TokenFilter { profile: Some(profile.to_owned()), ..TokenFilter::default() };
    assert_eq!(store.count_tokens(&acme(), by_profile("q")).await.unwrap(), 1);
    assert_eq!(store.count_tokens(&acme(), by_profile("p1")).await.unwrap(), 0);
    store.close().await;
}

async fn varied(store: &dyn Store) {
    seed(store, 0).await;
    store.insert_team(team("other"), event("team.add", "teams/other").into()).await.unwrap();
    let mut tokens: Vec<Token> = (1..=6).map(token).collect();
    tokens[1].network = "youtube".parse().unwrap();
    tokens[2].kind = "app".parse().unwrap();
    tokens[3].refreshed = true;
    tokens[4].state = TokenState::Paused { since: at(1) };
    tokens[5].team = "other".parse().unwrap();
    tokens[0].clocks.access_expires_at = Some(at(10));
    tokens[0].label = "Österreich Werbung".to_owned();
    tokens[1].granted_by = "Ёлка Москва".to_owned();
    tokens[2].label = "Straße [1*?]".to_owned();
    store.insert_tokens(tokens.into_iter().map(new_token).collect(), None).await.unwrap();
}

pub(crate) async fn filters_and_pages(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    varied(&*store).await;
    let all = TokenFilter::default;
    let cases = [
        (all(), vec![1, 2, 3, 4, 5]),
        (TokenFilter { network: Some("x".parse().unwrap()), ..all() }, vec![1, 3, 4, 5]),
        (TokenFilter { app: Some("second".parse().unwrap()), ..all() }, vec![]),
        (TokenFilter { kind: Some("app".parse().unwrap()), ..all() }, vec![3]),
        (TokenFilter { state: Some("paused"), ..all() }, vec![5]),
        (TokenFilter { not_states: &["paused", "revoked"], ..all() }, vec![1, 2, 3, 4]),
        (TokenFilter { person: Some("person 2".to_owned()), ..all() }, vec![2]),
        (TokenFilter { profile: Some("shared".to_owned()), ..all() }, vec![1, 2, 3, 4, 5]),
        (TokenFilter { profile: Some("p4".to_owned()), ..all() }, vec![4]),
        (TokenFilter { ends_before: Some(at(11)), ..all() }, vec![1]),
        (TokenFilter { ends_from: Some(at(10)), ends_before: Some(at(1000)), ..all() }, vec![1]),
        (TokenFilter { ends_from: Some(at(11)), ..all() }, vec![2, 3, 5]),
        (TokenFilter { endless: Some(true), ..all() }, vec![4]),
        (TokenFilter { endless: Some(true), overdue_before: Some(at(1000)), ..all() }, vec![4]),
        (TokenFilter { endless: Some(true), overdue_before: Some(at(1001)), ..all() }, vec![]),
        (TokenFilter { ends_from: Some(at(11)), overdue_before: Some(at(1001)), ..all() }, vec![2, 3, 4, 5]),
        (TokenFilter { endless: Some(false), ..all() }, vec![1, 2, 3, 5]),
        (TokenFilter { after: Some(TokenId::from_u128(3)), ..all() }, vec![4, 5]),
        (TokenFilter { text: Some("PERSON 2".to_owned()), ..all() }, vec![2]),
        (TokenFilter { text: Some("p4".to_owned()), ..all() }, vec![4]),
        (TokenFilter { text: Some("Österreich WERBUNG".to_owned()), ..all() }, vec![1]),
        (TokenFilter { text: Some("österreich".to_owned()), ..all() }, vec![1]),
        (TokenFilter { text: Some("ёлка мОСКВА".to_owned()), ..all() }, vec![2]),
        (TokenFilter { text: Some("Ёлка Москва".to_owned()), ..all() }, vec![2]),
        (TokenFilter { text: Some("straße [1*?]".to_owned()), ..all() }, vec![3]),
        (TokenFilter { text: Some("*".to_owned()), ..all() }, vec![3]),
        (TokenFilter { text: Some("?*".to_owned()), ..all() }, vec![]),
        (TokenFilter { text: Some("[a-z]".to_owned()), ..all() }, vec![]),
        (TokenFilter { text: Some("_".to_owned()), ..all() }, vec![]),
        (TokenFilter { text: Some("100%".to_owned()), ..all() }, vec![]),
    ];
    for (filter, expected) in cases {
        let what = format!("{filter:?}");
        let after = filter.after.is_some();
        let count = store.count_tokens(&acme(), filter.clone()).await.unwrap();
        let found = store.list_tokens(&acme(), filter, 100).await.unwrap();
        assert_eq!(found.iter().map(|token| token.id.as_u128()).collect::<Vec<_>>(), expected, "{what}");
        assert!(after || count == expected.len() as u64, "{what}");
    }
    assert_eq!(store.list_tokens(&acme(), all(), 2).await.unwrap().len(), 2);
    let mut counts = store.count_by_end(&acme(), all(), (at(11), at(100_000_000))).await.unwrap();
    counts.sort_by_key(|(state, _, count)| (state.clone(), *count));
    let summed: u64 = counts.iter().map(|(_, _, count)| count).sum();
    assert_eq!(summed, 5);
    assert!(counts.contains(&("live".to_owned(), EndsWhen::BeforeNear, 1)), "{counts:?}");
    assert!(counts.contains(&("live".to_owned(), EndsWhen::Never, 1)), "{counts:?}");
    assert!(counts.iter().any(|(state, ..)| state == "paused"), "{counts:?}");
    store.close().await;
}

pub(crate) async fn the_networks_of_a_team_are_those_of_its_tokens(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    varied(&*store).await;
    let list = async |team: &str| store.list_networks(&team.parse().unwrap()).await.unwrap();
    let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<NetworkId>>();
    assert_eq!((list("acme").await, list("other").await), (named(&["x", "youtube"]), named(&["x"])));
    let second = read(&*store, 2).await;
    let revoked = Token { state: second.state.revoke(at(3)), ..second };
    store.change_token(change(revoked, 1, TokenState::Live)).await.unwrap();
    assert_eq!((list("acme").await, list("nobody").await), (named(&["x"]), named(&[])));
    store.close().await;
}

pub(crate) async fn all_tokens_come_in_chunks(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 150).await;
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let chunk = store.all_tokens(after, 50).await.unwrap();
        assert_eq!(chunk.damaged, []);
        found.extend(chunk.tokens);
        match chunk.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert!(found == (1..=150).map(|n| stored(token(n))).collect::<Vec<_>>());
    store.close().await;
}

pub(crate) async fn an_import_goes_on_where_it_stopped(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    seed(&*store, 0).await;
    let counted = |last_row, added, rejected| {
        let counts = ImportCounts { added, rejected, updated: 7, unchanged: 8 };
        ImportProgress { import: "i".to_owned(), last_row, counts, at: at(1) }
    };
    let progress = |last_row| counted(last_row, 0, 3);
    assert_eq!(store.find_import("i").await.unwrap(), None);
    store.insert_tokens(vec![new_token(token(1))], Some(progress(1))).await.unwrap();
    store.insert_tokens(vec![new_token(token(2))], Some(progress(2))).await.unwrap();
    // A part that is sent again does not turn the progress back.
    store.insert_tokens(vec![new_token(token(1))], Some(progress(1))).await.unwrap();
    assert_eq!(store.find_import("i").await.unwrap(), Some(counted(2, 1, 3)));
    // A part whose team does not exist is refused as a whole.
    let stranger = Token { team: "nobody".parse().unwrap(), ..token(4) };
    assert!(store.insert_tokens([token(3), stranger].map(new_token).to_vec(), Some(progress(4))).await.is_err());
    assert!(store.find_token(TokenId::from_u128(3)).await.unwrap().is_none());
    assert_eq!(store.find_import("i").await.unwrap(), Some(counted(2, 1, 3)));
    store.insert_tokens(vec![new_token(token(2)), new_token(token(3))], Some(progress(4))).await.unwrap();
    assert_eq!(store.find_import("i").await.unwrap(), Some(counted(4, 1, 4)), "one was held already");
    assert_eq!((store.prune_imports(at(1), 9).await.unwrap(), store.prune_imports(at(2), 9).await.unwrap()), (0, 1));
    assert_eq!(store.find_import("i").await.unwrap(), None);
    store.close().await;
}
