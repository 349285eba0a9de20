//! The catalogue of networks: what each documents of its tokens, limits, headers and errors.

mod catalogue;
mod check;
mod check_errors;
mod classify;
mod document;
mod headers;
mod identity;
mod introspect;
mod lookup;
mod model;
mod read;
mod token_reply;
mod whose;

pub use catalogue::Catalogue;
pub use classify::{Answer, Classified, classify, classify_authorization, classify_renewal, classify_token_endpoint};
pub use document::{CatalogueErrors, Mistake};
pub use headers::{Reading, Usage, read_usage};
pub use identity::{did_document_url, issuer_in, resource_url, server_in};
pub use introspect::Introspected;
pub use lookup::PROBE_OPERATION;
pub use model::*;
pub use token_reply::{TokenReply, TokenReplyError, read_pushed_reply, read_token_reply};
pub use whose::{FoundAccount, FoundProfile, united};
