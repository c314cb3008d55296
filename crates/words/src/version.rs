//! The version text: ZooKeeper's form, because clients take features from it.

/// The version of ZooKeeper that this server behaves as.
pub const COMPATIBLE_VERSION: &str = "3.9.5";

/// The version in `srvr`, `stat`, `envi` and `mntr`: our own stands where a revision would.
/// `built` is a time like `2026-02-11 20:18 UTC`.
#[must_use]
pub fn full_version(ours: &str, built: &str) -> String {
    format!("{COMPATIBLE_VERSION}-quorate-{ours}, built on {built}")
}
