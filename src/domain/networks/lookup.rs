//! Finding things in a network by their names.

use super::model::{CreditClass, Network, Operation, Purpose, TokenKind};

impl Network {
    /// The kind of token with this id.
    pub fn kind(&self, id: &str) -> Option<&TokenKind> {
        self.kinds.iter().find(|kind| kind.id.as_str() == id)
    }

    /// The place of that kind in [`Network::kinds`].
    pub fn kind_index(&self, id: &str) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.id.as_str() == id)
    }

    /// The credit class with this id.
    pub fn class(&self, id: &str) -> Option<&CreditClass> {
        self.classes.iter().find(|class| class.id.as_str() == id)
    }

    /// The place of that class in [`Network::classes`].
    pub fn class_index(&self, id: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.id.as_str() == id)
    }

    /// The operation with this id.
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id.as_str() == id)
    }

    /// The place of that operation in [`Network::operations`].
    pub fn operation_index(&self, id: &str) -> Option<usize> {
        self.operations.iter().position(|operation| operation.id.as_str() == id)
    }

    /// The scopes that a token of `kind` needs for `purpose`; `None` if such a token can't serve it. An operation may
    /// need more ([`Operation::scopes`]).
    pub fn scopes_for(&self, kind: &str, purpose: Purpose) -> Option<&[String]> {
        self.kind(kind)?.scopes_for(purpose)
    }

    /// Whether some operation serves `purpose`.
    pub fn serves(&self, purpose: Purpose) -> bool {
        self.operations.iter().any(|operation| operation.purposes.contains(&purpose))
    }
}

impl TokenKind {
    /// The scopes that `purpose` needs; `None` if a token of this kind can't serve it.
    pub fn scopes_for(&self, purpose: Purpose) -> Option<&[String]> {
        let needed = self.scopes.iter().find(|needed| needed.purpose == purpose)?;
        Some(&needed.scopes)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::networks::{Catalogue, Purpose};

    #[test]
    fn names_find_what_they_name() {
        let catalogue = Catalogue::embedded();
        let network = catalogue.network("facebook").unwrap();
        for (at, kind) in network.kinds.iter().enumerate() {
            assert_eq!(network.kind_index(kind.id.as_str()), Some(at));
            assert_eq!(network.kind(kind.id.as_str()).map(|found| &found.id), Some(&kind.id));
        }
        for (at, class) in network.classes.iter().enumerate() {
            assert_eq!(network.class_index(class.id.as_str()), Some(at));
            assert_eq!(network.class(class.id.as_str()).map(|found| &found.id), Some(&class.id));
        }
        for (at, operation) in network.operations.iter().enumerate() {
            assert_eq!(network.operation_index(operation.id.as_str()), Some(at));
            assert_eq!(network.operation(operation.id.as_str()).map(|found| &found.id), Some(&operation.id));
        }
        assert!(network.kind("nobody").is_none() && network.class("nothing").is_none());
        assert!(network.operation("never").is_none() && network.operation_index("never").is_none());
    }

    #[test]
    fn a_purpose_is_served_by_operations_and_kinds() {
        let catalogue = Catalogue::embedded();
        let facebook = catalogue.network("facebook").unwrap();
        assert!(facebook.serves(Purpose::Publish) && !facebook.serves(Purpose::Activate));
        assert!(facebook.scopes_for("user", Purpose::ListPages).is_some_and(|scopes| !scopes.is_empty()));
        assert_eq!(facebook.scopes_for("app", Purpose::Validate), Some(&[][..]));
        assert_eq!(facebook.scopes_for("app", Purpose::Publish), None);
        assert_eq!(facebook.scopes_for("nobody", Purpose::Publish), None);
    }
}
