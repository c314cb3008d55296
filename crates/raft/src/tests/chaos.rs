//! Random worlds by seed: whatever can happen happens in any order, with faults; then all is
//! healed, and the members must come together. The room checks its invariants after every step.

use super::room::{Room, is_state, ms};
use crate::Limits;
use base::{NodeId, Rng};
use broadcast::{Input, ReadLevel};

/// What a run reached, so that a green one proves something.
#[derive(Default)]
struct Reached {
    applied: usize,
    terms: usize,
    reads: usize,
    snapshots: usize,
    changes: usize,
}

struct Chaos {
    room: Room,
    rng: Rng,
    ids: Vec<u64>,
    down: Vec<u64>,
    reached: Reached,
}

fn limits(rng: &mut Rng) -> Limits {
    Limits {
        append_size_max: *rng.pick(&[1, 100, 1 << 20]),
        inflight_max: *rng.pick(&[1, 2, 256]),
        inflight_bytes_max: *rng.pick(&[50, 1 << 20]),
        recent_entries: *rng.pick(&[1, 4, 1000]),
        ..Limits::default()
    }
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut rng = Rng::new(seed);
        let voters: Vec<u64> = (1..=rng.between(2, 5)).collect();
        let learners: Vec<u64> = (6..6 + rng.below(3)).collect();
        let mut room = Room::empty(&voters, &learners).seeded(seed);
        room.setup.limits = limits(&mut rng);
        room.setup.pre_vote = !rng.one_in(4);
        room.setup.check_quorum = !rng.one_in(4);
        let ids = [voters, learners].concat();
        for id in &ids {
            room.start(*id);
            room.hold_disk(*id);
        }
        Chaos { room, rng, ids, down: Vec::new(), reached: Reached::default() }
    }

    fn one(&mut self) -> u64 {
        *self.rng.pick(&self.ids)
    }

    fn running(&mut self) -> Option<u64> {
        let id = self.one();
        self.room.members.contains_key(&id).then_some(id)
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..45 => {
                let all = self.room.net.deliverable();
                if !all.is_empty() {
                    let (conn, side) = *self.rng.pick(&all);
                    self.room.arrive(conn, side);
                }
            }
            45..70 => {
                let Some(id) = self.running() else { return };
                let pending = self.room.disks[&id].pending() as u64;
                if pending > 0 {
                    let count = self.rng.between(1, pending) as usize;
                    self.room.sync(id, count);
                }
            }
            70..78 => {
                if let Some((at, id)) = self.room.next_deadline() {
                    self.room.now = self.room.now.max(at);
                    self.room.give(id, Input::TimerExpired);
                }
            }
            78..84 => {
                if let Some(id) = self.room.primary() {
                    let texts = ["a", "bb", "a longer one that takes a frame of its own"];
                    let count = self.rng.between(1, 3) as usize;
                    self.room.propose_only(id, &texts[..count]);
                }
            }
            84..88 => {
                if let Some(id) = self.running() {
                    let level = *self.rng.pick(&[ReadLevel::Linearizable, ReadLevel::Proposed]);
                    self.room.read_only(id, level);
                }
            }
            _ => self.fault(),
        }
    }

    fn fault(&mut self) {
        match self.rng.below(40) {
            0..2 => {
                let Some(id) = self.running() else { return };
                let kept = self.rng.below(5) as usize;
                self.room.crash_keeping(id, kept);
                self.down.push(id);
            }
            2..10 => {
                if let Some(id) = self.down.pop() {
                    self.room.start(id);
                    self.room.hold_disk(id);
                }
            }
            10..13 => {
                let (one, other) = (self.one(), self.one());
                self.room.net.block(one, other);
                if self.rng.one_in(2) {
                    self.room.net.block(other, one);
                }
            }
            13..20 => self.room.net.unblock_all(),
            20..22 => {
                let all = self.room.net.all();
                if !all.is_empty() {
                    let conn = *self.rng.pick(&all);
                    self.room.net.reset(conn);
                }
            }
            22..24 => {
                if let Some(id) = self.running() {
                    self.room.pause(id);
                }
            }
            24..30 => {
                let ids: Vec<u64> = self.room.members.keys().copied().collect();
                ids.into_iter().for_each(|id| self.room.resume(id));
            }
            30..36 => {
                if let Some(id) = self.running() {
                    self.room.checkpoint(id);
                }
            }
            36..38 => {
                let to = NodeId(self.one());
                if let Some(id) = self.room.primary() {
                    self.room.give(id, Input::TransferRequested { to });
                }
            }
            _ => self.change(),
        }
    }

    /// Other members, if that may be asked for now.
    fn change(&mut self) {
        let Some(id) = self.room.primary() else { return };
        if !self.room.members[&id].engine.may_reconfigure() {
            return;
        }
        let (mut voters, mut learners) = (Vec::new(), Vec::new());
        for id in self.ids.clone() {
            match self.rng.below(4) {
                0 => learners.push(id),
                1 if !voters.is_empty() => {}
                _ => voters.push(id),
            }
        }
        if voters.is_empty() {
            return;
        }
        let text = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let text = format!("members {} {}", text(&voters), text(&learners));
        self.room.propose_only(id, &[&text]);
        self.reached.changes += 1;
    }

    /// Everything works again.
    fn heal(mut self) -> Reached {
        for id in std::mem::take(&mut self.down) {
            self.room.start(id);
        }
        for id in self.ids.clone() {
            self.room.resume(id);
            self.room.disks.get_mut(&id).expect("it has one").held = false;
        }
        self.room.heal_anew();
        let room = &mut self.room;
        room.until("the members come together", |room| {
            room.primary().is_some_and(|primary| {
                let members = room.status(primary).configuration;
                !members.is_joint()
                    && members.members().all(|id| room.members[&id.0].engine.status().serving)
            })
        });
        let primary = room.primary().expect("it was seen");
        let context = room.propose(primary, &["the end"])[0];
        let read = room.read(primary, ReadLevel::Linearizable);
        room.run(ms(2_000));
        assert_eq!(room.outcome(primary, context), Some(None), "it is delivered");
        assert!(room.read_at(primary, read).is_some(), "it is answered");
        let order = room.order().len();
        for id in room.status(primary).configuration.members() {
            assert_eq!(room.members[&id.0].state.len(), order, "{id:?} has all");
        }
        self.reached.applied = order;
        self.reached.terms = self.room.led();
        self.reached.reads = self.room.members.values().map(|m| m.ready.len()).sum();
        let events = self.room.members.values().flat_map(|member| &member.events);
        self.reached.snapshots = events.filter(|event| is_state(event)).count();
        self.reached
    }
}

#[test]
fn random_worlds_keep_all_invariants_and_come_together() {
    let env = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match env("RAFT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env("RAFT_SEEDS").unwrap_or(150),
    };
    let mut all = Reached::default();
    let one = env("RAFT_SEED").is_some();
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let mut chaos = Chaos::new(seed);
            for _ in 0..1500 {
                chaos.step();
            }
            chaos.heal()
        });
        let Ok(reached) = run else { panic!("seed {seed}; again with RAFT_SEED={seed}") };
        all.applied += reached.applied;
        all.terms += reached.terms;
        all.reads += reached.reads;
        all.snapshots += reached.snapshots;
        all.changes += reached.changes;
    }
    let Reached { applied, terms, reads, snapshots, changes } = all;
    println!(
        "{applied} applied, {terms} terms, {reads} reads, {snapshots} states, {changes} changes"
    );
    if !one {
        assert!(applied > 1000 && terms > 300 && reads > 300, "too little happens");
        assert!(snapshots > 20 && changes > 50, "too little happens");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut chaos = Chaos::new(5);
        (0..800).for_each(|_| chaos.step());
        (chaos.room.now, chaos.room.order().to_vec(), chaos.room.led())
    };
    assert_eq!(run(), run());
}
