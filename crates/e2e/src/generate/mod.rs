//! Programs out of seeds.
//!
//! A generator keeps just enough of a model to send on connections that are there: what the
//! requests will meet is left to chance and to the smallness of the pools.

mod pools;
mod requests;

use crate::play::WORDS;
use crate::program::{Form, Hello, Password, Program, Request, Seen, Slot, Step, Value};
use crate::servers::Kind;
use base::Rng;
use wire::OpCode;

/// What the servers under comparison both understand in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 3.8 is among them: it does not answer a check outside of a multi, and handles null paths
    /// and broken multis in its own way.
    Since38,
    /// All behave as 3.9.
    Since39,
}

impl Dialect {
    /// What both kinds of server understand in the same way.
    #[must_use]
    pub fn between(left: &Kind, right: &Kind) -> Dialect {
        let old = |kind: &Kind| *kind == Kind::Reference38;
        if old(left) || old(right) { Dialect::Since38 } else { Dialect::Since39 }
    }

    /// Operations that are refused and end the connection.
    fn fatal_operations(self) -> &'static [i32] {
        const ALL: &[i32] = &[13, 0, 10, 999, -1, 23, 108, 99, i32::MIN];
        match self {
            Dialect::Since38 => &ALL[1..],
            Dialect::Since39 => ALL,
        }
    }
}

/// Makes programs.
#[derive(Debug)]
pub struct Generator {
    rng: Rng,
    dialect: Dialect,
    /// Whether there are quotas. The reference holds a write against the usage that is applied when
    /// it looks, so that a pipelined one may pass or not: a burst then ends with its first write.
    quotas: bool,
    /// Per client: whether it has a connection, and whether it ever had a session.
    clients: Vec<Presence>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Presence {
    connected: bool,
    session: bool,
}

/// How many steps a program has, after its clients are connected.
const STEPS: (u64, u64) = (30, 80);
/// How many requests a burst has.
const BURST_SIZE: (u64, u64) = (1, 36);
/// How many of a hundred programs have quotas.
const QUOTAS_PERCENT: u64 = 20;
/// One in this many programs restarts its server, by turns in order and with a kill: that takes as
/// long as thousands of requests.
const RESTART_ONE_IN: u64 = 16;

/// The program of a seed in a dialect.
#[must_use]
pub fn program(seed: u64, dialect: Dialect) -> Program {
    let mut rng = Rng::new(seed);
    let clients = vec![Presence::default(); rng.between(1, 5) as usize];
    let quotas = rng.percent(QUOTAS_PERCENT);
    let restarts = seed.is_multiple_of(RESTART_ONE_IN);
    let kill = seed.is_multiple_of(2 * RESTART_ONE_IN);
    let mut generator = Generator { rng, dialect, quotas, clients };
    let mut steps = generator.opening();
    let mut count = generator.rng.between(STEPS.0, STEPS.1);
    if quotas {
        count *= 2;
    }
    let restart_at = restarts.then(|| generator.rng.below(count));
    for i in 0..count {
        if restart_at == Some(i) {
            steps.push(generator.restart(kill));
        }
        steps.extend(generator.step());
    }
    Program { steps }
}

impl Generator {
    /// Connects all clients, gives some of them an identity, and makes the first nodes.
    fn opening(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for slot in 0..self.clients.len() {
            steps.push(self.connect(slot, Hello::new_session()));
            if self.rng.percent(30) {
                steps.push(self.authenticate(slot));
            }
        }
        let open = ["world", "anyone"].map(|text| Value::Text(text.to_owned()));
        let create = |path: &str| {
            let head = [Value::Text(path.to_owned()), Value::Null, Value::Int(1), Value::Int(31)];
            let values = head.into_iter().chain(open.clone()).chain([Value::Int(0)]).collect();
            Request::new(OpCode::Create, values)
        };
        let requests = ["/a", "/b", "/q", "/a/b"].map(create).to_vec();
        steps.push(Step::Burst { slot: 0, requests });
        if self.quotas {
            steps.push(self.quota_nodes());
        }
        steps
    }

