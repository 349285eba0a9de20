//! Long-running jobs: something that is done for many tokens, one after another, while people watch it.
//!
//! `running ⇄ cancelled`, `running → done`. How far a job came is kept with the results of its tokens, so that it goes on
//! after a crash or a cancellation where it stopped.

use crate::base::clock::Timestamp;
use crate::base::ids::{JobId, NetworkId, TeamId};

/// Renews all tokens of a team at a network, whether they are due or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose tokens.
    pub team: TeamId,
    /// At which network.
    pub network: NetworkId,
    /// Where it stands.
    pub state: JobState,
    /// Tokens that there were when it began.
    pub tokens: u64,
    /// What came of those that it is done with.
    pub counts: JobCounts,
    /// Who began it, as the audit names them.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was done or cancelled; `None`: it runs.
    pub ended_at: Option<Timestamp>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It goes on by itself.
    Running,
    /// A person stopped it; it may be resumed.
    Cancelled,
    /// All tokens were tried.
    Done,
}

impl JobState {
    /// The name used in SQL, logs and the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            JobState::Running => "running",
            JobState::Cancelled => "cancelled",
            JobState::Done => "done",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<JobState> {
        [JobState::Running, JobState::Cancelled, JobState::Done].into_iter().find(|state| state.as_str() == name)
    }

    /// Stops it. Cancelling what was cancelled changes nothing.
    pub fn cancel(self) -> Result<JobState, JobDone> {
        match self {
            JobState::Running | JobState::Cancelled => Ok(JobState::Cancelled),
            JobState::Done => Err(JobDone),
        }
    }

    /// Lets it go on where it stopped. Resuming what runs changes nothing.
    pub fn resume(self) -> Result<JobState, JobDone> {
        match self {
            JobState::Running | JobState::Cancelled => Ok(JobState::Running),
            JobState::Done => Err(JobDone),
        }
    }
}

/// The job is done: there is nothing to stop or resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job is done; begin a new one to try again")]
pub struct JobDone;

/// What came of one token of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was renewed.
    Renewed,
    /// It was not, and may be later: it is tried again by its own schedule.
    Failed,
    /// Only a person can help: it must be connected again.
    NeedsPerson,
    /// There is nothing to renew, and nothing is wrong: it does not end by time, or was given back meanwhile.
    NothingToRenew,
}

impl Outcome {
    /// All outcomes, what a person must see to first.
    pub const ALL: [Outcome; 4] = [Outcome::NeedsPerson, Outcome::Failed, Outcome::Renewed, Outcome::NothingToRenew];

    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Renewed => "renewed",
            Outcome::Failed => "failed",
            Outcome::NeedsPerson => "needs_person",
            Outcome::NothingToRenew => "nothing_to_renew",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// Why a token was not renewed that may be later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hindrance {
    /// The network did not do it, and says nothing final.
    Network,
    /// An incident is open for its app.
    Incident,
    /// It is not time: its refresh token is better not shown now.
    NotYet,
    /// The client of its app is not known.
    Client,
    /// The broker could not do it: what stands in its log.
    Broker,
}

impl Hindrance {
    /// All of them.
    pub const ALL: [Hindrance; 5] =
        [Hindrance::Network, Hindrance::Incident, Hindrance::NotYet, Hindrance::Client, Hindrance::Broker];

    /// The name used in SQL and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Hindrance::Network => "network",
            Hindrance::Incident => "incident",
            Hindrance::NotYet => "not_yet",
            Hindrance::Client => "client",
            Hindrance::Broker => "broker",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Hindrance> {
        Hindrance::ALL.into_iter().find(|hindrance| hindrance.as_str() == name)
    }
}

/// How many tokens of a job came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Renewed.
    pub renewed: u64,
    /// Failed for now.
    pub failed: u64,
    /// In need of a person.
    pub needs_person: u64,
    /// With nothing to renew.
    pub nothing_to_renew: u64,
}

impl JobCounts {
    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Renewed => &mut self.renewed,
            Outcome::Failed => &mut self.failed,
            Outcome::NeedsPerson => &mut self.needs_person,
            Outcome::NothingToRenew => &mut self.nothing_to_renew,
        };
        *count += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.renewed + self.failed + self.needs_person + self.nothing_to_renew
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_stops_and_goes_on_until_it_is_done() {
        use JobState::{Cancelled, Done, Running};
        let cases = [
            (Running, Ok(Cancelled), Ok(Running)),
            (Cancelled, Ok(Cancelled), Ok(Running)),
            (Done, Err(JobDone), Err(JobDone)),
        ];
        for (state, cancelled, resumed) in cases {
            assert_eq!((state.cancel(), state.resume()), (cancelled, resumed), "{state:?}");
            assert_eq!(JobState::from_name(state.as_str()), Some(state));
        }
    }

    #[test]
    fn every_outcome_is_counted_apart() {
        let mut counts = JobCounts::default();
        for (nth, outcome) in Outcome::ALL.into_iter().enumerate() {
            (0..=nth).for_each(|_| counts.add(outcome));
            assert_eq!(Outcome::from_name(outcome.as_str()), Some(outcome));
        }
        assert_eq!(counts, JobCounts { needs_person: 1, failed: 2, renewed: 3, nothing_to_renew: 4 });
        assert_eq!(counts.total(), 10);
    }
}
