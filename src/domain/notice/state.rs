//! The facts that a change of a token's state makes.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::EventId;
use crate::domain::notice::expiry::name_of_end;
use crate::domain::notice::{Clock, Event, Fact, Known, Untrue, still_holds};
use crate::domain::token::{Reason, Token, TokenState};

/// What a renewal may heal is told only after this time, in which it mostly has been tried.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// What people may want to hear of a change from a state to the token as it is then. Nothing of what they did themselves, and nothing of what is
/// well again, which is up to what they were told ([`of_recovery`]).
pub fn of_change(before: TokenState, after: &Token, at: Timestamp) -> Option<Event> {
    let (network, token) = (after.network.clone(), after.id);
    let (fact, key) = match (before, after.state) {
        (TokenState::Invalid { .. } | TokenState::Revoked { .. }, TokenState::Invalid { .. }) => return None,
        (_, TokenState::Invalid { reason: Reason::Expired, since }) => {
            let ends =
                [after.clocks.access_expires_at, after.clocks.refresh_expires_at, after.clocks.data_access_expires_at];
            // The end that a look at the clocks tells of, so that both are one fact.
            let end = ends.into_iter().flatten().filter(|end| *end <= at).min().unwrap_or(since);
            (Fact::TokenExpired { network, token }, format!("{token}/expired/{}", name_of_end(&after.clocks, end)))
        }
        (_, TokenState::Invalid { reason, since }) => {
            return Some(Event::of_invalid(after.team.clone(), network, token, reason, since, at));
        }
        _ => return None,
    };
    Some(Event { id: EventId::generate(), at, team: Some(after.team.clone()), fact, dedup_key: key })
}

/// That the network blocks the account of a token since then; `None`: it does not.
pub fn of_block(token: &Token, at: Timestamp) -> Option<Event> {
    let since = token.blocked_since?;
    let fact = Fact::TokenBlocked { network: token.network.clone(), token: token.id };
    let dedup_key = format!("{}/blocked/{}", token.id, since.micros());
    Some(Event { id: EventId::generate(), at, team: Some(token.team.clone()), fact, dedup_key })
}

/// That trouble is over that people were told of. `told`: the events that told of the trouble of a token's present secrets, before the change that
/// made it what it is `after`. `None`: nothing of that is over, or nobody was told of it yet.
pub fn of_recovery(told: &[Event], after: &Token, at: Timestamp) -> Option<Event> {
    let known = Known { token: Some(after), ..Known::default() };
    let is_over = |event: &&Event| tell_from(event) <= at && still_holds(event, known, at) == Err(Untrue::Healed);
    let troubles: Vec<EventId> = told.iter().filter(is_over).map(|event| event.id).collect();
    let last = troubles.last()?;
    let dedup_key = format!("{}/renewed/{last}", after.id);
    let fact = Fact::TokenRenewed { network: after.network.clone(), token: after.id, troubles };
    Some(Event { id: EventId::generate(), at, team: Some(after.team.clone()), fact, dedup_key })
}

