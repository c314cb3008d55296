//! What all roles share: the hard state, the log, the connections, timers, and what was told.

use crate::config::{Config, Durable, HISTORY, TERM, VOTE, VOTE_TERM};
use crate::configuration::Configuration;
use crate::links::Links;
use crate::log::{InForce, Journal, Log, Parts, in_force};
use crate::search::Search;
use crate::snapshot::Fetching;
use base::{Lsn, NodeId, Rng, Time, Timers};
use broadcast::{Base, Output, Record, View};
use std::sync::Arc;
use std::time::Duration;
use trace::Event;

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// A leader, or the end of an election.
    Election,
    /// The next heartbeat.
    Heartbeat,
    /// The end of a leadership transfer.
    Transfer,
    /// A sign of life while a state comes in.
    Fetch,
    /// Another trial to open the port.
    Listen,
}

/// What is shared.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Core {
    pub(crate) config: Config,
    pub(crate) term: u64,
    pub(crate) vote: Option<NodeId>,
    /// The last record of the hard state.
    pub(crate) hard: Lsn,
    pub(crate) journal: Journal,
    pub(crate) log: Log,
    pub(crate) links: Links,
    pub(crate) rng: Rng,
    pub(crate) timers: Timers<Timer>,
    /// The log is that of the term's leader up to here, whatever this member does meanwhile.
    pub(crate) matched: u64,
    /// Reads that leaders were asked for: an answer that comes late is none to a later question.
    pub(crate) reads_asked: u64,
    /// When a leader was heard last.
    pub(crate) heard: Option<Time>,
    /// Since it knows no leader; `None` as long as it does, or has just begun to look.
    pub(crate) search: Option<Search>,
    /// A state on its way in.
    pub(crate) fetching: Option<Fetching>,
    pub(crate) is_lost: bool,
    /// [`Durable::history`].
    history: u64,
    view: View,
    /// The configuration that the connections follow: the entry that brought it, and whether it is
    /// known to be committed.
    followed: (u64, bool),
}

impl Core {
    pub(crate) fn recover(
        config: Config,
        durable: Durable,
        rng: Rng,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<Core, String> {
        let Durable { term, vote, vote_term, bases, slots, applied, is_lost, history } = durable;
        let mut journal = Journal::default();
        let InForce { base, slots, void } = in_force(bases, slots, applied);
        if let Some(from) = void {
            // It must not stand before what is logged from here on, which would be void with it.
            journal.persist(Record::Cut { from }, out);
        }
        let base = base.unwrap_or_else(|| {
            let mut configuration = Vec::new();
            config.initial.encode(&mut configuration);
            let base =
                Base { index: 0, period: 0, at: applied, configuration: configuration.into() };
            journal.persist(Record::Base(base.clone()), out);
            base
        });
        let (recent_entries, recent_bytes) =
            (config.limits.recent_entries, config.limits.recent_bytes);
        let names = config.names;
        let log =
            Log::recover(Parts { base, slots, applied, recent_entries, recent_bytes, names })?;
        let vote = (vote_term == term && term > 0).then_some(NodeId(vote.cast_unsigned()));
        let term = term.cast_unsigned();
        if log.last_term() > term {
            return Err(format!("the log ends in term {}, the member in {term}", log.last_term()));
        }
        let links = Links::new(config.me, config.cluster, config.limits);
        // Who held to a leader before the restart holds to it still, if leases rest on that.
        let heard = (config.lease.is_some() && term > 0).then_some(now);
        let core = Core {
            config,
            term,
            vote,
            hard: Lsn::ZERO,
            journal,
            log,
            links,
            rng,
            timers: Timers::default(),
            reads_asked: 0,
            matched: 0,
            heard,
            search: None,
            fetching: None,
            is_lost,
            history,
            view: View::Apart,
            followed: (u64::MAX, false),
        };
        Ok(core)
    }

    /// The history that this member speaks of: 0 while it has none, 1 if it began with nothing.
    pub(crate) fn history(&self) -> u64 {
        match self.history {
            0 => u64::from(self.log.last_index() > 0),
            history => history,
        }
    }

    /// Goes on with a state of this history, for good.
    pub(crate) fn join(&mut self, history: u64, out: &mut Vec<Output>) {
        if history > 1 && self.history != history {
            self.history = history;
            let record = Record::Register { name: HISTORY, value: history.cast_signed() };
            self.journal.persist(record, out);
        }
    }

    pub(crate) fn me(&self) -> NodeId {
        self.config.me
    }

    pub(crate) fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(self.log.configuration().1)
    }

