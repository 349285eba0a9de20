//! Notices: what people are told.
//!
//! An [`Event`] is a fact that happened, kept with the change that made it true. Who hears of it, where, and whether it still holds by
//! then is decided later, so that nobody is told of what is over.

mod event;

pub use event::{Clock, Event, Fact, RetentionStage};
