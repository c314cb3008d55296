//! That the checkers bite: an engine that is right, and each way in which it is wrong.

mod fixed;
mod history;
mod quorums;

use fixed::{Fixed, Flaw};
use sim::Campaign;
use sim::engines::{
    Bounds, Counts, Explored, RaftSubject, Report, Setup, Subject, ZabSubject, explore, replay,
    run_drawn, run_seed,
};
use std::hash::Hash;

fn campaign(flaw: Flaw, seeds: u64) -> (Counts, Vec<Report>) {
    let campaign = Campaign { from: 0, seeds, threads: 2, twice: 10, failures_max: 1 };
    campaign.run(|seed| run_drawn(seed, |setup, _| Fixed::of(setup, flaw)))
}

fn rule(flaw: Flaw) -> &'static str {
    let (_, failed) = campaign(flaw, 100);
    let report = failed.first().expect("the flaw is found");
    report.violation.as_ref().expect("it failed").1.rule
}

#[test]
fn fixed_seeds_of_zab_pass() {
    let campaign = Campaign { from: 0, seeds: 150, threads: 2, twice: 50, failures_max: 1 };
    let (counts, failed) = campaign.run(run_seed::<ZabSubject>);
    if let Some(report) = failed.first() {
        panic!("{}", replay::<ZabSubject>(report.seed, None, 60, true).0);
    }
    assert!(counts.decided > 10_000 && counts.crashes > 1000 && counts.transfers > 100, "{counts}");
    assert!(counts.changes > 30 && counts.wiped_voters > 50, "{counts}");
}

/// A member whose only state is of a void entry is told to cut that: nothing leads back there, so
/// it must fetch a whole state, and has what it had until then.
#[test]
fn a_state_that_cannot_go_back_is_replaced() {
    let report = run_seed::<ZabSubject>(40_320);
    assert!(report.violation.is_none(), "{}", replay::<ZabSubject>(40_320, None, 60, true).0);
}

#[test]
fn fixed_seeds_of_raft_pass() {
    let campaign = Campaign { from: 0, seeds: 150, threads: 2, twice: 50, failures_max: 1 };
    let (counts, failed) = campaign.run(run_seed::<RaftSubject>);
    if let Some(report) = failed.first() {
        panic!("{}", replay::<RaftSubject>(report.seed, None, 60, true).0);
    }
    assert!(counts.decided > 10_000 && counts.crashes > 1000 && counts.transfers > 100, "{counts}");
    assert!(counts.changes > 50 && counts.reads > 1000 && counts.wiped_voters > 50, "{counts}");
}

#[test]
#[ignore = "half a minute: the command `engines --engine raft` does the same; here for rare defects"]
fn a_thousand_seeds_of_raft_pass() {
    let campaign = Campaign { from: 0, seeds: 1000, threads: 2, twice: 0, failures_max: 1 };
    let (_, failed) = campaign.run(run_seed::<RaftSubject>);
    if let Some(report) = failed.first() {
        panic!("{}", replay::<RaftSubject>(report.seed, None, 60, true).0);
    }
}

#[test]
fn an_engine_that_is_right_passes() {
    let (counts, failed) = campaign(Flaw::None, 60);
    if let Some(report) = failed.first() {
        panic!("{}", replay::<Fixed>(report.seed, None, 60, true).0);
    }
    println!("{counts}");
    assert!(counts.decided > 1000 && counts.crashes > 100 && counts.reads > 100, "{counts}");
    assert!(counts.transfers > 0 && counts.checkpoints > 0, "{counts}");
}

#[test]
fn what_is_acknowledged_early_is_found() {
    assert_eq!(rule(Flaw::AcknowledgesEarly), "I13 what is acknowledged is durable");
    assert_eq!(rule(Flaw::AcknowledgesEarlyUnseen), "I9 what is decided is durable at a quorum");
    assert_eq!(rule(Flaw::DecidesAlone), "I9 what is decided is durable at a quorum");
}

#[test]
fn a_wrong_order_is_found() {
    assert!(
        ["I3", "I4"].iter().any(|id| rule(Flaw::SwapsEntries).starts_with(id)),
        "{}",
        rule(Flaw::SwapsEntries)
    );
    assert!(
        ["I3", "I4"].iter().any(|id| rule(Flaw::SkipsAnEntry).starts_with(id)),
        "{}",
        rule(Flaw::SkipsAnEntry)
    );
    assert_eq!(rule(Flaw::ForgetsItsPeriod), "I3 a place names one entry, for ever");
    assert_eq!(rule(Flaw::DeliversTwice), "I6 what is delivered never shrinks");
}

#[test]
fn what_the_service_is_told_wrongly_is_found() {
    assert_eq!(rule(Flaw::ReadsStale), "a read sees what was decided before");
    assert_eq!(rule(Flaw::AnswersTwice), "a proposal has one outcome");
    assert_eq!(rule(Flaw::SpeaksAfterFailure), "a failed disk makes silent");
    assert_eq!(rule(Flaw::ServesUndecided), "I9 what is decided is durable at a quorum");
}

#[test]
fn who_never_comes_together_or_is_never_quiet_is_found() {
    assert_eq!(rule(Flaw::NeverDialsAgain), "a healed core works");
    assert_eq!(rule(Flaw::IsLoud), "a quiet ensemble is quiet");
}

fn explored<S: Subject>(bounds: Bounds, build: fn(&Setup) -> S) -> Explored
where
    S::Engine: Clone + Hash,
{
    let explored = explore(&bounds, build);
    if let Some((violation, steps)) = &explored.violation {
        panic!("{}\n{violation}", steps.join("\n"));
    }
    println!("{bounds}: {explored}");
    assert!(explored.finished && explored.ends > 0, "{explored}");
    explored
}

#[test]
fn every_schedule_of_a_proposal_and_a_crash_converges() {
    let explored = explored(Bounds::default(), ZabSubject::small);
    assert!(explored.states > 10_000 && explored.depth > 14, "{explored}");
    assert_eq!((explored.decided, explored.periods), (1, 2));
}

#[test]
fn every_schedule_of_a_cold_start_converges() {
    let bounds = Bounds { cold: true, proposals: 0, crashes: 0, ..Bounds::default() };
    let explored = explored(bounds, ZabSubject::small);
    assert!(explored.states > 100 && explored.periods == 1, "{explored}");
}

#[test]
fn every_schedule_with_a_broken_connection_converges() {
    let bounds = Bounds { crashes: 0, breaks: 1, ..Bounds::default() };
    let explored = explored(bounds, ZabSubject::small);
    assert_eq!(explored.decided, 1);
}

#[test]
fn every_schedule_of_raft_with_a_crash_converges() {
    let explored = explored(Bounds::default(), RaftSubject::small);
    assert!(explored.states > 5_000 && explored.depth > 14, "{explored}");
    assert_eq!((explored.decided, explored.periods), (1, 2));
}

#[test]
fn every_schedule_of_raft_with_a_broken_connection_converges() {
    let bounds = Bounds { proposals: 2, crashes: 0, breaks: 1, ..Bounds::default() };
    let explored = explored(bounds, RaftSubject::small);
    assert!(explored.states > 10_000, "{explored}");
    assert_eq!(explored.decided, 2);
}

#[test]
fn every_schedule_of_a_cold_start_of_raft_converges() {
    let bounds = Bounds { members: 2, cold: true, crashes: 0, ..Bounds::default() };
    let explored = explored(bounds, RaftSubject::small);
    assert!(explored.states > 100 && explored.periods == 1, "{explored}");
}
