//! The settings, read and checked against the catalogue.

use std::path::Path;

use super::catalogue::read_catalogue;
use crate::config::{Config, ConfigErrors};
use crate::service::settings::misfits;

/// Reads `file` (if any), the environment and `overrides` (`section.key`, value). Reports every mistake at once, also those that
/// only the catalogue shows.
pub fn load_config(
    file: Option<&Path>,
    environment: Vec<(String, String)>,
    overrides: &[(String, String)],
) -> Result<Config, ConfigErrors> {
    Config::load(file, environment, overrides, |config| match read_catalogue(config.catalogue.dir.as_deref()) {
        Ok(catalogue) => misfits(config, &catalogue),
        Err(error) => vec![("catalogue.dir".to_owned(), format!("{error:#}"))],
    })
}
