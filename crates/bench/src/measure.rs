//! One measurement: nodes made, workers run, counts gathered, costs taken, nodes removed.

use crate::histogram::Histogram;
use crate::load::plan::Load;
use crate::load::tally::{News, Tally, Timing};
use crate::load::worker::Worker;
use crate::prepare::Preparation;
use crate::process::{self, Usage};
use crate::progress::Progress;
use crate::report::outcome::{Cost, Outcome, Point};
use crate::target::Target;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `load` on `target`; `name` is the workload's in reports.
///
/// # Errors
/// If the server is not there, refuses sessions, or the nodes cannot be made.
pub fn measure(name: &str, load: &Load, target: &Target) -> Result<Outcome> {
    load.validate().map_err(anyhow::Error::msg)?;
    process::require_files(load.connections)?;
    let root = format!("/quorate-bench-{}", std::process::id());
    let mut preparation = Preparation::connect(target.hosts[0])?;
    preparation.make(load, &root)?;
    preparation.close()?;
    let gathered = run(name, load, target, &root);
    // A session of its own: the load may have lasted longer than a quiet session lives.
    let mut preparation = Preparation::connect(target.hosts[0])?;
    preparation.remove(&root).context("nodes of the measurement are left behind")?;
    preparation.close()?;
    gathered
}

fn run(name: &str, load: &Load, target: &Target, root: &str) -> Result<Outcome> {
    let threads = load.threads_in_use();
    let origin = Instant::now();
    let (tell, news) = mpsc::channel();
    let mut gathering = Gathering::new(name, load, target, origin);
    gathering.at_rest = gathering.sample()?.resident();
    let mut starters = Vec::new();
    thread::scope(|scope| {
        for thread in 0..threads {
            let numbers = (thread as u64..load.connections as u64).step_by(threads);
            let (start, timing) = mpsc::channel();
            let tell = tell.clone();
            scope.spawn(move || work(load, target, root, numbers, origin, &tell, &timing));
            starters.push(start);
        }
        drop(tell);
        gathering.live(&news, starters)
    })
}

/// A worker's life on a thread of its own.
fn work(
    load: &Load,
    target: &Target,
    root: &str,
    numbers: impl Iterator<Item = u64>,
    origin: Instant,
    tell: &Sender<News>,
    timing: &Receiver<Timing>,
) {
    match Worker::new(load, &target.hosts, root, numbers, origin) {
        Ok(worker) => worker.run(tell, timing),
        // Nobody listens any more if the measurement was given up.
        Err(error) => drop(tell.send(News::Failed(error.into()))),
    }
}

/// What is known of a running measurement.
struct Gathering<'a> {
    name: &'a str,
    load: &'a Load,
    target: &'a Target,
    origin: Instant,
    timing: Timing,
    /// What each interval counted, over all workers.
    intervals: BTreeMap<usize, Tally>,
    /// Workers that have not yet ended.
    running: usize,
    ended_at: u64,
    last_error: Option<String>,
    /// The servers' memory before there were sessions, in bytes.
    at_rest: u64,
    progress: Progress,
}

/// Costs at one moment.
struct Sample {
    client_cpu: f64,
    servers: Vec<Usage>,
}

impl Sample {
    /// Memory of all servers, in bytes.
    fn resident(&self) -> u64 {
        self.servers.iter().map(|usage| usage.resident).sum()
    }
}

