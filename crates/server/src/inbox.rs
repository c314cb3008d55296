//! What waits for the member.

use crate::peers::Fact;
use crate::sync::lock;
use keeper::Submissions;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Facts for the member from everybody else.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    /// Whether there is something in `waiting`.
    is_pending: AtomicBool,
    /// Requests in `waiting` and with the member.
    outstanding: AtomicUsize,
}

/// What was there at one look.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) submissions: Submissions,
    /// News of the links to other members.
    pub(crate) facts: Vec<Fact>,
    /// The end of a snapshot.
    pub(crate) snapshot: Option<node::Input>,
    /// Whether the member's deadline may have come.
    pub(crate) timer: bool,
}

impl Inbox {
    /// Moves requests in. Call it while the connection is locked: that keeps a session's order.
    pub(crate) fn submit(&self, submissions: &mut Submissions) {
        let mut waiting = lock(&self.waiting);
        self.outstanding.fetch_add(submissions.len(), Ordering::Relaxed);
        waiting.submissions.append(submissions);
        self.is_pending.store(true, Ordering::SeqCst);
    }

    /// Something happened on a link, after all that was told before.
    pub(crate) fn tell(&self, fact: Fact) {
        lock(&self.waiting).facts.push(fact);
        self.is_pending.store(true, Ordering::SeqCst);
    }

    /// A snapshot has ended.
    pub(crate) fn snapshot_ended(&self, input: node::Input) {
        lock(&self.waiting).snapshot = Some(input);
        self.is_pending.store(true, Ordering::SeqCst);
    }

    /// The member's deadline has come.
    pub(crate) fn timer_expired(&self) {
        lock(&self.waiting).timer = true;
        self.is_pending.store(true, Ordering::SeqCst);
    }

    /// Whether there is something for the member.
    pub(crate) fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::SeqCst)
    }

    /// Takes everything; `spare` and `facts` are filled next.
    pub(crate) fn take(&self, spare: Submissions, facts: Vec<Fact>) -> Waiting {
        let spare = Waiting { submissions: spare, facts, ..Waiting::default() };
        let mut waiting = lock(&self.waiting);
        self.is_pending.store(false, Ordering::SeqCst);
        std::mem::replace(&mut *waiting, spare)
    }

    /// The member has so many requests under way.
    pub(crate) fn member_has(&self, outstanding: usize) {
        let waiting = lock(&self.waiting);
        self.outstanding.store(outstanding + waiting.submissions.len(), Ordering::Relaxed);
    }

    /// Requests that were submitted and not answered.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }
}
