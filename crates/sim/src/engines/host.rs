//! A member's host: performs what an engine commands, and holds back what must wait.
//!
//! Guarantees what a real host owes: order per link, and what the service hears in one order;
//! nothing leaves before its gate. What the network and the disk are to do goes out as effects.
//! When it leaves is where the claims of frames are held against the disk.

use crate::engines::disk::Disk;
use crate::engines::history::State;
use crate::engines::judge::{Judge, Step, violated};
use crate::engines::service::{Service, Told};
use crate::engines::subject::Subject;
use crate::engines::transfer::Fetch;
use base::{Lsn, Machine, NodeId, Rng, Time, Zxid};
use broadcast::{Addresses, Channel, Input, LinkId, Output, Record, View};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// What the world is to do.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Send {
        link: LinkId,
        bytes: Bytes,
    },
    Finish {
        link: LinkId,
    },
    Dial {
        link: LinkId,
        channel: Channel,
        addresses: Addresses,
    },
    Listen {
        channel: Channel,
        addresses: Addresses,
    },
    Unlisten {
        channel: Channel,
    },
    /// The state is to be rebuilt from the disk.
    Reset,
    /// A state that came is to be written.
    Store {
        link: LinkId,
    },
    ReadLog {
        link: LinkId,
        from: Zxid,
    },
    /// The power goes off between two commands.
    Crash,
    /// The engine wants to go no further.
    Ended {
        reason: String,
    },
}

/// What is to leave on a link, in order.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    Frame { bytes: Bytes, after: Lsn },
    State,
    Finish,
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) channel: Channel,
    pub(crate) held: VecDeque<Held>,
    pub(crate) fetch: Option<Fetch>,
    /// Whether a period was said to be installed on it.
    pub(crate) installed: bool,
    /// Why it is down, while a state that came over it is being stored.
    pub(crate) down: Option<String>,
}

impl Link {
    pub(crate) fn new(channel: Channel) -> Link {
        Link { channel, held: VecDeque::new(), fetch: None, installed: false, down: None }
    }
}

/// What a host needs of the world at a step.
pub(crate) struct Scene<'a, S> {
    pub(crate) subject: &'a S,
    pub(crate) judge: &'a mut Judge,
    pub(crate) effects: &'a mut Vec<Effect>,
    /// The member at the other end of each link of this host, and the end of its log.
    pub(crate) peers: &'a BTreeMap<LinkId, usize>,
    pub(crate) logs: &'a [crate::engines::history::Chain],
    pub(crate) told: &'a mut Vec<Told>,
    /// The lines of a trace, if one is wanted.
    pub(crate) lines: Option<&'a mut Vec<String>>,
}

/// A member.
#[derive(Clone, Debug)]
pub(crate) struct Host<E> {
    pub(crate) node: NodeId,
    pub(crate) index: usize,
    pub(crate) engine: Option<E>,
    /// How often it was started.
    pub(crate) run: u32,
    pub(crate) disk: Disk,
    pub(crate) state: State,
    pub(crate) view: Option<View>,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) service: Service,
    pub(crate) silent: bool,
    /// The power goes off before this many more commands are performed.
    pub(crate) fuse: Option<u32>,
    pub(crate) inputs: VecDeque<Input>,
    out: Vec<Output>,
    pub(crate) frames: u64,
    pub(crate) transfers: u64,
    pub(crate) resets: u64,
}

impl<E: Machine<Input = Input, Output = Output>> Host<E> {
    pub(crate) fn new(node: NodeId, index: usize) -> Host<E> {
        Host {
            node,
            index,
            engine: None,
            run: 0,
            disk: Disk::default(),
            state: State::default(),
            view: None,
            links: BTreeMap::new(),
            service: Service::new(usize::MAX),
            silent: false,
            fuse: None,
            inputs: VecDeque::new(),
            out: Vec::new(),
            frames: 0,
            transfers: 0,
            resets: 0,
        }
    }

