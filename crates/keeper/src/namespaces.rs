//! Counting by namespace: the first component of a path, as quotas are told apart.
//!
//! A namespace costs an allocation when it is first seen, and a look into a small map after that.
//! The root belongs to none.

use metrics::{Keyed, Metrics, Summary};
use tree::OpResult;
use wire::{CreateTxn, Txn};

/// Counts a read that gave so many bytes of data or names, and a stat.
pub(crate) fn read(metrics: &mut Metrics, path: &str, bytes: usize) {
    count(&mut metrics.sets.read_per_namespace, path, bytes + STAT_SIZE);
}

/// Counts the writes of a transaction that was applied with these results.
pub(crate) fn written(metrics: &mut Metrics, txn: &Txn<'_>, results: &[OpResult]) {
    if results.iter().any(|result| result.err != 0) {
        return;
    }
    let set = &mut metrics.sets.write_per_namespace;
    if let Txn::Multi(multi) = txn {
        multi.iter().for_each(|(_, part)| write(set, &part));
    } else {
        write(set, txn);
    }
}

fn write(set: &mut Keyed<Summary>, txn: &Txn<'_>) {
    match txn {
        Txn::Create(CreateTxn { path, data, .. }) => {
            count(set, path, data.map_or(0, |data| data.len()));
        }
        Txn::SetData { path, data, .. } => count(set, path, data.map_or(0, |data| data.len())),
        Txn::Delete { path, .. } => count(set, path, 0),
        Txn::SetAcl { .. }
        | Txn::Check { .. }
        | Txn::CreateSession { .. }
        | Txn::CloseSession { .. }
        | Txn::Error(_)
        | Txn::Multi(_) => {}
    }
}

fn count(set: &mut Keyed<Summary>, path: &str, bytes: usize) {
    let Some(rest) = path.strip_prefix('/').filter(|rest| !rest.is_empty()) else { return };
    let namespace = rest.split('/').next().unwrap_or(rest);
    if let Some(summary) = set.of(namespace) {
        summary.record((path.len() + bytes) as u64);
    }
}

/// Bytes of a stat: six longs and five ints.
const STAT_SIZE: usize = 68;

#[cfg(test)]
mod tests {
    use super::read;
    use metrics::Metrics;

    #[test]
    fn reads_count_for_the_first_component_and_the_root_for_none() {
        let mut metrics = Metrics::default();
        for path in ["/", "/app", "/app/a/b", "/other", ""] {
            read(&mut metrics, path, 10);
        }
        let set = metrics.sets.read_per_namespace;
        let found: Vec<_> = set.iter().map(|(name, s)| (name, s.count(), s.sum())).collect();
        assert_eq!(found, [("app", 2, 4 + 8 + 156), ("other", 1, 6 + 78)]);
    }
}