/// From when on a fact is told.
pub fn tell_from(event: &Event) -> Timestamp {
    match event.fact {
        Fact::TokenExpired { .. }
        | Fact::TokenExpiring { clock: Clock::Unrenewed, .. }
        | Fact::TokenInvalid { reason: Reason::NotAccepted, .. } => event.at + SETTLES_WITHIN,
        _ => event.at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::notice::Expiry;
    use crate::domain::notice::tests::{NOW, token};
    use crate::domain::token::Clocks;

    #[test]
    fn the_end_of_a_token_is_a_fact() {
        let invalid = |reason| TokenState::Invalid { reason, since: NOW };
        let of = |before, after| {
            of_change(before, &token(after), NOW + SETTLES_WITHIN).map(|event| event.fact.kind().as_str())
        };
        let cases = [
            (TokenState::Live, invalid(Reason::PasswordChanged), Some("token_invalid")),
            (TokenState::Paused { since: NOW }, invalid(Reason::Expired), Some("token_expired")),
            (TokenState::Suspect { since: NOW }, invalid(Reason::NotAccepted), Some("token_invalid")),
            (invalid(Reason::Expired), invalid(Reason::PasswordChanged), None),
            (invalid(Reason::Expired), TokenState::Live, None),
            (TokenState::Suspect { since: NOW }, TokenState::Live, None),
            (TokenState::Live, TokenState::Paused { since: NOW }, None),
            (TokenState::Live, TokenState::Revoked { since: NOW }, None),
        ];
        for (before, after, fact) in cases {
            assert_eq!(of(before, after), fact, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn what_was_healed_before_it_was_told_is_no_news() {
        let expired = TokenState::Invalid { reason: Reason::Expired, since: NOW };
        let told = [of_change(TokenState::Live, &token(expired), NOW).unwrap()];
        assert_eq!(tell_from(&told[0]), NOW + SETTLES_WITHIN);
        let live = token(TokenState::Live);
        assert_eq!(of_recovery(&told, &live, NOW + Duration::from_secs(119)), None);
        assert_eq!(of_recovery(&[], &live, NOW + SETTLES_WITHIN), None);
        let over = of_recovery(&told, &live, NOW + SETTLES_WITHIN).unwrap();
        assert!(matches!(over.fact, Fact::TokenRenewed { troubles, .. } if troubles == [told[0].id]));
        assert_eq!(of_recovery(&told, &token(expired), NOW + SETTLES_WITHIN), None, "it is not over");
    }

    #[test]
    fn an_end_that_a_renewal_did_not_move_is_not_over() {
        let clocks = Clocks {
            access_expires_at: Some(NOW + SETTLES_WITHIN * 9),
            refresh_expires_at: Some(NOW + SETTLES_WITHIN * 99),
            ..Clocks::default()
        };
        let live = Token { clocks, ..token(TokenState::Live) };
        let of_grant =
            Expiry::of(&Token { clocks: Clocks { access_expires_at: None, ..clocks }, ..live.clone() }, None, NOW);
        let of_access = Expiry::of(&live, None, NOW);
        let told = [of_grant.event.unwrap(), of_access.event.unwrap()];
        let at = NOW + SETTLES_WITHIN;
        let renewed = Clocks { access_expires_at: Some(NOW + SETTLES_WITHIN * 90), ..clocks };
        assert_eq!(of_recovery(&told, &live, at), None);
        let over = of_recovery(&told, &Token { clocks: renewed, ..live }, at).unwrap();
        assert!(matches!(over.fact, Fact::TokenRenewed { troubles, .. } if troubles == [told[1].id]));
    }

    #[test]
    fn an_end_that_the_clocks_told_is_not_told_again() {
        let clocks = Clocks {
            access_expires_at: Some(NOW),
            refresh_expires_at: Some(NOW + SETTLES_WITHIN * 99),
            ..Clocks::default()
        };
        let live = Token { clocks, ..token(TokenState::Live) };
        let by_clock = Expiry::of(&live, None, NOW).event.unwrap();
        let expired = TokenState::Invalid { reason: Reason::Expired, since: NOW + SETTLES_WITHIN };
        let by_report = of_change(live.state, &Token { state: expired, ..live.clone() }, NOW + SETTLES_WITHIN).unwrap();
        assert_eq!(by_clock.dedup_key, by_report.dedup_key);
    }

    #[test]
    fn the_same_end_has_the_same_name() {
        let revoked = TokenState::Invalid { reason: Reason::RevokedByPerson, since: NOW };
        let keys =
            [NOW, NOW + SETTLES_WITHIN].map(|at| of_change(TokenState::Live, &token(revoked), at).unwrap().dedup_key);
        assert_eq!(keys[0], keys[1]);
    }
}
