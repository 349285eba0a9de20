//! What stands in the broker's memory does not get out of it when it crashes.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::support::Launch;

#[test]
fn a_broker_that_crashes_leaves_no_dump() {
    let dir = tempfile::tempdir().unwrap();
    // As much as the machine allows.
    let mut broker = Launch::new(dir.path()).after("ulimit -S -c $(ulimit -H -c)").start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", broker.pid())).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{limit}");
    let aborted = Command::new("sh").args(["-c", &format!("kill -ABRT {}", broker.pid())]).status().unwrap();
    assert!(aborted.success());
    let ended = broker.end();
    assert_eq!((ended.status.signal(), ended.status.core_dumped()), (Some(6), false), "{}", ended.text());
}
