//! Tidiness that a compiler does not see: headers, sizes, layers, words, READMEs, COMPAT rows, quotes.

use crate::{compat, layers, quotes, tree};
use anyhow::{Result, bail};
use std::path::Path;

pub(crate) fn run() -> Result<()> {
    let mut complaints = Vec::new();
    for path in tree::files(Path::new("."), ".rs")? {
        let text = tree::text(&path)?;
        let complain = source(&path, &text);
        complaints.extend(complain.into_iter().map(|c| format!("{}: {c}", path.display())));
    }
    for crate_dir in std::fs::read_dir("crates")? {
        crate_folder(&crate_dir?.path(), &mut complaints)?;
    }
    for name in ["README.md", "ARCHITECTURE.md", "COMPAT.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        if !Path::new(name).is_file() {
            complaints.push(format!("{name} is missing"));
        }
    }
    compat::check(&mut complaints)?;
    quotes::check(&mut complaints)?;
    if complaints.is_empty() {
        println!("tidy: nothing to complain about");
        return Ok(());
    }
    complaints.iter().for_each(|complaint| eprintln!("tidy: {complaint}"));
    bail!("{} complaints", complaints.len())
}

fn source(path: &Path, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push("does not open with what it is (//!)".to_owned());
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
    let is_test = path.components().any(|c| c.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs");
    if code > LINES_MAX && !is_test {
        complaints.push(format!("{code} lines before its tests; split it by role"));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    if ["util", "utils", "common", "misc", "helpers"].contains(&&*stem) {
        complaints.push("a name that says nothing".to_owned());
    }
    for (at, line) in text.lines().enumerate() {
        for word in BANNED {
            if line.contains(word) && !path.ends_with("tidy.rs") {
                complaints.push(format!("line {}: \"{word}\"", at + 1));
            }
        }
    }
    complaints
}

fn crate_folder(dir: &Path, complaints: &mut Vec<String>) -> Result<()> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !dir.join("README.md").is_file() {
        complaints.push(format!("crates/{name} has no README.md"));
    }
    let manifest = tree::text(&dir.join("Cargo.toml"))?;
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            && let Some(dependency) = line.split(['.', ' ', '=']).next()
            && layers::LAYERS.iter().any(|(ours, _)| *ours == dependency)
        {
            complaints.extend(layers::complaint(&name, dependency));
        }
    }
    if layers::LAYERS.iter().all(|(known, _)| *known != name) {
        complaints.push(format!("crates/{name} has no row in the table of layers"));
    }
    Ok(())
}

/// Lines of a file before its tests, at the most.
const LINES_MAX: usize = 500;

/// What no source says: unfinished work without a number, and places outside of the project.
const BANNED: &[&str] = &["TODO", "FIXME", "todo!(", "unimplemented!(", "/work/", "dbg!("];

#[cfg(test)]
mod tests {
    use super::source;
    use std::path::Path;

    #[test]
    fn each_rule_complains() {
        let check = |path: &str, text: &str| source(Path::new(path), text).len();
        assert_eq!(check("a.rs", "//! Fine.\nfn f() {}\n"), 0);
        assert_eq!(check("a.rs", "fn f() {}\n"), 1);
        assert_eq!(check("util.rs", "//! Fine.\n"), 1);
        assert_eq!(check("a.rs", "//! Fine.\n// TODO: later\n"), 1);
        assert_eq!(check("a.rs", &format!("//! Long.\n{}", "\n".repeat(600))), 1);
        assert_eq!(check("tests.rs", &format!("//! Long.\n{}", "\n".repeat(600))), 0);
    }
}
