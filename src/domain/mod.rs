//! The rules: pure, synchronous, without clock and without I/O.

pub mod key;
pub mod networks;
