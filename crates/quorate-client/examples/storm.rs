//! A storm of reconnects: clients behind a proxy that cuts all connections again and again.
//!
//! `cargo run --release -p quorate-client --example storm -- [--minutes N] [--clients N] HOSTS`
//!
//! Workers create nodes, many at a time, and keep account of every outcome; watchers follow a clock
//! that others set. Fails if an acknowledged write is missing, if any was done twice, if one was
//! done that was said not to be, if a watcher misses the clock's last value, or if a session is lost.

// The proxy is the tests'.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

#[path = "../tests/proxy.rs"]
mod proxy;

use proxy::Proxy;
use quorate_client::{Client, Error, EventKind, Mode};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const ROOT: &str = "/storm";
const CLOCK: &str = "/storm/clock";
/// Creates in one batch of a worker.
const BATCH: usize = 100;
/// How long a watcher may take to see the clock's last value.
const CATCH_UP_TIME_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Totals {
    done: AtomicU64,
    unknown: AtomicU64,
    unknown_done: AtomicU64,
    retryable: AtomicU64,
    cuts: AtomicU64,
    breaches: AtomicU64,
}

impl Totals {
    fn breach(&self, what: &str) {
        eprintln!("BREACH: {what}");
        self.breaches.fetch_add(1, Ordering::Relaxed);
    }

    fn show(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{} cuts, {} writes done, {} unknown ({} of them done), {} to be retried, {} breaches",
            of(&self.cuts),
            of(&self.done),
            of(&self.unknown),
            of(&self.unknown_done),
            of(&self.retryable),
            of(&self.breaches)
        )
    }
}

struct Options {
    hosts: String,
    minutes: f64,
    clients: usize,
}

fn options() -> Option<Options> {
    let mut options = Options { hosts: "localhost:2181".to_owned(), minutes: 1.0, clients: 4 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--minutes" => options.minutes = args.next()?.parse().ok()?,
            "--clients" => options.clients = args.next()?.parse().ok()?,
            flag if flag.starts_with('-') => return None,
            hosts => options.hosts = hosts.to_owned(),
        }
    }
    Some(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("usage: storm [--minutes N] [--clients N] HOST:PORT");
        return ExitCode::from(2);
    };
    match storm(&options).await {
        Ok(totals) => {
            println!("{}", totals.show());
            if totals.breaches.load(Ordering::Relaxed) == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("storm: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn storm(options: &Options) -> Result<Arc<Totals>, Error> {
    let direct = Client::connect(&options.hosts).await?;
    for path in [ROOT, CLOCK] {
        match direct.create(path, "0").await {
            Ok(_) | Err(Error::NodeExists) => {}
            Err(error) => return Err(error),
        }
    }
    let proxy = Proxy::start(&options.hosts).await;
    let totals = Arc::new(Totals::default());
    let calm = Arc::new(AtomicBool::new(false));
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..options.clients {
        let client = Client::builder(&proxy.address())
            .session_timeout(Duration::from_secs(20))
            .connect()
            .await?;
        let (direct, totals, calm) = (direct.clone(), Arc::clone(&totals), Arc::clone(&calm));
        tasks.spawn(follow(client.clone(), direct.clone(), Arc::clone(&totals), Arc::clone(&calm)));
        tasks.spawn(work(worker, client, direct, totals, calm));
    }
    blow(options, &proxy, &direct, &totals).await?;
    calm.store(true, Ordering::Release);
    direct.set(CLOCK, "end", None).await?;
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => totals.breach(&format!("a client failed: {error}")),
            Err(error) => totals.breach(&format!("a task failed: {error}")),
        }
    }
    direct.delete(CLOCK, None).await?;
    direct.close().await;
    Ok(totals)
}

/// Cuts, at intervals from nothing to most of a second, and sets the clock.
async fn blow(
    options: &Options,
    proxy: &Proxy,
    direct: &Client,
    totals: &Totals,
) -> Result<(), Error> {
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let mut said = Instant::now();
    let mut ticks = 0_u64;
    while Instant::now() < end {
        ticks += 1;
        // No order is asked of these numbers but that they differ.
        sleep(Duration::from_millis(ticks.wrapping_mul(7919) % 701)).await;
        direct.set(CLOCK, ticks.to_string(), None).await?;
        proxy.set_open(!ticks.is_multiple_of(5));
        proxy.cut();
        totals.cuts.fetch_add(1, Ordering::Relaxed);
        if said.elapsed() > Duration::from_secs(60) {
            said = Instant::now();
            println!("{}", totals.show());
        }
    }
    proxy.set_open(true);
    Ok(())
}

