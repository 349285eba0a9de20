//! OAuth 2.0 with each network's departures from it: what is asked of a person's browser and of a token endpoint, and how fast.
//!
//! The requests are those of the `oauth2` crate. It does not send them: it would read the answers by itself, and what a network really
//! said would be lost, by which alone it is judged whether a grant is dead.
//!
//! What holds for one moment, an app's assertion and a proof of possession, is signed when a request is sent (`signing`).

mod assertion;
mod authorize;
mod bond;
mod pace;
mod probe;
mod request;
mod signing;

pub(in crate::outbound) use assertion::Assertion;
pub use assertion::{ClientMetadata, check_client_key, new_client_key};
pub use authorize::{AuthorizationRequest, authorization_url, pushed_request, pushed_url};
pub use bond::{Bond, ProvedRequest, token_hash};
pub use pace::Pace;
pub use probe::{ProbeCredential, probe, probe_needs_client};
pub use request::{Client, Credential, Redemption, long_lived, needs_client, redemption, renewal, revocation};
pub use signing::SigningClient;
