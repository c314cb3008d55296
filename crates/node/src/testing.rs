//! What the tests of several modules need: records, trees, a journal on a simulated disk.

use crate::{Journal, JournalFiles, Output, SnapshotOptions, Texts};
use base::{Lsn, Zxid};
use bytes::Bytes;
use jute::Encode;
use std::path::Path;
use std::sync::Arc;
use storage::simulated::SimulatedDisk;
use storage::{Compression, Dirs, LogOptions, ReadOptions, TxnLog};
use tree::{Config, Tree};
use wire::{Acls, CreateKind, CreateTxn, OwnerRules, Txn, TxnHeader, TxnRecord};

pub(crate) const CONFIG: Config =
    Config { digest: true, owners: OwnerRules { extended_types: true, emulate_353_ttl: false } };
pub(crate) const SNAPSHOT: SnapshotOptions =
    SnapshotOptions { compression: Compression::None, digest: true, last_zxid: true };

pub(crate) fn dirs() -> Dirs {
    Dirs::single("/data")
}

pub(crate) fn apply(tree: &mut Tree, payload: &[u8]) {
    tree.apply(&TxnRecord::decode(payload).unwrap(), &mut |_| {});
}

pub(crate) fn record(zxid: i64, session: i64, txn: Txn<'_>) -> Bytes {
    let op = txn.op().number();
    let header = TxnHeader { client_id: session, cxid: 0, zxid, time: 5, op };
    let mut payload = Vec::new();
    TxnRecord { header, txn, digest: None }.encode(&mut payload);
    payload.into()
}

pub(crate) fn create<'a>(
    path: &'a str,
    data: &'a [u8],
    ephemeral: bool,
    parent_cversion: i32,
) -> Txn<'a> {
    let (kind, acl) = (CreateKind::Create, Acls::OPEN);
    let (path, data) = (path.into(), Some(data));
    Txn::Create(CreateTxn { kind, path, data, acl, ephemeral, parent_cversion })
}

/// A node that is named after the place and says whose history it is of.
pub(crate) fn entry(zxid: i64, whose: &str) -> Bytes {
    record(zxid, 0, create(&format!("/n{zxid:x}"), whose.as_bytes(), false, -1))
}

pub(crate) fn journal(disk: &SimulatedDisk) -> Journal<SimulatedDisk> {
    journal_with(disk, None)
}

/// One whose host keeps texts in another place.
pub(crate) fn journal_with(
    disk: &SimulatedDisk,
    texts: Option<Arc<dyn Texts>>,
) -> Journal<SimulatedDisk> {
    let options = LogOptions { preallocation: 4096, ..LogOptions::default() };
    let log = TxnLog::new(disk.clone(), dirs().logs(), options);
    let (disk, dirs, read) = (disk.clone(), dirs(), ReadOptions::default());
    Journal::of_member(log, JournalFiles { disk, dirs, read, texts })
}

/// Keeps texts elsewhere.
#[derive(Debug)]
pub(crate) struct Elsewhere(pub(crate) SimulatedDisk);

impl Texts for Elsewhere {
    fn keep(&self, name: &'static str, text: Option<&str>) -> Result<(), storage::Error> {
        storage::write_text(&self.0, &Path::new("/conf").join(name), text)
    }
}

pub(crate) fn append(lsn: u64, zxid: i64, record: Bytes) -> Output {
    Output::Append { lsn: Lsn(lsn), at: Zxid(zxid), record }
}
