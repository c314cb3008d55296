//! Appending to the transaction log: framing, checksums, padding, one write and one sync a round.

use crate::batch::{Batch, Benchmark};
use crate::prepare::transactions;
use crate::requests::Request;
use crate::sink::Sink;
use keeper::Proposal;
use storage::{LogOptions, TxnLog};

pub(crate) const BENCHMARKS: &[Benchmark] =
    &[Benchmark { name: "journal-append", operations: COUNT, set_up }];

const COUNT: usize = 1000;

struct Appending {
    disk: Sink,
    log: TxnLog<Sink>,
    proposals: Vec<Proposal>,
}

fn set_up() -> Box<dyn Batch> {
    let (_, proposals) = transactions(Request::Set, COUNT);
    let disk = Sink::default();
    let log = TxnLog::new(disk.clone(), "/log", LogOptions::default());
    Box::new(Appending { disk, log, proposals })
}

impl Batch for Appending {
    fn run(&mut self) -> usize {
        let mut failed = 0;
        for round in self.proposals.chunks(ROUND) {
            for proposal in round {
                failed += usize::from(self.log.append(proposal.at, &proposal.item).is_err());
            }
            failed += usize::from(self.log.commit().is_err());
        }
        failed
    }

    fn check(&mut self) {
        assert!(!self.log.has_failed());
        assert_eq!(self.log.last_synced(), self.proposals.last().map(|last| last.at));
        let bytes: usize = self.proposals.iter().map(|proposal| proposal.item.len()).sum();
        assert!(self.disk.written() > bytes as u64);
    }
}

/// Records of one write and one sync.
const ROUND: usize = 50;
