//! The imports that are known: their settings, their counts, and whether a stream works on them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::{BeginImport, ImportCounts, ImportError, Outcome, count, is_forgotten};
use crate::base::clock::Timestamp;

/// Imports remembered at once; the oldest that nobody works on makes room.
const MAX_KNOWN: usize = 1_000;

/// The imports that are known.
#[derive(Default)]
pub struct Imports {
    known: Arc<Mutex<HashMap<String, Known>>>,
}

struct Known {
    begin: BeginImport,
    counts: ImportCounts,
    running: bool,
    since: Timestamp,
}

/// An import that a stream works on, until this is dropped.
pub(super) struct Running {
    known: Arc<Mutex<HashMap<String, Known>>>,
    import_id: String,
}

impl Imports {
    /// Begins an import or goes on with it.
    pub(super) fn begin(&self, begin: &BeginImport, now: Timestamp) -> Result<Running, ImportError> {
        let mut known = self.known.lock().expect("no code panics while it holds the imports");
        known.retain(|_, import| import.running || !is_forgotten(import.since, now));
        let import_id = begin.import_id.clone();
        if let Some(import) = known.get_mut(&import_id) {
            if import.begin != *begin {
                return Err(ImportError::Mismatch(import_id));
            }
            if import.running {
                return Err(ImportError::InProgress(import_id));
            }
            import.running = true;
            import.since = now;
        } else {
            make_room(&mut known)?;
            let import = Known { begin: begin.clone(), counts: ImportCounts::default(), running: true, since: now };
            known.insert(import_id.clone(), import);
        }
        Ok(Running { known: self.known.clone(), import_id })
    }
}

fn make_room(known: &mut HashMap<String, Known>) -> Result<(), ImportError> {
    if known.len() < MAX_KNOWN {
        return Ok(());
    }
    let idle = known.iter().filter(|(_, import)| !import.running);
    let oldest = idle.min_by_key(|(_, import)| import.since).map(|(id, _)| id.clone());
    known.remove(&oldest.ok_or(ImportError::TooMany)?);
    Ok(())
}

impl Running {
    /// The counts so far.
    pub fn counts(&self) -> ImportCounts {
        let known = self.known.lock().expect("no code panics while it holds the imports");
        known.get(&self.import_id).map(|import| import.counts).unwrap_or_default()
    }

    /// Sets the counts to what is stored.
    pub fn set(&self, counts: ImportCounts) {
        let mut known = self.known.lock().expect("no code panics while it holds the imports");
        if let Some(import) = known.get_mut(&self.import_id) {
            import.counts = counts;
        }
    }

    /// Counts outcomes.
    pub fn count<'a>(&self, outcomes: impl Iterator<Item = &'a Outcome>) {
        let mut known = self.known.lock().expect("no code panics while it holds the imports");
        if let Some(import) = known.get_mut(&self.import_id) {
            outcomes.for_each(|outcome| count(&mut import.counts, outcome));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut known = self.known.lock().expect("no code panics while it holds the imports");
        if let Some(import) = known.get_mut(&self.import_id) {
            import.running = false;
        }
    }
}
