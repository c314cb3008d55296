//! Three members of a Raft in one thread, of Quorate and of others, under the same load.
//!
//! An [`Ensemble`] orders items: each is put into an in-memory log and acknowledged from there on
//! all three members, committed, and applied on all three to the same [`Applied`]. Links are queues,
//! disks are memory and take no time, so what is measured is what the protocol costs. `cargo bench`
//! prints CPU and instructions for each entry; `README.md` says what is alike and what is not.

mod applied;
mod load;
mod openraft;
mod ours;
mod tikv;

pub use applied::Applied;
pub use load::Load;

/// Three members, one of which leads.
pub trait Ensemble {
    /// Orders all of the load's items, until every member has applied them.
    fn run(&mut self, load: &Load);

    /// What each member has applied.
    fn applied(&self) -> Vec<Applied>;
}

/// An implementation by its name.
pub struct Candidate {
    /// As it is printed and asked for.
    pub name: &'static str,
    /// Makes an ensemble that has a leader.
    pub start: fn() -> Box<dyn Ensemble>,
}

/// All that are compared, ours first.
pub const CANDIDATES: &[Candidate] = &[
    Candidate { name: "quorate", start: || Box::new(ours::Members::start()) },
    Candidate { name: "tikv", start: || Box::new(tikv::Members::start(tikv::Link::Structs)) },
    Candidate { name: "tikv-bytes", start: || Box::new(tikv::Members::start(tikv::Link::Bytes)) },
    Candidate { name: "openraft", start: || Box::new(openraft::Members::start()) },
];

/// What is counted: known to the counter by its name, so never a part of its caller.
#[inline(never)]
pub fn measured(ensemble: &mut dyn Ensemble, load: &Load) {
    ensemble.run(load);
    std::hint::black_box(ensemble);
}

/// Entries that a log keeps in memory: older ones go.
const RECENT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::{CANDIDATES, Load};

    #[test]
    fn everybody_applies_the_same_everywhere() {
        for candidate in CANDIDATES {
            for window in [1, 16, 256] {
                let mut ensemble = (candidate.start)();
                let loads = [Load::new(3000, 16, window), Load::new(100, 128, window)];
                let mut due = super::Applied::default();
                for load in &loads {
                    ensemble.run(load);
                    load.items.iter().for_each(|item| due.apply(item));
                    assert_eq!(ensemble.applied(), [due; 3], "{} {window}", candidate.name);
                }
            }
        }
    }
}