    /// A start on what is durable.
    pub(crate) fn recover<S>(&mut self, now: Time, rng: &mut Rng, scene: &mut Scene<'_, S>) -> Step
    where
        S: Subject<Engine = E>,
    {
        assert!(self.engine.is_none(), "a member runs once at a time");
        self.run += 1;
        let durable = self.disk.recovered();
        let until = scene.subject.replayed(&durable);
        let work = |item: &Bytes| scene.subject.contents(item).is_some();
        self.state = self.disk.durable.replay(until, work).expect("the log reaches back");
        let mut out = std::mem::take(&mut self.out);
        let engine = scene.subject.recover(self.node, &durable, now, rng, &mut out);
        self.engine = Some(engine);
        self.perform(out, scene)?;
        self.settle(now, scene)
    }

    /// The process is gone: all that was not on the disk is forgotten.
    pub(crate) fn crash(&mut self, kept: usize) {
        self.disk.crash(kept);
        self.engine = None;
        self.view = None;
        self.links.clear();
        self.service = Service::new(self.service.window);
        self.silent = false;
        self.fuse = None;
        self.inputs.clear();
        self.out.clear();
    }

    /// One fact, and all that follows from it.
    pub(crate) fn handle<S>(&mut self, now: Time, input: Input, scene: &mut Scene<'_, S>) -> Step
    where
        S: Subject<Engine = E>,
    {
        self.step(now, input, scene)?;
        self.settle(now, scene)
    }

    /// What has become possible: for the service, on the links, at once.
    pub(crate) fn settle<S>(&mut self, now: Time, scene: &mut Scene<'_, S>) -> Step
    where
        S: Subject<Engine = E>,
    {
        loop {
            self.serve(scene)?;
            let Some(input) = self.inputs.pop_front() else { break };
            self.step(now, input, scene)?;
        }
        self.look(scene)
    }

    fn step<S: Subject<Engine = E>>(
        &mut self,
        now: Time,
        input: Input,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        if let Some(lines) = &mut scene.lines {
            lines.push(format!("<- {}", show_input(&input)));
        }
        if let Input::DiskFailed { .. } = input {
            self.silent = true;
        }
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let mut out = std::mem::take(&mut self.out);
        engine.handle(now, input, &mut out);
        self.perform(out, scene)
    }

    fn perform<S: Subject<Engine = E>>(
        &mut self,
        mut out: Vec<Output>,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        for output in out.drain(..) {
            if let Some(lines) = &mut scene.lines {
                lines.push(format!("-> {}", show_output(scene.subject, &self.links, &output)));
            }
            if let Some(left) = &mut self.fuse {
                if *left == 0 {
                    scene.effects.push(Effect::Crash);
                    return Ok(());
                }
                *left -= 1;
            }
            self.command(output, scene)?;
        }
        self.out = out;
        Ok(())
    }

    fn command<S: Subject<Engine = E>>(
        &mut self,
        output: Output,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        match output {
            Output::Persist { lsn, record } => return self.persist(lsn, record, scene),
            Output::Send { link, frame, after } => {
                if self.silent {
                    let what = format!("node {} sends after its disk has failed", self.node.0);
                    return violated("a failed disk makes silent", what);
                }
                self.frames += 1;
                return self.hold(link, Held::Frame { bytes: frame, after }, scene);
            }
            Output::SendSnapshot { link } => {
                // All that was delivered and whose gate is open is in the state.
                self.serve(scene)?;
                return self.hold(link, Held::State, scene);
            }
            Output::Close { link } => {
                self.cancel(link);
                return self.hold(link, Held::Finish, scene);
            }
            Output::Listen { channel, addresses } => {
                scene.effects.push(Effect::Listen { channel, addresses });
            }
            Output::Unlisten { channel } => scene.effects.push(Effect::Unlisten { channel }),
            Output::Dial { link, channel, addresses } => {
                let old = self.links.insert(link, Link::new(channel));
                if old.is_some() || link.0 >> 63 == 1 {
                    let evidence = format!("node {} dials {link:?} again", self.node.0);
                    return violated("a link's number is used once", evidence);
                }
                scene.effects.push(Effect::Dial { link, channel, addresses });
            }
            Output::FetchSnapshot { link, at, rest } => return self.fetch(link, at, rest, scene),
            Output::ReadLog { link, from } => scene.effects.push(Effect::ReadLog { link, from }),
            Output::Fatal { reason } => scene.effects.push(Effect::Ended { reason }),
            Output::HeartbeatDue { link } => self.heartbeat(link, scene),
            Output::Trace(_) => {}
            Output::Deliver { .. }
            | Output::View(_)
            | Output::Outcome { .. }
            | Output::ReadReady { .. }
            | Output::Forwarded { .. }
            | Output::Answered { .. }
            | Output::HeartbeatHeard { .. }
            | Output::ResetTo { .. } => self.service.queue(output, self.disk.appended),
        }
        Ok(())
    }

    fn persist<S: Subject<Engine = E>>(
        &mut self,
        lsn: Lsn,
        record: Record,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        if self.silent {
            let evidence = format!("node {} persists after its disk has failed", self.node.0);
            return violated("a failed disk makes silent", evidence);
        }
        if lsn <= self.disk.appended {
            let evidence = format!("node {}: {lsn:?} after {:?}", self.node.0, self.disk.appended);
            return violated("an lsn is never used twice", evidence);
        }
        if let Some((at, item)) = record.entry() {
            if self.links.values().any(|link| link.fetch.is_some()) {
                let evidence = format!("node {}: {at} while a state is fetched", self.node.0);
                return violated("nothing is logged behind a state that is to come", evidence);
            }
            scene.judge.entered(self.node, self.disk.live.tip().1, at, item)?;
        }
        self.disk.append(lsn, record);
        Ok(())
    }

    fn hold<S: Subject<Engine = E>>(
        &mut self,
        id: LinkId,
        what: Held,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        // What is sent on a link that is down is lost, as the engine will hear.
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        link.held.push_back(what);
        if link.held.len() == 1 { self.release(id, scene) } else { Ok(()) }
    }

    /// Lets go of what may leave on a link.
    pub(crate) fn release<S: Subject<Engine = E>>(
        &mut self,
        id: LinkId,
        scene: &mut Scene<'_, S>,
    ) -> Step {
        loop {
            let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
            let upto = self.disk.upto;
            let open = |held: &Held| !matches!(held, Held::Frame { after, .. } if *after > upto);
            if !link.held.front().is_some_and(open) {
                return Ok(());
            }
            match link.held.pop_front().expect("it was looked at") {
                Held::Frame { bytes, .. } => {
                    self.judge_claims(id, &bytes, scene)?;
                    scene.effects.push(Effect::Send { link: id, bytes });
                }
                Held::State => {
                    self.transfers += 1;
                    scene.effects.push(Effect::Send { link: id, bytes: self.state.encode() });
                }
                Held::Finish => {
                    self.links.remove(&id);
                    scene.effects.push(Effect::Finish { link: id });
                }
            }
        }
    }

    /// A sync is done.
    pub(crate) fn durable<S>(&mut self, now: Time, upto: Lsn, scene: &mut Scene<'_, S>) -> Step
    where
        S: Subject<Engine = E>,
    {
        self.declare(scene)?;
        let ids: Vec<LinkId> =
            self.links.iter().filter(|(_, l)| !l.held.is_empty()).map(|(id, _)| *id).collect();
        for id in ids {
            self.release(id, scene)?;
        }
        self.handle(now, Input::Durable { upto }, scene)
    }

    /// Tells the judge what is on the disk.
    pub(crate) fn declare<S: Subject<Engine = E>>(&mut self, scene: &mut Scene<'_, S>) -> Step {
        let (last, tip) = self.disk.durable.tip();
        let rank = match self.disk.durable.slots.back() {
            Some(slot) => scene.subject.log_rank(slot.period, slot.index),
            None => scene.subject.rank(&self.disk.durable.registers, last),
        };
        let periods = scene.subject.periods(&self.disk.durable.registers);
        scene.judge.holds(self.index, tip, rank, periods)
    }
}

fn show_input(input: &Input) -> String {
    match input {
        Input::Received { link, bytes } => format!("Received {link:?} [{}]", bytes.len()),
        Input::TimerExpired
        | Input::Proposed(_)
        | Input::ReadRequested { .. }
        | Input::Forward { .. }
        | Input::Answer { .. }
        | Input::Heartbeat { .. }
        | Input::LinkUp { .. }
        | Input::LinkDown { .. }
        | Input::ListenFailed { .. }
        | Input::TransferRequested { .. }
        | Input::Checkpointed { .. }
        | Input::Durable { .. }
        | Input::DiskFailed { .. }
        | Input::SnapshotReceived { .. }
        | Input::SnapshotInstalled { .. }
        | Input::SnapshotRefused { .. }
        | Input::ResetDone { .. }
        | Input::ResetFailed { .. }
        | Input::LogRead { .. } => {
            let mut text = format!("{input:?}");
            text.truncate(text.floor_char_boundary(LINE_MAX));
            text
        }
    }
}

fn show_output<S: Subject>(subject: &S, links: &BTreeMap<LinkId, Link>, output: &Output) -> String {
    let Output::Send { link, frame, after } = output else {
        let mut text = format!("{output:?}");
        text.truncate(text.floor_char_boundary(LINE_MAX));
        return text;
    };
    let channel = links.get(link).map_or(Channel(0), |link| link.channel);
    format!("Send {link:?} [{}] {after:?} {}", frame.len(), subject.show(channel, frame))
}

/// A line of a trace is not longer, in bytes.
const LINE_MAX: usize = 240;
