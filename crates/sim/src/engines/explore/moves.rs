//! What can happen next in a state.

use super::small::Small;
use crate::engines::judge::{Violation, violated};
use crate::engines::subject::Subject;
use crate::net::Packet;
use base::{Machine, Time};
use broadcast::View;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// A connection comes up, at both ends.
    Connect { conn: u64 },
    /// Nobody accepts it.
    Refuse { conn: u64 },
    /// The next frame that this side has sent arrives, or the end.
    Deliver { conn: u64, side: usize },
    /// The end arrives: what was sent before it is lost.
    Cut { conn: u64, side: usize },
    /// A sync is done.
    Sync { member: usize },
    /// The first thing that was asked of the state or the log is done.
    Job { member: usize },
    /// The earliest timer of all expires.
    Timer { member: usize, at: Time, early: bool },
    /// The timer of a member expires, as if the others stood still.
    Stall { member: usize, at: Time },
    /// An entry is proposed.
    Propose { member: usize },
    /// A member is gone; of what it has not synced so many records survive.
    Crash { member: usize, kept: usize },
    /// It comes back.
    Restart { member: usize, early: bool },
    /// A connection breaks.
    Break { conn: u64 },
}

impl<S: Subject> Small<S> {
    /// All that can happen; nothing if it is over.
    pub(super) fn moves(&self, subject: &S) -> Result<Vec<Move>, Violation> {
        let mut moves = self.by_itself();
        let is_quiet = moves.is_empty();
        let converged = is_quiet && self.has_converged();
        self.time_passes(is_quiet, converged, &mut moves);
        if is_quiet && !converged && moves.is_empty() && self.nodes.iter().all(|n| n.is_up()) {
            violated("a healed core works", self.describe())?;
        }
        if self.now.since(self.since) > subject.settles_within() {
            violated("a healed core works", self.describe())?;
        }
        self.outside_moves(is_quiet, &mut moves);
        Ok(moves)
    }

    /// What happens without anybody's doing.
    fn by_itself(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        let mut waiting = Vec::new();
        for (&conn, wire) in &self.conns {
            if !wire.up {
                match self.acceptor(wire) {
                    Some(_) => moves.push(Move::Connect { conn }),
                    None if self.is_down(wire) => moves.push(Move::Refuse { conn }),
                    None => waiting.push(Move::Refuse { conn }),
                }
            }
            for (side, pipe) in wire.pipes.iter().enumerate().filter(|(_, p)| !p.is_empty()) {
                moves.push(Move::Deliver { conn, side });
                let torn = matches!(pipe.back(), Some(Packet::End(RESET)));
                if torn && pipe.len() > 1 {
                    moves.push(Move::Cut { conn, side });
                }
            }
        }
        for (member, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.is_up()) {
            if node.host.disk.syncing.is_some() {
                moves.push(Move::Sync { member });
            }
            if !node.jobs.is_empty() {
                moves.push(Move::Job { member });
            }
            if let Some(at) = node.deadline().filter(|at| *at <= self.now) {
                moves.push(Move::Timer { member, at, early: false });
            }
        }
        if moves.is_empty() { waiting } else { moves }
    }

    fn time_passes(&self, is_quiet: bool, converged: bool, moves: &mut Vec<Move>) {
        let up = self.nodes.iter().filter(|node| node.is_up()).count();
        let is_free = is_quiet && !converged && up * 2 > self.nodes.len();
        if !is_free && self.left.timeouts == 0 {
            return;
        }
        let timers = self.nodes.iter().enumerate();
        let timers = timers.filter_map(|(member, node)| Some((node.deadline()?, member)));
        if let Some((at, member)) = timers.min().filter(|(at, _)| *at > self.now) {
            moves.push(Move::Timer { member, at, early: !is_free });
        }
    }

    fn outside_moves(&self, is_quiet: bool, moves: &mut Vec<Move>) {
        for (member, node) in self.nodes.iter().enumerate() {
            if !node.is_up() {
                if is_quiet || self.left.restarts > 0 {
                    moves.push(Move::Restart { member, early: !is_quiet });
                }
                continue;
            }
            if self.left.proposals > 0 && node.host.service.proposer.is_some() {
                moves.push(Move::Propose { member });
            }
            if self.left.crashes > 0 {
                let pending = node.host.disk.pending.len();
                moves.extend((0..=pending).map(|kept| Move::Crash { member, kept }));
            }
        }
        if self.left.stalls > 0 {
            let timers = self.nodes.iter().enumerate();
            let timers = timers.filter_map(|(member, node)| Some((member, node.deadline()?)));
            let ahead = timers.filter(|(_, at)| *at > self.now);
            moves.extend(ahead.map(|(member, at)| Move::Stall { member, at }));
        }
        if self.left.breaks > 0 {
            let up = self.conns.iter().filter(|(_, conn)| conn.up && !conn.is_broken());
            moves.extend(up.map(|(&conn, _)| Move::Break { conn }));
        }
    }

    /// Whether all that run follow one of them, and have all that is decided.
    fn has_converged(&self) -> bool {
        let frontier = self.judge.frontier();
        let up: Vec<_> = self.nodes.iter().filter(|node| node.is_up()).collect();
        let leads = |view: Option<View>| matches!(view, Some(View::Primary { .. }));
        let leader = up.iter().find(|node| leads(node.host.view)).map(|node| node.host.node);
        leader.is_some_and(|leader| {
            up.iter().all(|node| {
                let follows = node.host.view == Some(View::Replica { primary: leader });
                let agrees = node.host.state.chain == frontier;
                agrees && node.host.disk.pending.is_empty() && (follows || node.host.node == leader)
            })
        })
    }

    fn describe(&self) -> String {
        let decided = self.judge.describe(self.judge.frontier());
        let mut text = format!("decided {decided}");
        for node in &self.nodes {
            let (host, view) = (&node.host, node.host.view);
            let (applied, logged) = (host.state.last, host.disk.live.tip().0);
            let id = host.node.0;
            text += &format!("; node {id} {view:?} applied {applied} logged {logged}");
        }
        text
    }
}

impl<E: Machine> super::small::Node<E> {
    pub(super) fn is_up(&self) -> bool {
        self.host.engine.is_some()
    }

    fn deadline(&self) -> Option<Time> {
        self.host.engine.as_ref().and_then(Machine::deadline)
    }
}

/// How a connection ends whose other side is gone, or that is broken.
pub(super) const RESET: &str = "connection reset";
