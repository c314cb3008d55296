//! Mutants: known bugs, put into a copy of the tree one at a time. Each must make a test fail.
//!
//! A `mutants.txt` beside a crate's sources lists them in blocks: `name:`, `file:`, the `old:`
//! text, which must stand there exactly once, the `new:` text (`\n` in both is a new line), and `caught by:`, what
//! nextest is to run and must see fail; each of them, if there are several. The copy is built in a target folder of its own, which
//! begins with what is there of other people's crates, so that only what a mutant touches is built again, and no mutant is ever taken for the tree itself: cargo does not tell them apart by their paths.

use crate::{seeded, tree};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

#[derive(Debug, Default, PartialEq, Eq)]
struct Mutant {
    name: String,
    file: String,
    old: String,
    new: String,
    caught_by: Vec<String>,
}

/// All mutants, those named, or with `--share` those of one change: all that a package's own tests
/// catch, which takes seconds, and of those that the simulator is to catch every second one of the
/// protocol between members and every fifth of the others, which ones by the commit. Only one of the
/// share, by the commit too, is held against more than the first command that catches it, and none
/// against tests that are too long to run by default.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let copy = copy_tree()?;
    seeded::begin(&tree::target(), &copy.with_file_name("build"))?;
    let mut mutants = Vec::new();
    for list in tree::files(Path::new("crates"), "mutants.txt")? {
        mutants.extend(parse(&tree::text(&list)?).with_context(|| list.display().to_string())?);
    }
    if words == ["--share"] {
        mutants = share(mutants, commit()?);
    } else {
        mutants.retain(|mutant| words.is_empty() || words.contains(&mutant.name.as_str()));
    }
    let mut survivors = Vec::new();
    for mutant in &mutants {
        let start = Instant::now();
        let caught = is_caught(&copy, mutant).with_context(|| mutant.name.clone())?;
        let verdict = if caught { "caught" } else { "SURVIVED" };
        println!("mutant {}: {verdict} in {} s", mutant.name, start.elapsed().as_secs());
        if !caught {
            survivors.push(mutant.name.as_str());
        }
    }
    println!("{} passed, {} failed", mutants.len() - survivors.len(), survivors.len());
    if mutants.is_empty() {
        bail!("no such mutant");
    }
    if !survivors.is_empty() {
        bail!("not caught: {}", survivors.join(", "));
    }
    Ok(())
}

/// The mutants of one change.
fn share(mutants: Vec<Mutant>, commit: u64) -> Vec<Mutant> {
    let is_protocol = |mutant: &Mutant| {
        let by_ensembles = mutant.caught_by.iter().any(|command| command.contains("ensembles"));
        mutant.file.starts_with("crates/zab/") || by_ensembles
    };
    let (simulated, quick): (Vec<_>, Vec<_>) = mutants.into_iter().partition(is_simulated);
    let (protocol, others): (Vec<_>, Vec<_>) = simulated.into_iter().partition(is_protocol);
    let turn = |mutants: Vec<Mutant>, shares: u64| {
        let first = usize::try_from(commit % shares).expect("few");
        mutants.into_iter().skip(first).step_by(shares as usize)
    };
    let simulated = turn(protocol, PROTOCOL_SHARES).chain(turn(others, SHARES));
    let mut share: Vec<Mutant> = quick.into_iter().chain(simulated).collect();
    share.iter_mut().for_each(|mutant| mutant.caught_by.retain(|command| !is_long(command)));
    share.retain(|mutant| !mutant.caught_by.is_empty());
    let mut several: Vec<&mut Mutant> =
        share.iter_mut().filter(|mutant| mutant.caught_by.len() > 1).collect();
    if let Some(chosen) = commit.checked_rem(several.len() as u64) {
        several.remove(usize::try_from(chosen).expect("few"));
        several.iter_mut().for_each(|mutant| mutant.caught_by.truncate(1));
    }
    share
}

