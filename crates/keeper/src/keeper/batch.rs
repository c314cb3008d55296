//! Transactions under construction: one buffer for a whole batch.

use base::Zxid;
use broadcast::{Context, Proposal};
use bytes::Bytes;

/// The transactions of a batch, one behind the other.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    ends: Vec<(Zxid, usize)>,
}

impl Batch {
    /// Room for a batch like the last one, so that it need not grow step by step.
    pub(super) fn like(last: BatchSize) -> Batch {
        let BatchSize { bytes, ends } = last;
        Batch { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(ends) }
    }

    pub(super) fn size(&self) -> BatchSize {
        let BatchSize { bytes, ends } = BATCH_SIZE_EXPECTED_MAX;
        BatchSize { bytes: self.bytes.len().min(bytes), ends: self.ends.len().min(ends) }
    }

    /// What was appended since the last end is the transaction at this place.
    pub(super) fn end(&mut self, at: Zxid) {
        self.ends.push((at, self.bytes.len()));
    }

    /// The transactions as slices of one allocation.
    pub(super) fn into_proposals(self) -> impl Iterator<Item = Proposal> {
        let all = Bytes::from(self.bytes);
        let mut start = 0;
        self.ends.into_iter().map(move |(at, end)| {
            let item = all.slice(start..end);
            start = end;
            Proposal { context: Context(at.0.cast_unsigned()), at, item }
        })
    }
}

/// How large a batch was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatchSize {
    bytes: usize,
    ends: usize,
}

/// No larger batch is expected: memory is not to be held on a guess.
const BATCH_SIZE_EXPECTED_MAX: BatchSize = BatchSize { bytes: 1 << 20, ends: 1 << 12 };