    /// Says what this member may do, unless it was said before.
    pub(crate) fn say(&mut self, view: View, out: &mut Vec<Output>) {
        if self.view != view {
            self.view = view;
            out.push(Output::View(view));
        }
    }

    pub(crate) fn view(&self) -> View {
        self.view
    }

    /// Goes to a later term, in which it has not voted.
    pub(crate) fn enter_term(&mut self, term: u64, out: &mut Vec<Output>) {
        assert!(term > self.term, "terms only grow");
        (self.term, self.vote, self.matched) = (term, None, 0);
        let record = Record::Register { name: TERM, value: term.cast_signed() };
        self.hard = self.journal.persist(record, out);
    }

    /// Votes, for good in this term.
    pub(crate) fn vote_for(&mut self, node: NodeId, out: &mut Vec<Output>) {
        assert!(self.vote.is_none_or(|vote| vote == node), "one vote in a term");
        if self.vote == Some(node) {
            return;
        }
        self.vote = Some(node);
        let mut set = |name, value: u64| {
            let record = Record::Register { name, value: value.cast_signed() };
            self.hard = self.journal.persist(record, out);
        };
        set(VOTE, node.0);
        set(VOTE_TERM, self.term);
    }

    /// Whether term and vote are on the disk.
    pub(crate) fn is_hard_durable(&self) -> bool {
        self.hard <= self.journal.durable
    }

    /// Waits for a leader from now on: uniformly in [T, 2T).
    pub(crate) fn reset_election(&mut self, now: Time) {
        let timeout = self.config.limits.election_timeout;
        let wait = timeout + self.below(timeout);
        self.timers.set(Timer::Election, now + wait);
    }

    /// This member has just begun: it asks soon whether anybody would elect it.
    pub(crate) fn begin_election(&mut self, now: Time) {
        let heartbeat = self.config.limits.heartbeat;
        let wait = heartbeat / 2 + self.below(heartbeat * 2);
        self.timers.set(Timer::Election, now + wait);
    }

    /// The leader's connection broke, which is more than silence: it is waited for less. The voter
    /// with the largest id asks first, and each other one half a heartbeat behind the one before: so
    /// they do not split the votes, and one that lacks entries or is gone, too, costs the others no
    /// more than that.
    pub(crate) fn hasten_election(&mut self, lost: NodeId, now: Time) {
        let (_, members) = self.log.configuration();
        let me = self.me();
        let before = members.voters().filter(|voter| *voter > me && *voter != lost).count();
        let heartbeat = self.config.limits.heartbeat;
        let turn = heartbeat / 2 * u32::try_from(before).unwrap_or(u32::MAX);
        let wait = turn + self.below(heartbeat / 4);
        self.timers.set(Timer::Election, now + wait);
    }

    fn below(&mut self, bound: Duration) -> Duration {
        let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.rng.below(bound))
    }

    /// Whether a leader was heard within an election timeout.
    pub(crate) fn hears_leader(&self, now: Time) -> bool {
        let timeout = self.config.limits.election_timeout;
        self.heard.is_some_and(|heard| now.since(heard) < timeout)
    }

    /// Connections go to the members: to new ones as soon as an entry names them, to old ones until
    /// it is committed.
    pub(crate) fn follow_members(&mut self, now: Time, out: &mut Vec<Output>) {
        let (index, members) = self.log.configuration();
        let is_committed = index <= self.log.committed();
        if self.followed == (index, is_committed) {
            return;
        }
        let members = Arc::clone(members);
        if self.followed.0 != index {
            let version = i64::try_from(index).unwrap_or(i64::MAX);
            tell(trace::Ensemble::ConfigurationChanged { version }, out);
        }
        self.followed = (index, is_committed);
        self.dial(&members, now, out);
        if is_committed {
            self.links.leave(&members, out);
        }
    }

    /// Dials those again that are due.
    pub(crate) fn redial(&mut self, now: Time, out: &mut Vec<Output>) {
        let members = self.configuration();
        self.dial(&members, now, out);
    }

    /// Only who belongs to them dials: others are found by those that they are to belong to. Who is
    /// removed belongs to them until that is known to be committed.
    fn dial(&mut self, members: &Configuration, now: Time, out: &mut Vec<Output>) {
        let (log, me) = (&self.log, self.config.me);
        let index = log.configuration().0;
        let belonged = || index > log.committed() && log.configuration_at(index - 1).is_member(me);
        if members.is_member(me) || belonged() {
            self.links.dial(members, now, out);
        } else {
            self.links.forget_retries();
        }
    }
}

/// Tells of something.
pub(crate) fn tell(event: trace::Ensemble, out: &mut Vec<Output>) {
    out.push(Output::Trace(Event::Ensemble(event)));
}
