//! The catalogue with the operator's own files.

use std::path::Path;

use anyhow::{Context, bail};

use crate::domain::networks::Catalogue;

/// The embedded catalogue, with the `*.toml` files of `dir` over it.
pub fn read_catalogue(dir: Option<&Path>) -> anyhow::Result<Catalogue> {
    let Some(dir) = dir else { return Ok(Catalogue::embedded()) };
    let mut files = Vec::new();
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("'{}' can't be read; check the path", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("'{}' can't be read; it must be a text in UTF-8", path.display()))?;
            files.push((name, text));
        }
    }
    if files.is_empty() {
        bail!(
            "'{}' holds no file '<network>.toml'; name the folder with your files, or leave the setting out",
            dir.display()
        );
    }
    files.sort();
    match Catalogue::load(&files) {
        Ok(catalogue) => Ok(catalogue),
        Err(mistakes) => bail!("the catalogue files have mistakes:\n{mistakes}"),
    }
}
