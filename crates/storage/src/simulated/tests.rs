//! The simulated disk keeps what was synced, may lose the rest, and fails where it is told to.

use super::{MetadataMode, Operation, SimulatedDisk};
use crate::{Disk, DiskFile};
use base::Rng;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

const FILE: &str = "/d/file";

fn disk(mode: MetadataMode) -> SimulatedDisk {
    let disk = SimulatedDisk::new(mode);
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk
}

/// A durable file of four sectors of ones.
fn with_file() -> SimulatedDisk {
    let disk = disk(MetadataMode::Ordered);
    disk.install(Path::new(FILE), &[1; 2048]);
    disk
}

#[test]
fn a_crash_keeps_what_was_synced_and_any_sectors_of_the_rest() {
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let disk = with_file();
        let mut file = disk.open_rw(Path::new(FILE)).unwrap();
        file.write_at(0, &[2; 512]).unwrap();
        file.sync_data().unwrap();
        file.write_at(512, &[3; 1536]).unwrap();
        disk.crash(&mut Rng::new(seed));
        let bytes = disk.contents(Path::new(FILE)).unwrap();
        let sectors: Vec<u8> = bytes.chunks(512).map(|sector| sector[0]).collect();
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        assert_eq!(sectors[0], 2);
        seen.insert(sectors);
    }
    assert_eq!(seen.len(), 8, "every subset of three sectors");
}

#[test]
fn lengths_and_cuts_survive_or_not_but_never_mix() {
    let (mut lengths, mut cut_lengths) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..400 {
        let disk = with_file();
        let mut file = disk.open_rw(Path::new(FILE)).unwrap();
        file.allocate(4096).unwrap();
        disk.crash(&mut Rng::new(seed));
        let bytes = disk.contents(Path::new(FILE)).unwrap();
        assert!(bytes[..2048].iter().all(|b| *b == 1) && bytes[2048..].iter().all(|b| *b == 0));
        lengths.insert(bytes.len());

        let disk = with_file();
        let mut file = disk.create(Path::new(FILE)).unwrap();
        file.write_at(0, &[7; 100]).unwrap();
        disk.crash(&mut Rng::new(seed));
        let bytes = disk.contents(Path::new(FILE)).unwrap();
        assert!(bytes == [1; 2048] || bytes.iter().all(|b| *b == 7 || *b == 0));
        cut_lengths.insert(bytes.len());
    }
    assert!(lengths.contains(&2048) && lengths.contains(&4096) && lengths.len() > 2);
    assert!(cut_lengths.contains(&2048) && cut_lengths.contains(&0) && cut_lengths.contains(&100));
}

#[test]
fn names_survive_in_order_or_on_their_own() {
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for (mode, seen) in [MetadataMode::Ordered, MetadataMode::Strict].into_iter().zip(&mut seen) {
        for seed in 0..200 {
            let disk = disk(mode);
            disk.create(Path::new("/d/kept")).unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            disk.create(Path::new("/d/a")).unwrap();
            disk.create(Path::new("/d/b")).unwrap();
            disk.remove(Path::new("/d/kept")).unwrap();
            disk.crash(&mut Rng::new(seed));
            let names = disk.list(Path::new("/d")).unwrap().into_iter().map(|entry| entry.name);
            seen.insert(names.collect::<Vec<_>>().join(" "));
        }
    }
    let [ordered, strict] = seen;
    assert_eq!(ordered.into_iter().collect::<Vec<_>>(), ["a b", "a b kept", "a kept", "kept"]);
    assert_eq!(strict.len(), 8);
}

#[test]
fn a_rename_is_atomic() {
    for seed in 0..50 {
        let disk = with_file();
        let new = Path::new("/d/new");
        disk.create(new).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.rename(new, Path::new(FILE)).unwrap();
        disk.crash(&mut Rng::new(seed));
        let len = disk.contents(Path::new(FILE)).unwrap().len();
        assert_eq!(disk.exists(new).unwrap(), len == 2048);
    }
}

#[test]
fn a_failed_sync_loses_what_can_still_be_read() {
    let disk = with_file();
    let mut file = disk.open_rw(Path::new(FILE)).unwrap();
    disk.fail_after(Operation::Sync, 1);
    file.write_at(0, &[2; 10]).unwrap();
    file.sync_data().unwrap();
    file.write_at(1024, &[3; 10]).unwrap();
    let error = file.sync_data().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5));
    file.sync_data().unwrap();
    assert_eq!(disk.contents(Path::new(FILE)).unwrap()[1024], 3);
    disk.crash(&mut Rng::new(1));
    let bytes = disk.contents(Path::new(FILE)).unwrap();
    assert_eq!((bytes[0], bytes[1024]), (2, 1));
    assert_eq!(disk.counters().syncs, 3);
}

#[test]
fn forks_are_apart_and_crashes_close_files() {
    let disk = with_file();
    let fork = disk.fork();
    let mut file = disk.open_rw(Path::new(FILE)).unwrap();
    file.write_at(0, &[9]).unwrap();
    assert!(disk.flip_bit(Path::new(FILE), 2048 * 8 - 1));
    assert!(!disk.flip_bit(Path::new(FILE), 2048 * 8));
    assert_eq!(fork.contents(Path::new(FILE)).unwrap(), [1; 2048]);
    assert_eq!(disk.contents(Path::new(FILE)).unwrap()[2047], 0x81);
    disk.crash(&mut Rng::new(1));
    assert!(file.write_at(0, &[9]).is_err());
    assert!(file.read_at(0, &mut [0]).is_err());
    let read_only = disk.open(Path::new(FILE)).unwrap().write_at(0, &[1]).unwrap_err();
    assert_eq!(read_only.kind(), io::ErrorKind::PermissionDenied);
    let missing = disk.open(Path::new("/d/none")).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}
