//! Which passwords are taken: long ones that nobody guesses. There are no rules of composition, which make passwords worse (NIST SP 800-63B,
//! 5.1.1.2); instead what is common, leaked, patterned or about the person is refused.

mod phrases;

use zxcvbn::{Score, zxcvbn};

use self::phrases::WELL_KNOWN;

/// The shortest password, in characters.
pub const SHORTEST: usize = 12;
/// The longest password, in characters.
pub const LONGEST: usize = 256;
/// What is shorter stands in many a good password by chance.
const TELLING: usize = 4;
/// The estimate costs the more the longer the text is; what follows can only make a password better.
const JUDGED: usize = 64;

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefused {
    /// It is too short.
    #[error("the password must have at least {SHORTEST} characters; three or four words are easy to remember")]
    Short,
    /// It is too long.
    #[error("the password must have at most {LONGEST} characters")]
    Long,
    /// It has control characters, which can't be typed everywhere.
    #[error("the password must not have control characters, such as line breaks")]
    Control,
    /// It says whose it is.
    #[error("the password must not contain your name, your mail address or your team's name; choose something else")]
    AboutYou,
    /// It is among the first that somebody would try.
    #[error(
        "this password is too easy to guess: it is common, was leaked, or follows a pattern; choose several unrelated words"
    )]
    Guessable,
    /// It is on the list of those that were leaked.
    #[error("this password was leaked somewhere, and is among those that are tried first; choose another")]
    Breached,
}

/// Judges a password. `about`: what is known of the person and the team; a password that contains one of them is refused.
pub fn judge_password(password: &str, about: &[&str]) -> Result<(), PasswordRefused> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Err(PasswordRefused::Short);
    }
    if length > LONGEST {
        return Err(PasswordRefused::Long);
    }
    if password.chars().any(char::is_control) {
        return Err(PasswordRefused::Control);
    }
    let lower = password.to_lowercase();
    let telling = |word: &&&str| word.chars().count() >= TELLING;
    if about.iter().filter(telling).any(|word| lower.contains(&word.to_lowercase())) {
        return Err(PasswordRefused::AboutYou);
    }
    if is_well_known(&lower) {
        return Err(PasswordRefused::Guessable);
    }
    let judged: String = password.chars().take(JUDGED).collect();
    match zxcvbn(&judged, about).score() {
        Score::Three | Score::Four => Ok(()),
        _ => Err(PasswordRefused::Guessable),
    }
}

/// Whether a password is a phrase that everybody knows, with too little beside it to be a password of its own. An estimate from words does not
/// see that: to it, four words of a joke are as good as any four.
fn is_well_known(lower: &str) -> bool {
    let plain: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    let rest = |phrase: &&str| plain.chars().count().saturating_sub(phrase.chars().count());
    WELL_KNOWN.iter().filter(|phrase| plain.contains(**phrase)).any(|phrase| rest(phrase) < SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: [&str; 4] = ["ada.lovelace@example.com", "ada.lovelace", "Analytical Engines", "acme"];

    #[test]
    fn each_refusal_has_its_reason() {
        use PasswordRefused::{AboutYou, Control, Guessable, Long, Short};
        let cases = [
            ("", Short),
            ("kG7!vQ2#xT9", Short),
            (&"a".repeat(257), Long),
            ("correct horse\nbattery staple", Control),
            ("correct-ADA.Lovelace-battery", AboutYou),
            ("we love analytical engines", AboutYou),
            ("fuzzy-acme-blanket-17", AboutYou),
            ("passwordpassword", Guessable),
            ("password1234", Guessable),
            ("P@ssw0rd1234", Guessable),
            ("qwertyuiop[]", Guessable),
            ("aaaaaaaaaaaaaaaaaaaa", Guessable),
            ("abcabcabcabcabc", Guessable),
            ("123456789012", Guessable),
            ("1q2w3e4r5t6y", Guessable),
            ("iloveyou2024", Guessable),
            ("correct horse battery staple", Guessable),
            ("CorrectHorseBatteryStaple!", Guessable),
            ("thisismypassword", Guessable),
            ("lovemyfamily123", Guessable),
            ("the quick brown fox", Guessable),
            ("To be, or not to be?", Guessable),
        ];
        for (password, expected) in cases {
            assert_eq!(judge_password(password, &ADA), Err(expected), "{password}");
        }
    }

    #[test]
    fn long_and_unlikely_ones_are_taken_without_rules_of_composition() {
        for good in [
            "correct horse battery staple, violet tractor",
            "violet tractor humming sideways",
            "vbzkqmwrtphd",
            "größer als der mond am dienstag",
            "密码很长而且没有人能够猜到它是什么",
            &"unlikely blanket ".repeat(15),
        ] {
            assert_eq!(judge_password(good, &ADA), Ok(()), "{good}");
        }
    }

    #[test]
    fn short_names_forbid_nothing() {
        assert_eq!(judge_password("violet bob humming sideways", &["bob", "b", ""]), Ok(()));
    }
}
