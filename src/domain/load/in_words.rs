//! Loads in the words of the text files, and in figures.

use crate::domain::load::{Advice, Newcomer, Ratio, Span};
use crate::domain::networks::Owner;
use crate::text::{InWords, Sentence};

/// Percent, rounded up: what is over a limit is never shown as being on it.
impl InWords for Ratio {
    fn in_words(&self) -> Sentence {
        match self {
            Ratio::NoSupply => Sentence::new("load-no-supply"),
            Ratio::Of(ratio) => {
                let percent = (ratio * 100.0 - 1e-9).ceil().max(0.0) + 0.0;
                Sentence::new("load-percent").with("percent", format!("{percent:.0}"))
            }
        }
    }
}

impl InWords for Span {
    fn in_words(&self) -> Sentence {
        Sentence::new(match self {
            Span::FiveMinutes => "span-five-minutes",
            Span::QuarterHour => "span-quarter-hour",
            Span::Hour => "span-hour",
            Span::Day => "span-day",
        })
    }
}

impl Advice {
    /// The advice. `network`: its name for people.
    pub fn in_words(&self, network: &str) -> Sentence {
        let more = |name: &str, tokens: u64, newcomer: Newcomer, reaches: Ratio| {
            Sentence::new(name)
                .with("count", tokens)
                .named("network", network)
                .and("whose", whose(newcomer))
                .and("reaches", reaches.in_words())
        };
        match self {
            Advice::Nothing => Sentence::new("advice-nothing"),
            Advice::AddTokens { tokens, newcomer, reaches } => more("advice-add", *tokens, *newcomer, *reaches),
            Advice::AddTokensUpTo { tokens, newcomer, reaches, limit } => {
                more("advice-add-up-to", *tokens, *newcomer, *reaches).and("limit", limit_of(*limit))
            }
            Advice::AddsNothing { limit } => Sentence::new("advice-adds-nothing").and("limit", limit_of(*limit)),
            Advice::ConnectFirst => Sentence::new("advice-connect-first").named("network", network),
            Advice::Wait => Sentence::new("advice-wait"),
        }
    }
}

fn whose(newcomer: Newcomer) -> Sentence {
    Sentence::new(match newcomer {
        Newcomer::Anybody => "newcomer-anybody",
        Newcomer::OtherPeople => "newcomer-other-people",
        Newcomer::OtherProfiles => "newcomer-other-profiles",
    })
}

fn limit_of(owner: Owner) -> Sentence {
    Sentence::new(match owner {
        Owner::Token => "limit-token",
        Owner::Person | Owner::AppPerson => "limit-person",
        Owner::Profile => "limit-profile",
        Owner::App => "limit-app",
        Owner::Address => "limit-address",
    })
}

/// An amount of credit in figures: whole from 10 on; less with the decimals that tell it from nothing: 4.5, 0.3, 0.02.
pub fn credit(amount: f64) -> String {
    let rounded = |decimals| format!("{amount:.decimals$}");
    let is_nothing = |text: &String| text.parse() == Ok(0.0);
    match amount {
        amount if amount <= 0.0 || amount >= 9.95 => rounded(0),
        _ => {
            let text = (1..=6).map(rounded).find(|text| !is_nothing(text)).unwrap_or_else(|| "0".to_owned());
            text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    #[test]
    fn loads_are_percent_and_never_less_than_they_are() {
        let cases = [
            (Ratio::Of(0.8), "80 %"),
            (Ratio::Of(0.0), "0 %"),
            (Ratio::Of(0.801), "81 %"),
            (Ratio::Of(2.4), "240 %"),
            (Ratio::NoSupply, "over"),
        ];
        for (ratio, text) in cases {
            assert_eq!(Text::english().tell_of(&ratio), text);
        }
    }

    #[test]
    fn little_credit_is_told_from_none() {
        for (amount, text) in [
            (0.0, "0"),
            (0.3125, "0.3"),
            (0.0213, "0.02"),
            (0.96, "1"),
            (4.5, "4.5"),
            (5.0, "5"),
            (9.97, "10"),
            (269.6, "270"),
            (1e-9, "0"),
        ] {
            assert_eq!(credit(amount), text);
        }
    }
}
