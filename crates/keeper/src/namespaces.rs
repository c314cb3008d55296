//! Counting by namespace: the first component of a path, as quotas are told apart.
//!
//! A namespace costs an allocation when it is first seen, and a look into a small map after that.
//! The root belongs to none.

use jute::Reader;
use metrics::{Keyed, Metrics, Summary};
use tree::OpResult;
use wire::{CreateTxn, OpCode, Txn};

/// Counts a read that gave so many bytes of data or names, and a stat.
pub(crate) fn read(metrics: &mut Metrics, path: &str, bytes: usize) {
    count(&mut metrics.sets.read_per_namespace, path.as_bytes(), bytes + STAT_SIZE);
}

/// Counts the writes of a transaction that was applied with these results.
pub(crate) fn written(metrics: &mut Metrics, txn: &Txn<'_>, results: &[OpResult]) {
    if results.iter().any(|result| result.err != 0) {
        return;
    }
    let set = &mut metrics.sets.write_per_namespace;
    if let Txn::Multi(multi) = txn {
        multi.parts().for_each(|(op, body)| part(set, op, body));
    } else {
        write(set, txn);
    }
}

/// A multi's operation, of which only the path and the size of the data are looked at.
fn part(set: &mut Keyed<Summary>, op: i32, body: &[u8]) {
    let mut r = Reader::new(body);
    let has_data = match OpCode::from_number(op) {
        Some(
            OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::SetData,
        ) => true,
        Some(OpCode::Delete) => false,
        _ => return,
    };
    let Ok(Some(path)) = r.buffer() else { return };
    let data = if has_data { r.buffer().ok().flatten() } else { None };
    count(set, path, data.map_or(0, |data| data.len()));
}

fn write(set: &mut Keyed<Summary>, txn: &Txn<'_>) {
    match txn {
        Txn::Create(CreateTxn { path, data, .. }) => {
            count(set, path.as_bytes(), data.map_or(0, |data| data.len()));
        }
        Txn::SetData { path, data, .. } => {
            count(set, path.as_bytes(), data.map_or(0, |data| data.len()));
        }
        Txn::Delete { path, .. } => count(set, path.as_bytes(), 0),
        Txn::SetAcl { .. }
        | Txn::Check { .. }
        | Txn::CreateSession { .. }
        | Txn::CloseSession { .. }
        | Txn::Error(_)
        | Txn::Multi(_) => {}
    }
}

/// Only the namespace has to be text; a path that is not is none.
fn count(set: &mut Keyed<Summary>, path: &[u8], bytes: usize) {
    let Some(rest) = path.strip_prefix(b"/").filter(|rest| !rest.is_empty()) else { return };
    let size = (path.len() + bytes) as u64;
    if let Some(summary) = set.last_if(|last| is_in(rest, last.as_bytes())) {
        return summary.record(size);
    }
    let namespace = rest.split(|byte| *byte == b'/').next().unwrap_or(rest);
    let Ok(namespace) = std::str::from_utf8(namespace) else { return };
    if let Some(summary) = set.of(namespace) {
        summary.record(size);
    }
}

/// Whether the first component of `rest` is `namespace`.
fn is_in(rest: &[u8], namespace: &[u8]) -> bool {
    rest.starts_with(namespace) && rest.get(namespace.len()).is_none_or(|next| *next == b'/')
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
