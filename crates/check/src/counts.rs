//! What a verdict rests on.

/// What a history held, so that a verdict can be seen to mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // counts of what their names say
pub struct Counts {
    pub commits: u64,
    pub refused_writes: u64,
    pub write_replies: u64,
    pub reads: u64,
    pub multis: u64,
    pub failed_multis: u64,
    pub sequential: u64,
    pub events: [u64; 4],
    pub missed_events: u64,
    pub set_watches: u64,
    pub expired: u64,
    pub closed: u64,
    pub reaped: u64,
    pub unknown_done: u64,
    pub trees: u64,
    pub reconfigured: u64,
    pub not_reconfigured: u64,
    pub local_writes: u64,
    pub answered_outside: u64,
}

impl Counts {
    /// Adds another history's.
    pub fn add(&mut self, other: &Counts) {
        let Counts { events, .. } = other;
        self.commits += other.commits;
        self.refused_writes += other.refused_writes;
        self.write_replies += other.write_replies;
        self.reads += other.reads;
        self.multis += other.multis;
        self.failed_multis += other.failed_multis;
        self.sequential += other.sequential;
        self.events.iter_mut().zip(events).for_each(|(sum, more)| *sum += more);
        self.missed_events += other.missed_events;
        self.set_watches += other.set_watches;
        self.expired += other.expired;
        self.closed += other.closed;
        self.reaped += other.reaped;
        self.unknown_done += other.unknown_done;
        self.trees += other.trees;
        self.reconfigured += other.reconfigured;
        self.not_reconfigured += other.not_reconfigured;
        self.local_writes += other.local_writes;
        self.answered_outside += other.answered_outside;
    }
}
