//! What the tests of the program share: the broker's process, other programs, the API and something to lease.

mod api;
mod process;
mod programs;
mod scene;
mod simulated;

pub use api::{Api, Refused, soon};
pub use process::{Broker, Ended, Launch, PATIENCE, Ready, has_ended, run_bounded};
pub use programs::{BINARY, cli, installed, python, tool};
pub use scene::{Scene, make_collector, make_team, person_token};
pub use simulated::Simulated;
