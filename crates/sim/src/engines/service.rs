//! The service above an engine, as small as it can be: it proposes, applies, reads and writes letters.
//!
//! Everything that it hears comes in one order, behind its gates. What it is told is checked here:
//! one outcome per proposal, the order of a primary, reads that see what was decided.

use crate::engines::change::Members;
use crate::engines::host::{Effect, Host, Scene};
use crate::engines::judge::{Step, violated};
use crate::engines::payload;
use crate::engines::subject::{Letter, Subject};
use crate::hash::hash_bytes;
use base::{Lsn, Machine, Zxid};
use broadcast::{
    Context, Decision, Input, Item, LinkId, Output, Proposal, ReadLevel, Refusal, View,
};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Something that the service is to hear, and how much of the journal was appended before.
#[derive(Clone, Debug)]
pub(crate) enum Queued {
    Output(Output, Lsn),
    Install { link: LinkId, mark: Lsn },
}

/// What keeps the queue from going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    Reset { at: Zxid },
    Store { link: LinkId },
}

/// A primary's own view of the order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proposer {
    /// The last place given.
    last: Zxid,
    /// The last entry of the service's, applied or proposed.
    work: Zxid,
    /// A proposal was refused for good: the view is about to change.
    refused: bool,
}

/// A proposal without an outcome.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Zxid,
    /// The entry that it was made on.
    before: Zxid,
}

/// What the world's clients hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Delivered { id: u64, acknowledged: bool },
    ReadDone { id: u64 },
    Viewed(View),
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    level: ReadLevel,
    /// What was decided when it was asked for.
    bound: Zxid,
    ready: Option<Zxid>,
}

/// The service's volatile state.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) queue: VecDeque<Queued>,
    pub(crate) busy: Option<Busy>,
    pub(crate) proposer: Option<Proposer>,
    /// The most proposals of a view without an outcome: clients beyond that are turned away.
    pub(crate) window: usize,
    /// Proposals of this view without an outcome, and of earlier ones.
    outstanding: BTreeMap<u64, Asked>,
    lapsed: BTreeMap<u64, Asked>,
    /// Those made behind one that was not taken: they cannot be taken either.
    void: BTreeMap<u64, Asked>,
    reads: BTreeMap<u64, Read>,
    /// Of a primary: reads that replicas have asked for by letter, and on which link.
    asked: BTreeMap<u64, LinkId>,
    /// Up to here a state that came held more than its name says: it may be delivered again.
    pub(crate) fuzzy: Zxid,
}

impl Service {
    /// Of a member that was just started.
    pub(crate) fn new(window: usize) -> Service {
        Service {
            queue: VecDeque::new(),
            busy: None,
            proposer: None,
            window,
            outstanding: BTreeMap::new(),
            lapsed: BTreeMap::new(),
            void: BTreeMap::new(),
            reads: BTreeMap::new(),
            asked: BTreeMap::new(),
            fuzzy: Zxid::ZERO,
        }
    }

    pub(crate) fn queue(&mut self, output: Output, mark: Lsn) {
        // As a host must: from here on nothing more is proposed, however much is still to be heard.
        if matches!(output, Output::View(View::Apart | View::Silent))
            && let Some(proposer) = &mut self.proposer
        {
            proposer.refused = true;
        }
        self.queue.push_back(Queued::Output(output, mark));
    }

    /// Asks for places for these, if this is the primary.
    pub(crate) fn propose<S: Subject>(&mut self, subject: &S, ids: &[u64]) -> Option<Input> {
        let proposer = self.proposer.as_mut().filter(|proposer| !proposer.refused)?;
        let room = self.window.saturating_sub(self.outstanding.len());
        let mut proposals = Vec::new();
        for id in ids.iter().take(room) {
            let filler = vec![0x5a; (hash_bytes(&id.to_be_bytes()) % 48) as usize];
            proposals.push(place(subject, proposer, &mut self.outstanding, (*id, &filler)));
        }
        (!proposals.is_empty()).then_some(Input::Proposed(proposals))
    }

    /// Asks that these are the members, if this is the primary.
    pub(crate) fn propose_change<S: Subject>(
        &mut self,
        subject: &S,
        id: u64,
        members: &Members,
    ) -> Option<Input> {
        let proposer = self.proposer.as_mut().filter(|proposer| !proposer.refused)?;
        let body = (id, &*members.encode());
        Some(Input::Proposed(vec![place(subject, proposer, &mut self.outstanding, body)]))
    }

