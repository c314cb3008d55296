//! What clients wait for without changing a node's data themselves: reads, events, sessions.
//! Frames in, reply bytes out.

use crate::batch::{Batch, Benchmark};
use crate::house::House;
use crate::requests::{self, Request};

pub(crate) const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "get", operations: GETS, set_up: || reading(Request::Get, NODES, GETS) },
    Benchmark {
        name: "list-10000",
        operations: LISTS,
        set_up: || reading(Request::Children, NODES, LISTS),
    },
    Benchmark { name: "watch-fan-out", operations: WATCHERS, set_up: fan_out },
    Benchmark { name: "session", operations: SESSIONS, set_up: sessions },
];

const NODES: usize = 10_000;
const GETS: usize = 1000;
const LISTS: usize = 10;
const WATCHERS: usize = 1000;
const SESSIONS: usize = 500;

/// One client's reads, pipelined.
struct Reading {
    house: House,
    slot: usize,
    rounds: Vec<Vec<u8>>,
    each: usize,
    sent: usize,
}

fn reading(request: Request, nodes: usize, count: usize) -> Box<dyn Batch> {
    let mut house = House::new(nodes);
    let slot = house.session();
    let each = if request == Request::Children { 1 } else { PIPELINED };
    let rounds: Vec<Vec<u8>> = (0..count / each)
        .map(|round| {
            let mut bytes = Vec::new();
            for number in round * each..(round + 1) * each {
                // Far from each other, as clients pick them.
                request.frame(1, number * STRIDE % nodes, &mut bytes);
            }
            bytes
        })
        .collect();
    let mut reading = Reading { house, slot, rounds, each, sent: 0 };
    reading.run(); // buffers have their size
    reading.sent = 0;
    Box::new(reading)
}

impl Batch for Reading {
    fn run(&mut self) -> usize {
        for round in &self.rounds {
            self.house.receive(self.slot, round);
            self.sent += self.house.send(self.slot);
        }
        self.sent
    }

    fn check(&mut self) {
        assert!(self.sent > self.rounds.len() * self.each * 100);
        assert_eq!(self.house.replies(), self.each, "all of the last round");
    }
}

/// One set of a node that all others watch.
struct FanOut {
    house: House,
    writer: usize,
    watchers: Vec<usize>,
    set: Vec<u8>,
}

fn fan_out() -> Box<dyn Batch> {
    let mut house = House::new(10);
    let watch = requests::frames(Request::Watch, 1);
    let watchers: Vec<usize> = (0..WATCHERS).map(|_| house.session()).collect();
    for watcher in &watchers {
        house.receive(*watcher, &watch);
        house.send(*watcher);
        assert_eq!(house.replies(), 1, "the watch is set");
    }
    let writer = house.session();
    Box::new(FanOut { house, writer, watchers, set: requests::frames(Request::Set, 1) })
}

impl Batch for FanOut {
    fn run(&mut self) -> usize {
        self.house.receive(self.writer, &self.set);
        self.house.turn();
        self.house.send(self.writer)
    }

    fn check(&mut self) {
        for watcher in &self.watchers {
            self.house.send(*watcher);
            assert_eq!(self.house.replies(), 1, "the event is there");
        }
    }
}

/// Sessions that are opened and closed, some together, on connections of their own.
struct Sessions {
    house: House,
    connect: Vec<u8>,
    close: Vec<u8>,
    opened: usize,
    closed: usize,
}

fn sessions() -> Box<dyn Batch> {
    let house = House::new(10);
    let mut connect = Vec::new();
    requests::connect(&mut connect);
    let close = requests::frames(Request::Close, 1);
    Box::new(Sessions { house, connect, close, opened: 0, closed: 0 })
}

impl Batch for Sessions {
    fn run(&mut self) -> usize {
        let Sessions { house, connect, close, opened, closed } = self;
        for _ in 0..SESSIONS / TOGETHER {
            let mut slots = [0; TOGETHER];
            for slot in &mut slots {
                *slot = house.accept();
                house.receive(*slot, connect);
            }
            house.turn();
            for slot in slots {
                *opened += usize::from(house.send(slot) > 0 && house.is_open(slot));
                house.receive(slot, close);
            }
            house.turn();
            for slot in slots {
                *closed += usize::from(house.send(slot) > 0 && !house.is_open(slot));
            }
        }
        *closed
    }

    fn check(&mut self) {
        assert_eq!((self.opened, self.closed), (SESSIONS, SESSIONS));
    }
}

/// Requests of one client that arrive together.
const PIPELINED: usize = 20;
/// Has no divisor in common with [`NODES`].
const STRIDE: usize = 3779;
const TOGETHER: usize = 50;
