//! Quotes of transcripts in pages: what a page shows of a script is what the script leads to.
//!
//! A block that is opened by ` ```text PATH > COMMAND ` holds what stands in that file behind that
//! command, up to the next one. `cargo xtask quotes` writes it, `tidy` looks at it.

use crate::tree;
use anyhow::{Context, Result};
use std::path::Path;

const OPENS: &str = "```text ";
const CLOSES: &str = "```";
const PAGES: &str = "docs";

/// Complains of quotes that are none.
pub(crate) fn check(complaints: &mut Vec<String>) -> Result<()> {
    for path in tree::files(Path::new(PAGES), ".md")? {
        let text = tree::text(&path)?;
        if filled(&text)? != text {
            complaints.push(format!("{}: quotes differ: cargo xtask quotes", path.display()));
        }
    }
    Ok(())
}

/// Fills all quotes.
pub(crate) fn write() -> Result<()> {
    for path in tree::files(Path::new(PAGES), ".md")? {
        let text = tree::text(&path)?;
        let filled = filled(&text)?;
        if filled != text {
            std::fs::write(&path, filled)?;
            println!("quotes: {}", path.display());
        }
    }
    Ok(())
}

/// The page with what its quotes must hold.
fn filled(page: &str) -> Result<String> {
    let mut text = String::with_capacity(page.len());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        text.push_str(line);
        text.push('\n');
        let Some((path, command)) =
            line.strip_prefix(OPENS).and_then(|rest| rest.split_once(" > "))
        else {
            continue;
        };
        let script = tree::text(Path::new(path))?;
        let quote = quote(&script, command).with_context(|| format!("{path}: no {command}"))?;
        text.push_str(&quote);
        lines.by_ref().find(|line| *line == CLOSES).context("a quote is not closed")?;
        text.push_str(CLOSES);
        text.push('\n');
    }
    Ok(text)
}

/// What stands behind a command.
fn quote(script: &str, command: &str) -> Option<String> {
    let mut lines = script.lines().skip_while(|line| line.strip_prefix("> ") != Some(command));
    lines.next()?;
    let told = lines.take_while(|line| !line.starts_with('>') && !line.is_empty());
    Some(told.fold(String::new(), |text, line| text + line + "\n"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_quote_is_what_stands_behind_its_command() {
        let script =
            "# why\n\n> start 1\n1 is apart\n> run 10\n> propose 1 a\n1 -> 2  x\n2 -> 1  y\n";
        assert_eq!(quote(script, "propose 1 a").as_deref(), Some("1 -> 2  x\n2 -> 1  y\n"));
        assert_eq!(quote(script, "run 10").as_deref(), Some(""));
        assert_eq!(quote(script, "run"), None);
    }
}
