//! Every schedule of a small ensemble, up to bounds: nothing is left to chance.
//!
//! From one beginning all orders are tried in which frames arrive, connections come up, syncs end,
//! timers expire, members crash and come back, and entries are proposed. A state that was reached
//! before is not gone on from again. The judge looks at every step; where nothing moves any more
//! the ensemble must have converged.
//! What is left out: frames arrive whole and one by one; a connection comes up at both ends in one
//! step; time passes only when nothing else can happen, or for a timeout that the bounds allow;
//! who waits for a port that is closed is refused only then.
//! Source: depth-first search with stored states (Holzmann, "The model checker SPIN", 1997).

mod conn;
mod fingerprint;
mod logs;
mod moves;
mod small;

use crate::engines::judge::Violation;
use crate::engines::subject::{Setup, Subject};
use moves::Move;
use small::Small;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hash;

/// What an exploration begins with, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many vote.
    pub members: u64,
    /// Whether it begins with empty disks and nobody running, not with a leader that all follow.
    pub cold: bool,
    /// How many entries are proposed.
    pub proposals: u32,
    /// How often a member crashes, at any point. It comes back when the others have come to rest.
    pub crashes: u32,
    /// How often a member comes back, or is started, before that: at any point.
    pub restarts: u32,
    /// How often a connection breaks.
    pub breaks: u32,
    /// How often a timer expires although something else could happen first.
    pub timeouts: u32,
    /// How often the timer of any member expires first, as if the others stood still: theirs are
    /// late then.
    pub stalls: u32,
    /// After so many states it is given up.
    pub limit: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds::SMALLEST
    }
}

impl Bounds {
    /// Those of the gate.
    pub const GATE: [Bounds; 4] = [
        Bounds::SMALLEST,
        Bounds { crashes: 0, breaks: 1, ..Bounds::SMALLEST },
        Bounds { crashes: 0, timeouts: 1, ..Bounds::SMALLEST },
        Bounds { cold: true, proposals: 0, crashes: 0, ..Bounds::SMALLEST },
    ];
    /// Those of the gate for Raft. Three that start at any moment are too many states: each dials
    /// both others.
    pub const GATE_RAFT: [Bounds; 4] = [
        Bounds::SMALLEST,
        Bounds { proposals: 2, crashes: 0, breaks: 1, ..Bounds::SMALLEST },
        Bounds { members: 2, breaks: 1, ..Bounds::SMALLEST },
        Bounds { members: 2, cold: true, proposals: 0, crashes: 0, ..Bounds::SMALLEST },
    ];
    const SMALLEST: Bounds = Bounds {
        members: 3,
        cold: false,
        proposals: 1,
        crashes: 1,
        restarts: 0,
        breaks: 0,
        timeouts: 0,
        stalls: 0,
        limit: u64::MAX,
    };
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { members, proposals, crashes, restarts, breaks, timeouts, stalls, .. } = self;
        let from = if self.cold { "cold" } else { "established" };
        write!(
            f,
            "{members} members, {from}, {proposals} proposals, {crashes} crashes, {restarts} early \
             restarts, {breaks} breaks, {timeouts} timeouts, {stalls} stalls"
        )
    }
}

/// What an exploration has seen.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// Different states.
    pub states: u64,
    /// Steps between them.
    pub transitions: u64,
    /// States in which nothing moves any more: all have converged.
    pub ends: u64,
    /// The longest way that was gone without coming to a known state, in steps.
    pub depth: usize,
    /// The most entries decided, and the most periods with an established leader, on a way.
    pub decided: usize,
    /// See there.
    pub periods: u64,
    /// Whether there is nothing that was not tried.
    pub finished: bool,
    /// What was wrong, and the steps that lead there with all that went in and out.
    pub violation: Option<(Violation, Vec<String>)>,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explored { states, transitions, ends, depth, decided, periods, .. } = self;
        write!(
            f,
            "{states} states, {transitions} transitions, {ends} ends that converged, depth \
             {depth}, up to {decided} decided in {periods} periods; {}",
            if self.finished { "finished" } else { "NOT finished" }
        )
    }
}

/// Tries everything from the beginning that the bounds name, of the subject that `build` makes.
#[must_use]
pub fn explore<S: Subject>(bounds: &Bounds, build: impl Fn(&Setup) -> S) -> Explored
where
    S::Engine: Clone + Hash,
{
    let voters = (1..=bounds.members).map(base::NodeId).collect();
    let setup = Setup {
        voters,
        observers: Vec::new(),
        groups: Vec::new(),
        spares: Vec::new(),
        changes: false,
    };
    let subject = build(&setup);
    let mut explored = Explored::default();
    match Small::begin(&subject, &setup, bounds) {
        Ok(root) => search(&subject, root, bounds, &mut explored),
        Err(violation) => explored.violation = Some((violation, Vec::new())),
    }
    explored
}

/// A state on the way, and which of its moves are still to be tried.
struct Fork<S: Subject> {
    state: Small<S>,
    moves: Vec<Move>,
    next: usize,
}

fn search<S: Subject>(subject: &S, root: Small<S>, bounds: &Bounds, explored: &mut Explored)
where
    S::Engine: Clone + Hash,
{
    let mut seen = BTreeSet::from([root.fingerprint()]);
    let fork = |state: Small<S>| state.moves(subject).map(|moves| Fork { state, moves, next: 0 });
    let first = root.clone();
    let mut way = vec![fork(root).expect("the beginning has a way on")];
    while let Some(last) = way.last_mut() {
        let Some(chosen) = last.moves.get(last.next).copied() else {
            way.pop();
            continue;
        };
        last.next += 1;
        let mut state = last.state.clone();
        explored.transitions += 1;
        let stepped = state.step(subject, chosen);
        if stepped.is_ok() && !seen.insert(state.fingerprint()) {
            continue;
        }
        match stepped.and_then(|()| fork(state)) {
            Ok(next) => {
                explored.ends += u64::from(next.moves.is_empty());
                explored.decided = explored.decided.max(next.state.judge.decided());
                explored.periods = explored.periods.max(next.state.judge.periods());
                way.push(next);
                explored.depth = explored.depth.max(way.len() - 1);
            }
            Err(violation) => {
                let moves: Vec<Move> = way.iter().map(|fork| fork.moves[fork.next - 1]).collect();
                explored.states = seen.len() as u64;
                explored.violation = Some((violation, first.retrace(subject, &moves)));
                return;
            }
        }
        if seen.len() as u64 >= bounds.limit {
            explored.states = seen.len() as u64;
            return;
        }
    }
    explored.states = seen.len() as u64;
    explored.finished = true;
}
