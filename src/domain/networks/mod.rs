//! The catalogue of networks: what each documents of its tokens, limits, headers and errors.

mod catalogue;
mod check;
mod classify;
mod document;
mod headers;
mod lookup;
mod model;
mod read;

pub use catalogue::{Catalogue, EMBEDDED};
pub use classify::{Answer, Classified, classify, classify_authorization, classify_renewal, classify_token_endpoint};
pub use document::{Mistake, Mistakes};
pub use headers::{Ignored, Reading, Readings, Usage, read_usage, read_usage_with_reasons};
pub use model::*;
