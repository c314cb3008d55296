//! The command line: which servers, which workloads, which reports.

use crate::load::plan::Load;
use crate::measure::measure;
use crate::process;
use crate::report::comparison::{self, Comparison};
use crate::report::outcome::Outcome;
use crate::report::{plot, text};
use crate::suite::{self, Row};
use crate::target::Target;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure any ZooKeeper server.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one workload against a server
    Run {
        #[command(flatten)]
        server: One,
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        reports: Reports,
    },
    /// Run the standard workloads against one server, or two in turn
    Suite {
        #[command(flatten)]
        servers: Servers,
        #[command(flatten)]
        rows: Rows,
        #[command(flatten)]
        reports: Reports,
    },
    /// Run one workload against two servers in turn, and print ratios
    Compare {
        #[command(flatten)]
        servers: Servers,
        /// Rounds: A B, A B, ...
        #[arg(long, default_value_t = 2)]
        rounds: usize,
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        reports: Reports,
    },
    /// Print the standard workloads
    List,
}

#[derive(Debug, Args)]
struct Start {
    /// Where servers that are started here keep their data [default: the directory for temporary files]
    #[arg(long, value_name = "DIR")]
    data_parent: Option<PathBuf>,
    /// Adds a line to the zoo.cfg of servers that are started here; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    lines: Vec<String>,
}

#[derive(Debug, Args)]
struct One {
    /// `HOST:PORT`, or `HOST:PORT:PID`, several separated by commas; the costs of processes with a
    /// pid are told
    #[arg(value_name = "SERVER", required_unless_present = "cmd")]
    server: Option<String>,
    /// Starts the server for the measurement: a shell command in which {cfg} is its zoo.cfg
    #[arg(long, value_name = "COMMAND", conflicts_with = "server")]
    cmd: Option<String>,
    #[command(flatten)]
    start: Start,
}

#[derive(Debug, Args)]
struct Servers {
    /// Server A: `HOST:PORT`, or `HOST:PORT:PID`, several separated by commas
    #[arg(long, value_name = "SERVER", required_unless_present = "a_cmd")]
    a: Option<String>,
    /// Server B
    #[arg(long, value_name = "SERVER")]
    b: Option<String>,
    /// Starts server A: a shell command in which {cfg} is its zoo.cfg
    #[arg(long, value_name = "COMMAND", conflicts_with = "a")]
    a_cmd: Option<String>,
    /// Starts server B
    #[arg(long, value_name = "COMMAND", conflicts_with = "b")]
    b_cmd: Option<String>,
    #[command(flatten)]
    start: Start,
}

