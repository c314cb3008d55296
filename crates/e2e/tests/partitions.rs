//! Members in network namespaces are cut off from each other, killed and paused, and what clients
//! see is judged. `E2E_SEED` asks for another run; `--bin partitions` runs for as long as told.

use check::registers::{Answer, Reads, Registers, judge_registers};
use e2e::network::Network;
use e2e::partitions::{Plan, run};
use e2e::registers::Shape;
use e2e::servers::{Kind, number_from};
use std::collections::BTreeSet;
use std::env;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Namespaces, or why this test says nothing: a failure where all are required.
fn network(members: usize) -> Option<Network> {
    match Network::new(members) {
        Ok(network) => Some(network),
        Err(why) => {
            assert!(env::var_os("QUORATE_TEST_REQUIRED").is_none(), "{why:#}");
            eprintln!("skipped: no network namespaces: {why:#}");
            None
        }
    }
}

/// How long a datagram may be on its way between two namespaces.
const ARRIVAL_TIME_MAX: Duration = Duration::from_millis(300);

#[test]
fn a_way_is_cut_in_one_direction_and_mended() {
    let Some(mut network) = network(2) else { return };
    let sockets: Vec<UdpSocket> = network
        .spaces
        .iter()
        .map(|space| space.run(|| Ok(UdpSocket::bind((space.address, 0))?)).unwrap())
        .collect();
    sockets.iter().for_each(|s| s.set_read_timeout(Some(ARRIVAL_TIME_MAX)).unwrap());
    let arrives = |from: usize, to: usize| {
        sockets[from].send_to(b"x", sockets[to].local_addr().unwrap()).unwrap();
        sockets[to].recv(&mut [0]).is_ok()
    };
    assert!(arrives(0, 1) && arrives(1, 0));
    network.cut(&BTreeSet::from([(0, 1)])).unwrap();
    assert!(!arrives(0, 1) && arrives(1, 0));
    network.cut(&BTreeSet::from([(1, 0)])).unwrap();
    assert!(arrives(0, 1) && !arrives(1, 0));
    network.heal().unwrap();
    assert!(arrives(0, 1) && arrives(1, 0));
}

/// How much is sent through a narrow cable: three times what may wait there.
const DATAGRAMS: usize = 60;
const DATAGRAM_BYTES: usize = 1000;

#[test]
fn a_narrow_cable_delays_and_loses() {
    let Some(mut network) = network(2) else { return };
    let bind = |n: usize| {
        let space = &network.spaces[n];
        space.run(|| Ok(UdpSocket::bind((space.address, 0))?)).unwrap()
    };
    let (sender, receiver) = (bind(0), bind(1));
    receiver.set_read_timeout(Some(ARRIVAL_TIME_MAX)).unwrap();
    let burst = || {
        let start = Instant::now();
        for _ in 0..DATAGRAMS {
            // A sender whose own end of the cable is full may be told so.
            let _ = sender.send_to(&[0; DATAGRAM_BYTES], receiver.local_addr().unwrap());
        }
        let mut last = Duration::ZERO;
        let arrived = (0..DATAGRAMS).take_while(|_| {
            let came = receiver.recv(&mut [0; DATAGRAM_BYTES]).is_ok();
            last = if came { start.elapsed() } else { last };
            came
        });
        (arrived.count(), last)
    };
    assert_eq!(burst().0, DATAGRAMS);
    network.narrow(0).unwrap();
    let (arrived, took) = burst();
    assert!((5..DATAGRAMS / 2).contains(&arrived), "{arrived} of {DATAGRAMS} came");
    assert!(took > Duration::from_millis(100), "all came in {took:?}");
    network.heal().unwrap();
    assert_eq!(burst().0, DATAGRAMS);
}

#[test]
fn histories_of_a_divided_ensemble_are_linearizable() {
    histories(Kind::Quorate, Duration::from_secs(20), Reads::Marked, &[]);
}

/// All reads are asked to be linearizable, which leaders with leases answer at once.
#[test]
fn histories_of_a_divided_ensemble_are_linearizable_over_raft() {
    let lease = ["quorate.leaseDriftPercent=10".to_owned()];
    histories(Kind::Raft, Duration::from_secs(10), Reads::All, &lease);
}

fn histories(kind: Kind, time: Duration, reads: Reads, lines: &[String]) {
    if network(1).is_none() {
        return;
    }
    let linearizable_reads = matches!(reads, Reads::All);
    let plan = Plan {
        kinds: vec![kind; 3],
        lines: lines.to_vec(),
        shape: Shape { clients: 3, groups: 6, size: 3, linearizable_reads },
        seed: number_from("E2E_SEED", 1),
        time,
        operations: 5000,
        reads,
    };
    let report = run(&plan).expect("no promise is broken");
    let held = report.held;
    println!("{held:?}");
    let all = [held.written, held.refused, held.multis, held.reads, held.events, held.unknown];
    assert!(all.iter().all(|many| *many > 0), "the run shows nothing: {held:?}");
    let mut registers = report.registers;
    lie(&mut registers, held.written / 2);
    let verdict = judge_registers(&registers, reads);
    assert!(verdict.is_err(), "one wrong version among {} is not found", held.written);
}

/// One write, after so many others, is told another version than it left.
fn lie(registers: &mut Registers, after: usize) {
    let operations = registers.sessions.iter_mut().flat_map(|session| &mut session.operations);
    let mut written = operations.filter_map(|operation| match &mut operation.answer {
        Answer::Written(versions) => Some(versions),
        Answer::Unknown | Answer::BadVersion(_) | Answer::Read(..) | Answer::Empty => None,
    });
    written.nth(after).expect("so many were written")[0] += 1;
}