    pub(crate) fn read(&mut self, id: u64, level: ReadLevel, bound: Zxid) -> Input {
        self.reads.insert(id, Read { level, bound, ready: None });
        Input::ReadRequested { context: Context(id), level }
    }

    /// A read at a replica: its primary is asked by letter.
    pub(crate) fn read_by_letter<S: Subject>(
        &mut self,
        subject: &S,
        id: u64,
        level: ReadLevel,
        bound: Zxid,
    ) -> Input {
        self.reads.insert(id, Read { level, bound, ready: None });
        let mut body = id.to_be_bytes().to_vec();
        body.push(u8::from(level == ReadLevel::Linearizable));
        Input::Forward { letter: subject.letter(Letter::Request, body.into()) }
    }

    fn lapse(&mut self) {
        self.proposer = None;
        self.lapsed.append(&mut self.outstanding);
    }

    /// A proposal was not taken, and may be later: the service goes on behind what was before it.
    fn turn_back(&mut self, asked: Asked) {
        let behind = self.outstanding.extract_if(.., |_, other| other.at > asked.at);
        self.void.extend(behind);
        if let Some(proposer) = &mut self.proposer {
            (proposer.last, proposer.work) = (Zxid(asked.at.0 - 1), asked.before);
        }
    }
}

impl<E: Machine<Input = Input, Output = Output>> Host<E> {
    /// Lets the service hear what it may hear by now.
    pub(crate) fn serve<S: Subject<Engine = E>>(&mut self, scene: &mut Scene<'_, S>) -> Step {
        while self.service.busy.is_none() {
            let upto = self.disk.upto;
            let waits = match self.service.queue.front() {
                None => return Ok(()),
                Some(Queued::Output(Output::Deliver { after, .. }, _)) => *after > upto,
                Some(Queued::Output(Output::ResetTo { .. }, mark)) => *mark > upto,
                Some(Queued::Install { link, mark }) => *mark > upto || !self.has_fetched(*link),
                Some(Queued::Output(..)) => false,
            };
            if waits {
                return Ok(());
            }
            match self.service.queue.pop_front().expect("it was looked at") {
                Queued::Output(output, _) => self.hear(output, scene)?,
                Queued::Install { link, .. } => {
                    self.service.busy = Some(Busy::Store { link });
                    scene.effects.push(Effect::Store { link });
                }
            }
        }
        Ok(())
    }

    fn hear<S: Subject<Engine = E>>(&mut self, output: Output, scene: &mut Scene<'_, S>) -> Step {
        match output {
            Output::Deliver { at, context, item, .. } => self.deliver(at, context, &item, scene),
            Output::View(view) => self.viewed(view, scene),
            Output::Outcome { context, decision } => self.outcome(context, decision, scene),
            Output::ReadReady { context, at_least } => self.ready(context, at_least, scene),
            Output::Forwarded { from, letter, .. } => {
                self.forwarded(from, &letter, scene);
                Ok(())
            }
            Output::Answered { letter } => self.answered(&letter, scene),
            // A member that others come through adds theirs to its own.
            Output::HeartbeatHeard { letter, .. } => match scene.subject.body(&letter) {
                Some(body) if is_made_of(&body, HEARTBEAT) => Ok(()),
                other => violated("letters arrive as they were written", format!("{other:?}")),
            },
            Output::ResetTo { at } => {
                self.service.busy = Some(Busy::Reset { at });
                scene.effects.push(Effect::Reset);
                Ok(())
            }
            Output::Persist { .. }
            | Output::Send { .. }
            | Output::HeartbeatDue { .. }
            | Output::Listen { .. }
            | Output::Unlisten { .. }
            | Output::Dial { .. }
            | Output::Close { .. }
            | Output::SendSnapshot { .. }
            | Output::FetchSnapshot { .. }
            | Output::ReadLog { .. }
            | Output::Fatal { .. }
            | Output::Trace(_) => unreachable!("these never wait for the service"),
        }
    }

    fn deliver<S: Subject<Engine = E>>(
        &mut self,
        at: Zxid,
        context: Option<Context>,
        item: &Item,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        let node = self.node.0;
        if at <= self.state.last {
            let held = scene.judge.cut(self.state.chain, at);
            let again = at <= self.service.fuzzy && scene.judge.is_entry(held, at, item);
            if again {
                return Ok(());
            }
            let evidence = format!("node {node}: {at} after {}", self.state.last);
            return violated("I6 what is delivered never shrinks", evidence);
        }
        self.match_context(at, context)?;
        let contents = scene.subject.contents(item).and_then(|body| payload::read(&body));
        if let Some((_, before)) = contents
            && before != self.state.work
        {
            let evidence = format!(
                "node {node} delivers {at}, made behind {before}, behind {}",
                self.state.work
            );
            return violated("I7 an entry is delivered on what it was made on", evidence);
        }
        let chain = scene.judge.entered(self.node, self.state.chain, at, item)?;
        self.state.apply(at, item, contents.is_some());
        assert_eq!(self.state.chain, chain, "both count alike");
        scene.judge.shown(self.node, chain)?;
        if let Some((id, _)) = contents {
            scene.told.push(Told::Delivered { id, acknowledged: context.is_some() });
        }
        self.finish_reads(scene);
        Ok(())
    }

