//! Simulated networks: they count, throttle and refuse as the catalogue and the networks' documentation say. For demonstrations,
//! tests and benches, and as the strict judge of the broker.
//!
//! Nothing here uses the broker's own credit rules, header reading or error reading: the simulation keeps its own books with the
//! simplest exact code, so that an error on one side shows as a disagreement. A call travels through the files in this order:
//! `server` (HTTP), `simulation` and `state` (tokens, faults), `book` and `meter` (limits), then back through `refusal`, `envelope`, `headers` and
//! `http_answer` into the network's own form. `oauth` and `grant` issue, renew and end tokens, `possession` checks keys and
//! proofs, `versioned` what stands in the head of a call, `whose` tells whose they are. `serve` runs everything alone, with made-up tokens.

#[cfg(test)]
mod agreement_tests;
mod book;
mod clock;
mod description;
mod envelope;
mod fault;
mod grant;
mod headers;
mod http_answer;
mod meter;
mod oauth;
mod possession;
mod refusal;
mod report;
mod route;
#[cfg(test)]
mod samples;
mod serve;
mod server;
mod simulation;
mod state;
#[cfg(test)]
mod supply_tests;
mod token;
mod verdict;
mod versioned;
#[cfg(test)]
mod whole_catalogue_tests;
mod whose;

pub use book::{Books, UNKNOWN_MULTIPLE};
pub use clock::ScaledClock;
pub use description::{ServedNetwork, ServedOperation, describe, redirected};
pub use fault::{Fault, FaultError, NetworkFault, Spoilt};
pub use http_answer::HttpAnswer;
pub use meter::{Meter, UnknownZone};
pub use refusal::{Family, Refusal};
pub use report::{LimitReport, NetworkReport, Report, WindowReport};
pub use serve::{ServeError, Serving, SimulateOptions, serve};
#[cfg(test)]
pub(crate) use server::Unwired;
pub use server::serve_on;
pub use simulation::{Answer, CallRequest, Ruling, Simulation};
pub use token::{Denial, TokenSpec};
pub use verdict::{Caller, LimitKey, Outcome, Usage, Verdict};
