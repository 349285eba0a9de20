//! What waits sealed while a person is at the network: what the code is redeemed with, and the key that the tokens will be bound to.

use std::sync::Arc;

use crate::base::secret::Secret;
use crate::outbound::oauth::Bond;

/// It is new for each time that somebody is sent to the network.
pub(super) struct Waiting {
    /// What the challenge was made of (RFC 7636).
    pub verifier: Secret,
    /// The session's key, where the network binds its tokens to one.
    pub bond: Option<Arc<Bond>>,
}

impl Waiting {
    /// As a text to seal.
    pub fn text(&self) -> Secret {
        let verifier = self.verifier.expose();
        match &self.bond {
            Some(bond) => Secret::new(format!("{verifier} {}", bond.text().expose())),
            None => Secret::new(verifier.to_owned()),
        }
    }

    /// Reads the text of [`Waiting::text`]; `None`: it is none.
    pub fn read(text: &Secret) -> Option<Self> {
        let (verifier, bond) = match text.expose().split_once(' ') {
            Some((verifier, bond)) => (verifier, Some(Bond::read(&Secret::new(bond.to_owned())).ok()?)),
            None => (text.expose(), None),
        };
        Some(Self { verifier: Secret::new(verifier.to_owned()), bond })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        for bond in [None, Some(Bond::make().unwrap())] {
            let waiting = Waiting { verifier: Secret::new("v".to_owned()), bond };
            let read = Waiting::read(&waiting.text()).unwrap();
            let key = |waiting: &Waiting| waiting.bond.as_ref().map(|bond| bond.text().expose().to_owned());
            assert_eq!((read.verifier.expose(), key(&read)), ("v", key(&waiting)));
        }
        assert!(Waiting::read(&Secret::new("v no-key".to_owned())).is_none());
    }
}
