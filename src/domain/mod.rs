//! The rules: pure, synchronous, without clock and without I/O.

pub mod audit;
pub mod credit;
pub mod lease;
pub mod networks;
pub mod pool;
pub mod team;
pub mod token;
