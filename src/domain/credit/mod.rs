//! Credit: what a network's limits still allow, kept so that it is never granted twice.

mod block;

pub use block::{BlockTake, BlockUpdate, BucketKey, BucketNote, OpenedKey};
