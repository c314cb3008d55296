//! Scenarios by name: every position at which a member can be hit, one after the other.

use check::{Acl, Mode, Op};
use sim::scenario::Blow;
use sim::{Ending, Fault, Options, Report, options, run, scenario};
use std::time::Duration;
use storage::simulated::Operation;

/// A calm world with snapshots, rolls and purges all the time.
fn calm() -> Options {
    Options {
        faults: Vec::new(),
        fault_every: Duration::from_secs(1),
        duration: Duration::from_millis(700),
        clients: 0,
        window: 4,
        think: Duration::from_millis(8),
        tick: Duration::from_millis(100),
        snap_count: 8,
        preallocation: 4096,
        log_size: None,
        purge: true,
        bulk: false,
        overlap: false,
        ttl_nodes: false,
        auth: false,
        data_max: 600,
        strict_names: true,
        compression: 0,
        ensemble: None,
    }
}

fn create(path: &str, mode: Mode) -> Op {
    Op::Create {
        path: path.into(),
        data: Some(vec![7; 300]),
        acl: Acl::open(),
        mode,
        with_stat: false,
    }
}

/// Every kind of write, with watches, by one client; then it goes on by its workload.
fn script() -> Vec<Op> {
    let sequential = Mode { sequential: true, ..Mode::default() };
    let ephemeral = Mode { ephemeral: true, ..Mode::default() };
    let set = |version| Op::SetData { path: "/a".into(), data: Some(vec![1; 700]), version };
    let mut script = vec![
        Op::AddWatch { path: "/".into(), recursive: true },
        create("/a", Mode::default()),
        create("/a/s-", sequential),
        create("/a/e", ephemeral),
        set(0),
        Op::Multi(vec![create("/b", Mode::default()), create("/b/x", ephemeral), set(1)]),
        Op::Multi(vec![create("/c", Mode::default()), set(9)]),
        Op::Delete { path: "/a/e".into(), version: -1 },
        Op::SetAcl { path: "/a".into(), acl: Acl::open(), version: 0 },
    ];
    script.extend((0..8).map(|_| create("/a/s-", sequential)));
    script
}

fn play(options: Options, blow: Blow) -> Report {
    scenario::play(options, script(), blow)
}

fn assert_converged(report: &Report, what: &str) {
    assert_eq!(report.ending, Ending::Converged, "{what}: {report}");
}

/// Tries positions from 0 on until one is not reached any more; gives how many there were.
fn every_position(most: u64, mut at: impl FnMut(u64) -> (Report, bool)) -> u64 {
    for position in 0..most {
        let (report, hit) = at(position);
        assert_converged(&report, &format!("position {position}"));
        if !hit {
            return position;
        }
    }
    most
}

#[test]
fn a_crash_at_every_boundary_of_a_scripted_run_loses_nothing() {
    let positions = every_position(400, |position| {
        let report = play(calm(), Blow::Crash(position));
        let hit = report.reached.crashes_at_boundaries > 0;
        (report, hit)
    });
    assert!(positions > 100, "only {positions} boundaries");
}

#[test]
fn the_power_goes_off_in_every_operation_of_the_disk() {
    let positions = every_position(400, |position| {
        let report = play(calm(), Blow::PowerLoss(position));
        let hit = report.reached.starts > 1;
        (report, hit)
    });
    assert!(positions > 100, "only {positions} operations");
}

#[test]
fn every_sync_can_fail_and_no_acknowledged_write_is_lost() {
    let mut failures = 0;
    for position in 0..40 {
        let report = play(calm(), Blow::Error(Operation::Sync, position));
        assert_converged(&report, &format!("sync {position}"));
        failures += report.reached.disk_failures + report.reached.snapshots_failed;
    }
    assert!(failures > 20, "only {failures}");
}

#[test]
fn every_write_and_every_name_can_fail() {
    for operation in [Operation::Write, Operation::Name, Operation::SyncDir] {
        for position in 0..40 {
            let report = play(calm(), Blow::Error(operation, position));
            assert_converged(&report, &format!("{operation:?} {position}"));
        }
    }
}

#[test]
fn the_disk_can_be_full_at_every_size() {
    let mut failures = 0;
    for size in (0..60).map(|step| step * 1000) {
        let report = play(calm(), Blow::Full(size));
        assert_converged(&report, &format!("{size} bytes"));
        failures += report.reached.disk_failures + report.reached.snapshots_failed;
    }
    assert!(failures > 20, "only {failures}");
}

#[test]
fn a_flipped_bit_is_refused_or_does_no_harm_but_never_loses_a_write() {
    let mut refused = 0;
    for seed in 0..60 {
        let faults = vec![Fault::BitFlip, Fault::PowerLoss];
        let every = Duration::from_millis(150);
        let options = Options {
            faults,
            fault_every: every,
            clients: 2,
            duration: Duration::from_secs(2),
            ..options(seed)
        };
        let report = run(seed, options);
        assert!(report.violation().is_none(), "{report}");
        refused += u64::from(matches!(report.ending, Ending::Refused(_)));
    }
    assert!(refused > 10, "only {refused}");
}

#[test]
fn a_snapshot_of_many_batches_goes_on_beside_writes() {
    let mut steps = 0;
    for seed in 0..12 {
        let options = Options {
            faults: vec![Fault::PowerLoss, Fault::Kill],
            bulk: true,
            snap_count: 20,
            clients: 3,
            think: Duration::from_millis(5),
            duration: Duration::from_secs(3),
            ..options(seed)
        };
        let report = run(seed, options);
        assert!(report.violation().is_none(), "{report}");
        steps += report.reached.snapshot_steps_with_writes;
    }
    assert!(steps > 50, "only {steps}");
}

#[test]
fn silent_sessions_expire_and_others_are_renewed() {
    let (mut expired, mut renewed) = (0, 0);
    for seed in 0..20 {
        let options = Options {
            faults: vec![Fault::SilentClient, Fault::LinkLoss],
            tick: Duration::from_millis(100),
            fault_every: Duration::from_millis(200),
            ..options(seed)
        };
        let report = run(seed, options);
        assert_converged(&report, "sessions");
        expired += report.reached.judged.expired;
        renewed += report.reached.renewals;
    }
    assert!(expired > 30 && renewed > 100, "{expired} expired, {renewed} renewed");
}

#[test]
fn a_tail_that_the_power_loss_tears_is_cut() {
    let (mut torn, mut losses) = (0, 0);
    for position in 0..80 {
        let preallocation = [0, 4096][position as usize % 2];
        let options = Options { preallocation, window: 16, ..calm() };
        let report = play(options, Blow::PowerLossIn(Operation::Sync, position));
        assert_converged(&report, &format!("sync {position}"));
        torn += report.reached.torn_tails;
        losses += report.reached.power_losses;
    }
    assert!(torn > 3 && losses > 30, "{torn} torn tails of {losses}");
}
