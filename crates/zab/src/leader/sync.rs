//! The choice between DIFF, TRUNC and SNAP: a function of two histories.
//!
//! Source: the reference's `LearnerHandler.syncFollower`, whose rules are kept but where they send
//! the whole state to a learner that lacks little: see [`choose`].

use base::Zxid;

/// How a learner's history is brought to the leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The learner has a prefix: it gets the entries from `from` on.
    Diff {
        /// For the learner to know.
        upto: Zxid,
        /// Index of the first entry that it lacks.
        from: usize,
    },
    /// The learner cuts its log at `to`, then gets the entries from `from` on.
    Trunc {
        /// The last entry that both have.
        to: Zxid,
        /// Index of the first entry that it lacks.
        from: usize,
    },
    /// The entries do not reach back to the learner's: perhaps the log does.
    ReadLog,
    /// The learner gets the whole state.
    Snap,
}

/// The choice for a learner whose history ends at `p`. `entries` are the places of the leader's
/// entries that count as decided, without a gap, and `before` the place before them, if it is
/// known; `last` is the place that the leader's state is at.
///
/// Deviations, where the reference sends its state. Who is at `before` gets the difference; so
/// fresh ensembles send no states. So does who is behind it and ahead of the first entry, as if
/// `before` were an entry. And who is where an epoch begins that is behind all entries: a leader of
/// that epoch was established, so its history is a beginning of every later leader's, and no
/// entry of that epoch or a later one is in this one.
pub(crate) fn choose(
    p: Zxid,
    before: Option<Zxid>,
    entries: impl ExactSizeIterator<Item = Zxid> + Clone,
    last: Zxid,
) -> Plan {
    let count = entries.len();
    let min = entries.clone().next().unwrap_or(last);
    let max = entries.clone().last().unwrap_or(last);
    if p == last {
        return Plan::Diff { upto: p, from: count };
    }
    if Some(p) == before {
        return Plan::Diff { upto: max, from: 0 };
    }
    if p > max {
        // A TRUNC names an entry, and where an epoch begins is none.
        return if is_epoch_start(p) {
            Plan::Diff { upto: max, from: count }
        } else {
            Plan::Trunc { to: max, from: count }
        };
    }
    let mut prefix = before.filter(|before| *before < p);
    if p < min && prefix.is_none() {
        return Plan::ReadLog;
    }
    for (index, at) in entries.enumerate() {
        if at < p {
            prefix = Some(at);
        } else if at == p {
            return Plan::Diff { upto: max, from: index + 1 };
        } else if is_epoch_start(p) {
            return Plan::Diff { upto: max, from: index };
        } else if let Some(to) = prefix.filter(|_| at.epoch() == p.epoch()) {
            return Plan::Trunc { to, from: index };
        } else {
            return Plan::Snap; // a cut must not cross an epoch
        }
    }
    // Nothing comes behind `p`, but a later epoch.
    match prefix.filter(|to| to.epoch() == p.epoch() && !is_epoch_start(*to)) {
        _ if is_epoch_start(p) => Plan::Diff { upto: max, from: count },
        Some(to) => Plan::Trunc { to, from: count },
        None => Plan::Snap,
    }
}

const fn is_epoch_start(at: Zxid) -> bool {
    at.counter() == 0
}

#[cfg(test)]
mod tests {
    use super::{Plan, choose};
    use base::Zxid;

    fn at(epoch: i64, counter: i64) -> Zxid {
        Zxid(epoch << 32 | counter)
    }

    fn plan(p: Zxid, entries: &[Zxid], last: Zxid) -> Plan {
        choose(p, None, entries.iter().copied(), last)
    }

    const fn z(epoch: i64, counter: i64) -> Zxid {
        Zxid(epoch << 32 | counter)
    }

    const RING: &[Zxid] = &[z(1, 7), z(1, 8), z(2, 1), z(2, 2)];

    #[test]
    fn who_is_there_gets_an_empty_difference() {
        assert_eq!(plan(at(2, 2), RING, at(2, 2)), Plan::Diff { upto: at(2, 2), from: 4 });
        assert_eq!(plan(at(3, 0), RING, at(3, 0)), Plan::Diff { upto: at(3, 0), from: 4 });
    }

    #[test]
    fn who_lacks_the_end_gets_it() {
        assert_eq!(plan(at(1, 7), RING, at(2, 2)), Plan::Diff { upto: at(2, 2), from: 1 });
        assert_eq!(plan(at(2, 2), RING, at(3, 0)), Plan::Diff { upto: at(2, 2), from: 4 });
    }

    #[test]
    fn who_has_more_cuts_it() {
        assert_eq!(plan(at(2, 5), RING, at(2, 2)), Plan::Trunc { to: at(2, 2), from: 4 });
        assert_eq!(plan(at(1, 9), RING, at(2, 2)), Plan::Snap, "not across an epoch");
        let ring = [at(1, 7), at(1, 8), at(1, 12)];
        assert_eq!(plan(at(1, 9), &ring, at(1, 12)), Plan::Trunc { to: at(1, 8), from: 2 });
    }

    #[test]
    fn where_an_epoch_begins_nothing_is_cut() {
        assert_eq!(plan(at(2, 0), RING, at(2, 2)), Plan::Diff { upto: at(2, 2), from: 2 });
        let nothing = Plan::Diff { upto: at(2, 2), from: 4 };
        assert_eq!(plan(at(3, 0), RING, at(4, 0)), nothing, "a leader without a proposal");
    }

    #[test]
    fn who_is_between_the_entries_and_the_place_before_them_needs_no_log() {
        let plan = |p, before, entries: &[Zxid]| {
            choose(p, Some(before), entries.iter().copied(), at(4, 0))
        };
        let all = Plan::Diff { upto: at(2, 2), from: 0 };
        assert_eq!(plan(at(2, 0), at(1, 8), &[at(2, 1), at(2, 2)]), all);
        assert_eq!(plan(at(1, 9), at(1, 8), &[at(2, 1), at(2, 2)]), Plan::Snap);
        assert_eq!(plan(at(1, 7), at(1, 8), &[at(2, 1), at(2, 2)]), Plan::ReadLog);
        let nothing = Plan::Diff { upto: at(4, 0), from: 0 };
        assert_eq!(plan(at(3, 0), at(1, 8), &[]), nothing);
        assert_eq!(plan(at(1, 9), at(1, 8), &[]), Plan::Trunc { to: at(1, 8), from: 0 });
        assert_eq!(plan(at(2, 9), at(1, 8), &[]), Plan::Snap, "not across an epoch");
        assert_eq!(plan(at(2, 9), at(2, 0), &[]), Plan::Snap, "there is no entry to name");
    }

    #[test]
    fn who_is_right_before_the_entries_gets_them_all() {
        let before = Some(at(1, 6));
        let plan = choose(at(1, 6), before, RING.iter().copied(), at(2, 2));
        assert_eq!(plan, Plan::Diff { upto: at(2, 2), from: 0 });
        let plan = choose(at(0, 0), Some(at(0, 0)), [].into_iter(), at(1, 0));
        assert_eq!(plan, Plan::Diff { upto: at(1, 0), from: 0 });
    }

    #[test]
    fn who_is_far_behind_needs_the_log() {
        assert_eq!(plan(at(1, 6), RING, at(2, 2)), Plan::ReadLog);
        assert_eq!(plan(at(1, 6), &[], at(2, 0)), Plan::ReadLog);
        assert_eq!(plan(at(2, 6), &[], at(2, 0)), Plan::Trunc { to: at(2, 0), from: 0 });
    }
}
