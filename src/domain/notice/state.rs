//! The facts that a change of a token's state makes.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::EventId;
use crate::domain::notice::{Event, Fact};
use crate::domain::token::{Reason, Token, TokenState};

/// What a renewal may heal is told only after this time, in which it mostly has been tried.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(120);

/// What people may want to hear of a change from a state to the token as it is then. Nothing of what they did themselves.
pub fn of_change(before: TokenState, after: &Token, at: Timestamp) -> Option<Event> {
    let (network, token) = (after.network.clone(), after.id);
    let (fact, key) = match (before, after.state) {
        (TokenState::Invalid { .. } | TokenState::Revoked { .. }, TokenState::Invalid { .. }) => return None,
        (_, TokenState::Invalid { reason: Reason::Expired, since }) => {
            let ends =
                [after.clocks.access_expires_at, after.clocks.refresh_expires_at, after.clocks.data_access_expires_at];
            // The end that a look at the clocks tells of, so that both are one fact.
            let end = ends.into_iter().flatten().filter(|end| *end <= at).min().unwrap_or(since);
            (Fact::TokenExpired { network, token }, format!("{token}/expired/{}", end.micros()))
        }
        (_, TokenState::Invalid { reason, since }) => {
            let key = format!("{token}/invalid/{}/{}", reason.as_str(), since.micros());
            (Fact::TokenInvalid { network, token, reason }, key)
        }
        // Shorter trouble was told to nobody.
        (TokenState::Invalid { since, .. }, TokenState::Live) if since + SETTLES_WITHIN <= at => {
            (Fact::TokenRenewed { network, token }, format!("{token}/renewed/{}", since.micros()))
        }
        _ => return None,
    };
    Some(Event { id: EventId::generate(), at, team: Some(after.team.clone()), fact, dedup_key: key })
}

/// From when on a fact is told.
pub fn tell_from(event: &Event) -> Timestamp {
    match event.fact {
        Fact::TokenExpired { .. } | Fact::TokenInvalid { reason: Reason::NotAccepted, .. } => event.at + SETTLES_WITHIN,
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
    fn the_end_and_the_return_of_a_token_are_facts() {
        let invalid = |reason| TokenState::Invalid { reason, since: NOW };
        let of = |before, after| {
            of_change(before, &token(after), NOW + SETTLES_WITHIN).map(|event| event.fact.kind().as_str())
        };
        let cases = [
            (TokenState::Live, invalid(Reason::PasswordChanged), Some("token_invalid")),
            (TokenState::Paused { since: NOW }, invalid(Reason::Expired), Some("token_expired")),
            (TokenState::Suspect { since: NOW }, invalid(Reason::NotAccepted), Some("token_invalid")),
            (invalid(Reason::Expired), invalid(Reason::PasswordChanged), None),
            (invalid(Reason::Expired), TokenState::Live, Some("token_renewed")),
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
        assert_eq!(of_change(expired, &token(TokenState::Live), NOW + Duration::from_secs(119)), None);
        let told = of_change(TokenState::Live, &token(expired), NOW).unwrap();
        assert_eq!(tell_from(&told), NOW + SETTLES_WITHIN);
    }

    #[test]
    fn an_end_that_the_clocks_told_is_not_told_again() {
        let clocks = Clocks {
            access_expires_at: Some(NOW),
            refresh_expires_at: Some(NOW + SETTLES_WITHIN * 99),
            ..Clocks::default()
        };
        let live = Token { clocks, ..token(TokenState::Live) };
        let by_clock = Expiry::of(&live, false, 0, None, NOW).event.unwrap();
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
