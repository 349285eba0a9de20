//! The words of the API's enums, as people type and read them: `PURPOSE_COLLECT_CONTENT` is `collect_content`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::grpc::pb;

/// An enum of the API. The value 0, "not said", is no word.
pub trait Word: Copy + Send + Sync + 'static + TryFrom<i32> {
    /// What every name of the enum begins with.
    const PREFIX: &'static str;

    /// The name in the API.
    fn name(self) -> &'static str;

    /// The word.
    fn word(self) -> String {
        self.name().strip_prefix(Self::PREFIX).unwrap_or(self.name()).to_lowercase()
    }

    /// All words in the API's order.
    fn all() -> Vec<Self> {
        (1..1000).filter_map(|number| Self::try_from(number).ok()).collect()
    }

    /// The value of a word, with `-` or `_` between its parts.
    fn of(word: &str) -> Option<Self> {
        let word = word.trim().replace('-', "_").to_lowercase();
        Self::all().into_iter().find(|candidate| candidate.word() == word)
    }
}

macro_rules! words {
    ($($name:ident = $prefix:literal;)*) => {$(
        impl Word for pb::$name {
            const PREFIX: &'static str = $prefix;
            fn name(self) -> &'static str {
                self.as_str_name()
            }
        }
    )*};
}

words! {
    AlertKind = "ALERT_KIND_";
    AlertState = "ALERT_STATE_";
    BucketOwner = "BUCKET_OWNER_";
    CanRenew = "CAN_RENEW_";
    CheckOutcome = "CHECK_OUTCOME_";
    ConnectionProblemKind = "CONNECTION_PROBLEM_KIND_";
    ConnectionStage = "CONNECTION_STAGE_";
    CreditUnit = "CREDIT_UNIT_";
    DestinationKind = "DESTINATION_KIND_";
    ErrorReason = "ERROR_REASON_";
    HistoryReach = "HISTORY_REACH_";
    IncidentKind = "INCIDENT_KIND_";
    IncidentOutcome = "INCIDENT_OUTCOME_";
    IncidentStage = "INCIDENT_STAGE_";
    IncidentState = "INCIDENT_STATE_";
    ImportOutcome = "IMPORT_OUTCOME_";
    JobOutcome = "JOB_OUTCOME_";
    JobState = "JOB_STATE_";
    KeyRole = "KEY_ROLE_";
    LeaseState = "LEASE_STATE_";
    LoadLevel = "LOAD_LEVEL_";
    MemberRole = "MEMBER_ROLE_";
    MemberState = "MEMBER_STATE_";
    NoticeChannel = "NOTICE_CHANNEL_";
    NoticeKind = "NOTICE_KIND_";
    Priority = "PRIORITY_";
    Purpose = "PURPOSE_";
    RenewEvidence = "RENEW_EVIDENCE_";
    RenewalFamily = "RENEWAL_FAMILY_";
    TokenReason = "TOKEN_REASON_";
    TokenState = "TOKEN_STATE_";
    TokenStatus = "TOKEN_STATUS_";
    Verdict = "VERDICT_";
    Verification = "VERIFICATION_";
    WindowRule = "WINDOW_RULE_";
}

/// Reads a word from the command line; a wrong one gets the list and the nearest.
pub fn word_parser<W: Word>() -> impl TypedValueParser<Value = W> + use<W> {
    let values = W::all().into_iter().map(|value| {
        let word = value.word();
        let dashed = word.replace('_', "-");
        PossibleValue::new(word).alias(dashed)
    });
    PossibleValuesParser::new(values).try_map(|text| W::of(&text).ok_or("the word is not known"))
}

/// The word of a number in a message: empty for 0, the number itself where this version does not know it.
pub fn word_of<W: Word>(number: i32) -> String {
    match W::try_from(number) {
        Ok(_) if number == 0 => String::new(),
        Ok(value) => value.word(),
        Err(_) => number.to_string(),
    }
}

/// The words of several numbers, with commas between them.
pub fn words_of<W: Word>(numbers: &[i32]) -> String {
    numbers.iter().map(|&number| word_of::<W>(number)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<W: Word>(least: usize) {
        let all = W::all();
        assert!(all.len() >= least, "{}", W::PREFIX);
        for value in all {
            assert!(value.name().starts_with(W::PREFIX), "{}", value.name());
            assert_eq!(W::of(&value.word()).map(Word::name), Some(value.name()));
        }
    }

    #[test]
    fn every_word_is_read_back() {
        check::<pb::AlertKind>(2);
        check::<pb::AlertState>(3);
        check::<pb::BucketOwner>(6);
        check::<pb::CanRenew>(3);
        check::<pb::ConnectionProblemKind>(7);
        check::<pb::ConnectionStage>(7);
        check::<pb::CreditUnit>(5);
        check::<pb::DestinationKind>(4);
        check::<pb::ErrorReason>(40);
        check::<pb::ImportOutcome>(4);
        check::<pb::IncidentKind>(3);
        check::<pb::IncidentOutcome>(2);
        check::<pb::IncidentStage>(3);
        check::<pb::IncidentState>(3);
        check::<pb::KeyRole>(3);
        check::<pb::LeaseState>(4);
        check::<pb::LoadLevel>(4);
        check::<pb::JobOutcome>(4);
        check::<pb::JobState>(3);
        check::<pb::MemberRole>(3);
        check::<pb::MemberState>(3);
        check::<pb::NoticeChannel>(3);
        check::<pb::NoticeKind>(14);
        check::<pb::Priority>(3);
        check::<pb::Purpose>(6);
        check::<pb::RenewEvidence>(6);
        check::<pb::RenewalFamily>(4);
        check::<pb::TokenReason>(8);
        check::<pb::TokenState>(7);
        check::<pb::TokenStatus>(4);
        check::<pb::Verdict>(4);
        check::<pb::Verification>(4);
        check::<pb::WindowRule>(6);
    }

    #[test]
    fn words_may_be_written_with_dashes() {
        assert_eq!(pb::Purpose::of("Collect-Content"), Some(pb::Purpose::CollectContent));
        assert_eq!(pb::Purpose::of("unspecified"), None);
        assert_eq!(pb::Purpose::of("spy"), None);
    }

    #[test]
    fn numbers_of_a_later_version_stay_numbers() {
        assert_eq!(word_of::<pb::Purpose>(0), "");
        assert_eq!(word_of::<pb::Purpose>(3), "publish");
        assert_eq!(word_of::<pb::Purpose>(99), "99");
        assert_eq!(words_of::<pb::Purpose>(&[1, 3]), "collect_statistics, publish");
    }
}
