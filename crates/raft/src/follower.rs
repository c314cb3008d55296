//! A follower: takes what its leader sends, and says what of it is durable.
//!
//! Invariants: an entry is acknowledged only when it, all before it and the term are on the disk,
//! and only as far as it is known to be the leader's; what is committed is never replaced. A member
//! that does not vote follows in the same way (`non_voter`).
//! Source: dissertation, sections 3.5 and 3.8.

use crate::core::{Core, tell};
use crate::engine::{Raft, Role};
use crate::frames::Message;
use crate::log::{Entry, Payload};
use base::{NodeId, Time, Zxid};
use broadcast::{Context, Decision, LinkId, Output, ReadLevel, Refusal, View};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use trace::{Ensemble as Event, SyncMethod};

/// Following somebody, or waiting for somebody to follow.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Follower {
    /// The leader of this term, and the connection that it speaks on.
    pub(crate) leader: Option<(NodeId, LinkId)>,
    acknowledged: u64,
    /// An append is not answered yet.
    owes: bool,
    /// Reads that the leader was asked for.
    reads: BTreeMap<u64, Context>,
    /// Letters of the primary's service, each for when this much is delivered.
    letters: VecDeque<(u64, Bytes)>,
    /// Whether a state came from the leader in place of the log.
    has_fetched: bool,
    /// From where on the service may show what it has.
    whole: Whole,
}

/// From where on a member's state is whole: one that was taken or sent while others were applied
/// holds some of those as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Whole {
    /// Its own state holds nothing that the leader has not committed: what that says first tells.
    #[default]
    Unheard,
    /// From this entry on.
    From(u64),
    /// A state came, and the leader is to be asked what is committed now that all of it is here:
    /// what it has said until now may have been written before.
    Fetched,
    /// It was asked.
    Asked(u64),
    /// It could not say.
    Refused,
    /// From this place on.
    At(Zxid),
}

/// An append, as it came.
pub(crate) struct Append {
    pub(crate) prev_index: u64,
    pub(crate) prev_term: u64,
    pub(crate) commit: u64,
    pub(crate) entries: Vec<Entry>,
}

/// Why a connection cannot go on.
pub(crate) type Bad = String;

impl Follower {
    /// The leader's connection is gone.
    pub(crate) fn leader_lost(&mut self) {
        *self = Follower::default();
    }

    /// The leader says what it has committed.
    fn says(&mut self, commit: u64) {
        if self.whole == Whole::Unheard {
            self.whole = Whole::From(commit);
        }
    }

    /// A state is to come in place of the log: what was written behind that is nothing to it.
    pub(crate) fn forget_letters(&mut self) {
        self.letters.clear();
    }

    /// A state came in place of the log: says whether it is that of its leader.
    pub(crate) fn installed(&mut self, link: LinkId) -> bool {
        let is_leaders = self.leader.is_some_and(|(_, on)| on == link);
        if is_leaders {
            (self.acknowledged, self.owes, self.has_fetched) = (0, true, true);
            self.whole = Whole::Fetched;
        }
        is_leaders
    }
}

