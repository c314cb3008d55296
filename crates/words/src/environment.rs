//! `envi`: the process and its machine, under the keys that tools look for.

use std::fmt;

/// The facts of `envi`, which its `Display` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The full version.
    pub version: String,
    /// The machine's name.
    pub host_name: String,
    /// The system's name, such as `Linux`.
    pub os_name: String,
    /// The processor in Java's words: see [`java_arch`].
    pub os_arch: String,
    /// The kernel's version.
    pub os_version: String,
    /// Who runs the process.
    pub user_name: String,
    /// That user's home.
    pub user_home: String,
    /// The working directory.
    pub user_dir: String,
    /// Bytes of memory that are free.
    pub memory_free: u64,
    /// Bytes of memory that the process may have.
    pub memory_max: u64,
    /// Bytes of memory that the process has.
    pub memory_total: u64,
}

/// Java's word for a processor that Rust names so.
#[must_use]
pub fn java_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "x86" => "i386",
        "powerpc64" => "ppc64",
        other => other,
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Environment:")?;
        writeln!(f, "zookeeper.version={}", self.version)?;
        writeln!(f, "host.name={}", self.host_name)?;
        // The keys stay, because tools expect them; there is no Java to tell of.
        for key in ABSENT {
            writeln!(f, "{key}=none")?;
        }
        for (key, value) in [
            ("os.name", &self.os_name),
            ("os.arch", &self.os_arch),
            ("os.version", &self.os_version),
            ("user.name", &self.user_name),
            ("user.home", &self.user_home),
            ("user.dir", &self.user_dir),
        ] {
            writeln!(f, "{key}={value}")?;
        }
        for (key, bytes) in [
            ("os.memory.free", self.memory_free),
            ("os.memory.max", self.memory_max),
            ("os.memory.total", self.memory_total),
        ] {
            writeln!(f, "{key}={}MB", bytes >> 20)?;
        }
        Ok(())
    }
}

const ABSENT: [&str; 7] = [
    "java.version",
    "java.vendor",
    "java.home",
    "java.class.path",
    "java.library.path",
    "java.io.tmpdir",
    "java.compiler",
];
