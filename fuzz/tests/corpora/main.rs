//! Runs the corpora and mutations of them, and measures the memory that each input costs.
//!
//! A found input belongs into `corpus/<target>/`: from then on it runs here for ever.

#![allow(clippy::unwrap_used)] // a test: what is missing fails it

mod meter;
mod mutate;

use base::Rng;
use quorate_fuzz::{TARGETS, Target};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[global_allocator]
static METER: meter::Meter = meter::Meter;

macro_rules! corpora {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                run_corpus(stringify!($name));
            }
        )*
    };
}

corpora! {
    frames connect requests replies txn_record txn_replay multi multi_read connection session
    log_file log_records snapshot_plain snapshot_gzip snapshot_snappy snapshot_nodes snapshot_stream
    journal_segment journal_records
    number_files zoo_cfg jvm_flags four_letter_word access_list quota_text
    quorum_packets quorum_opening quorum_notifications membership_text
}

#[test]
fn every_target_has_a_test_a_binary_and_seeds() {
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let tested: BTreeSet<String> = named(TESTED);
    assert_eq!(targets, tested);
    let stems = |dir: &str| -> BTreeSet<String> {
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let paths = paths(dir).into_iter().filter(|path| !path.ends_with("README.md"));
        paths.map(stem).collect()
    };
    assert_eq!(targets, stems("fuzz_targets"));
    assert_eq!(targets, stems("corpus"));
    for target in TARGETS {
        assert!(!paths(&format!("corpus/{}", target.name)).is_empty(), "{}", target.name);
    }
}

#[test]
fn the_meter_sees_what_is_allocated() {
    assert!(meter::peak_of(|| drop(vec![0_u8; 1 << 20])) >= 1 << 20);
    assert!(meter::peak_of(|| {}) < 1 << 10);
}

fn run_corpus(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let read = |path: PathBuf| (fs::read(&path).unwrap(), path);
    let seeds: Vec<(Vec<u8>, PathBuf)> =
        paths(&format!("corpus/{name}")).into_iter().map(read).collect();
    for (seed, path) in &seeds {
        run(target, seed, &path.display().to_string());
    }
    let mut rng =
        Rng::new(name.bytes().fold(1_u64, |seed, byte| seed.rotate_left(8) ^ u64::from(byte)));
    for number in 0..target.mutations {
        let (seed, path) = rng.pick(&seeds).clone();
        let other = &rng.pick(&seeds).0;
        let input = mutate::mutate(&mut rng, &seed, other);
        run(target, &input, &format!("mutation {number}, of {}", path.display()));
    }
}

fn run(target: &Target, input: &[u8], origin: &str) {
    let report = Report { target, input, origin };
    let peak = meter::peak_of(|| (target.run)(input));
    let allowed = target.memory_base + target.memory_per_byte * input.len();
    assert!(peak <= allowed, "{peak} bytes were allocated, {allowed} are allowed");
    std::mem::forget(report);
}

/// Says which input it was, unless it is forgotten.
struct Report<'a> {
    target: &'a Target,
    input: &'a [u8],
    origin: &'a str,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let hex: String = self.input.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("{}: {}: input as xxd -r -p takes it:\n{hex}", self.target.name, self.origin);
    }
}

fn paths(dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