impl Raft {
    /// The leader of this term speaks: follows it.
    ///
    /// # Errors
    /// If somebody else is known to be that.
    pub(crate) fn hear_leader(
        &mut self,
        from: NodeId,
        link: LinkId,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Bad> {
        match &mut self.role {
            Role::Follower(follower) => match follower.leader {
                Some((leader, _)) if leader != from => {
                    let (term, leader, from) = (self.core.term, leader.0, from.0);
                    return Err(format!("{leader} leads term {term}, {from} says that it does"));
                }
                Some((_, on)) if on == link => {}
                Some(_) => {
                    // On a new connection the leader has forgotten what was acknowledged, and
                    // letters and reads of the old one are lost: the service is told.
                    let leader = Some((from, link));
                    *follower = Follower { leader, ..Follower::default() };
                    self.core.say(View::Apart, out);
                    self.tell_of_leader(from, out);
                }
                None => {
                    follower.leader = Some((from, link));
                    self.tell_of_leader(from, out);
                }
            },
            Role::Candidate(_) => {
                self.become_follower(now, out);
                self.set_leader(from, link);
                self.tell_of_leader(from, out);
            }
            Role::Leader(_) => {
                let (term, from) = (self.core.term, from.0);
                return Err(format!("this member leads term {term}, {from} says that it does"));
            }
            Role::Silent => {}
        }
        (self.core.heard, self.core.search) = (Some(now), None);
        self.core.reset_election(now);
        Ok(())
    }

    /// From here on it is brought up to date.
    fn tell_of_leader(&self, leader: NodeId, out: &mut Vec<Output>) {
        tell(Event::EpochPromised { leader, epoch: self.core.term.cast_signed() }, out);
    }

    fn set_leader(&mut self, from: NodeId, link: LinkId) {
        if let Role::Follower(follower) = &mut self.role {
            follower.leader = Some((from, link));
        }
    }

    /// Entries of the leader's.
    ///
    /// # Errors
    /// If they are none that a leader could send.
    pub(crate) fn append(
        &mut self,
        link: LinkId,
        append: Append,
        out: &mut Vec<Output>,
    ) -> Result<(), Bad> {
        let Role::Follower(follower) = &mut self.role else { return Ok(()) };
        let core = &mut self.core;
        if core.fetching.is_some() {
            return Ok(()); // nothing is logged behind a state that is to come
        }
        let Append { prev_index, prev_term, commit, entries } = append;
        follower.says(commit);
        let committed = core.log.committed();
        let agrees =
            prev_index <= committed || core.log.term(prev_index).is_some_and(|t| t == prev_term);
        if !agrees {
            let hint = core.log.find_conflict(prev_index, prev_term);
            let hint = Some(hint.unwrap_or(core.log.base()));
            let message = Message::AppendResponse { term: core.term, index: prev_index, hint };
            core.links.send(link, &message, core.hard, out);
            return Ok(());
        }
        let end = prev_index + entries.len() as u64;
        for (index, entry) in (prev_index + 1..).zip(entries) {
            take(core, index, entry, out)?;
        }
        // What is committed is in every later leader's log.
        core.matched = core.matched.max(end).max(core.log.committed());
        follower.owes = true;
        self.commit_upto(commit, out);
        Ok(())
    }

    /// The leader has committed up to here.
    pub(crate) fn commit_upto(&mut self, commit: u64, out: &mut Vec<Output>) {
        let Role::Follower(_) = &self.role else { return };
        let upto = commit.min(self.core.matched);
        if self.core.fetching.is_none() && upto > self.core.log.committed() {
            self.core.log.commit(upto);
            self.core.log.deliver(&self.core.journal, out);
            self.open_letters(out);
        }
    }

    /// A letter of the primary's service: it keeps its place among the deliveries.
    pub(crate) fn answered(&mut self, behind: u64, letter: Bytes, out: &mut Vec<Output>) {
        if let (Role::Follower(follower), View::Replica { .. }) = (&mut self.role, self.core.view())
        {
            follower.letters.push_back((behind, letter));
            self.open_letters(out);
        }
    }

    fn open_letters(&mut self, out: &mut Vec<Output>) {
        let Role::Follower(follower) = &mut self.role else { return };
        let committed = self.core.log.committed();
        while let Some((_, letter)) =
            follower.letters.pop_front_if(|(behind, _)| *behind <= committed)
        {
            out.push(Output::Answered { letter });
        }
    }

    /// The leader is there, and asks whether it still leads.
    pub(crate) fn heartbeat(
        &mut self,
        link: LinkId,
        (commit, round): (u64, u64),
        beat: bool,
        out: &mut Vec<Output>,
    ) {
        if let Role::Follower(follower) = &mut self.role {
            follower.says(commit);
            if follower.whole == Whole::Refused {
                follower.whole = Whole::Fetched;
            }
        }
        self.commit_upto(commit, out);
        let core = &mut self.core;
        let message = Message::HeartbeatResponse { term: core.term, round };
        core.links.send(link, &message, core.hard, out);
        if beat && matches!(core.view(), View::Replica { .. }) {
            out.push(Output::HeartbeatDue { link });
        }
    }

    /// Acknowledges what is durable by now, and says that this member serves once it has all that
    /// was committed before its leader's term, and before its leader was heard.
    pub(crate) fn settle_follower(&mut self, out: &mut Vec<Output>) {
        let Role::Follower(follower) = &mut self.role else { return };
        let core = &mut self.core;
        let Some((leader, link)) = follower.leader else { return };
        if core.fetching.is_some() {
            return;
        }
        let upto = core.matched.min(core.log.durable_index(&core.journal));
        let is_new = upto > follower.acknowledged || (follower.owes && upto == core.matched);
        if is_new && core.is_hard_durable() {
            follower.owes = upto < core.matched;
            follower.acknowledged = upto;
            let message = Message::AppendResponse { term: core.term, index: upto, hint: None };
            core.links.send(link, &message, core.journal.durable, out);
        }
        if follower.whole == Whole::Fetched {
            core.reads_asked += 1;
            let (number, level) = (core.reads_asked, ReadLevel::Linearizable);
            core.links.send(link, &Message::Read { number, level }, core.hard, out);
            follower.whole = Whole::Asked(number);
        }
        let (view, committed) = (View::Replica { primary: leader }, core.log.committed());
        let is_whole = match follower.whole {
            Whole::From(from) => from <= committed,
            Whole::At(place) => place <= core.log.committed_at(),
            Whole::Unheard | Whole::Fetched | Whole::Asked(_) | Whole::Refused => false,
        };
        if is_whole && core.log.term(committed) == Some(core.term) && core.view() != view {
            let epoch = core.term.cast_signed();
            let method = if follower.has_fetched { SyncMethod::Snap } else { SyncMethod::Diff };
            tell(Event::Joined { leader, epoch, method }, out);
            core.say(view, out);
        }
    }

    /// The connection of the leader is gone.
    pub(crate) fn leader_lost(&mut self, reason: String, now: Time, out: &mut Vec<Output>) {
        let Role::Follower(follower) = &mut self.role else { return };
        let Some((leader, _)) = follower.leader else { return };
        follower.leader_lost();
        tell(Event::LeaderLost { leader, reason }, out);
        self.core.say(View::Apart, out);
        if self.core.config.lease.is_none() {
            self.core.heard = None;
            self.core.hasten_election(leader, now);
        }
    }

    /// A letter for the primary's service.
    pub(crate) fn forward(&mut self, letter: Bytes, out: &mut Vec<Output>) {
        let term = self.core.term;
        self.write(&Message::Forward { term, letter }, out);
    }

    /// What the service has heard, for the primary's.
    pub(crate) fn touch(&mut self, link: LinkId, letter: Bytes, out: &mut Vec<Output>) {
        if let Role::Follower(Follower { leader: Some((_, on)), .. }) = &self.role
            && *on == link
        {
            let term = self.core.term;
            self.write(&Message::Touch { term, letter }, out);
        }
    }

    fn write(&mut self, message: &Message, out: &mut Vec<Output>) {
        if let Role::Follower(Follower { leader: Some((_, link)), .. }) = &self.role
            && matches!(self.core.view(), View::Replica { .. })
        {
            let after = self.core.hard;
            self.core.links.send(*link, message, after, out);
        }
    }

    /// The service asks when a read may run: the leader knows.
    pub(crate) fn ask_leader(&mut self, context: Context, level: ReadLevel, out: &mut Vec<Output>) {
        let serves = matches!(self.core.view(), View::Replica { .. });
        if let Role::Follower(follower) = &mut self.role
            && serves
        {
            self.core.reads_asked += 1;
            let number = self.core.reads_asked;
            follower.reads.insert(number, context);
            return self.write(&Message::Read { number, level }, out);
        }
        let decision = Decision::Rejected(Refusal::NotPrimary);
        out.push(Output::Outcome { context, decision });
    }

    /// The leader's answer to that.
    pub(crate) fn read_answered(
        &mut self,
        link: LinkId,
        number: u64,
        at: Option<Zxid>,
        out: &mut Vec<Output>,
    ) {
        let Role::Follower(follower) = &mut self.role else { return };
        if follower.leader.is_none_or(|(_, on)| on != link) {
            return; // what another one led by says nothing
        }
        if follower.whole == Whole::Asked(number) {
            follower.whole = at.map_or(Whole::Refused, Whole::At);
            return;
        }
        let Some(context) = follower.reads.remove(&number) else { return };
        out.push(match at {
            Some(at_least) => Output::ReadReady { context, at_least },
            None => {
                let decision = Decision::Rejected(Refusal::NotPrimary);
                Output::Outcome { context, decision }
            }
        });
    }
}

/// Takes one entry of the leader's: what is there already stays, what differs goes.
fn take(core: &mut Core, index: u64, entry: Entry, out: &mut Vec<Output>) -> Result<(), Bad> {
    if index <= core.log.committed() {
        return Ok(());
    }
    match core.log.term(index) {
        Some(term) if term == entry.term => return Ok(()),
        Some(_) => core.log.cut(index, &mut core.journal, out),
        None => {}
    }
    let (term, at) = (core.log.last_term(), core.log.last_at());
    let follows = match entry.payload {
        Payload::Item(_) => entry.at > at,
        Payload::NoOp | Payload::Configuration(_) => entry.at == at,
    };
    if !follows || entry.term < term || entry.term > core.term {
        let (now, next) = (entry.term, entry.at);
        return Err(format!("entry {index} of term {now} at {next} cannot be behind {at}"));
    }
    core.log.append(entry, &mut core.journal, out);
    Ok(())
}
