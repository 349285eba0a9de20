//! Whose a token is: by what it says of who granted it, or, where it says nothing, by its account.

use crate::domain::member::{MailAddress, Member};
use crate::domain::token::Token;

/// Who granted a token, in the form in which it is looked up: a mail address by its key, a member's id or name as it is. Where the token says
/// nothing, its account; the line break keeps that apart from everything that a token can say.
pub fn grantor(token: &Token) -> String {
    match token.granted_by.as_str() {
        "" => format!("{}\n{}", token.network, token.person),
        says => says.parse::<MailAddress>().map_or_else(|_| says.to_owned(), |mail| mail.key().to_owned()),
    }
}

impl Member {
    /// Whether a token is its own: it granted it, as the token says by the member's id or mail address; where the token says nothing, the
    /// account is known to be its.
    pub fn granted(&self, token: &Token) -> bool {
        token.team == self.team && self.grantors().contains(&grantor(token))
    }

    /// All forms in which it is looked up as the one who granted a token.
    pub fn grantors(&self) -> Vec<String> {
        let account = |(network, persons): (_, &std::collections::BTreeSet<String>)| {
            persons.iter().map(move |person| format!("{network}\n{person}")).collect::<Vec<_>>()
        };
        let said = [self.id.to_string(), self.name(), self.mail.key().to_owned()];
        said.into_iter().chain(self.persons.iter().flat_map(account)).collect()
    }
}
