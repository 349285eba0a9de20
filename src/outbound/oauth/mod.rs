//! OAuth 2.0 with each network's departures from it: what is asked of a person's browser and of a token endpoint, and how fast.
//!
//! The requests are those of the `oauth2` crate. It does not send them: it would read the answers by itself, and what a network really
//! said would be lost, by which alone it is judged whether a grant is dead.

mod authorize;
mod pace;
mod probe;
mod request;

pub use authorize::{AuthorizationRequest, authorization_url};
pub use pace::Pace;
pub use probe::{ProbeCredential, probe, probe_needs_client};
pub use request::{Client, Credential, Redemption, long_lived, needs_client, redemption, renewal, revocation};
