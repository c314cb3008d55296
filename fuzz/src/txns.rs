//! Transactions: their bytes, and what they do to a tree.

use crate::trees::{self, Fuzzy};
use base::Zxid;
use jute::{Encode, Reader};
use wire::{Txn, TxnRecord};

/// A record decodes, and encodes to something that decodes the same.
pub(crate) fn record(data: &[u8]) {
    let Ok(record) = TxnRecord::decode(data) else { return };
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    assert_eq!(TxnRecord::decode(&bytes), Ok(record.clone()));
    if let Txn::Multi(multi) = &record.txn {
        assert_eq!(multi.iter().count(), multi.len());
        for (op, txn) in multi.iter() {
            let mut body = Vec::new();
            txn.encode_body(&mut body);
            assert_eq!(Txn::decode_body(op, &mut Reader::new(&body)), Ok(txn));
        }
    }
}

/// Records, each behind its length in two bytes, are applied one after the other: whatever they
/// say, the tree stays a tree. Instead of a length there may be a step of a snapshot.
pub(crate) fn replay(data: &[u8]) {
    let (mut tree, data) = match data.split_first() {
        Some((0, rest)) => (trees::empty(), rest),
        _ => (trees::filled(), data.get(1..).unwrap_or_default()),
    };
    let mut snapshot = None;
    for chunk in Chunks(data) {
        match chunk {
            Chunk::Mark(0) => snapshot = Some(Fuzzy::begin(&tree)),
            Chunk::Mark(nodes) => {
                if let Some(snapshot) = &mut snapshot {
                    snapshot.step(&tree, usize::from(nodes));
                }
            }
            Chunk::Bytes(payload) => {
                let Ok(mut record) = TxnRecord::decode(payload) else { continue };
                // The order of the records is the log's to check.
                record.header.zxid = tree.last_zxid().next().0;
                record.digest = None;
                let applied = tree.apply(&record, &mut |change| {
                    assert!(change.path.starts_with('/'));
                });
                assert_eq!(tree.last_zxid(), Zxid(record.header.zxid));
                if let Txn::Multi(multi) = &record.txn {
                    assert_eq!(applied.results.ops().len(), multi.len());
                }
            }
        }
    }
    if let Some(snapshot) = snapshot {
        snapshot.finish(&tree);
    }
    trees::check(&tree);
}

/// Input cut into pieces, each behind two bytes that tell its length.
pub(crate) struct Chunks<'a>(pub(crate) &'a [u8]);

pub(crate) enum Chunk<'a> {
    Bytes(&'a [u8]),
    /// A length beyond any that makes sense: its lower byte.
    Mark(u8),
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let (head, rest) = self.0.split_first_chunk::<2>()?;
        if head[0] == 0xff {
            self.0 = rest;
            return Some(Chunk::Mark(head[1]));
        }
        let size = usize::from(u16::from_be_bytes(*head)).min(rest.len());
        let (bytes, rest) = rest.split_at(size);
        self.0 = rest;
        Some(Chunk::Bytes(bytes))
    }
}