    /// A mark comes back once, with what it was put on.
    fn match_context(&mut self, at: Zxid, context: Option<Context>) -> Step {
        let node = self.node.0;
        let rule = "a proposal has one outcome";
        match context {
            Some(Context(id)) => {
                let outstanding = self.service.outstanding.remove(&id);
                match outstanding.or_else(|| self.service.lapsed.remove(&id)) {
                    Some(asked) if asked.at == at => Ok(()),
                    asked => {
                        let evidence = format!("node {node}: {id} for {asked:?} comes at {at}");
                        violated(rule, evidence)
                    }
                }
            }
            None => match self.service.outstanding.iter().find(|(_, asked)| asked.at == at) {
                Some((id, _)) if self.service.proposer.is_some() => {
                    violated(rule, format!("node {node}: {at} was proposed as {id}, has no mark"))
                }
                Some(_) | None => Ok(()),
            },
        }
    }

    fn viewed<S: Subject<Engine = E>>(&mut self, view: View, scene: &mut Scene<'_, S>) -> Step {
        self.service.lapse();
        self.roles += u64::from(view != View::Apart);
        let (node, log) = (self.node, self.disk.live.tip().1);
        match view {
            View::Primary { last } => {
                scene.judge.primary(node, log, last)?;
                if self.state.chain != log {
                    let (log, has) = (scene.judge.describe(log), self.state.last);
                    let evidence = format!("node {} has applied {has}, logged {log}", node.0);
                    return violated("I7 a primary has applied what it has logged", evidence);
                }
                if last < self.state.last {
                    let evidence = format!("node {}: {last} < {}", node.0, self.state.last);
                    return violated("I7 a primary goes on behind its history", evidence);
                }
                scene.judge.shown(node, self.state.chain)?;
                let work = self.state.work;
                self.service.proposer = Some(Proposer { last, work, refused: false });
            }
            View::Replica { .. } => scene.judge.shown(node, self.state.chain)?,
            View::Apart => {}
            View::Silent if self.silent => {}
            View::Silent => {
                let evidence = format!("node {} is silent on a good disk", node.0);
                return violated("a failed disk makes silent", evidence);
            }
        }
        self.view = Some(view);
        scene.told.push(Told::Viewed(view));
        Ok(())
    }

    fn outcome<S: Subject<Engine = E>>(
        &mut self,
        context: Context,
        decision: Decision,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        let (node, id) = (self.node.0, context.0);
        let own = self.service.reads.remove(&id).is_some();
        if own || self.service.asked.remove(&id).is_some() {
            return Ok(()); // a read that cannot run here
        }
        if self.service.void.remove(&id).is_some() {
            if let Decision::Rejected(_) = decision {
                return Ok(());
            }
            let evidence = format!("node {node}: {id}, behind one that was refused, {decision:?}");
            return violated("a proposal for no next place is refused", evidence);
        }
        let current = self.service.outstanding.remove(&id);
        if current.is_none() && self.service.lapsed.remove(&id).is_none() {
            let evidence = format!("node {node}: {id} {decision:?}, which is not under way");
            return violated("a proposal has one outcome", evidence);
        }
        let (Some(asked), Some(proposer)) = (current, self.service.proposer.as_mut()) else {
            return Ok(());
        };
        match decision {
            Decision::Rejected(Refusal::Full | Refusal::Reconfiguring) => {
                self.service.turn_back(asked);
                scene.told.push(Told::Refused);
                Ok(())
            }
            Decision::Rejected(Refusal::OutOfOrder) if !proposer.refused => {
                let evidence = format!("node {node}: {id}");
                violated("a proposal for the next place is taken", evidence)
            }
            Decision::Rejected(_) => {
                proposer.refused = true;
                Ok(())
            }
            Decision::Unknown => Ok(()),
        }
    }

