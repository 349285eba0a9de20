//! Wiring: what runs when the program is started, and in which order it stops.

mod admin_key;
mod audit;
mod catalogue;
mod core_dumps;
pub mod demo;
mod doctor;
mod observer;
mod open;
mod serve;
pub mod services;
mod settings;
mod simulate;

pub use admin_key::make_admin_key;
pub use audit::{export_audit, verify_audit};
pub use core_dumps::forbid_core_dumps;
pub use doctor::doctor;
pub use observer::CallMetrics;
pub use open::{Opened, open};
pub use serve::{Running, ServeOptions, listen, serve};
pub use settings::load_config;
pub use simulate::{SimulateOptions, Simulated, simulate};
