//! The catalogue of networks: what each documents of its tokens, limits, headers and errors.

mod catalogue;
mod check;
mod check_errors;
mod classify;
mod document;
mod headers;
mod lookup;
mod model;
mod read;

pub use catalogue::Catalogue;
pub use document::{CatalogueErrors, Mistake};
pub use headers::{Reading, Usage, read_usage};
pub use model::*;
