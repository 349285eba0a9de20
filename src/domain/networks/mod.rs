//! The catalogue of networks: what each documents of its tokens, limits, headers and errors.

mod headers;
mod model;

pub use headers::{Reading, Usage};
pub use model::*;