    fn ready<S: Subject<Engine = E>>(
        &mut self,
        context: Context,
        at_least: Zxid,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        if let Some(to) = self.service.asked.remove(&context.0) {
            let body = [at_least.0.to_be_bytes(), context.0.to_be_bytes()].concat();
            let letter = scene.subject.letter(Letter::Answer, body.into());
            self.inputs.push_back(Input::Answer { to, letter });
            return Ok(());
        }
        let Some(read) = self.service.reads.get_mut(&context.0).filter(|r| r.ready.is_none())
        else {
            let evidence = format!("node {}: {context:?}", self.node.0);
            return violated("a read is ready once", evidence);
        };
        if read.level == ReadLevel::Linearizable && at_least < read.bound {
            let evidence = format!(
                "node {}: read {} may run at {at_least}, {} was decided before",
                self.node.0, context.0, read.bound
            );
            return violated("a read sees what was decided before", evidence);
        }
        read.ready = Some(at_least);
        self.finish_reads(scene);
        Ok(())
    }

    pub(crate) fn finish_reads<S>(&mut self, scene: &mut Scene<'_, S>) {
        let last = self.state.last;
        self.service.reads.retain(|id, read| {
            // Where a period begins is no entry: all before it is applied when the view says so.
            let is_here = |at_least: Zxid| at_least <= last || at_least.counter() == 0;
            let done = read.ready.is_some_and(is_here);
            if done {
                scene.told.push(Told::ReadDone { id: *id });
            }
            !done
        });
    }

    /// A replica's client wants a place in the order, and a sign that the letter came.
    fn forwarded<S: Subject<Engine = E>>(
        &mut self,
        from: LinkId,
        letter: &Bytes,
        scene: &mut Scene<'_, S>,
    ) {
        let Some(body) = scene.subject.body(letter) else { return };
        let Some(id) = payload::word(&body, 0) else { return };
        if let Some(linearizable) = body.get(8) {
            self.service.asked.insert(id, from);
            let level = match linearizable {
                0 => ReadLevel::Proposed,
                _ => ReadLevel::Linearizable,
            };
            self.inputs.push_back(Input::ReadRequested { context: Context(id), level });
            return;
        }
        if let Some(input) = self.service.propose(scene.subject, &[id]) {
            self.inputs.push_back(input);
        }
        let seen = Bytes::copy_from_slice(&self.state.last.0.to_be_bytes());
        let letter = scene.subject.letter(Letter::Answer, seen);
        self.inputs.push_back(Input::Answer { to: from, letter });
    }

    /// An answer keeps its place among the deliveries.
    fn answered<S: Subject<Engine = E>>(
        &mut self,
        letter: &Bytes,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        let body = scene.subject.body(letter).unwrap_or_default();
        let Some(seen) = payload::word(&body, 0) else {
            return violated("letters arrive as they were written", format!("{letter:?}"));
        };
        let seen = Zxid(seen as i64);
        if let Some(id) = payload::word(&body, 8) {
            let is_open = self.service.reads.contains_key(&id);
            return if is_open { self.ready(Context(id), seen, scene) } else { Ok(()) };
        }
        if seen <= self.state.last {
            return Ok(());
        }
        let (node, has) = (self.node.0, self.state.last);
        let evidence = format!("node {node} has {has}, the primary wrote behind {seen}");
        violated("letters keep their order among the deliveries", evidence)
    }

    pub(crate) fn heartbeat<S: Subject<Engine = E>>(
        &mut self,
        link: LinkId,
        scene: &mut Scene<'_, S>,
    ) {
        let letter = scene.subject.letter(Letter::Heartbeat, Bytes::from_static(&HEARTBEAT[..]));
        self.inputs.push_back(Input::Heartbeat { link, letter });
    }
}

/// Whether it is one or several of these, one behind the other.
fn is_made_of(body: &[u8], one: &[u8]) -> bool {
    !body.is_empty() && body.chunks(one.len()).all(|chunk| chunk == one)
}

/// The next place for what a client asks for: its number, the entry that it was made on, and more.
fn place<S: Subject>(
    subject: &S,
    proposer: &mut Proposer,
    outstanding: &mut BTreeMap<u64, Asked>,
    (id, more): (u64, &[u8]),
) -> Proposal {
    let (at, before) = (proposer.last.next(), proposer.work);
    let bytes = payload::write(id, before, more);
    (proposer.last, proposer.work) = (at, at);
    outstanding.insert(id, Asked { at, before });
    Proposal { context: Context(id), at, item: subject.item(at, bytes.into()) }
}

/// What every replica's service has heard.
const HEARTBEAT: &[u8; 24] = b"a sign of life, at last.";
