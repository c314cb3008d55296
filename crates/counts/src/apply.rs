//! Applying: transactions as the order delivers them, decoded and carried out on the tree.

use crate::batch::{Batch, Benchmark};
use crate::prepare::transactions;
use crate::requests::Request;
use keeper::Proposal;
use tree::Tree;
use wire::TxnRecord;

pub(crate) const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "apply-create", operations: COUNT, set_up: || batch(Request::Create, COUNT) },
    Benchmark { name: "apply-set", operations: COUNT, set_up: || batch(Request::Set, COUNT) },
    Benchmark { name: "apply-delete", operations: COUNT, set_up: || batch(Request::Delete, COUNT) },
    Benchmark {
        name: "apply-multi10",
        operations: MULTIS,
        set_up: || batch(Request::Multi, MULTIS),
    },
];

const COUNT: usize = 1000;
const MULTIS: usize = 100;

struct Applying {
    tree: Tree,
    proposals: Vec<Proposal>,
    /// Those that did as they said, and left the digest that they said.
    right: usize,
    changes: usize,
}

fn batch(request: Request, count: usize) -> Box<dyn Batch> {
    let (tree, proposals) = transactions(request, count);
    Box::new(Applying { tree, proposals, right: 0, changes: 0 })
}

impl Batch for Applying {
    fn run(&mut self) -> usize {
        let Applying { tree, proposals, right, changes } = self;
        for proposal in proposals {
            let Ok(record) = TxnRecord::decode(&proposal.item) else { break };
            let applied = tree.apply(&record, &mut |_| *changes += 1);
            let is_right = applied.results.err() == 0 && applied.digest_mismatch.is_none();
            *right += usize::from(is_right);
        }
        *right
    }

    fn check(&mut self) {
        assert_eq!(self.right, self.proposals.len());
        assert_eq!(Some(self.tree.last_zxid()), self.proposals.last().map(|last| last.at));
        assert!(self.changes >= self.right);
    }
}
