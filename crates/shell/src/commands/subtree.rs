//! Whole subtrees: `deleteall`, `tree`, `find`.

use crate::command::Parsed;
use crate::failure::{About, Failure};
use crate::shell::Shell;
use crate::show::{say, tell};
use crate::subtree::{self, BATCH};
use quorate_client::Error;

/// The reference's number.
const DELETE_BATCH_DEFAULT: usize = 1000;

pub(crate) async fn delete_all(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let batch: Option<usize> = parsed.number("b", "-b argument must be an int value")?;
    let batch = batch.unwrap_or(DELETE_BATCH_DEFAULT).max(1);
    let mut paths = subtree::paths(&client, path).await?;
    // Children before their parents; the pipeline keeps the order.
    paths.reverse();
    let mut failed = false;
    for batch in paths.chunks(batch) {
        let calls: Vec<_> = batch.iter().map(|path| client.delete(path, None)).collect();
        for (path, call) in batch.iter().zip(calls) {
            match call.await {
                Ok(()) | Err(Error::NoNode) => {}
                Err(error) if error.is_final() => return Err(error).about(path),
                Err(_) => failed = true,
            }
        }
    }
    if failed {
        return Err(Failure::Said("Failed to delete some node(s) in the subtree!".to_owned()));
    }
    Ok(())
}

pub(crate) async fn tree(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let top = parsed.path(0);
    let depth: Option<usize> = parsed.number("d", "-d argument must be a number")?;
    let depth = depth.unwrap_or(usize::MAX);
    let paths = subtree::paths_to_depth(&shell.client()?, top, depth).await?;
    say(&draw(top, &paths));
    Ok(())
}

/// Paths, depth first, as a drawing.
fn draw(top: &str, paths: &[String]) -> String {
    let depth = |path: &str| if path == "/" { 0 } else { path.matches('/').count() };
    let base = depth(top);
    let depths: Vec<usize> = paths.iter().map(|path| depth(path) - base).collect();
    let mut lines = vec![top.to_owned()];
    // Whether a later sibling follows the ancestor at each depth.
    let mut goes_on: Vec<bool> = Vec::new();
    for (at, path) in paths.iter().enumerate().skip(1) {
        let own = depths[at];
        let has_sibling = depths[at + 1..].iter().take_while(|d| **d >= own).any(|d| *d == own);
        goes_on.truncate(own - 1);
        let indent: String =
            goes_on.iter().map(|goes_on| if *goes_on { "│   " } else { "    " }).collect();
        let branch = if has_sibling { "├── " } else { "└── " };
        let name = path.rsplit('/').next().unwrap_or_default();
        lines.push(format!("{indent}{branch}{name}"));
        goes_on.push(has_sibling);
    }
    lines.join("\n")
}

pub(crate) async fn find(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, top) = (shell.client()?, parsed.path(0));
    let mut paths = subtree::paths(&client, top).await?;
    if let Some(glob) = parsed.value("name") {
        paths.retain(|path| matches(glob, path.rsplit('/').next().unwrap_or_default()));
    }
    let needs_data = parsed.value("data").is_some();
    if !needs_data && !parsed.has("e") {
        if !paths.is_empty() {
            say(&paths.join("\n"));
        }
        return Ok(());
    }
    let text = parsed.value("data").unwrap_or_default().as_bytes();
    let mut unread = 0;
    for batch in paths.chunks(BATCH) {
        let calls: Vec<_> = batch.iter().map(|path| client.get(path)).collect();
        for (path, call) in batch.iter().zip(calls) {
            let (data, stat) = match call.await {
                Ok(found) => found,
                Err(Error::NoNode) => continue,
                Err(Error::NoAuth) => {
                    unread += 1;
                    continue;
                }
                Err(error) => return Err(error).about(path),
            };
            let holds = text.is_empty() || data.windows(text.len()).any(|window| window == text);
            if holds && (stat.ephemeral_owner != 0 || !parsed.has("e")) {
                say(path);
            }
        }
    }
    if unread > 0 {
        tell(&format!("{unread} nodes may not be read"));
    }
    Ok(())
}

/// Whether a name matches: `*` stands for any characters, `?` for one.
fn matches(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    let (mut g, mut n) = (0, 0);
    // Where the last star was, and how much it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (g, n) = (g + 1, n + 1),
            Some(_) | None => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (g, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::{draw, matches};

    #[test]
    fn globs_match_whole_names() {
        for (glob, name, want) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("?b*", "ab", true),
            ("?b", "b", false),
            ("*-*-x", "a-b-c-x", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(glob, name), want, "{glob} {name}");
        }
    }

    #[test]
    fn a_drawing_shows_who_is_whose_child() {
        let paths = ["/a", "/a/b", "/a/b/c", "/a/b/d", "/a/e"].map(str::to_owned);
        assert_eq!(draw("/a", &paths), "/a\n├── b\n│   ├── c\n│   └── d\n└── e");
        let paths = ["/", "/x", "/x/y"].map(str::to_owned);
        assert_eq!(draw("/", &paths), "/\n└── x\n    └── y");
    }
}
