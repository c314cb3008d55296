//! What the tests of several modules need: payloads, options and small logs.

use crate::simulated::SimulatedDisk;
use crate::{Error, LogOptions, LogReader, ReadOptions, TxnLog};
use base::Zxid;
use jute::Encode;
use std::path::{Path, PathBuf};
use wire::{Txn, TxnHeader, TxnRecord};

pub(crate) const DIR: &str = "/data/version-2";

/// A setData of `size` bytes, different for each zxid.
pub(crate) fn payload(zxid: i64, size: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..size).map(|i| (i as i64 * 31 + zxid * 7 + 1) as u8).collect();
    let txn = Txn::SetData { path: "/a".into(), data: Some(&data), version: 1, reconfig: false };
    let header = TxnHeader { client_id: 1, cxid: 2, zxid, time: 3, op: 5 };
    let mut payload = Vec::new();
    TxnRecord { header, txn, digest: None }.encode(&mut payload);
    payload
}

pub(crate) fn disk() -> SimulatedDisk {
    let disk = SimulatedDisk::default();
    crate::Disk::create_dir_all(&disk, Path::new(DIR)).unwrap();
    disk
}

/// Small padding, so that images stay small.
pub(crate) fn options() -> LogOptions {
    LogOptions { preallocation: 8192, ..LogOptions::default() }
}

pub(crate) fn log(disk: &SimulatedDisk) -> TxnLog<SimulatedDisk> {
    TxnLog::new(disk.clone(), DIR, options())
}

/// One sync for each record.
pub(crate) fn write_one_by_one(disk: &SimulatedDisk, zxids: impl Iterator<Item = i64>) {
    let mut log = log(disk);
    for zxid in zxids {
        log.append(Zxid(zxid), &payload(zxid, 50)).unwrap();
        log.commit().unwrap();
    }
}

pub(crate) fn reader(disk: &SimulatedDisk, start: i64) -> LogReader<SimulatedDisk> {
    LogReader::open(disk.clone(), Path::new(DIR), Zxid(start), ReadOptions::default()).unwrap()
}

/// All zxids from `start` on.
pub(crate) fn zxids(reader: &mut LogReader<SimulatedDisk>) -> Result<Vec<i64>, Error> {
    let mut found = Vec::new();
    while let Some(record) = reader.next_record()? {
        found.push(record.zxid().0);
    }
    Ok(found)
}

pub(crate) fn in_dir(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
