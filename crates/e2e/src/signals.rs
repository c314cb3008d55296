//! Signals to processes, with what they come to.

use anyhow::{Result, bail, ensure};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Sends a signal, `-STOP` for example.
pub(crate) fn signal(child: &Child, signal: &str) -> Result<()> {
    let status = Command::new("kill").arg(signal).arg(child.id().to_string()).status()?;
    ensure!(status.success(), "kill {signal}: {status}");
    Ok(())
}

/// Ends a process with SIGTERM, and waits for that.
pub(crate) fn terminate(mut child: Child) -> Result<ExitStatus> {
    signal(&child, "-TERM")?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > END_TIME_MAX {
            child.kill()?;
            child.wait()?;
            bail!("it did not end on SIGTERM within {END_TIME_MAX:?}");
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The signal is with the process at once, and with its threads when each of them has looked.
pub(crate) fn wait_until_stopped(child: &Child) -> Result<()> {
    let tasks = PathBuf::from(format!("/proc/{}/task", child.id()));
    let start = Instant::now();
    loop {
        let mut all = true;
        for task in fs::read_dir(&tasks)? {
            // A thread that ends meanwhile does nothing any more.
            let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            all &= matches!(state, Some('T' | 't' | 'Z' | 'X'));
        }
        if all {
            return Ok(());
        }
        ensure!(start.elapsed() < STOP_TIME_MAX, "SIGSTOP did not stop every thread");
        thread::sleep(Duration::from_millis(1));
    }
}

/// How long a process may take to stop.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a process may take to end by itself.
const END_TIME_MAX: Duration = Duration::from_secs(10);
