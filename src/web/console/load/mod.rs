//! The token load: what is collected against what the team's tokens can carry.

mod chart;
mod estimate;
mod gauge;
mod show;

pub(super) use self::chart::history;
pub(super) use self::estimate::estimate;
pub(super) use self::show::{show, show_one};
