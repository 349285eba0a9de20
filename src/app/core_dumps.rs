//! No copy of the memory leaves the process: keys and tokens stand in it.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps, for good. On Linux no other program of the same user may read this one's memory any more, either: a debugger must be
/// root's.
pub fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // A limit is not asked where dumps are handed to a program.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}
