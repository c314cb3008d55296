//! Ensembles of whole members.

use sim::{Campaign, Ending, Fault, Options, Reached, Report, members, members_over_raft, run};
use std::time::Duration;

fn seeds(from: u64, seeds: u64) -> Reached {
    let campaign = Campaign { from, seeds, threads: 2, twice: 20, failures_max: 1 };
    let (reached, failed) = campaign.run(|seed| run(seed, members(seed)));
    assert!(failed.is_empty(), "{}", failed[0]);
    reached
}

#[test]
fn ensembles_over_raft_converge_and_reach_what_matters() {
    let campaign = Campaign { from: 0, seeds: 60, threads: 2, twice: 20, failures_max: 1 };
    let (reached, failed) = campaign.run(|seed| run(seed, members_over_raft(seed)));
    assert!(failed.is_empty(), "{}", failed[0]);
    let judged = &reached.judged;
    for (count, least) in [
        (reached.elections, 150),
        (reached.leaders, 150),
        (reached.snaps, 100),
        (reached.renewals, 300),
        (reached.snapshots, 300),
        (reached.disk_failures, 20),
        (judged.commits, 10_000),
        (judged.reconfigured, 10),
        (judged.expired, 50),
    ] {
        assert!(count >= least, "{count} where {least} are due: {reached}");
    }
}

#[test]
fn some_ensembles_converge() {
    seeds(1000, 20);
}

#[test]
fn more_ensembles_converge_and_reach_what_matters() {
    let reached = seeds(0, 130);
    for fault in Fault::AMONG_OTHERS {
        let is_met = reached.faults.get(&fault).is_some_and(|times| *times >= 5);
        assert!(is_met, "{fault:?} was hardly met: {reached}");
    }
    let judged = &reached.judged;
    for (count, least) in [
        (reached.elections, 1000),
        (reached.epochs, 300),
        (reached.diffs, 500),
        (reached.truncs, 5),
        (reached.snaps, 100),
        (reached.reloads, 5),
        (reached.log_reads, 100),
        (reached.renewals, 500),
        (reached.snapshots, 500),
        (reached.disk_failures, 30),
        (reached.linearizable_reads, 5_000),
        (reached.read_only_sessions, 50),
        (reached.upgrades, 50),
        (reached.abandoned, 30),
        (judged.local_writes, 3_000),
        (judged.answered_outside, 200),
        (judged.commits, 20_000),
        (judged.events.into_iter().min().unwrap_or(0), 300),
        (judged.missed_events, 300),
        (judged.expired, 100),
        (judged.unknown_done, 100),
    ] {
        assert!(count >= least, "{count} where {least} are due: {reached}");
    }
}

/// A seed's ensemble in which nothing fails, with time-outs that no client misses by thinking.
fn calm(seed: u64) -> Report {
    let mut options = members(seed);
    (options.duration, options.tick) = (Duration::from_secs(3), Duration::from_secs(1));
    if let Some(ensemble) = &mut options.ensemble {
        (ensemble.strikes, ensemble.core_only) = (Vec::new(), false);
    }
    run(seed, options)
}

#[test]
fn an_ensemble_without_faults_elects_once_and_loses_nobody() {
    for seed in 0..10 {
        let report = calm(seed);
        assert_eq!(report.ending, Ending::Converged, "{report}");
        assert_eq!(report.reached.epochs, 1, "{report}");
        let Reached { abandoned, judged, .. } = &report.reached;
        assert!(judged.expired <= *abandoned, "{report}");
        assert!(judged.unknown_done == 0 || *abandoned > 0, "{report}");
    }
}

#[test]
fn a_run_does_not_depend_on_whether_it_is_shown() {
    for seed in [1, 8] {
        let [first, second] = [0, 100].map(|lines| sim::run_keeping(seed, members(seed), lines));
        assert_eq!((first.hash, first.at), (second.hash, second.at), "seed {seed}");
        assert_eq!((first.lines.len(), second.lines.len()), (0, 100));
    }
}

/// A strike is the same whichever others there are.
#[test]
fn planned_faults_can_be_taken_away_one_by_one() {
    let options: Options = members(5);
    let all = options.strikes().len();
    assert!(all > 3, "{options}");
    let one = options.with_strikes(&[all - 1]);
    assert_eq!(one.strikes(), &options.strikes()[all - 1..]);
    assert_eq!(run(5, one).ending, Ending::Converged);
}