#[derive(Debug, Args)]
struct Rows {
    /// Rows to run, separated by commas; a part of a name chooses all that have it [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Rounds: A B, A B, ...
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Seconds that count, of each row and round
    #[arg(long, short = 's', default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before counting begins
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Threads of the load generator
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Reports")]
struct Reports {
    /// Writes everything as JSON to this file; - is stdout, in place of the text
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Plots throughput and latency over time to this file, SVG or .html
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Runs `quorate bench`: 0 when all was measured, 1 when not, or when no operation succeeded.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    process::raise_file_limit();
    match dispatch(&arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorate bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command) -> Result<()> {
    match command {
        Command::Run { server, load, reports } => run_one(server, load, reports),
        Command::Suite { servers, rows, reports } => {
            let chosen = rows.chosen()?;
            run_rows(servers, &chosen, rows.rounds, reports)
        }
        Command::Compare { servers, rounds, load, reports } => {
            ensure!(servers.has_two(), "compare needs two servers: give --b or --b-cmd");
            let row = Row { name: load.kind.slots()[0], load: load.clone() };
            run_rows(servers, &[row], *rounds, reports)
        }
        Command::List => {
            for Row { name, load } in suite::rows() {
                let Load { kind, connections, window, .. } = load;
                println!("{name:<16} {kind:?}, {connections} connections, window {window}");
            }
            Ok(())
        }
    }
}

fn run_one(server: &One, load: &Load, reports: &Reports) -> Result<()> {
    let target = server.start.target("", server.server.as_deref(), server.cmd.as_deref())?;
    let target = target.context("no server")?;
    let name = format!("{:?}", load.kind).to_lowercase();
    let outcome = measure(&name, load, &target)?;
    reports.write(&text::summary(&outcome), &outcome, std::slice::from_ref(&outcome))?;
    ensure!(outcome.operations > 0, "no operation succeeded");
    Ok(())
}

fn run_rows(servers: &Servers, rows: &[Row], rounds: usize, reports: &Reports) -> Result<()> {
    ensure!(rounds > 0, "--rounds must be at least 1");
    let start = &servers.start;
    let a = start.target("A", servers.a.as_deref(), servers.a_cmd.as_deref())?;
    let a = a.context("no server A")?;
    let b = start.target("B", servers.b.as_deref(), servers.b_cmd.as_deref())?;
    let (mut on_a, mut on_b, mut comparisons) = (Vec::new(), Vec::new(), Vec::new());
    for Row { name, load } in rows {
        let (mut rounds_a, mut rounds_b) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            rounds_a.push(measure(name, load, &a)?);
            if let Some(b) = &b {
                rounds_b.push(measure(name, load, b)?);
            }
        }
        eprintln!("{}", progress_of(name, &rounds_a, &rounds_b));
        if b.is_some() {
            comparisons.push(Comparison::of(name, rounds_a.clone(), rounds_b.clone()));
            on_b.push(((*name).to_owned(), rounds_b));
        }
        on_a.push(((*name).to_owned(), rounds_a));
    }
    let plotted: Vec<Outcome> =
        on_a.iter().chain(&on_b).flat_map(|(_, rounds)| rounds).cloned().collect();
    let mut words = side("A", servers.a.as_ref().or(servers.a_cmd.as_ref()), &on_a);
    if b.is_none() {
        return reports.write(&words, &plotted, &plotted);
    }
    words += &side("B", servers.b.as_ref().or(servers.b_cmd.as_ref()), &on_b);
    words += &comparison::ratios(&comparisons);
    reports.write(&words, &comparisons, &plotted)
}

/// The table of one server, under what it is.
fn side(label: &str, server: Option<&String>, rows: &[(String, Vec<Outcome>)]) -> String {
    let server = server.map_or("", String::as_str);
    format!("{label}: {server}\n{}\n", comparison::table(rows))
}

/// One line per row while the others are still to come.
fn progress_of(name: &str, a: &[Outcome], b: &[Outcome]) -> String {
    let rates = |side: &[Outcome]| {
        let rates: Vec<_> = side.iter().map(|o| text::count(o.operations_per_s)).collect();
        rates.join(" ")
    };
    if b.is_empty() {
        return format!("{name}: {}", rates(a));
    }
    format!("{name}: A {}  B {}", rates(a), rates(b))
}

impl Start {
    fn target(
        &self,
        label: &str,
        server: Option<&str>,
        command: Option<&str>,
    ) -> Result<Option<Target>> {
        if let Some(text) = server {
            return Target::parse(label, text).map(Some);
        }
        let parent = self.data_parent.clone().unwrap_or_else(std::env::temp_dir);
        command.map(|command| Target::start(label, command, &parent, &self.lines)).transpose()
    }
}

impl Servers {
    fn has_two(&self) -> bool {
        self.b.is_some() || self.b_cmd.is_some()
    }
}

impl Rows {
    fn chosen(&self) -> Result<Vec<Row>> {
        let mut rows = suite::rows();
        for wanted in &self.only {
            if rows.iter().all(|row| !row.name.contains(wanted.as_str())) {
                bail!("no workload has {wanted:?} in its name; `quorate bench list` prints all");
            }
        }
        let is_wanted = |row: &Row| {
            self.only.is_empty() || self.only.iter().any(|part| row.name.contains(part.as_str()))
        };
        rows.retain(is_wanted);
        for row in &mut rows {
            row.load.seconds = self.seconds;
            row.load.warm_up = self.warm_up;
            row.load.threads = self.threads;
        }
        Ok(rows)
    }
}

impl Reports {
    fn write(&self, words: &str, json: &impl Serialize, plotted: &[Outcome]) -> Result<()> {
        if let Some(path) = &self.plot {
            fs::write(path, plot::document(path, plotted))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        match &self.json {
            Some(path) if path.as_os_str() == "-" => {
                println!("{}", serde_json::to_string_pretty(json)?);
                return Ok(());
            }
            Some(path) => fs::write(path, serde_json::to_string_pretty(json)?)
                .with_context(|| format!("cannot write {}", path.display()))?,
            None => {}
        }
        print!("{words}");
        Ok(())
    }
}
