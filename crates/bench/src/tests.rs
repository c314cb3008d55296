//! Whole reports, and whole measurements: of a stand-in server, and of ours where it has been built.

use crate::load::plan::{DEFAULT, Kind, Load};
use crate::load::tally::Tally;
use crate::measure;
use crate::report::comparison::{Comparison, Ratio, ratios, table};
use crate::report::outcome::{Cost, Outcome, Point};
use crate::report::{plot, text};
use crate::target::Target;
use expect_test::expect;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use wire::{ErrorCode, OpCode};

/// A measurement made up: `operations` gets of 100 to 1000 us in a second.
fn outcome(operations: u64) -> Outcome {
    let mut total = Tally::new(1);
    (0..operations).for_each(|n| total.slots[0].record(100_000 + n % 10 * 100_000));
    total.failed(ErrorCode::NoNode.number(), 2);
    total.lost = 1;
    let point = Point {
        at_s: 1.0,
        operations_per_s: operations as f64,
        p50_us: 500.0,
        p99_us: 1000.0,
        max_us: 1000.0,
        errors: 2,
    };
    let cost = Cost { pid: 7, cpu_s: 0.5, resident_bytes: 10 << 20, resident_peak_bytes: 12 << 20 };
    let load = Load { kind: Kind::Get, connections: 50, ..DEFAULT };
    let target = Target::parse("A", "127.0.0.1:2181:7").unwrap();
    let course = (vec![point], Some("the server closed the connection".to_owned()));
    Outcome::new("get", &load, &target, &total, 1.0, (0.25, vec![cost]), course)
}

