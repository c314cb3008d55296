//! What the process and its machine are, for `envi` and the metrics.

use rustix::process::{Resource, getrlimit, getuid};
use std::fs;
use words::{Environment, java_arch};

/// The facts of `envi`.
pub(crate) fn environment(version: &str) -> Environment {
    let uname = rustix::system::uname();
    let variable = |name| std::env::var(name).unwrap_or_default();
    let user = variable("USER");
    let (memory_total, memory_peak) = memory();
    let sysinfo = rustix::system::sysinfo();
    let unit = u64::from(sysinfo.mem_unit.max(1));
    Environment {
        version: version.to_owned(),
        host_name: uname.nodename().to_string_lossy().into_owned(),
        os_name: uname.sysname().to_string_lossy().into_owned(),
        os_arch: java_arch(std::env::consts::ARCH).to_owned(),
        os_version: uname.release().to_string_lossy().into_owned(),
        user_name: if user.is_empty() { getuid().as_raw().to_string() } else { user },
        user_home: variable("HOME"),
        user_dir: std::env::current_dir().unwrap_or_default().display().to_string(),
        memory_free: memory_peak.saturating_sub(memory_total),
        memory_max: sysinfo.totalram.saturating_mul(unit),
        memory_total,
    }
}

/// Open file descriptors, and how many there may be; -1 where the system does not tell.
pub(crate) fn file_descriptors() -> (i64, i64) {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let open = fs::read_dir("/proc/self/fd").map_or(-1, |dir| number(dir.count()));
    let max = getrlimit(Resource::Nofile).current;
    (open, max.map_or(-1, |max| i64::try_from(max).unwrap_or(i64::MAX)))
}

/// Bytes of memory that the process has, and had at most.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        let kib = line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0);
        kib * 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}
