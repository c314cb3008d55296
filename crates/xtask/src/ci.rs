//! The gate: every check of a change, in the order in which they fail fastest.

use anyhow::{Result, bail};
use std::io::Write;
use std::process::Command;
use std::time::Instant;

/// A step: its name, and the command that is it.
struct Step {
    name: &'static str,
    command: &'static [&'static str],
    company: Company,
}

/// What may run at the same time. Steps that stand together and name the same company run together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Company {
    /// Nothing: it takes all cores, or measures time.
    None,
    /// Those that count instructions, on one core each.
    Counters,
    /// Known defects, of which each builds little and then runs alone, and what only builds.
    Builders,
    /// Foreign clients, tools and suites, which mostly start, or wait for sessions to expire and
    /// servers to come back.
    Clients,
}

/// The simulator, as the tests are built, with these words.
macro_rules! sim {
    ($($word:literal),*) => {
        &["cargo", "run", "--profile", "test", "--package", "sim", "--", $($word),*]
    };
}

const STEPS: &[Step] = &[
    Step { name: "fmt", command: &["cargo", "fmt", "--all", "--check"], company: Company::None },
    Step { name: "tidy", command: &["cargo", "xtask", "tidy"], company: Company::None },
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
        company: Company::None,
    },
    Step {
        name: "build",
        // What is measured is built with it: alone it would want other features of what both share.
        command: &["cargo", "build", "--release", "--package", "quorate", "--package", "counts"],
        company: Company::None,
    },
    Step {
        name: "tests",
        command: &["cargo", "nextest", "run", "--workspace"],
        company: Company::None,
    },
    Step {
        name: "doctests",
        command: &["cargo", "test", "--doc", "--package", "quorate-client"],
        company: Company::None,
    },
    Step {
        name: "standalone",
        command: sim!["standalone", "--seeds", "400", "--quiet"],
        company: Company::None,
    },
    Step { name: "members", command: sim!["members", "--seeds", "1000"], company: Company::None },
    Step {
        name: "members-raft",
        command: sim!["members", "--engine", "raft", "--seeds", "1000"],
        company: Company::None,
    },
    Step { name: "engines", command: sim!["engines", "--seeds", "1000"], company: Company::None },
    Step {
        name: "engines-raft",
        command: sim!["engines", "--engine", "raft", "--seeds", "1000"],
        company: Company::None,
    },
    Step { name: "explore", command: sim!["explore"], company: Company::None },
    Step {
        name: "explore-raft",
        command: sim!["explore", "--engine", "raft"],
        company: Company::None,
    },
    Step { name: "readers", command: &["cargo", "xtask", "readers"], company: Company::Counters },
    Step { name: "counts", command: &["cargo", "xtask", "counts"], company: Company::Counters },
    Step {
        name: "tours",
        command: &["interop/tours/serve", "{quorate} serve {cfg}"],
        company: Company::Clients,
    },
    Step {
        name: "toolkits",
        command: &["interop/toolkits", "{quorate}"],
        company: Company::Clients,
    },
    Step {
        name: "kazoo",
        command: &["interop/kazoo", "{quorate} serve {cfg}"],
        company: Company::Clients,
    },
    Step {
        name: "kazoo-ensemble",
        command: &["interop/kazoo", "--ensemble", "{quorate} serve {cfg}"],
        company: Company::Clients,
    },
    Step {
        name: "kazoo-raft",
        command: &[
            "env",
            "ZOOKEEPER_PORT_OFFSET=22000",
            "interop/kazoo",
            "--ensemble",
            "{quorate} serve --engine raft {cfg}",
        ],
        company: Company::Clients,
    },
    Step {
        name: "bench",
        command: &[
            "interop/bench/check",
            "--only",
            "get-50x1,set-50x1,get-16x32,get-rate,wrong",
            "{quorate} serve {cfg}",
        ],
        company: Company::None,
    },
    Step {
        name: "mutants",
        command: &["cargo", "xtask", "mutants", "--share"],
        company: Company::Builders,
    },
    Step {
        name: "docs",
        command: &["cargo", "doc", "--workspace", "--no-deps", "--document-private-items"],
        company: Company::Builders,
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
    for together in chosen.chunk_by(|a, b| a.company == b.company && a.company != Company::None) {
        perform_together(together)?;
    }
    println!("ci: everything passed in {} s", start.elapsed().as_secs());
    Ok(())
}

/// Runs steps at the same time, with the output of each in one piece; all end before one that
/// failed is told.
fn perform_together(steps: &[&Step]) -> Result<()> {
    if let [step] = steps {
        return perform(step.name, step.command);
    }
    let run = |step: &Step| {
        let start = Instant::now();
        let output = command(step.command)?.output()?;
        let seconds = start.elapsed().as_secs();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ci: {}: {}", step.name, step.command.join(" "))?;
        out.write_all(&output.stdout)?;
        out.write_all(&output.stderr)?;
        writeln!(out, "ci: {} took {seconds} s beside others", step.name)?;
        if !output.status.success() {
            bail!("{} failed: {}", step.name, step.command.join(" "));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = steps.iter().map(|step| scope.spawn(|| run(step))).collect();
        let ends = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        ends.collect::<Vec<_>>().into_iter().collect()
    })
}

fn perform(name: &str, words: &[&str]) -> Result<()> {
    println!("ci: {name}: {}", words.join(" "));
    let start = Instant::now();
    let status = command(words)?.status()?;
    println!("ci: {name} took {} s", start.elapsed().as_secs());
    if !status.success() {
        bail!("{name} failed: {}", words.join(" "));
    }
    Ok(())
}

fn command(words: &[&str]) -> Result<Command> {
    let quorate = std::path::absolute("target/release/quorate")?;
    let in_place = |arg: &&str| arg.replace("{quorate}", &quorate.to_string_lossy());
    let mut command = Command::new(words[0]);
    command
        .args(words[1..].iter().map(in_place))
        .env("QUORATE_BIN", &quorate)
        .env("QUORATE_TEST_REQUIRED", "1")
        .env("RUSTDOCFLAGS", "-D warnings");
    Ok(command)
}
