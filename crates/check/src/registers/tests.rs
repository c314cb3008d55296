//! Made-up histories: right ones pass, and one wrong reply in them is found.

use super::{
    Answer, Asked, Heard, Held, Operation, Reads, Registers, Session, Shown, Write, judge_registers,
};
use base::Rng;
use std::collections::BTreeMap;

/// Groups and registers of made-up histories.
const GROUPS: usize = 6;
const SIZE: usize = 2;
const SESSIONS: usize = 12;

/// A server that does one thing after another, and clients that overlap.
struct World {
    rng: Rng,
    now: u64,
    zxid: i64,
    state: Vec<Vec<(Shown, i64)>>,
    registers: Registers,
    /// When each session's next call may begin.
    free: Vec<u64>,
    watched: Vec<BTreeMap<(usize, usize), i64>>,
    value: u64,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            rng: Rng::new(seed),
            now: 0,
            zxid: 100,
            state: vec![vec![(Shown { version: 0, value: 0 }, 1); SIZE]; GROUPS],
            registers: Registers {
                groups: vec![SIZE; GROUPS],
                sessions: vec![Session::default(); SESSIONS],
            },
            free: vec![0; SESSIONS],
            watched: vec![BTreeMap::new(); SESSIONS],
            value: 0,
        }
    }

    /// The history of so many calls; one in `lost` writes is not answered.
    fn run(mut self, calls: usize, lost: u64) -> Registers {
        for _ in 0..calls {
            self.now += 10;
            let session = self.rng.below(SESSIONS as u64) as usize;
            self.call(session, lost);
        }
        self.registers
    }

    fn call(&mut self, session: usize, lost: u64) {
        let group = self.rng.below(GROUPS as u64) as usize;
        let invoked = self.now.saturating_sub(self.rng.below(60)).max(self.free[session]);
        let at = self.now.max(invoked);
        let returned = at + self.rng.below(60);
        self.now = at;
        self.free[session] = returned + 1;
        let (asked, answer) =
            if self.rng.percent(40) { self.read(group) } else { self.write(group) };
        let is_lost = matches!(asked, Asked::Write(_)) && self.rng.one_in(lost);
        let answer = if is_lost { Answer::Unknown } else { answer };
        let operation = Operation { group, asked, invoked, returned, answer, zxid: self.zxid };
        self.hear(session, operation, is_lost);
    }

    fn read(&mut self, group: usize) -> (Asked, Answer) {
        let register = self.rng.below(SIZE as u64) as usize;
        let (shown, zxid) = self.state[group][register];
        let (watches, is_linearizable) = (self.rng.one_in(2), self.rng.one_in(2));
        (Asked::Read { register, watches, is_linearizable }, Answer::Read(shown, zxid))
    }

    fn write(&mut self, group: usize) -> (Asked, Answer) {
        self.zxid += 1;
        let mut parts: Vec<Write> = (0..SIZE).map(|n| self.part(group, n)).collect();
        if self.rng.one_in(2) {
            let one = self.rng.below(SIZE as u64) as usize;
            parts = vec![parts.swap_remove(one)];
        }
        let refused = parts.iter().position(|part| {
            part.version.is_some_and(|v| v != self.state[group][part.register].0.version)
        });
        if let Some(refused) = refused {
            return (Asked::Write(parts), Answer::BadVersion(refused));
        }
        let mut versions = Vec::new();
        for part in &parts {
            let (shown, zxid) = &mut self.state[group][part.register];
            if let Some(value) = part.value {
                *shown = Shown { version: shown.version + 1, value };
                *zxid = self.zxid;
            }
            versions.push(shown.version);
        }
        (Asked::Write(parts), Answer::Written(versions))
    }

    fn part(&mut self, group: usize, register: usize) -> Write {
        self.value += 1;
        let current = self.state[group][register].0.version;
        let version = match self.rng.below(4) {
            0 => Some(current),
            1 => Some(current + self.rng.below(3) as i32 - 1),
            _ => None,
        };
        Write { register, version, value: Some(self.value) }
    }

    fn hear(&mut self, session: usize, operation: Operation, is_lost: bool) {
        let log = &mut self.registers.sessions[session];
        let watched = &mut self.watched[session];
        let changed = |(register, since): (&(usize, usize), &i64)| {
            (self.state[register.0][register.1].1 > *since).then_some(*register)
        };
        let due: Vec<_> = watched.iter().filter_map(changed).collect();
        for (group, register) in due {
            watched.remove(&(group, register));
            log.heard.push(Heard::Event(group, register));
        }
        if let Asked::Read { register, watches: true, .. } = operation.asked {
            watched.entry((operation.group, register)).or_insert(operation.zxid);
        }
        if !is_lost {
            log.heard.push(Heard::Reply(log.operations.len()));
        }
        log.operations.push(operation);
    }
}