/// Whether the simulator is the first that is to catch it.
fn is_simulated(mutant: &Mutant) -> bool {
    mutant.caught_by.first().is_some_and(|command| command.contains("-p sim"))
}

/// Whether it runs tests that are ignored for the time they take.
fn is_long(command: &str) -> bool {
    command.contains("--run-ignored")
}

/// Changes after which every mutant of the protocol between members has had its turn.
const PROTOCOL_SHARES: u64 = 2;
/// The same for all others.
const SHARES: u64 = 5;

/// The first digits of the commit's hash.
fn commit() -> Result<u64> {
    let output = Command::new("git").args(["rev-parse", "--short=8", "HEAD"]).output()?;
    let digits = String::from_utf8(output.stdout)?;
    u64::from_str_radix(digits.trim(), 16).with_context(|| format!("no commit: {digits:?}"))
}

/// Whether each command fails because of the mutant: it must build, and pass without it.
fn is_caught(copy: &Path, mutant: &Mutant) -> Result<bool> {
    let path = copy.join(&mutant.file);
    let text = tree::text(&path)?;
    if text.matches(&mutant.old).count() != 1 {
        bail!("the old text must stand exactly once in {}", mutant.file);
    }
    std::fs::write(&path, text.replacen(&mutant.old, &mutant.new, 1))?;
    let survived = mutant.caught_by.iter().map(|command| survives(copy, command));
    let survived: Result<Vec<bool>> = survived.collect();
    std::fs::write(&path, text)?;
    Ok(!survived?.contains(&true))
}

/// Runs the tests that these words choose. Only the simulator runs long enough to pay for being
/// optimized: any other package is built ten times as fast without.
fn command(words: &str) -> String {
    let package = words.strip_prefix("-p ").and_then(|words| words.split(' ').next());
    let config = package
        .filter(|package| *package != "sim")
        .map(|package| format!("--config profile.test.package.{package}.opt-level=0 "));
    format!("cargo nextest run --max-fail 1:immediate {}{words}", config.unwrap_or_default())
}

/// Whether these tests pass. A mutant that does not build, or that nothing is held against, is an
/// error.
fn survives(copy: &Path, command: &str) -> Result<bool> {
    let status = Command::new("sh")
        .args(["-c", &format!("timeout {SECONDS_MAX} {command}")])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.with_file_name("build"))
        .env("CARGO_INCREMENTAL", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    match status.code() {
        Some(0) => Ok(true),
        Some(TESTS_FAILED | TIMED_OUT) => Ok(false),
        Some(BUILD_FAILED) => bail!("the mutant does not build"),
        _ => bail!("{command}: {status}"),
    }
}

/// Exit codes of nextest.
const TESTS_FAILED: i32 = 100;
const BUILD_FAILED: i32 = 101;
/// Exit code of `timeout`.
const TIMED_OUT: i32 = 124;
/// A mutant may loop for ever: that counts as caught, after this long in seconds.
const SECONDS_MAX: u32 = 300;

/// The tracked and the new files, in a folder below `target`; their times are kept, so that what
/// did not change is not built again.
fn copy_tree() -> Result<PathBuf> {
    let copy = std::path::absolute(tree::target().join("mutants/tree"))?;
    std::fs::create_dir_all(&copy)?;
    let script = format!(
        "git ls-files -z --cached --others --exclude-standard | \
         xargs -0 sh -c 'for f; do [ -e \"$f\" ] && printf \"%s\\0\" \"$f\"; done' _ | \
         tar --null -T - -cf - | tar -xpf - -C '{}'",
        copy.display()
    );
    let status = Command::new("sh").args(["-c", &script]).status()?;
    if !status.success() {
        bail!("copying the tree failed");
    }
    Ok(copy)
}