#[test]
fn the_summary_tells_everything() {
    expect![[r#"
        get on A: 50 connections, window 1, 1.0 s
          100,000/s, 100,000 operations, 2 errors, 1 connections lost
          get      p50 502 us  p90 901 us  p99 1.00 ms  p99.9 1.00 ms  p99.99 1.00 ms  max 1.00 ms  mean 550 us
          error NoNode: 2
          a connection was lost: the server closed the connection
          CPU per million operations: client 2.50 s, server 5.00 s
          process 7: 10.0 MiB resident, 12.0 MiB at its peak
    "#]]
    .assert_eq(&text::summary(&outcome(100_000)));
}

#[test]
fn the_json_has_the_documented_fields() {
    let json = serde_json::to_string(&outcome(10)).unwrap();
    expect![[r#"{"workload":"get","target":"A","load":{"kind":"get","connections":50,"window":1,"rate":null,"value_size":100,"keys":1000,"distribution":"uniform","read_percent":90,"multi_size":10,"children":10000,"threads":1,"warm_up_s":2.0},"seconds":1.0,"operations":10,"operations_per_s":10.0,"errors":{"NoNode":2},"connections_lost":1,"last_error":"the server closed the connection","latency":[{"name":"get","count":10,"mean_us":550.0,"p50_us":501.759,"p90_us":901.119,"p99_us":1000.0,"p999_us":1000.0,"p9999_us":1000.0,"max_us":1000.0}],"client_cpu_s":0.25,"client_cpu_s_per_million":25000.0,"server_cpu_s_per_million":50000.0,"servers":[{"pid":7,"cpu_s":0.5,"resident_bytes":10485760,"resident_peak_bytes":12582912}],"resident_bytes_per_session":null,"series":[{"at_s":1.0,"operations_per_s":10.0,"p50_us":500.0,"p99_us":1000.0,"max_us":1000.0,"errors":2}]}"#]]
    .assert_eq(&json);
}

#[test]
fn a_comparison_has_ratios_and_their_spread() {
    assert_eq!(Ratio::of(&[4.0, 9.0], &[2.0, 3.0]), Ratio { mean: 2.6, min: 2.0, max: 3.0 });
    let (a, b) = (vec![outcome(4000), outcome(6000)], vec![outcome(1000), outcome(1000)]);
    expect![[r#"
        workload  per s     p50      p99    p99.9  errors     CPU/M  client CPU/M  MiB
        get       5,000  502 us  1.00 ms  1.00 ms       6  104.17 s       52.08 s   10
    "#]]
    .assert_eq(&table(&[("get".to_owned(), a.clone())]));
    expect![[r#"
        workload  A per s  B per s                A/B            p50 A/B            p99 A/B          p99.9 A/B         CPU/op A/B            RSS A/B
        get         5,000    1,000  5.00 (4.00..6.00)  1.00 (1.00..1.00)  1.00 (1.00..1.00)  1.00 (1.00..1.00)  0.21 (0.17..0.25)  1.00 (1.00..1.00)
    "#]]
    .assert_eq(&ratios(&[Comparison::of("get", a, b)]));
}

#[test]
fn a_plot_has_a_curve_per_measure_and_escapes_names() {
    let mut odd = outcome(10);
    odd.target = "a<b".to_owned();
    let svg = plot::document(Path::new("x.svg"), &[odd, outcome(20)]);
    assert_eq!(svg.matches("<polyline").count(), 2 * 4);
    assert!(svg.contains("get on a&lt;b") && svg.ends_with("</svg>\n"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert!(plot::document(Path::new("x.html"), &[]).starts_with("<!doctype html>"));
}

/// How many connections each stand-in has had.
static OPENED: Mutex<BTreeMap<SocketAddr, usize>> = Mutex::new(BTreeMap::new());

/// Speaks just enough: a handshake, then a header in answer to each request; sets and watches fail, every
/// hundredth reply is instead the end of the connection if `drops`.
fn stand_in(drops: bool) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            *OPENED.lock().unwrap().entry(address).or_default() += 1;
            // The thread ends with its connection.
            thread::spawn(move || drop(converse(stream, drops)));
        }
    });
    Target::parse("stand-in", &address.to_string()).unwrap()
}

fn converse(mut stream: TcpStream, drops: bool) -> std::io::Result<()> {
    read_frame(&mut stream)?;
    let mut welcome = Vec::new();
    let answer = wire::ConnectResponse {
        timeout_ms: 30_000,
        session_id: 5,
        password: [1; 16],
        read_only: Some(false),
    };
    jute::Encode::encode(&answer, &mut welcome);
    write_frame(&mut stream, &welcome)?;
    for n in 1u64.. {
        let request = read_frame(&mut stream)?;
        let op = i32::from_be_bytes(request[4..8].try_into().unwrap());
        let err = match OpCode::from_number(op) {
            Some(OpCode::SetData) => ErrorCode::BadVersion,
            Some(OpCode::GetChildren) => ErrorCode::NoNode,
            Some(OpCode::GetData) if request.last() == Some(&1) => ErrorCode::NoAuth,
            _ => ErrorCode::Ok,
        };
        if drops && n % 100 == 0 && op == OpCode::GetData.number() {
            return Ok(());
        }
        let mut reply = request[..4].to_vec();
        reply.extend_from_slice(&7i64.to_be_bytes());
        reply.extend_from_slice(&err.number().to_be_bytes());
        write_frame(&mut stream, &reply)?;
    }
    Ok(())
}

fn read_frame(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

fn write_frame(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    let mut frame = Vec::new();
    jute::put_buffer(&mut frame, Some(body));
    stream.write_all(&frame)
}

/// Short, and few nodes, but everything else as in a long one.
const SHORT: Load = Load {
    connections: 3,
    window: 2,
    keys: 10,
    children: 20,
    warm_up: 0.05,
    seconds: 0.3,
    ..DEFAULT
};

#[test]
fn errors_and_successes_are_told_apart() {
    let load = Load { kind: Kind::Mixed, read_percent: 50, threads: 2, ..SHORT };
    let outcome = measure("mixed", &load, &stand_in(false)).unwrap();
    let (gets, sets) = (outcome.latency[0].count, outcome.latency[1].count);
    assert_eq!((outcome.operations, sets), (gets, 0));
    let failed = outcome.errors["BadVersion"];
    assert!(gets > 100 && failed > gets / 2 && failed < gets * 2, "{gets} {failed}");
    assert_eq!((outcome.connections_lost, outcome.errors.len()), (0, 1));
    assert!(outcome.series.len() >= 2 && outcome.client_cpu_s > 0.0);
}

/// The answer to a watch is read late; an error in it must not be lost with that.
#[test]
fn a_watch_that_is_refused_is_counted() {
    let load = Load { kind: Kind::Watch, session_timeout_ms: 600, seconds: 1.0, ..SHORT };
    let outcome = measure("watch", &load, &stand_in(false)).unwrap();
    assert_eq!(outcome.operations, 0);
    assert!(outcome.errors["NoAuth"] >= 2, "{:?}", outcome.errors);
    assert!(outcome.errors["BadVersion"] >= 1, "{:?}", outcome.errors);
    assert_eq!(outcome.connections_lost, 0, "{:?}", outcome.last_error);
}

#[test]
fn a_single_connection_measures_like_many() {
    let load = Load { kind: Kind::Get, connections: 1, window: 1, seconds: 1.0, ..SHORT };
    let outcome = measure("get", &load, &stand_in(false)).unwrap();
    assert!(outcome.operations > 100 && outcome.errors.is_empty(), "{:?}", outcome.errors);
    assert!((0.9..1.2).contains(&outcome.seconds) && outcome.connections_lost == 0);
    let outcome = measure("get", &load, &stand_in(true)).unwrap();
    assert!(outcome.connections_lost > 1, "it is opened again: {}", outcome.connections_lost);
}

#[test]
fn connections_spread_over_the_hosts() {
    let (first, second) = (stand_in(false), stand_in(false));
    let mut both = Target::parse("both", "127.0.0.1:1").unwrap();
    both.hosts = vec![first.hosts[0], second.hosts[0]];
    let load = Load { kind: Kind::Get, connections: 5, ..SHORT };
    let outcome = measure("get", &load, &both).unwrap();
    assert!(outcome.operations > 100 && outcome.errors.is_empty(), "{:?}", outcome.errors);
    let opened = |target: &Target| OPENED.lock().unwrap()[&target.hosts[0]];
    // The first also prepares, and tidies up afterwards.
    assert_eq!((opened(&first), opened(&second)), (3 + 2, 2));
}

#[test]
fn a_lost_connection_is_counted_and_opened_again() {
    let load = Load { kind: Kind::Get, seconds: 1.0, ..SHORT };
    let outcome = measure("get", &load, &stand_in(true)).unwrap();
    // Each of three connections ends after 99 replies at most, and again after it was reopened.
    assert!(outcome.connections_lost > 3, "{}", outcome.connections_lost);
    assert!(outcome.errors["ConnectionLoss"] >= outcome.connections_lost);
    assert!(outcome.operations > 3 * 99, "{}", outcome.operations);
}

#[test]
fn a_rate_is_kept() {
    let rate = Some(500.0);
    let load = Load { kind: Kind::Get, rate, warm_up: 0.5, seconds: 1.0, ..SHORT };
    let outcome = measure("get", &load, &stand_in(false)).unwrap();
    assert!((450..=550).contains(&outcome.operations), "{}", outcome.operations);
    // Nothing that was due in the warm-up is left to be caught up with.
    assert!(outcome.latency[0].p50_us < 100_000.0, "{:?}", outcome.latency[0]);
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target::parse("", &unused.to_string()).unwrap();
    let error = measure("get", &SHORT, &target).expect_err("nobody listens");
    assert!(format!("{error:#}").contains("cannot connect"), "{error:#}");
}

/// The newest of our binaries, if one has been built.
fn built() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("QUORATE_BIN") {
        return Some(PathBuf::from(path));
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository.join("target"), PathBuf::from);
    let modified = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).ok();
    ["debug/quorate", "fast/quorate", "release/quorate"]
        .map(|name| target.join(name))
        .into_iter()
        .filter(|path| path.exists())
        .max_by_key(modified)
}

#[test]
fn every_kind_of_load_runs_on_our_server() {
    let Some(binary) = built() else {
        eprintln!("no quorate binary: nothing to measure");
        return;
    };
    let command = format!("{} serve {{cfg}}", binary.display());
    let parent = std::env::temp_dir();
    let target = Target::start("quorate", &command, &parent, &[]).unwrap();
    let kinds = <Kind as clap::ValueEnum>::value_variants();
    for kind in kinds.iter().filter(|kind| **kind != Kind::Idle) {
        let outcome = measure("smoke", &Load { kind: *kind, ..SHORT }, &target).unwrap();
        assert!(outcome.operations > 0, "{kind:?}");
        assert!(outcome.errors.is_empty(), "{kind:?}: {:?}", outcome.errors);
        assert_eq!(outcome.connections_lost, 0, "{kind:?}: {:?}", outcome.last_error);
    }
    let long = Load { kind: Kind::Children, children: 20_000, ..SHORT };
    let outcome = measure("long replies", &long, &target).unwrap();
    assert!(outcome.operations > 3 && outcome.errors.is_empty(), "{:?}", outcome.errors);
    // Both watchers are told of every set, but for the first and the last that are counted.
    let watch = Load { kind: Kind::Watch, seconds: 1.0, ..SHORT };
    let outcome = measure("watch", &watch, &target).unwrap();
    let (events, sets) = (outcome.latency[0].count, outcome.latency[1].count);
    assert!(sets > 10 && events.abs_diff(2 * sets) <= 4, "{events} events of {sets} sets");
    // Each of three sessions pings when it was quiet for a third of its time-out.
    let idle = Load { kind: Kind::Idle, session_timeout_ms: 4000, seconds: 3.0, ..SHORT };
    let outcome = measure("idle", &idle, &target).unwrap();
    assert!((3..=9).contains(&outcome.operations), "{}", outcome.operations);
    let storm = Load { kind: Kind::Storm, connections: 400, ..SHORT };
    let outcome = measure("storm", &storm, &target).unwrap();
    assert_eq!(outcome.operations, 400);
    let size = outcome.resident_bytes_per_session.expect("the server's pid is known");
    assert!(size < 200_000.0, "{size}");
    assert!(text::summary(&outcome).contains("memory per session: "));
}
