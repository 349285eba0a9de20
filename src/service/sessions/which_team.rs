//! A person whose password is right in several teams says which of them is meant.
//!
//! What the person proved is kept in memory meanwhile, by the hash of a secret that the browser has, so that the password is asked for once. A
//! team in which the person has another password is not among the teams: somebody there may have invited that address, and set it.

use crate::base::ids::{MemberId, TeamId};
use crate::base::secret::Secret;
use crate::domain::member::Member;
use crate::service::Broker;
use crate::service::sessions::waiting::random;
use crate::service::sessions::{Browser, SignInError, StartedSession};

/// The teams that a person who signs in has to choose from.
pub struct TeamChoice {
    /// Those in which the password is right.
    pub teams: Vec<TeamId>,
    /// What the browser shows with the answer.
    pub proof: Secret,
}

/// A membership whose password was right.
pub(super) struct Proved {
    team: TeamId,
    member: MemberId,
    /// The hash that the password was right for. Once it is another one nothing is proved any more.
    hash: Option<String>,
}

impl Broker {
    /// Asks a person which of the teams is meant.
    pub(super) fn ask_which_team(&self, proved: Vec<(Member, Option<String>)>) -> Result<TeamChoice, SignInError> {
        let proof = random()?;
        let teams = proved.iter().map(|(member, _)| member.team.clone()).collect();
        let proved = proved.into_iter().map(|(member, hash)| Proved { team: member.team, member: member.id, hash });
        self.desk.choices.keep(self.choice_hash(proof.expose()), proved.collect(), self.now())?;
        Ok(TeamChoice { teams, proof })
    }

    /// Signs in who was asked for the team, and has said it. `known`: what the browser shows. It is done to its end, also if the browser goes away.
    pub async fn choose_team(
        &self,
        known: String,
        team: TeamId,
        browser: Browser,
    ) -> Result<StartedSession, SignInError> {
        let broker = self.clone();
        let done = self.finish(async move { broker.try_choose_team(&known, &team, &browser).await });
        done.await.unwrap_or(Err(SignInError::Stopping))
    }

    async fn try_choose_team(
        &self,
        known: &str,
        team: &TeamId,
        browser: &Browser,
    ) -> Result<StartedSession, SignInError> {
        self.desk.check_address(browser).map_err(SignInError::TooOften)?;
        let proved = self.desk.choices.take(&self.choice_hash(known), self.now()).unwrap_or_default();
        let Some(chosen) = proved.into_iter().find(|proved| proved.team == *team) else {
            return Err(SignInError::NotChosen);
        };
        let member = self.store.find_member(chosen.member).await?.filter(Member::is_active);
        let is_still_right = self.store.find_password(chosen.member).await? == chosen.hash;
        let Some(member) = member.filter(|_| is_still_right) else { return Err(SignInError::NotChosen) };
        self.begin_session(member, browser, self.now(), "session.begin").await?.ok_or(SignInError::NotChosen)
    }

    fn choice_hash(&self, text: &str) -> [u8; 32] {
        self.vault.mac_key("choice of a team").sign(&[text.as_bytes()])
    }
}
