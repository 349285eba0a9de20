//! The catalogue of networks: what each documents of its tokens, limits, headers and errors.

mod model;

pub use model::*;
