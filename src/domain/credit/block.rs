//! Blocks: credit of one bucket window, taken durably by one process before any of it is granted.
//!
//! For each bucket the sum of the blocks that are still charged never exceeds what may be spent. A block is charged until
//! the network can no longer count any call made with it; it may be lowered or released earlier once its process knows better.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::ids::BlockId;

/// The name of one bucket, the same in every process: network, app, class, owner and window.
pub type BucketKey = Arc<str>;

/// A wish to take a block. Refused as a whole if it would exceed `cap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockTake {
    /// The bucket.
    pub bucket: BucketKey,
    /// The new block.
    pub block: BlockId,
    /// Its credit, in units of the bucket.
    pub amount: u64,
    /// What all charged blocks of the bucket may hold together: the limit less the owner's reserve and what others spent.
    pub cap: u64,
    /// Until when it is charged.
    pub charged_until: Timestamp,
}

/// A better knowledge of a block: less credit, or charged for a shorter time. Never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockUpdate {
    /// The block.
    pub block: BlockId,
    /// What remains charged; 0 releases it.
    pub amount: u64,
    /// Until when it is charged.
    pub charged_until: Timestamp,
}

/// What must outlive the process of a bucket beside its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketNote {
    /// The bucket.
    pub bucket: BucketKey,
    /// It must not be used before this time.
    pub cooling_until: Option<Timestamp>,
    /// The limit that the network reported, where the catalogue knows none.
    pub learned_limit: Option<u64>,
    /// The end of the window that the network reported last.
    pub window_ends_at: Option<Timestamp>,
}

/// A key that was opened in a bucket of different keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedKey {
    /// The bucket.
    pub bucket: BucketKey,
    /// The key (a hashtag).
    pub key: String,
    /// Until when it stays open and is charged.
    pub charged_until: Timestamp,
}