/// Reads blocks that empty lines part. A field's text begins behind its name, or on the lines
/// that follow it, up to the next field.
fn parse(text: &str) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for block in text.split("\n\n").filter(|b| b.lines().any(|l| l.starts_with("name:"))) {
        let mut fields: Vec<(&str, String)> = Vec::new();
        for line in block.lines().filter(|line| !line.starts_with('#')) {
            match FIELDS.iter().find_map(|f| line.strip_prefix(f).map(|rest| (*f, rest))) {
                Some((field, rest)) => {
                    fields.push((field, rest.strip_prefix(' ').unwrap_or(rest).to_owned()));
                }
                None => {
                    let (_, text) = fields.last_mut().context("text before the first field")?;
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text.push_str(line);
                }
            }
        }
        let all = |name: &'static str| {
            fields.iter().filter(move |(field, _)| *field == name).map(|(_, text)| text)
        };
        let take = |name| all(name).next().cloned().with_context(|| format!("{name} is missing"));
        take("caught by:")?;
        mutants.push(Mutant {
            name: take("name:")?,
            file: take("file:")?,
            old: take("old:")?.replace("\\n", "\n"),
            new: take("new:")?.replace("\\n", "\n"),
            caught_by: all("caught by:").map(|words| command(words)).collect(),
        });
    }
    Ok(mutants)
}

const FIELDS: [&str; 5] = ["name:", "file:", "old:", "new:", "caught by:"];

#[cfg(test)]
mod tests {
    use super::{Mutant, command, parse, share};

    #[test]
    fn blocks_are_read() {
        let text = "# about\n\nname: skipped-sync\nfile: a.rs\nold:     self.sync();\nnew:\n    x();\n    \
            y();\ncaught by: -p sim\ncaught by: -p storage\n";
        let mutant = Mutant {
            name: "skipped-sync".into(),
            file: "a.rs".into(),
            old: "    self.sync();".into(),
            new: "    x();\n    y();".into(),
            caught_by: ["-p sim", "--config profile.test.package.storage.opt-level=0 -p storage"]
                .map(|words| format!("cargo nextest run --max-fail 1:immediate {words}"))
                .into(),
        };
        assert_eq!(parse(text).unwrap(), [mutant]);
        assert!(parse("name: x\nfile: y\n").is_err());
    }

    #[test]
    fn every_simulated_mutant_has_its_turn_and_the_others_always() {
        let mutant = |name: &str, file: &str, words: &str| Mutant {
            name: name.into(),
            file: file.into(),
            caught_by: vec![command(words)],
            ..Mutant::default()
        };
        let all = || {
            let others = ["a", "b", "c", "d", "e", "f"];
            let others = others.map(|name| mutant(name, "crates/tree/x.rs", "-p sim x"));
            let protocol = ["0", "1"].map(|name| mutant(name, "crates/zab/x.rs", "-p sim x"));
            let quick = ["q", "r"].map(|name| mutant(name, "crates/zab/x.rs", "-p zab"));
            protocol.into_iter().chain(others).chain(quick).collect()
        };
        let names = |commit| -> String {
            share(all(), commit).into_iter().map(|mutant| mutant.name).collect()
        };
        assert_eq!([names(5), names(6), names(9)], ["qr1af", "qr0b", "qr1e"]);
        let several = |commit| -> Vec<usize> {
            let quick = ["q", "r", "s"].map(|name| Mutant {
                caught_by: vec![command("-p zab"), command("-p sim x")],
                ..mutant(name, "crates/zab/x.rs", "-p zab")
            });
            let share = share(quick.into(), commit);
            share.into_iter().map(|mutant| mutant.caught_by.len()).collect()
        };
        assert_eq!([several(5), several(6)], [[1, 1, 2], [2, 1, 1]]);
        let words = ["-p zab", "-p sim x", "-p sim y --run-ignored only"];
        let long = Mutant { caught_by: words.map(command).into(), ..mutant("l", "x.rs", "-p zab") };
        assert_eq!(
            share(vec![long], 0)[0].caught_by,
            words[..2].iter().map(|w| command(w)).collect::<Vec<_>>()
        );
    }
}
