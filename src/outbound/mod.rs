//! What the broker says to the outside: for each kind of other side a trait, the real one and a fake, side by side.
//!
//! Nothing here decides what is said or when; it is told what to send, sends it once, and says what came of it.

pub mod address;
pub mod authorities;
pub mod http;
pub mod jws;
pub mod key_service;
pub mod mail;
pub mod oauth;
#[cfg(feature = "oidc")]
pub mod oidc;
pub mod post;
pub mod push;
pub mod signature;
