//! The journal of the engines that are not ZooKeeper's: segments of checksummed, chained records.
//!
//! One stream keeps everything that an engine must not forget: entries of the order, truncations
//! of them, registers (a ballot, a term and vote), texts and what it knows of its last checkpoint.
//! Nothing is ever overwritten: a later record counts. `docs/journal.md` has every field.
//!
//! What it guarantees: a record that [`Journal::end_sync`] or [`Journal::commit`] reported durable
//! is there after every crash, in its order; what is recovered is a prefix of what was appended.
//! A torn tail is cut and reported, damage to what was durable is refused with file, offset and
//! what to do. What tells the two apart are *marks* in the stream: each says up to where the
//! segment was known to be on the disk when it was written. After a failed write or sync nothing
//! is written any more. Memory holds one batch, a window of a file, and a sparse index.

mod batch;
mod compact;
mod entries;
mod format;
mod header;
mod index;
mod reader;
mod record;
mod recover;
mod refusal;
mod state;
#[cfg(test)]
mod tests;
mod window;
mod writer;

pub use compact::Removal;
pub use entries::Entries;
pub use header::{FORMAT_VERSION, Identity, MAGIC, SegmentHeader};
pub use reader::{Item, Survey, read_journal};
pub use record::{
    Checkpoint, NAME_SIZE_MAX, NAMES_MAX, RECORD_SIZE_MAX, Record, STATE_SIZE_MAX, TEXT_SIZE_MAX,
};
pub use recover::{Segment, list_segments};
pub use refusal::{Refusal, TornTail};
pub use state::Kept;
pub use writer::{Journal, Options, Recovered};