impl<'a> Gathering<'a> {
    fn new(name: &'a str, load: &'a Load, target: &'a Target, origin: Instant) -> Gathering<'a> {
        Gathering {
            name,
            load,
            target,
            origin,
            timing: Timing { from: 0, until: 0, interval: 1 },
            intervals: BTreeMap::new(),
            running: load.threads_in_use(),
            ended_at: 0,
            last_error: None,
            at_rest: 0,
            progress: Progress::new(format!("{name} {}", target.label)),
        }
    }

    fn live(mut self, news: &Receiver<News>, starters: Vec<Sender<Timing>>) -> Result<Outcome> {
        for _ in 0..self.running {
            if let News::Failed(error) = news.recv()? {
                return Err(error);
            }
        }
        self.timing = timing(self.load, ns(self.origin.elapsed()));
        for start in &starters {
            start.send(self.timing).context("a worker has ended early")?;
        }
        self.listen(news, Some(self.timing.from))?;
        let before = self.sample()?;
        self.listen(news, None)?;
        let after = self.sample()?;
        self.progress.finish();
        // Sessions are closed before the nodes are removed: the channel ends with the workers.
        while let Ok(news) = news.recv() {
            if let News::Failed(error) = news {
                return Err(error);
            }
        }
        Ok(self.outcome(&before, &after))
    }

    /// Takes news until a moment, or until all workers have ended.
    fn listen(&mut self, news: &Receiver<News>, until: Option<u64>) -> Result<()> {
        while self.running > 0 {
            let left = match until {
                Some(at) => Duration::from_nanos(at.saturating_sub(ns(self.origin.elapsed()))),
                None => Duration::from_secs(u64::from(u32::MAX)),
            };
            match news.recv_timeout(left) {
                Ok(News::Ready) => {}
                Ok(News::Interval { number, tally }) => self.interval(number, &tally),
                Ok(News::Ended { at, last_error }) => {
                    self.running -= 1;
                    self.ended_at = self.ended_at.max(at);
                    self.last_error = self.last_error.take().or(last_error);
                }
                Ok(News::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("a worker has ended early"),
            }
        }
        Ok(())
    }

    fn interval(&mut self, number: Option<usize>, tally: &Tally) {
        let Some(number) = number else { return };
        let slots = self.load.kind.slots().len();
        self.intervals.entry(number).or_insert_with(|| Tally::new(slots)).merge(tally);
        // The interval before is whole now, whichever worker is ahead.
        if let Some(tally) = number.checked_sub(1).and_then(|before| self.intervals.get(&before)) {
            let seconds = self.timing.interval as f64 / 1e9;
            self.progress.show(&point(tally, self.load.kind.counted(), number, seconds));
        }
    }

    fn sample(&self) -> Result<Sample> {
        let servers = self.target.pids.iter().map(|pid| process::usage(*pid));
        Ok(Sample {
            client_cpu: process::own_cpu(),
            servers: servers.collect::<Result<_>>().context("the server's costs")?,
        })
    }

    fn outcome(self, before: &Sample, after: &Sample) -> Outcome {
        let kind = self.load.kind;
        let mut total = Tally::new(kind.slots().len());
        self.intervals.values().for_each(|tally| total.merge(tally));
        let seconds = self.ended_at.saturating_sub(self.timing.from).max(1) as f64 / 1e9;
        let length = self.timing.interval as f64 / 1e9;
        let whole = |number: &usize| (number + 1) as f64 * length <= seconds * (1.0 + 1e-6);
        let series = self
            .intervals
            .iter()
            .filter(|(number, _)| whole(number))
            .map(|(number, tally)| point(tally, kind.counted(), number + 1, length))
            .collect();
        let costs = self.target.pids.iter().zip(before.servers.iter().zip(&after.servers));
        let servers = costs.map(|(pid, (before, after))| Cost {
            pid: *pid,
            cpu_s: after.cpu - before.cpu,
            resident_bytes: after.resident,
            resident_peak_bytes: after.resident_peak,
        });
        let grown = before.resident().max(after.resident()).saturating_sub(self.at_rest);
        let mut outcome = Outcome::new(
            self.name,
            self.load,
            self.target,
            &total,
            seconds,
            (after.client_cpu - before.client_cpu, servers.collect()),
            (series, self.last_error),
        );
        if kind.holds_sessions() && !outcome.servers.is_empty() {
            outcome.resident_bytes_per_session = Some(grown as f64 / self.load.connections as f64);
        }
        outcome
    }
}

fn timing(load: &Load, now: u64) -> Timing {
    let warm_up = if load.kind.opens_under_load() { 0.0 } else { load.warm_up };
    let from = now + (warm_up * 1e9) as u64;
    let interval = (load.seconds / INTERVALS).clamp(INTERVAL_MIN, INTERVAL_MAX);
    Timing { from, until: from + (load.seconds * 1e9) as u64, interval: (interval * 1e9) as u64 }
}

fn point(tally: &Tally, counted: usize, number: usize, length: f64) -> Point {
    let mut all = Histogram::default();
    tally.slots[..counted].iter().for_each(|slot| all.merge(slot));
    Point {
        at_s: number as f64 * length,
        operations_per_s: all.count() as f64 / length,
        p50_us: all.percentile(50.0) as f64 / 1e3,
        p99_us: all.percentile(99.0) as f64 / 1e3,
        max_us: all.max() as f64 / 1e3,
        errors: tally.error_count(),
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Points of a plot.
const INTERVALS: f64 = 50.0;
/// Lengths of an interval in s.
const INTERVAL_MIN: f64 = 0.1;
const INTERVAL_MAX: f64 = 10.0;
