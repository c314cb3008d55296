//! Reads a server's `version-2` directory and writes its contents anew with this crate's writers: the
//! newest snapshot by the method given, and the records after it in a log of their own. For checks
//! by hand that the reference starts on what is written here.
//!
//! `cargo run -p storage --example rewrite -- <from> <to> [gz|snappy]`

use base::{SessionId, Zxid};
use std::path::{Path, PathBuf};
use storage::simulated::SimulatedDisk;
use storage::{
    Begin, Compression, Dirs, Disk, LogOptions, Recovery, RecoveryOptions, Restore,
    SnapshotTrailer, SnapshotWriter, TxnLog,
};
use wire::{Acl, Acls, NodeRecord, StatPersisted, TxnRecord};

const DIR: &str = "/version-2";

#[derive(Default)]
struct Contents {
    zxid: Zxid,
    sessions: Vec<(SessionId, i32)>,
    acls: Vec<(i64, Vec<Acl>)>,
    nodes: Vec<(String, Option<Vec<u8>>, i64, StatPersisted)>,
    trailer: SnapshotTrailer,
    records: Vec<(Zxid, Vec<u8>)>,
}

impl Restore for Contents {
    type Error = std::convert::Infallible;

    fn begin(&mut self, _: Begin) -> Result<(), Self::Error> {
        *self = Contents::default();
        Ok(())
    }

    fn session(&mut self, session: SessionId, timeout_ms: i32) -> Result<(), Self::Error> {
        self.sessions.push((session, timeout_ms));
        Ok(())
    }

    fn acl(&mut self, id: i64, acl: &Acls<'_>) -> Result<(), Self::Error> {
        self.acls.push((id, acl.to_vec()));
        Ok(())
    }

    fn node(&mut self, node: &NodeRecord<'_>) -> Result<(), Self::Error> {
        let data = node.data.map(<[u8]>::to_vec);
        self.nodes.push((node.path.clone().into_owned(), data, node.acl_id, node.stat));
        Ok(())
    }

    fn snapshot_done(&mut self, zxid: Zxid, trailer: &SnapshotTrailer) -> Result<(), Self::Error> {
        (self.zxid, self.trailer) = (zxid, *trailer);
        Ok(())
    }

    fn txn(&mut self, txn: &TxnRecord<'_>, payload: &[u8]) -> Result<(), Self::Error> {
        self.records.push((Zxid(txn.header.zxid), payload.to_vec()));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, rest @ ..] = &arguments[..] else {
        return Err("usage: rewrite <from> <to> [gz|snappy]".into());
    };
    let method = rest.first().map_or("", String::as_str);
    let method = Compression::from_method(method).ok_or("the method is gz or snappy")?;

    let mut contents = Contents::default();
    let recovery = Recovery::open(load(from)?, Dirs::single("/"), RecoveryOptions::default())?;
    let restored = recovery.restore(&mut contents)?;
    println!("{restored:?}");
    let disk = SimulatedDisk::default();
    disk.create_dir_all(Path::new(DIR))?;
    write(&disk, &contents, method)?;
    store(&disk, &PathBuf::from(to).join("version-2"))?;
    Ok(())
}

fn write(
    disk: &SimulatedDisk,
    contents: &Contents,
    method: Compression,
) -> Result<(), storage::Error> {
    let mut writer = SnapshotWriter::create(disk.clone(), Path::new(DIR), contents.zxid, method)?;
    writer.sessions(contents.sessions.iter().copied())?;
    writer.acls(contents.acls.iter().map(|(id, acls)| (*id, &acls[..])))?;
    for (path, data, acl_id, stat) in &contents.nodes {
        let (path, data) = (path.as_str().into(), data.as_deref());
        writer.node(&NodeRecord { path, data, acl_id: *acl_id, stat: *stat })?;
    }
    writer.finish(contents.trailer.digest, Some(contents.zxid))?;
    let mut log = TxnLog::new(disk.clone(), DIR, LogOptions::default());
    for (index, (zxid, payload)) in contents.records.iter().enumerate() {
        log.append(*zxid, payload)?;
        if index % 5 == 0 {
            log.commit()?;
        }
        if index % 15 == 14 {
            log.roll()?;
        }
    }
    log.commit()
}

fn load(from: &str) -> std::io::Result<SimulatedDisk> {
    let disk = SimulatedDisk::default();
    for entry in std::fs::read_dir(PathBuf::from(from).join("version-2"))? {
        let entry = entry?;
        disk.install(&Path::new(DIR).join(entry.file_name()), &std::fs::read(entry.path())?);
    }
    Ok(disk)
}

fn store(disk: &SimulatedDisk, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in disk.list(Path::new(DIR))? {
        let bytes = disk.contents(&Path::new(DIR).join(&entry.name)).unwrap_or_default();
        std::fs::write(to.join(&entry.name), bytes)?;
    }
    Ok(())
}
