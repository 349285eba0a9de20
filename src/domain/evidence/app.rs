//! Whether a failure is the token's own: who else of its app failed lately, and who worked since.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::ids::CollectorId;

/// How many persons' failures are remembered of an app: one other is enough to blame the app.
const REMEMBERED: usize = 16;
/// How long a failure speaks against others. After that, who was refused again and again with the same word is believed to be dead.
const SPEAKS_FOR: Duration = Duration::from_secs(3600);

/// Failures of an app's tokens that none of its calls has disproved. Small, and the same for a pool of any size.
#[derive(Debug, Default)]
pub struct AppEvidence {
    failures: Vec<Failed>,
    worked_at: Option<Timestamp>,
}

/// A token failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// The granting person: what befalls a person befalls all their tokens.
    pub person: u32,
    /// Who made the call; `None`: not a collector.
    pub by: Option<CollectorId>,
    /// When it was told.
    pub at: Timestamp,
}

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The token's, or its person's.
    Token,
    /// The app's, the network's or the request's: others failed alike, and nothing shows that only these are at fault.
    Shared,
}

impl AppEvidence {
    /// Takes in a failure that may mean a token's end, and says whose it is.
    ///
    /// It is shared if within the last hour another person's token of this app failed and none has worked since; or if the same
    /// collector was refused with another person's token and had no success since, however well the others fare.
    pub fn fail(&mut self, failed: Failed) -> Blame {
        self.forget(failed.at);
        let shared = self.failures.iter().any(|other| other.person != failed.person && self.is_alike(other, &failed));
        self.failures.retain(|before| before.person != failed.person || before.by != failed.by);
        if self.failures.len() >= REMEMBERED {
            self.failures.remove(0);
        }
        self.failures.push(failed);
        if shared { Blame::Shared } else { Blame::Token }
    }

    fn is_alike(&self, other: &Failed, failed: &Failed) -> bool {
        let undisproved = self.worked_at.is_none_or(|worked| other.at > worked);
        undisproved || (other.by.is_some() && other.by == failed.by)
    }

    /// A call was served: the app works, and so does what its collector sends.
    pub fn work(&mut self, person: u32, by: Option<CollectorId>, now: Timestamp) {
        self.worked_at = Some(now);
        self.failures.retain(|failed| failed.person != person && (by.is_none() || failed.by != by));
    }

    /// Whether there is nothing to remember any more.
    pub fn is_over(&mut self, now: Timestamp) -> bool {
        self.forget(now);
        self.failures.is_empty()
    }

    fn forget(&mut self, now: Timestamp) {
        self.failures.retain(|failed| now.since(failed.at) < SPEAKS_FOR);
    }
}
