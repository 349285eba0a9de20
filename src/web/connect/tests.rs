//! Accounts are connected over real sockets: a browser, the pages, and the simulated networks as strict judges.

mod bound;
mod browser;
mod callbacks;
mod outcomes;
mod people;
mod routes;
mod whole_catalogue;

use browser::{Answer, Browser, Stage, ask};