#[test]
fn a_hundred_thousand_calls_with_lost_ones_are_linearizable() {
    let history = World::new(7).run(120_000, 50);
    let held = judge_registers(&history, Reads::All).unwrap();
    assert_eq!(held.operations, 120_000);
    assert_eq!(held.reads, held.linearizable_reads);
    let Held { written, refused, multis, unknown, seen, events, .. } = held;
    let counts = [written, refused, multis, unknown, seen, events];
    assert!(counts.iter().all(|many| *many > 300), "{held:?}");
    assert!(unknown > seen, "{held:?}");
}

/// One reply is changed into one that a right server cannot have given.
#[test]
fn one_wrong_reply_among_thousands_is_found() {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..300 {
        let mut history = World::new(seed).run(1500, 100);
        judge_registers(&history, Reads::All).unwrap();
        let mut rng = Rng::new(seed);
        let change = change(&mut history, &mut rng);
        let verdict = judge_registers(&history, Reads::All);
        let violation = verdict.expect_err(&format!("seed {seed}: {change}"));
        *found.entry(violation.rule).or_default() += 1;
    }
    for rule in ["registers.linearizable", "registers.agreement", "registers.versions"] {
        assert!(found.contains_key(rule), "{rule} is never broken: {found:?}");
    }
}

/// Picks operations until one can be changed; says what was done.
fn change(history: &mut Registers, rng: &mut Rng) -> &'static str {
    loop {
        let session = rng.below(SESSIONS as u64) as usize;
        let operations = &mut history.sessions[session].operations;
        let operation = rng.below(operations.len() as u64) as usize;
        let Operation { answer, asked, .. } = &mut operations[operation];
        match (asked, answer) {
            (Asked::Write(_), Answer::Written(versions)) => {
                versions[0] += if rng.one_in(2) { 1 } else { -1 };
                return "another version was written";
            }
            (Asked::Read { .. }, Answer::Read(shown, _)) => {
                shown.version += if rng.one_in(2) { 1 } else { -1 };
                return "another version was read";
            }
            (Asked::Write(parts), answer @ Answer::BadVersion(_)) if parts.len() == 1 => {
                let version = parts[0].version.unwrap_or(0) + 1;
                *answer = Answer::Written(vec![version]);
                return "a refused write was done";
            }
            _ => {}
        }
    }
}

fn operation(asked: Asked, answer: Answer, times: (u64, u64), zxid: i64) -> Operation {
    Operation { group: 0, asked, invoked: times.0, returned: times.1, answer, zxid }
}

fn write(value: u64, version: i32, times: (u64, u64), zxid: i64) -> Operation {
    let part = Write { register: 0, version: None, value: Some(value) };
    operation(Asked::Write(vec![part]), Answer::Written(vec![version]), times, zxid)
}

fn read(value: u64, version: i32, mzxid: i64, times: (u64, u64), zxid: i64) -> Operation {
    let asked = Asked::Read { register: 0, watches: true, is_linearizable: false };
    operation(asked, Answer::Read(Shown { version, value }, mzxid), times, zxid)
}

/// The rule that is broken when these sessions hear replies in order, and events before the given
/// replies.
fn rule(sessions: &[(&[Operation], &[usize])]) -> &'static str {
    let session = |(operations, events): &(&[Operation], &[usize])| {
        let mut heard = Vec::new();
        for n in 0..operations.len() {
            if events.contains(&n) {
                heard.push(Heard::Event(0, 0));
            }
            heard.push(Heard::Reply(n));
        }
        Session { operations: operations.to_vec(), heard }
    };
    let history = Registers { groups: vec![1], sessions: sessions.iter().map(session).collect() };
    judge_registers(&history, Reads::Marked).err().map_or("none", |violation| violation.rule)
}

#[test]
fn a_session_never_sees_less_than_before() {
    let writer = [write(1, 1, (0, 1), 10), write(2, 2, (2, 3), 11)];
    let reads = [read(2, 2, 11, (4, 5), 11), read(1, 1, 10, (6, 7), 11)];
    assert_eq!(rule(&[(&writer, &[]), (&reads, &[])]), "session.stale");
    let behind = [read(1, 1, 10, (4, 5), 10), read(2, 2, 11, (6, 7), 11)];
    assert_eq!(rule(&[(&writer, &[]), (&behind, &[1])]), "none");
    let back = [read(1, 1, 10, (4, 5), 11), read(1, 1, 10, (6, 7), 10)];
    assert_eq!(rule(&[(&writer, &[]), (&back, &[])]), "session.back");
    let ahead = [read(2, 2, 11, (4, 5), 10)];
    assert_eq!(rule(&[(&writer, &[]), (&ahead, &[])]), "session.ahead");
}

