//! How long an ensemble takes no writes when its leader is killed.
//!
//! Clients write one after another, each on a connection to a member of its own, and try again at
//! once. The time is from SIGKILL to the first write that was sent behind it and is acknowledged,
//! to the first of all clients and to the last. Only clients of survivors count.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use e2e::ensemble::Ensemble;
use e2e::faults;
use e2e::load::create;
use e2e::play::Client;
use e2e::program::{Hello, Request, Value};
use e2e::servers::Kind;
use e2e::tree;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use wire::OpCode;

/// Kills the leader of three members again and again.
#[derive(Parser)]
struct Arguments {
    /// What the members are: quorate, java38 or java39.
    #[arg(long, value_delimiter = ',', default_value = "quorate,quorate,quorate")]
    kinds: Vec<String>,
    /// How often.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// How many clients each member has.
    #[arg(long, default_value_t = 2)]
    clients: usize,
}

/// How long the load runs before the leader is killed.
const LOAD_TIME: Duration = Duration::from_millis(1000);
/// How long the survivors may take.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(40);
/// Between two attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let kinds = arguments.kinds.iter().map(|k| Kind::parse(k)).collect::<Result<Vec<_>>>()?;
    let mut ensemble = Ensemble::new(&kinds, faults::config())?;
    ensemble.start_all()?;
    let mut setup = Client::default();
    setup.connect(ensemble.address(0), &Hello::new_session(), &[])?;
    create(&mut setup, "/failover", "")?;
    let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
    for kill in 0..arguments.kills {
        let (leader, times) = measure(&mut ensemble, arguments.clients)?;
        let (first, last) = times.first().zip(times.last()).context("no client")?;
        println!("{kill}: {} led, first {first:?}, last {last:?}", leader + 1);
        firsts.push(*first);
        lasts.push(*last);
        ensemble.start_all()?;
    }
    report("first client", firsts);
    report("last client", lasts);
    Ok(())
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("{name}: median {:?}, worst {:?}", times[times.len() / 2], times[times.len() - 1]);
}

/// When a client was sent its first write behind the kill that was acknowledged, and when that was.
type Recovered = Arc<Mutex<Vec<Instant>>>;

/// The leader that was killed, and how long each client of the others waited, sorted.
fn measure(ensemble: &mut Ensemble, clients: usize) -> Result<(usize, Vec<Duration>)> {
    let leader = ensemble.wait_for_leader()?;
    let killed = Arc::new(AtomicBool::new(false));
    let recovered = Recovered::default();
    let survivors: Vec<usize> = ensemble.running().into_iter().filter(|n| *n != leader).collect();
    let threads: Vec<_> = survivors
        .iter()
        .flat_map(|n| vec![ensemble.address(*n); clients])
        .map(|address| {
            let (killed, recovered) = (Arc::clone(&killed), Arc::clone(&recovered));
            thread::spawn(move || write_until_recovered(address, &killed, &recovered))
        })
        .collect();
    thread::sleep(LOAD_TIME);
    let at = Instant::now();
    ensemble.kill(leader)?;
    killed.store(true, Ordering::SeqCst);
    for thread in threads {
        thread.join().ok().context("a client panicked")??;
    }
    let mut times: Vec<_> = recovered
        .lock()
        .map_err(|_| anyhow::anyhow!("poisoned"))?
        .iter()
        .map(|then| then.duration_since(at))
        .collect();
    times.sort();
    Ok((leader, times))
}

fn write_until_recovered(
    address: SocketAddr,
    killed: &AtomicBool,
    recovered: &Recovered,
) -> Result<()> {
    let mut client = Client::default();
    let mut deadline = None;
    loop {
        let is_behind = killed.load(Ordering::SeqCst);
        if is_behind {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + RECOVERY_TIME_MAX);
            ensure!(Instant::now() < deadline, "{address} takes no writes");
        }
        if !client.is_connected() {
            let again = client.session.is_some();
            let hello = Hello { again, ..Hello::new_session() };
            let _ = client.connect(address, &hello, &[]);
            if !client.is_connected() {
                thread::sleep(RETRY_INTERVAL);
                continue;
            }
        }
        if write(&mut client) && is_behind {
            let mut recovered = recovered.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
            recovered.push(Instant::now());
            return Ok(());
        }
    }
}

fn write(client: &mut Client) -> bool {
    let data = Value::Bytes(vec![b'x'; 100]);
    let values = vec![Value::Text("/failover".into()), data, Value::Int(-1)];
    let set = Request::new(OpCode::SetData, values);
    tree::answers(client, &[set]).is_ok_and(|replies| replies[0].0.err == 0)
}
