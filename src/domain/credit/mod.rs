//! Credit: what a network's limits still allow, kept so that it is never granted twice.

mod block;
mod bucket;
mod cooling;
mod keys;
mod window;

pub use block::{BlockTake, BlockUpdate, BucketKey, BucketNote, OpenedKey};
pub use bucket::{Bucket, Grant, Observed, Reported, Settlement, Shortage, Wishes, after_reserve};
pub use cooling::{Cooling, Gate};
pub use keys::{KeyCharge, OpenKeys};
pub use window::{Timing, limit, span, window_end};
