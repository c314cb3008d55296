//! Writes the whole way: frames in, prepared, journaled, applied, reply bytes out.

use crate::batch::{Batch, Benchmark};
use crate::house::House;
use crate::requests::{PARTS, Request};

pub(crate) const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "set", operations: COUNT, set_up: || writing(Request::Set, COUNT) },
    Benchmark { name: "create", operations: COUNT, set_up: || writing(Request::Create, COUNT) },
    Benchmark { name: "delete", operations: COUNT, set_up: || writing(Request::Delete, COUNT) },
    Benchmark { name: "multi10", operations: MULTIS, set_up: || writing(Request::Multi, MULTIS) },
    Benchmark {
        name: "multi10-set",
        operations: MULTIS,
        set_up: || writing(Request::MultiSet, MULTIS),
    },
];

const COUNT: usize = 1000;
const MULTIS: usize = 200;

/// Some clients, each with some requests in a round.
struct Writing {
    house: House,
    clients: Vec<usize>,
    /// The bytes of each client in each round.
    rounds: Vec<Vec<Vec<u8>>>,
    sent: usize,
    /// The zxid and the number of nodes when all is done.
    expected: (i64, usize),
}

fn writing(request: Request, count: usize) -> Box<dyn Batch> {
    let mut house = House::new(NODES);
    let clients: Vec<usize> = (0..CLIENTS).map(|_| house.session()).collect();
    let mut numbers = 0..count;
    let rounds = (0..count / (CLIENTS * PIPELINED))
        .map(|_| (0..CLIENTS).map(|_| window(request, &mut numbers)).collect())
        .collect();
    let zxid = house.last_zxid().0 + i64::try_from(count).expect("few");
    let nodes = match request {
        Request::Create => house.nodes() + count,
        Request::Multi => house.nodes() + count * PARTS,
        Request::Delete => house.nodes() - count,
        Request::Set
        | Request::MultiSet
        | Request::Get
        | Request::Watch
        | Request::Children
        | Request::Close => house.nodes(),
    };
    let expected = (zxid, nodes);
    Box::new(Writing { house, clients, rounds, sent: 0, expected })
}

fn window(request: Request, numbers: &mut impl Iterator<Item = usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers.take(PIPELINED) {
        request.frame(1, number, &mut bytes);
    }
    bytes
}

impl Batch for Writing {
    fn run(&mut self) -> usize {
        let Writing { house, clients, rounds, sent, .. } = self;
        for round in rounds {
            for (client, bytes) in clients.iter().zip(round) {
                house.receive(*client, bytes);
            }
            house.turn();
            for client in &*clients {
                *sent += house.send(*client);
            }
        }
        *sent
    }

    fn check(&mut self) {
        let found = (self.house.last_zxid().0, self.house.nodes());
        assert_eq!(found, self.expected, "each took its place and did its work");
        assert_eq!(self.house.replies(), PIPELINED, "all of the last window");
    }
}

const NODES: usize = 10_000;
const CLIENTS: usize = 10;
const PIPELINED: usize = 5;
