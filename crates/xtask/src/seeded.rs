//! A target folder that begins with what another one has of other people's crates.
//!
//! Cargo knows those by their versions, features and flags, wherever they are built; of our own it
//! asks when their sources changed, so they are left out. The files' times are kept: cargo takes what
//! is newer than what was built of it for changed.

use crate::tree;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Begins the profile `debug` of the target folder `to` with that of `from`, unless it is there or
/// there is nothing to begin with.
pub(crate) fn begin(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.join("debug"), to.join("debug"));
    if to.exists() || !from.join(FINGERPRINTS).exists() {
        return Ok(());
    }
    fs::create_dir_all(&to)?;
    let (own, mut units, mut paths) = (own_packages()?, BTreeSet::new(), Vec::new());
    for name in names(&from.join(FINGERPRINTS))? {
        let Some((package, unit)) = name.rsplit_once('-') else { continue };
        if !own.contains(package) {
            units.insert(unit.to_owned());
            paths.push(Path::new(FINGERPRINTS).join(&name));
        }
    }
    for dir in ["build", "deps"] {
        let names = names(&from.join(dir))?.into_iter();
        let chosen = names.filter(|name| unit(name).is_some_and(|unit| units.contains(unit)));
        paths.extend(chosen.map(|name| Path::new(dir).join(name)));
    }
    copy(&from, &paths, &to)
}

/// The unit of a file: the hash at the end of its stem.
fn unit(name: &str) -> Option<&str> {
    let stem = name.split('.').next()?;
    stem.rsplit_once('-').map(|(_, unit)| unit)
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The names of the packages whose sources are here.
fn own_packages() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for dir in ["crates", "fuzz"] {
        for manifest in tree::files(&tree::root().join(dir), "Cargo.toml")? {
            let text = tree::text(&manifest)?;
            let name = text.lines().find_map(|line| line.strip_prefix("name = "));
            let name = name.with_context(|| format!("{} names nothing", manifest.display()))?;
            found.insert(name.trim_matches('"').to_owned());
        }
    }
    Ok(found)
}

fn copy(from: &Path, paths: &[PathBuf], to: &Path) -> Result<()> {
    let script = "tar -C \"$0\" --format=posix --null -T - -cf - | tar -C \"$1\" -xpf -";
    let mut tar =
        Command::new("sh").args(["-c", script]).args([from, to]).stdin(Stdio::piped()).spawn()?;
    let mut list = tar.stdin.take().context("no way to tell what is copied")?;
    for path in paths {
        list.write_all(path.as_os_str().as_encoded_bytes())?;
        list.write_all(&[0])?;
    }
    drop(list);
    if !tar.wait()?.success() {
        bail!("copying {} failed", from.display());
    }
    Ok(())
}

/// Where cargo keeps what it knows of each unit.
const FINGERPRINTS: &str = ".fingerprint";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_others_are_taken_with_their_times_and_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        begin(&from, &to).unwrap();
        assert!(!to.exists(), "nothing to begin with");
        for path in [
            "debug/.fingerprint/serde_json-1a/lib",
            "debug/.fingerprint/zab-2b/lib",
            "debug/build/serde_json-1a/out/x.rs",
            "debug/deps/libserde_json-1a.rlib",
            "debug/deps/libzab-2b.rlib",
            "debug/deps/zab-2b.main.0.o",
            "debug/zab",
        ] {
            let path = from.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        begin(&from, &to).unwrap();
        let mut there = tree::files(&to, "").unwrap();
        there.iter_mut().for_each(|path| *path = path.strip_prefix(&to).unwrap().to_owned());
        let taken = [
            "debug/.fingerprint/serde_json-1a/lib",
            "debug/build/serde_json-1a/out/x.rs",
            "debug/deps/libserde_json-1a.rlib",
        ];
        assert_eq!(there, taken.map(PathBuf::from));
        let time = |dir: &Path| fs::metadata(dir.join(taken[2])).unwrap().modified().unwrap();
        assert_eq!(time(&from), time(&to));
    }
}
