//! Wiring: what runs when the program is started, and in which order it stops.

mod catalogue;
pub mod demo;
mod doctor;
mod observer;
pub mod routes;
mod serve;
mod simulate;

pub use doctor::doctor;
pub use serve::{Running, ServeOptions, serve, start};
pub use simulate::simulate;
