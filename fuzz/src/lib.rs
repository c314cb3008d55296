//! Fuzz targets for every decoder, as plain functions over bytes.
//!
//! Each function takes any bytes at all and panics if the code under it breaks a promise: what is
//! decoded encodes to the same value, what is refused changes nothing, replies come in order, a
//! tree is the same after a snapshot. [`TARGETS`] lists them; `fuzz_targets/` makes a libFuzzer
//! binary of each, and `tests/corpora` runs the seeds of `corpus/` and mutations of them under
//! `cargo test`, and measures that no decoder allocates what only a length field claims.

mod access;
mod config;
mod files;
mod frames;
mod house;
mod journal;
mod peers;
mod records;
mod requests;
mod service;
mod transfer;
mod trees;
mod txns;
mod words;

/// A function over bytes, and the memory that it may use.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its corpus and of its binary.
    pub name: &'static str,
    /// The function. Panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Memory that it may use whatever the input, in bytes.
    pub memory_base: usize,
    /// Bytes of memory that each byte of input may cost beyond that.
    pub memory_per_byte: usize,
    /// How many mutations of its corpus the gate runs.
    pub mutations: u32,
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run, memory_base: 256 << 10, memory_per_byte: 64, mutations: 40_000 }
}

const fn heavy(name: &'static str, run: fn(&[u8]), base: usize, per_byte: usize) -> Target {
    Target { name, run, memory_base: base, memory_per_byte: per_byte, mutations: 2_000 }
}

/// All targets. The bounds of the heavy ones: files are read through windows of a mebibyte; a
/// byte of gzip stands for up to 1032 bytes and one of snappy for 22, each of which a window, a
/// tree and its copy may hold; a few bytes of a step can make a request with a kilobyte of data
/// or ask for a whole tree in return.
pub const TARGETS: &[Target] = &[
    target("frames", frames::frames),
    target("connect", records::connect),
    target("requests", records::requests),
    target("replies", records::replies),
    target("txn_record", txns::record),
    heavy("txn_replay", txns::replay, 1 << 20, 4096),
    heavy("multi", service::multi, 4 << 20, 4096),
    heavy("multi_read", service::multi_read, 4 << 20, 8192),
    heavy("connection", service::connection, 8 << 20, 16384),
    heavy("session", service::session, 8 << 20, 16384),
    heavy("log_file", files::log, 8 << 20, 4096),
    heavy("log_records", files::log_records, 8 << 20, 4096),
    heavy("snapshot_plain", files::snapshot_plain, 4 << 20, 1024),
    heavy("snapshot_gzip", files::snapshot_gzip, 4 << 20, 16 * 1032),
    heavy("snapshot_snappy", files::snapshot_snappy, 4 << 20, 16 * 22),
    heavy("snapshot_nodes", files::snapshot_nodes, 8 << 20, 4096),
    heavy("snapshot_stream", transfer::snapshot_stream, 4 << 20, 4096),
    heavy("journal_segment", journal::segment, 4 << 20, 1024),
    heavy("journal_records", journal::records, 4 << 20, 1024),
    target("number_files", files::numbers),
    heavy("zoo_cfg", config::zoo_cfg, 1 << 20, 1024),
    heavy("jvm_flags", config::jvm_flags, 1 << 20, 1024),
    target("four_letter_word", words::word),
    target("access_list", access::list),
    target("quorum_packets", peers::packets),
    target("quorum_opening", peers::opening),
    target("quorum_notifications", peers::notifications),
    heavy("membership_text", peers::membership, 1 << 20, 2048),
    heavy("quota_text", trees::quota_text, 2 << 20, 1024),
];

/// Runs the target of that name.
///
/// # Panics
/// If there is none, or a promise is broken.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("the table has every binary's target").run)(data);
}
