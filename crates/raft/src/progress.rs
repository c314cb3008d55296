//! How far a follower is, as its leader knows, and how much may be on its way to it.
//!
//! *Probe*: one append at a time, until it is known where the logs agree. *Replicate*: entries are
//! sent ahead of their acknowledgement, as many as the window takes. *Snapshot*: nothing is sent
//! until the state has come. A connection that breaks leads back to the probe; within one nothing
//! is lost or overtaken. Invariant: matched < next.

use base::Time;
use std::collections::VecDeque;

/// How a follower is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replication {
    /// Where its log agrees with the leader's is to be found; one append is on its way if paused.
    Probe {
        /// Whether that one is.
        paused: bool,
    },
    /// Entries are sent as they come.
    Replicate,
    /// A state up to this index is on its way.
    Snapshot(u64),
}

/// How far a follower is.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Progress {
    pub(crate) matched: u64,
    pub(crate) next: u64,
    pub(crate) state: Replication,
    /// The last index and the bytes of each append on its way.
    inflight: VecDeque<(u64, usize)>,
    inflight_bytes: usize,
    /// Appends that were sent since the probe began.
    probes: u32,
    /// The last index and the bytes of the entries in the first of them.
    probed: Option<(u64, usize)>,
    /// It has caught up, and is said to have, when its log agrees up to here.
    joins_at: Option<u64>,
    /// It is sent a state, and has not caught up since.
    pub(crate) takes_state: bool,
    /// The commit index that it was told.
    pub(crate) told: u64,
    /// The last round that it answered.
    pub(crate) round: u64,
    pub(crate) heard: Time,
}

impl Progress {
    /// Of a member that is new to this leader: it counts as heard.
    pub(crate) fn new(last_index: u64, now: Time) -> Progress {
        Progress {
            matched: 0,
            next: last_index + 1,
            state: Replication::Probe { paused: false },
            inflight: VecDeque::new(),
            inflight_bytes: 0,
            probes: 0,
            probed: None,
            joins_at: None,
            takes_state: false,
            told: 0,
            round: 0,
            heard: now,
        }
    }

    /// On a new connection: whoever comes may have lost what it had.
    pub(crate) fn reconnected(&mut self, last_index: u64) {
        self.matched = 0;
        (self.told, self.takes_state) = (0, false);
        self.probe_from(last_index + 1);
    }

    /// What was on its way is lost.
    pub(crate) fn disconnected(&mut self) {
        self.takes_state = false;
        self.probe_from(self.matched + 1);
    }

    fn probe_from(&mut self, next: u64) {
        self.next = next.max(self.matched + 1);
        self.state = Replication::Probe { paused: false };
        self.inflight.clear();
        (self.inflight_bytes, self.probes) = (0, 0);
        (self.probed, self.joins_at) = (None, None);
    }

    /// It is sent all that it lacks as it comes; `last_index` is where the leader's log ends now.
    pub(crate) fn joins(&mut self, last_index: u64) {
        self.joins_at = Some(last_index);
    }

    /// Whether it has caught up; says it once.
    pub(crate) fn has_joined(&mut self) -> bool {
        let matched = self.matched;
        let has_joined = self.joins_at.take_if(|index| *index <= matched).is_some();
        self.takes_state &= !has_joined;
        has_joined
    }

    /// Whether the next append is to hold entries: a probe that is tried again asks only.
    pub(crate) fn holds_entries(&self) -> bool {
        self.probes == 0
    }

    /// Whether an append may be sent, which holds entries or asks where logs agree.
    pub(crate) fn may_append(&self, last_index: u64, window: (usize, usize)) -> bool {
        match self.state {
            Replication::Probe { paused } => !paused,
            Replication::Snapshot(_) => false,
            Replication::Replicate => {
                let (frames, bytes) = window;
                let has_room = self.inflight.len() < frames && self.inflight_bytes < bytes;
                self.next <= last_index && has_room
            }
        }
    }

    /// An append up to this index was sent.
    pub(crate) fn sent(&mut self, last: u64, bytes: usize) {
        match &mut self.state {
            Replication::Probe { paused } => {
                *paused = true;
                self.probes += 1;
                self.probed = self.probed.or(Some((last, bytes)).filter(|_| last >= self.next));
            }
            Replication::Replicate => {
                self.next = last + 1;
                self.inflight.push_back((last, bytes));
                self.inflight_bytes += bytes;
            }
            Replication::Snapshot(_) => unreachable!("nothing is appended behind a state"),
        }
    }

    /// A state up to this index was sent.
    pub(crate) fn sent_snapshot(&mut self, index: u64) {
        self.probe_from(index + 1);
        (self.state, self.takes_state) = (Replication::Snapshot(index), true);
    }

    /// Its log agrees up to this index, and that is durable there. `base` is the last entry that
    /// the leader has compacted away.
    pub(crate) fn accepted(&mut self, index: u64, base: u64) {
        self.matched = self.matched.max(index);
        while let Some((_, bytes)) = self.inflight.pop_front_if(|(last, _)| *last <= index) {
            self.inflight_bytes -= bytes;
        }
        match self.state {
            Replication::Probe { .. } => {
                // Who has what is before the entries of the probe has taken them, too.
                let taken = self.probed.filter(|_| index + 1 >= self.next);
                self.replicate();
                if let Some((last, bytes)) = taken.filter(|(last, _)| *last > self.matched) {
                    self.sent(last, bytes);
                }
            }
            // Behind a state that is there already too old, another one follows.
            Replication::Snapshot(at) if self.matched >= at.min(base) => self.replicate(),
            Replication::Snapshot(_) => {}
            Replication::Replicate => self.next = self.next.max(self.matched + 1),
        }
    }

