//! What processes cost: CPU time and memory, read from `/proc`; and how many files this one may open.

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit};
use rustix::time::ClockId;
use std::fs;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usage {
    /// CPU time of all threads, user and system, in s.
    pub(crate) cpu: f64,
    /// Resident memory now, in bytes.
    pub(crate) resident: u64,
    /// The most that it was, in bytes.
    pub(crate) resident_peak: u64,
}

/// What the process `pid` has used.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/{pid}/{name}")).with_context(|| format!("process {pid}"))
    };
    let ticks = cpu_ticks(&read("stat")?).with_context(|| format!("/proc/{pid}/stat"))?;
    let status = read("status")?;
    Ok(Usage {
        cpu: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
        resident: status_bytes(&status, "VmRSS:").unwrap_or(0),
        resident_peak: status_bytes(&status, "VmHWM:").unwrap_or(0),
    })
}

/// The CPU time of this process, in s.
pub(crate) fn own_cpu() -> f64 {
    let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Lets this process, and the servers that it starts, open as many files as the system allows.
pub(crate) fn raise_file_limit() {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    // Where that is refused, the limit stays as it is, and is told when it is too low.
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Fails if this process may not open so many connections.
pub(crate) fn require_files(connections: usize) -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    ensure!(
        connections as u64 + FILES_BESIDE <= limit,
        "{connections} connections need more open files than the limit of {limit}: see `ulimit -n`"
    );
    Ok(())
}

/// Files that are open beside the connections, rather too many than too few.
const FILES_BESIDE: u64 = 32;

/// utime and stime of a `stat` line: fields 14 and 15, counted after the name, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, own_cpu, raise_file_limit, require_files, status_bytes, usage};

    #[test]
    fn the_fields_are_found_after_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 1 0 9";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("7 nonsense"), None);
        assert_eq!(status_bytes("Name:\tx\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12_288));
    }

    #[test]
    fn more_connections_than_files_are_refused() {
        raise_file_limit();
        assert!(require_files(10).is_ok());
        let error = require_files(usize::MAX / 2).expect_err("nobody may open so many");
        assert!(error.to_string().contains("ulimit -n"), "{error}");
    }

    #[test]
    fn this_process_has_used_something() {
        let mut x = 1u64;
        while own_cpu() < 0.03 {
            x = x.wrapping_mul(3);
        }
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.cpu > 0.0 && usage.resident > 100_000, "{usage:?} {x}");
        assert!(usage.resident_peak >= usage.resident);
    }
}
