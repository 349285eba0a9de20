//! The team's tokens: the table, one token, and what is done to them.

mod act;
mod list;
mod row;
mod show;

pub(super) use self::act::{act, act_on_many, confirm_revocation, revoke, revoke_many};
pub(super) use self::list::list;
pub(super) use self::row::{grouped, is_to_be_connected, name_of_token, status_in_words};
pub(super) use self::show::{managers, show, usage};

#[cfg(test)]
mod tests;