    fn replicate(&mut self) {
        self.probe_from(self.matched + 1);
        self.state = Replication::Replicate;
    }

    /// It has not what was before the append behind `prev`; the logs may agree up to `agreed`. An
    /// answer to what was given up long ago means nothing.
    pub(crate) fn rejected(&mut self, prev: u64, agreed: u64) {
        let is_stale = match self.state {
            Replication::Replicate => prev <= self.matched,
            Replication::Probe { .. } => prev + 1 != self.next,
            Replication::Snapshot(_) => true,
        };
        if !is_stale {
            self.probe_from(prev.min(agreed + 1));
        }
    }

    /// It answered a heartbeat: a probe whose answer does not come may be tried again.
    pub(crate) fn answered(&mut self, round: u64) {
        self.round = self.round.max(round);
        if let Replication::Probe { paused } = &mut self.state {
            *paused = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Progress, Replication};
    use base::Time;

    const WINDOW: (usize, usize) = (3, 100);

    fn replicating() -> Progress {
        let mut progress = Progress::new(10, Time::ZERO);
        progress.sent(10, 0);
        progress.accepted(5, 0);
        progress
    }

    #[test]
    fn scenario_55_a_probe_sends_one_and_waits() {
        let mut progress = Progress::new(10, Time::ZERO);
        assert!(progress.may_append(10, WINDOW));
        progress.sent(10, 0);
        assert!(!progress.may_append(10, WINDOW));
        progress.answered(1);
        assert!(progress.may_append(10, WINDOW), "a heartbeat's answer lets it try again");
    }

    #[test]
    fn entries_that_came_with_the_probe_are_not_sent_again() {
        let mut progress = Progress::new(10, Time::ZERO);
        progress.rejected(10, 5);
        progress.sent(9, 40);
        progress.accepted(4, 0);
        assert_eq!(progress.next, 5, "that answered an earlier one: whether this fits is open");
        let mut progress = Progress::new(10, Time::ZERO);
        progress.rejected(10, 5);
        progress.sent(9, 40);
        progress.accepted(5, 0);
        assert_eq!((progress.matched, progress.next), (5, 10));
        assert!(!progress.may_append(10, (1, 100)), "they are on their way to its disk");
        progress.accepted(9, 0);
        assert!(progress.may_append(10, (1, 100)));
    }

    #[test]
    fn scenarios_56_57_a_window_fills_and_slides() {
        let mut progress = replicating();
        [6, 7, 8].into_iter().for_each(|last| progress.sent(last, 10));
        assert!(!progress.may_append(10, WINDOW), "three frames are on their way");
        progress.accepted(7, 0);
        assert!(progress.may_append(10, WINDOW), "an answer frees all up to it");
        progress.sent(9, 95);
        assert!(!progress.may_append(10, WINDOW), "105 bytes are on their way");
        progress.accepted(9, 0);
        assert!(progress.may_append(10, WINDOW));
    }

    #[test]
    fn scenario_49_late_answers_move_nothing_back() {
        let mut progress = replicating();
        progress.sent(8, 1);
        progress.accepted(8, 0);
        progress.accepted(6, 0);
        assert_eq!((progress.matched, progress.next), (8, 9));
        progress.rejected(7, 2);
        assert_eq!((progress.state, progress.next), (Replication::Replicate, 9), "stale");
        progress.rejected(8, 2);
        assert_eq!(progress.state, Replication::Replicate, "it has what it matched");
    }

    #[test]
    fn scenario_59_a_gap_leads_back_to_a_probe() {
        let mut progress = replicating();
        progress.sent(8, 1);
        progress.rejected(8, 6);
        assert_eq!(progress.state, Replication::Probe { paused: false });
        assert_eq!(progress.next, 7, "behind what may agree");
        progress.rejected(3, 1);
        assert_eq!(progress.next, 7, "an answer to another probe");
    }

    #[test]
    fn scenario_65_a_state_is_there_when_an_answer_reaches_the_log() {
        let mut progress = Progress::new(100, Time::ZERO);
        progress.sent_snapshot(50);
        assert!(!progress.may_append(100, WINDOW), "scenario 63: nothing until it is resolved");
        progress.accepted(30, 40);
        assert_eq!(progress.state, Replication::Snapshot(50), "what is next is compacted away");
        progress.accepted(45, 40);
        assert_eq!((progress.state, progress.next), (Replication::Replicate, 46));
        progress.sent_snapshot(60);
        progress.accepted(60, 80);
        assert_eq!(progress.state, Replication::Replicate, "it is there, and too old");
        assert_eq!(progress.next, 61, "so another one is due");
        progress.sent_snapshot(90);
        progress.disconnected();
        assert_eq!(progress.state, Replication::Probe { paused: false }, "scenario 64");
    }
}
