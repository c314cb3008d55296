//! How long clients of an ensemble wait for their writes when a member is lost.

use anyhow::Result;
use clap::Parser;
use e2e::recovery::{Loss, Subject, middle_and_worst};
use e2e::servers::{Config, Kind};
use std::time::Duration;

/// Loses members of ensembles of three under load, again and again, and prints a table: the first
/// and the last client that goes on. Needs root.
#[derive(Parser)]
struct Arguments {
    /// Which ensembles: quorate, raft, java38 or java39.
    #[arg(long, value_delimiter = ',', default_value = "quorate,java38")]
    kinds: Vec<String>,
    /// What happens: the leader's kill, pause, cut or stop (SIGTERM), or a follower's kill and start.
    #[arg(long, value_delimiter = ',', default_value = "kill,pause,cut,stop,follower")]
    losses: Vec<String>,
    /// How often each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many clients each member has.
    #[arg(long, default_value_t = 2)]
    clients: usize,
    /// The tick in ms; a silent leader is given up after syncLimit=5 of them.
    #[arg(long, default_value_t = 2000)]
    tick: u32,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let losses = arguments.losses.iter().map(|l| Loss::parse(l)).collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    for kind in arguments.kinds.iter().map(|k| Kind::parse(k)) {
        let kind = kind?;
        let mut subject = Subject::start(&kind, config(arguments.tick), arguments.clients)?;
        for loss in &losses {
            let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
            for round in 0..arguments.rounds {
                let times = subject.round(*loss)?;
                eprintln!("{kind}, {loss}, {round}: {times:?}");
                firsts.extend(times.first().copied());
                lasts.extend(times.last().copied());
            }
            rows.push(row(&kind, &format!("{loss}, first"), firsts)?);
            rows.push(row(&kind, &format!("{loss}, last"), lasts)?);
        }
    }
    println!("{:<8} {:<28} {:>10} {:>10}", "servers", "lost, client", "median", "worst");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

fn config(tick: u32) -> Config {
    let lines = [
        &format!("tickTime={tick}"),
        "initLimit=10",
        "syncLimit=5",
        "maxSessionTimeout=120000",
        "maxClientCnxns=0",
    ];
    Config { lines: lines.map(str::to_owned).into(), properties: Vec::new() }
}

fn row(kind: &Kind, what: &str, mut times: Vec<Duration>) -> Result<String> {
    times.sort();
    let (median, worst) = middle_and_worst(&times)?;
    let ms = |time: Duration| format!("{:.1} ms", 1000.0 * time.as_secs_f64());
    let kind = kind.to_string();
    Ok(format!("{kind:<8} {what:<28} {:>10} {:>10}", ms(median), ms(worst)))
}
