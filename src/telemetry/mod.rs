//! What operators see from outside: the log and the metrics.
//!
//! Every metric stands in one table ([`TABLE`]); nothing else can be recorded. Labels are bounded: teams, networks and
//! classes pass a registry with a cap, all other labels are words of the program. No secret and no user's text gets here.

mod call;
mod labels;
mod logs;
mod metrics;
mod rows;
mod table;

pub use call::CallName;
pub use labels::OVERFLOW;
pub use logs::{LogError, install_panic_hook, start_log};
pub use metrics::{GrpcMethod, Metrics, NetworkMetrics};
pub use rows::{AlertRow, IncidentRow, LoadRow, TokenRow};
pub use table::{Kind, Metric, TABLE};