/// Creates batches of nodes, then counts through a connection that is never cut.
async fn work(
    worker: usize,
    client: Client,
    direct: Client,
    totals: Arc<Totals>,
    calm: Arc<AtomicBool>,
) -> Result<(), Error> {
    let mut round = 0;
    while !calm.load(Ordering::Acquire) {
        round += 1;
        let parent = format!("{ROOT}/{worker}-{round}-{}", std::process::id());
        direct.create(&parent, "").await?;
        let calls: Vec<_> = (0..BATCH)
            .map(|i| {
                let path = format!("{parent}/{i}-");
                client.create(&path, "").mode(Mode::PersistentSequential).send()
            })
            .collect();
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(call.await);
        }
        // What was cut off may still be on its way through the server.
        client.sync("/").await.or_else(|e| if e.is_retryable() { Ok(()) } else { Err(e) })?;
        count(&parent, &outcomes, &direct, &totals).await?;
    }
    // The session goes on for its follower, who has the other handle.
    Ok(())
}

async fn count<T>(
    parent: &str,
    outcomes: &[Result<T, Error>],
    direct: &Client,
    totals: &Totals,
) -> Result<(), Error> {
    let names = direct.children(parent).await?;
    let mut done: BTreeMap<usize, usize> = BTreeMap::new();
    for name in &names {
        let number = name.split('-').next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        *done.entry(number).or_default() += 1;
    }
    for (i, outcome) in outcomes.iter().enumerate() {
        let times = done.get(&i).copied().unwrap_or(0);
        match outcome {
            Ok(_) if times == 1 => _ = totals.done.fetch_add(1, Ordering::Relaxed),
            Err(error) if error.outcome_unknown() && times <= 1 => {
                totals.unknown.fetch_add(1, Ordering::Relaxed);
                totals.unknown_done.fetch_add(times as u64, Ordering::Relaxed);
            }
            Err(error) if error.is_retryable() && times == 0 => {
                totals.retryable.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => totals.breach(&format!("{parent}/{i}: acknowledged, done {times} times")),
            Err(error) => totals.breach(&format!("{parent}/{i}: {error}, done {times} times")),
        }
    }
    let deletes: Vec<_> =
        names.iter().map(|name| direct.delete(&format!("{parent}/{name}"), None)).collect();
    for delete in deletes {
        delete.await?;
    }
    direct.delete(parent, None).await
}

/// Follows the clock with one-shot watches and a lasting one; both must lead to its last value.
async fn follow(
    client: Client,
    direct: Client,
    totals: Arc<Totals>,
    calm: Arc<AtomicBool>,
) -> Result<(), Error> {
    let one_shot = async {
        loop {
            match client.get_watched(CLOCK).await {
                Ok((data, _, _)) if data == "end" => return Ok(()),
                Ok((_, _, mut watch)) => _ = watch.next().await,
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error),
            }
        }
    };
    let lasting = async {
        let mut watch = loop {
            match client.watch(CLOCK).await {
                Ok(watch) => break watch,
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error),
            }
        };
        loop {
            match client.get(CLOCK).await {
                Ok((data, _)) if data == "end" => return Ok(()),
                Ok(_) => match watch.next().await.map(|event| event.kind) {
                    Some(EventKind::Removed) | None => return Err(Error::Closed),
                    Some(_) => {}
                },
                Err(error) if error.is_retryable() => {}
                Err(error) => return Err(error),
            }
        }
    };
    let both = async { tokio::try_join!(one_shot, lasting) };
    let ended = async {
        while !calm.load(Ordering::Acquire) {
            sleep(Duration::from_millis(100)).await;
        }
        sleep(CATCH_UP_TIME_MAX).await;
    };
    tokio::select! {
        outcome = both => outcome.map(|_| ()),
        () = ended => {
            let now = timeout(CATCH_UP_TIME_MAX, direct.get(CLOCK)).await;
            totals.breach(&format!("a watcher missed the end; the clock says {now:?}"));
            Ok(())
        }
    }
}
