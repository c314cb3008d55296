//! The gate: every check of a change, in the order in which they fail fastest.

use anyhow::{Result, bail};
use std::process::Command;
use std::time::Instant;

/// A step: its name, and the command that is it.
struct Step {
    name: &'static str,
    command: &'static [&'static str],
}

const STEPS: &[Step] = &[
    Step { name: "fmt", command: &["cargo", "fmt", "--all", "--check"] },
    Step { name: "tidy", command: &["cargo", "xtask", "tidy"] },
    Step {
        name: "clippy",
        command: &[
            "cargo",
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
    },
    Step { name: "build", command: &["cargo", "build", "--release", "--package", "quorate"] },
    Step { name: "tests", command: &["cargo", "nextest", "run", "--workspace"] },
    Step { name: "doctests", command: &["cargo", "test", "--doc", "--package", "quorate-client"] },
    Step { name: "corpora", command: &["cargo", "test", "--manifest-path", "fuzz/Cargo.toml"] },
    Step {
        name: "seeds",
        command: &[
            "cargo",
            "run",
            "--profile",
            "fast",
            "--package",
            "sim",
            "--",
            "--seeds",
            "1000",
            "--quiet",
        ],
    },
    Step {
        name: "ensembles",
        command: &[
            "cargo",
            "run",
            "--profile",
            "fast",
            "--package",
            "sim",
            "--",
            "engines",
            "--seeds",
            "1000",
        ],
    },
    Step { name: "readers", command: &["cargo", "xtask", "readers"] },
    Step { name: "counts", command: &["cargo", "xtask", "counts"] },
    Step { name: "tours", command: &["interop/tours/serve", "{quorate} serve {cfg}"] },
    Step { name: "toolkits", command: &["interop/toolkits", "{quorate}"] },
    Step { name: "kazoo", command: &["interop/kazoo", "{quorate} serve {cfg}"] },
    Step {
        name: "bench",
        command: &[
            "interop/bench/check",
            "--only",
            "get-50x1,set-50x1,get-16x32,get-rate,wrong",
            "{quorate} serve {cfg}",
        ],
    },
    Step { name: "mutants", command: &["cargo", "xtask", "mutants"] },
    Step {
        name: "docs",
        command: &["cargo", "doc", "--workspace", "--no-deps", "--document-private-items"],
    },
];

pub(crate) fn run(flags: &[&str]) -> Result<()> {
    let (mut install, mut only) = (true, None);
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        match *flag {
            "--no-install" => install = false,
            "--only" => only = flags.next().copied(),
            other => bail!("unknown flag {other}; allowed: --no-install, --only STEP"),
        }
    }
    if install && only.is_none() {
        perform("install", &[".ci/install"])?;
    }
    let chosen: Vec<&Step> = STEPS.iter().filter(|s| only.is_none_or(|o| o == s.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!("no such step; steps: {}", names.join(", "));
    }
    let start = Instant::now();
    for step in chosen {
        perform(step.name, step.command)?;
    }
    println!("ci: everything passed in {} s", start.elapsed().as_secs());
    Ok(())
}

fn perform(name: &str, command: &[&str]) -> Result<()> {
    println!("ci: {name}: {}", command.join(" "));
    let start = Instant::now();
    let quorate = std::path::absolute("target/release/quorate")?;
    let in_place = |arg: &&str| arg.replace("{quorate}", &quorate.to_string_lossy());
    let status = Command::new(command[0])
        .args(command[1..].iter().map(in_place))
        .env("QUORATE_BIN", &quorate)
        .env("QUORATE_TEST_REQUIRED", "1")
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()?;
    println!("ci: {name} took {} s", start.elapsed().as_secs());
    if !status.success() {
        bail!("{name} failed: {}", command.join(" "));
    }
    Ok(())
}