#[test]
fn a_client_sees_its_own_write() {
    let own = [write(1, 1, (0, 1), 10), read(0, 0, 5, (2, 3), 10)];
    assert_eq!(rule(&[(&own, &[])]), "session.stale");
    let own = [write(1, 1, (0, 1), 10), read(1, 1, 10, (2, 3), 10)];
    assert_eq!(rule(&[(&own, &[])]), "none");
}

#[test]
fn an_event_comes_before_the_reply_that_shows_the_change() {
    let writer = [write(1, 1, (2, 3), 10)];
    let reader = [read(0, 0, 5, (0, 1), 9), read(1, 1, 10, (4, 5), 10)];
    assert_eq!(rule(&[(&writer, &[]), (&reader, &[1])]), "none");
    assert_eq!(rule(&[(&writer, &[]), (&reader, &[])]), "watch.order");
    assert_eq!(rule(&[(&writer, &[]), (&reader, &[0])]), "watch.unasked");
    let untrue = [read(0, 0, 5, (0, 1), 9), read(0, 0, 5, (4, 5), 9)];
    assert_eq!(rule(&[(&writer, &[]), (&untrue, &[1])]), "watch.untrue");
}

#[test]
fn what_writes_are_told_follows_the_clock() {
    let turned = [write(1, 2, (0, 1), 11)];
    let other = [write(2, 1, (2, 3), 10)];
    assert_eq!(rule(&[(&turned, &[]), (&other, &[])]), "registers.clock");
    let same = [write(2, 1, (0, 3), 11)];
    assert_eq!(rule(&[(&turned, &[]), (&same, &[])]), "registers.agreement");
    let twice = [write(1, 3, (4, 5), 12)];
    assert_eq!(rule(&[(&turned, &[]), (&twice, &[])]), "history");
    let falling = [write(2, 1, (2, 3), 12)];
    assert_eq!(rule(&[(&turned, &[]), (&falling, &[])]), "registers.versions");
}

#[test]
fn nobody_reads_what_nobody_wrote() {
    assert_eq!(rule(&[(&[read(3, 1, 10, (0, 1), 10)], &[])]), "registers.made_up");
    let early = [read(1, 1, 10, (0, 1), 10)];
    assert_eq!(rule(&[(&[write(1, 1, (2, 3), 10)], &[]), (&early, &[])]), "registers.made_up");
}

#[test]
fn a_lost_write_that_was_read_must_have_a_place() {
    let mut lost = write(1, 0, (0, 0), 0);
    lost.answer = Answer::Unknown;
    let next = [write(2, 2, (4, 5), 12)];
    let reader = [read(1, 1, 10, (2, 3), 10)];
    // Nobody hears the reply to the lost one.
    let history = |version| Registers {
        groups: vec![1],
        sessions: vec![
            Session { operations: vec![lost.clone()], heard: Vec::new() },
            Session { operations: reader.to_vec(), heard: vec![Heard::Reply(0)] },
            Session {
                operations: vec![Operation {
                    answer: Answer::Written(vec![version]),
                    ..next[0].clone()
                }],
                heard: vec![Heard::Reply(0)],
            },
        ],
    };
    let held = judge_registers(&history(2), Reads::Marked).unwrap();
    assert_eq!((held.unknown, held.seen), (1, 1));
    let violation = judge_registers(&history(3), Reads::Marked).unwrap_err();
    assert_eq!(violation.rule, "registers.linearizable");
}

#[test]
fn an_acknowledged_write_is_not_lost() {
    // The last read is behind everything: it must show the second write.
    let mut last = read(1, 1, 10, (6, 7), 12);
    if let Asked::Read { is_linearizable, .. } = &mut last.asked {
        *is_linearizable = true;
    }
    let history = |writes: &[Operation]| Registers {
        groups: vec![1],
        sessions: vec![
            Session { operations: writes.to_vec(), heard: Vec::new() },
            Session { operations: vec![last.clone()], heard: Vec::new() },
        ],
    };
    let writes = [write(1, 1, (0, 1), 10), write(2, 2, (2, 3), 11)];
    assert!(judge_registers(&history(&writes[..1]), Reads::Marked).is_ok());
    let violation = judge_registers(&history(&writes), Reads::Marked).unwrap_err();
    assert_eq!(violation.rule, "registers.linearizable");
}