    fn quota_nodes(&mut self) -> Step {
        let quota = if self.rng.percent(70) { "/zookeeper/quota/q" } else { "/zookeeper/quota/a" };
        let mut requests = Vec::new();
        for name in ["", "/zookeeper_limits", "/zookeeper_stats"] {
            let data = match name {
                "" => Value::Null,
                "/zookeeper_stats" => Value::Text("count=0,bytes=0".to_owned()),
                _ => self.quota(),
            };
            let values = vec![
                Value::Text(format!("{quota}{name}")),
                data,
                Value::Int(1),
                Value::Int(31),
                Value::Text("world".to_owned()),
                Value::Text("anyone".to_owned()),
                Value::Int(0),
            ];
            requests.push(Request::new(OpCode::Create, values));
        }
        Step::Burst { slot: self.slot(), requests }
    }

    fn slot(&mut self) -> Slot {
        self.rng.below(self.clients.len() as u64) as Slot
    }

    fn step(&mut self) -> Vec<Step> {
        let slot = self.slot();
        if !self.clients[slot].connected {
            return vec![self.reconnect(slot)];
        }
        match self.rng.below(100) {
            0..80 => vec![self.burst(slot)],
            80..84 => vec![self.authenticate(slot)],
            84..87 => vec![self.lose(slot, Step::Drop { slot })],
            87 => {
                let requests = self.last_words(slot, OpCode::CloseSession.number());
                vec![self.lose(slot, requests)]
            }
            88..90 => {
                let op = *self.rng.pick(self.dialect.fatal_operations());
                let requests = self.last_words(slot, op);
                vec![self.lose(slot, requests)]
            }
            90 => {
                let bytes = self.garbage();
                vec![self.lose(slot, Step::Garbage { slot, bytes })]
            }
            91 => vec![self.sasl(slot)],
            92 => vec![self.stray()],
            93..97 => vec![Step::Word { word: (*self.rng.pick(WORDS)).to_owned() }],
            97 if self.quotas => vec![self.quota_nodes()],
            // A session that moves to a new connection while the old one is there.
            _ => {
                let hello = Hello { again: true, seen: Seen::Last, ..Hello::new_session() };
                vec![self.connect(slot, hello)]
            }
        }
    }

    fn lose(&mut self, slot: Slot, step: Step) -> Step {
        self.clients[slot].connected = false;
        step
    }

    fn burst(&mut self, slot: Slot) -> Step {
        let count = self.rng.between(BURST_SIZE.0, BURST_SIZE.1);
        Step::Burst { slot, requests: self.requests(count) }
    }

    /// At most `count` requests whose replies depend on nothing but their order.
    fn requests(&mut self, count: u64) -> Vec<Request> {
        let mut requests = Vec::new();
        for _ in 0..count {
            let request = self.request();
            let last = self.quotas && request.is_write() || is_seen_late(&request);
            requests.push(request);
            if last {
                break;
            }
        }
        requests
    }

    fn last_words(&mut self, slot: Slot, op: i32) -> Step {
        let request = Request { op, xid: None, values: vec![Value::Int(0)], cut: 0 };
        Step::Last { slot, requests: vec![request] }
    }

    fn connect(&mut self, slot: Slot, hello: Hello) -> Step {
        self.clients[slot] = Presence { connected: true, session: true };
        let count = self.rng.below(4);
        let mut requests = self.requests(count);
        if hello.again && self.rng.percent(50) {
            requests.insert(0, self.set_watches());
        }
        Step::Connect { slot, hello, requests }
    }

    /// A client without a connection comes back, or tries to in a way that is refused. Refused ways
    /// are never tried while the session has a connection: the reference would end that one first.
    fn reconnect(&mut self, slot: Slot) -> Step {
        let mut hello = Hello::new_session();
        hello.again = self.clients[slot].session && self.rng.percent(80);
        hello.timeout_ms = *self.rng.pick(&[40_000, 40_000, 0, -1, 30_000, 31_234, i32::MAX]);
        hello.form = *self.rng.pick(&[Form::New, Form::New, Form::New, Form::Old, Form::ReadOnly]);
        hello.seen = *self.rng.pick(&[
            Seen::Last,
            Seen::Last,
            Seen::Last,
            Seen::Zero,
            Seen::Ahead,
            Seen::Negative,
        ]);
        if self.rng.one_in(4) {
            hello.password = *self.rng.pick(&[Password::Wrong, Password::Short, Password::Null]);
        }
        let refused = hello.seen == Seen::Ahead || hello.again && hello.password != Password::Right;
        let session = self.clients[slot].session;
        if refused {
            let requests = Vec::new();
            self.clients[slot] = Presence { connected: false, session };
            return Step::Connect { slot, hello, requests };
        }
        self.connect(slot, hello)
    }

