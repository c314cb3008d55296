//! Preparing: requests against the tree and everything pending, to transactions.

use crate::batch::{Batch, Benchmark};
use crate::house::{NOW, WALL, tree};
use crate::requests::Request;
use base::{ConnectionId, SessionId};
use keeper::{Config, Ids, Keeper, Origin, Outgoing, Proposal, Submissions};
use std::sync::Arc;
use tree::Tree;
use wire::{Txn, TxnHeader, TxnRecord};

pub(crate) const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "prepare-create",
        operations: COUNT,
        set_up: || batch(Request::Create, COUNT),
    },
    Benchmark { name: "prepare-set", operations: COUNT, set_up: || batch(Request::Set, COUNT) },
    Benchmark {
        name: "prepare-multi10",
        operations: MULTIS,
        set_up: || batch(Request::Multi, MULTIS),
    },
];

const COUNT: usize = 1000;
const MULTIS: usize = 100;

/// Submissions, and the keeper that prepares them.
struct Preparing {
    tree: Tree,
    keeper: Keeper,
    submissions: Vec<Submissions>,
    outgoing: Outgoing,
    count: usize,
}

fn batch(request: Request, count: usize) -> Box<dyn Batch> {
    Box::new(Preparing::new(request, count))
}

/// Transactions as the keeper makes them, and the tree that they are for.
pub(crate) fn transactions(request: Request, count: usize) -> (Tree, Vec<Proposal>) {
    let mut preparing = Preparing::new(request, count);
    preparing.run();
    preparing.check();
    (preparing.tree, preparing.outgoing.proposals)
}

impl Preparing {
    fn new(request: Request, count: usize) -> Preparing {
        let mut tree = tree(NODES);
        open_session(&mut tree);
        let config = Arc::new(Config::standalone());
        let ids = Arc::new(config.auth.initial_ids([127, 0, 0, 1].into()));
        let mut keeper = Keeper::new(config, WALL);
        keeper.become_primary(&tree, tree.last_zxid(), NOW);
        let numbers: Vec<usize> = (0..count).collect();
        let submissions = numbers.chunks(ROUND).map(|part| submit(request, part, &ids)).collect();
        let mut outgoing = Outgoing::default();
        outgoing.proposals.reserve(count);
        Preparing { tree, keeper, submissions, outgoing, count }
    }
}

impl Batch for Preparing {
    fn run(&mut self) -> usize {
        let Preparing { tree, keeper, submissions, outgoing, .. } = self;
        for round in submissions {
            keeper.prepare(tree, NOW, WALL, round, &|| None, outgoing);
        }
        outgoing.proposals.len()
    }

    fn check(&mut self) {
        assert_eq!(self.outgoing.proposals.len(), self.count);
        for proposal in &self.outgoing.proposals {
            let record = TxnRecord::decode(&proposal.item).expect("a transaction");
            let has_failed = matches!(record.txn, Txn::Error(_))
                || matches!(record.txn, Txn::Multi(multi) if multi.has_failed());
            assert!(!has_failed, "a request was refused");
        }
    }
}

fn submit(request: Request, numbers: &[usize], ids: &Ids) -> Submissions {
    let mut submissions = Submissions::default();
    let connection = ConnectionId { slot: 1, generation: 1 };
    let mut body = Vec::new();
    for number in numbers {
        body.clear();
        request.body(*number, &mut body);
        let origin = Origin { connection, session: SESSION, xid: 1, ids, arrived: NOW };
        submissions.write(origin, request.op(), &body);
    }
    submissions
}

fn open_session(tree: &mut Tree) {
    let zxid = tree.last_zxid().next().0;
    let header = TxnHeader { client_id: SESSION.0, cxid: 0, zxid, time: WALL.0, op: -10 };
    let txn = Txn::CreateSession { timeout_ms: 30_000 };
    tree.apply(&TxnRecord { header, txn, digest: None }, &mut |_| {});
}

/// Nodes that are there.
const NODES: usize = 10_000;
/// Requests that are prepared together.
const ROUND: usize = 50;
const SESSION: SessionId = SessionId(0x0100_0000_0000_0001);
