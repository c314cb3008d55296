//! Partitions: which directions between members are blocked.

use base::Rng;

/// A shape of partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// One member can reach nobody, nor be reached.
    Isolate,
    /// The primary is isolated.
    Primary,
    /// Two groups, by chance.
    Halves,
    /// Two halves and one member that reaches both.
    Bridge,
    /// Each reaches the members beside it only: majorities that overlap.
    Ring,
    /// One member's words are not heard, or it hears none.
    OneWay,
    /// One direction of one pair is blocked.
    OneLink,
}

impl Cut {
    /// Which directions it blocks among so many members; `member` and `primary` are aimed at.
    pub(crate) fn pairs(
        self,
        count: usize,
        member: usize,
        primary: usize,
        rng: &mut Rng,
    ) -> Vec<(usize, usize)> {
        let sides: Vec<bool> = (0..count).map(|_| rng.one_in(2)).collect();
        let aimed = if rng.one_in(3) { primary } else { member };
        let other = (aimed + 1 + rng.below(count as u64) as usize) % count;
        let outward = rng.one_in(2);
        let blocked = |from: usize, to: usize| match self {
            Cut::Isolate => from == member || to == member,
            Cut::Primary => from == primary || to == primary,
            Cut::Halves => sides[from] != sides[to],
            Cut::Bridge => sides[from] != sides[to] && from != member && to != member,
            Cut::Ring => {
                let apart = (from + count - to) % count;
                apart.min(count - apart) > 1
            }
            Cut::OneWay => (outward && from == aimed) || (!outward && to == aimed),
            Cut::OneLink => from == aimed && to == other,
        };
        pairs(count).filter(|(from, to)| blocked(*from, *to)).collect()
    }
}

/// Every direction between two members.
pub(crate) fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count)
        .flat_map(move |from| (0..count).map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
}