    /// An identity for a connection; alone in its step, since its answer may overtake others.
    fn authenticate(&mut self, slot: Slot) -> Step {
        let (scheme, token): (&str, &[u8]) = *self.rng.pick(&[
            ("digest", b"u1:p1" as &[u8]),
            ("digest", b"u1:p1"),
            ("digest", b"u1:p1"),
            ("digest", b"u2:p2"),
            ("digest", b"u2:p2"),
            ("digest", b"super:secret"),
            ("digest", b"super:wrong"),
            ("digest", b"nocolon"),
            ("digest", b""),
            ("ip", b"10.1.2.3"),
            ("none", b"u1:p1"),
            ("world", b"anyone"),
        ]);
        if scheme == "none" || scheme == "world" {
            self.clients[slot].connected = false;
        }
        let values =
            vec![Value::Int(0), Value::Text(scheme.to_owned()), Value::Bytes(token.to_vec())];
        let request = Request::new(OpCode::Auth, values).with_xid(wire::xid::AUTH);
        Step::Burst { slot, requests: vec![request] }
    }

    fn sasl(&mut self, slot: Slot) -> Step {
        let request = Request::new(OpCode::Sasl, vec![Value::Bytes(b"token".to_vec())]);
        Step::Burst { slot, requests: vec![request] }
    }

    /// Frames that end a connection: lengths that no frame has, and headers that end early.
    fn garbage(&mut self) -> Vec<u8> {
        self.rng
            .pick::<&[u8]>(&[
                b"\xff\xff\xff\xff",
                b"\x80\0\0\0",
                b"\x7f\xff\xff\xff",
                b"\0\x10\0\0",
                b"\0\0\0\0",
                b"\0\0\0\x04\0\0\0\x01",
                b"\0\0\0\x07\0\0\0\x01\0\0\0",
                b"ruok",
            ])
            .to_vec()
    }

    /// First bytes of a connection that open no session.
    fn stray(&mut self) -> Step {
        let bytes = self.rng.pick::<&[u8]>(&[
            b"",
            b"\0\0",
            b"\0\0\0\0",
            b"\xff\xff\xff\xff",
            b"\0\0\0\x2c\0\0\0\0",
            b"\0\0\0\x04\0\0\0\0",
            b"\0\0\0\x08\0\0\0\x01\0\0\0\x0b",
            b"GET / HTTP/1.1\r\n\r\n",
            b"nope",
            b"\xff\xf4\xff\xfd",
        ]);
        Step::Stray { bytes: bytes.to_vec() }
    }

    fn restart(&mut self, kill: bool) -> Step {
        self.clients.iter_mut().for_each(|client| client.connected = false);
        Step::Restart { kill }
    }
}

/// Whether requests that follow at once may see another state than those that come later. The
/// reference does not show an access list before it is applied; and a multi which it refuses after
/// it has looked at some of the operations shows their effects until then.
fn is_seen_late(request: &Request) -> bool {
    request.opcode() == Some(OpCode::SetAcl)
        || request.values.iter().any(|value| match value {
            Value::Operations(operations) => operations
                .iter()
                .any(|operation| has_foreign_flags(operation) || has_null_text(operation)),
            Value::Text(_)
            | Value::Bytes(_)
            | Value::Filled(_)
            | Value::Null
            | Value::Int(_)
            | Value::Long(_)
            | Value::Bool(_)
            | Value::Zxid(_)
            | Value::Raw(_) => false,
        })
}

/// Whether a null stands where the reference wants a text: only data, the second value, may be null.
fn has_null_text(operation: &Request) -> bool {
    operation.values.iter().enumerate().any(|(at, value)| at != 1 && *value == Value::Null)
}

/// Whether a create asks for a mode that is none, or that its operation cannot give.
fn has_foreign_flags(operation: &Request) -> bool {
    let creates = matches!(
        operation.opcode(),
        Some(OpCode::Create | OpCode::Create2 | OpCode::CreateContainer)
    );
    creates && !matches!(operation.values.last(), Some(Value::Int(0..=4)))
}

#[cfg(test)]
mod tests {
    use super::{Dialect, program};
    use crate::program::Program;

    #[test]
    fn a_seed_gives_one_program_and_its_text_gives_it_back() {
        for seed in 0..20 {
            let made = program(seed, Dialect::Since39);
            assert_eq!(made, program(seed, Dialect::Since39));
            assert_eq!(Program::parse(&made.to_string()).unwrap(), made);
        }
        assert_ne!(program(1, Dialect::Since39), program(2, Dialect::Since39));
    }
}
