//! Completion of what is being typed: commands, flags, and paths, which the server is asked for.
//!
//! Runs on the thread that reads the line; the session lives on another.

use crate::table::{self, COMMANDS};
use quorate_client::Client;
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a completion may take; whoever types would rather have none.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What the line's thread knows of the session.
#[derive(Clone)]
pub(crate) struct Completion {
    pub(crate) runtime: Handle,
    /// The session at hand; another after `connect`.
    pub(crate) client: Arc<Mutex<Option<Client>>>,
    pub(crate) has_colours: bool,
}

impl Completion {
    fn children(&self, parent: &str) -> Vec<String> {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(client) = client else { return Vec::new() };
        let names = self
            .runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, client.children(parent)).await });
        names.ok().and_then(Result::ok).unwrap_or_default()
    }
}

/// What a word may become.
#[derive(Debug, PartialEq, Eq)]
enum Wanted<'a> {
    Command(&'a str),
    Flag(&'a str, &'a str),
    /// A child of the first, beginning with the second.
    Child(&'a str, &'a str),
    Nothing,
}

/// What is wanted at the end of `line`, and where that word begins.
fn wanted(line: &str) -> (usize, Wanted<'_>) {
    let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &line[start..];
    let command = line[..start].split_whitespace().next();
    match command {
        None => (start, Wanted::Command(word)),
        Some("help") => (start, Wanted::Command(word)),
        Some(command) if word.starts_with('-') => (start, Wanted::Flag(command, word)),
        Some(_) => match word.rfind('/') {
            Some(0) => (start + 1, Wanted::Child("/", &word[1..])),
            Some(at) if word.starts_with('/') => {
                (start + at + 1, Wanted::Child(&word[..at], &word[at + 1..]))
            }
            Some(_) | None => (start, Wanted::Nothing),
        },
    }
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, wanted) = wanted(&line[..pos]);
        let mut found: Vec<String> = match wanted {
            Wanted::Command(prefix) => {
                let names = COMMANDS.iter().map(|command| command.name);
                names
                    .filter(|name| name.starts_with(prefix))
                    .map(|name| format!("{name} "))
                    .collect()
            }
            Wanted::Flag(command, prefix) => {
                let flags = table::find(command).map(|command| command.flags).unwrap_or_default();
                let names = flags.iter().map(|flag| format!("-{} ", flag.name));
                names.filter(|name| name.starts_with(prefix)).collect()
            }
            Wanted::Child(parent, prefix) => {
                let mut names = self.children(parent);
                names.retain(|name| name.starts_with(prefix));
                names
            }
            Wanted::Nothing => Vec::new(),
        };
        found.sort();
        Ok((start, found))
    }
}

impl Highlighter for Completion {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.has_colours {
            Cow::Owned(format!("\x1b[32m{prompt}\x1b[0m"))
        } else {
            Cow::Borrowed(prompt)
        }
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Validator for Completion {}

impl Helper for Completion {}

#[cfg(test)]
mod tests {
    use super::{Wanted, wanted};

    #[test]
    fn the_place_says_what_is_wanted() {
        for (line, want) in [
            ("", (0, Wanted::Command(""))),
            ("ge", (0, Wanted::Command("ge"))),
            ("help ge", (5, Wanted::Command("ge"))),
            ("ls -", (3, Wanted::Flag("ls", "-"))),
            ("ls /", (4, Wanted::Child("/", ""))),
            ("ls -s /a/b", (9, Wanted::Child("/a", "b"))),
            ("ls /a/", (6, Wanted::Child("/a", ""))),
            ("set /a x", (7, Wanted::Nothing)),
            ("set /a x/y", (7, Wanted::Nothing)),
        ] {
            assert_eq!(wanted(line), want, "{line}");
        }
    }
}
