//! Alerts in the words of the text files: what is wrong, and what to do.

use crate::base::ids::ClassId;
use crate::domain::alert::{Cause, Detail, LoadDetail};
use crate::domain::load::credit;
use crate::text::{InWords, Sentence};

impl Detail {
    /// What people read. `network`: its name for people.
    pub fn in_words(&self, network: &str, class: &ClassId) -> Sentence {
        match self {
            Detail::Access(reason) => {
                let why = Sentence::new(format!("no-token-{}", reason.as_str().replace('_', "-")));
                Sentence::new("alert-no-tokens").named("network", network).named("class", class).and("why", why)
            }
            Detail::Load(load) => load.in_words(network),
        }
    }
}

impl LoadDetail {
    fn in_words(&self, network: &str) -> Sentence {
        let figures = Sentence::new("alert-load")
            .and("percent", self.ratio.in_words())
            .and("span", self.span.in_words())
            .with("demand", credit(self.demand))
            .with("supply", credit(self.supply))
            .with("tokens", u64::from(self.tokens));
        let growing = self.growing.map(|ratio| Sentence::new("load-grows").and("percent", ratio.in_words()));
        let causes = (!self.causes.is_empty())
            .then(|| Sentence::new("alert-causes").each("causes", self.causes.iter().map(Cause::in_words)));
        let parts = [Some(figures), growing, Some(self.advice.in_words(network)), causes];
        Sentence::new("sentences").sentences("all", parts.into_iter().flatten())
    }
}

impl InWords for Cause {
    fn in_words(&self) -> Sentence {
        let percent = format!("{:.0}", self.share * 100.0);
        Sentence::new("load-share").named("name", &self.collection).with("percent", percent)
    }
}
