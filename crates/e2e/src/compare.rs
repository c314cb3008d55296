//! A program against two servers at once, and the first thing in which they differ.

use crate::allowed::{Allowed, rules, same};
use crate::coverage::Coverage;
use crate::play::{Transcript, play};
use crate::program::Program;
use crate::servers::{Config, Kind, Server};
use anyhow::Result;
use std::fmt;
use std::thread;

/// Two servers with one history: what one was asked, the other was asked too.
#[derive(Debug)]
pub struct Pair {
    /// The one that is right by definition.
    pub reference: Server,
    /// The one under test.
    pub subject: Server,
}

/// Where two servers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The index of the step; the number of steps stands for the final tree.
    pub step: usize,
    /// What the reference gave in that step.
    pub reference: Vec<String>,
    /// What the other one gave.
    pub subject: Vec<String>,
    /// Whether both came to the end of the program all the same.
    pub complete: bool,
}

impl Pair {
    /// Starts two servers on empty directories.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start(kinds: &(Kind, Kind), config: &Config) -> Result<Pair> {
        let (reference, subject) = kinds.clone();
        thread::scope(|scope| {
            let subject = scope.spawn(|| Server::start(subject, config.clone()));
            let reference = Server::start(reference, config.clone());
            let subject = subject.join().expect("starting a server does not panic");
            Ok(Pair { reference: reference?, subject: subject? })
        })
    }

    /// Runs a program against both; the coverage is the reference's.
    pub fn run(&mut self, program: &Program) -> (Option<Divergence>, Coverage) {
        let rules = rules(self.reference.kind(), self.subject.kind());
        let (reference, subject) = (&mut self.reference, &mut self.subject);
        let ((left, coverage), (right, _)) = thread::scope(|scope| {
            let right = scope.spawn(|| play(subject, program));
            (play(reference, program), right.join().expect("playing does not panic"))
        });
        (first_divergence(&left, &right, &rules), coverage)
    }
}

fn first_divergence(
    left: &Transcript,
    right: &Transcript,
    rules: &[&Allowed],
) -> Option<Divergence> {
    let agree = |a: &[String], b: &[String]| {
        let equal = |a: &[String], b: &[String]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, rules))
        };
        equal(a, b) || equal(&without_hash_order(a), &without_hash_order(b))
    };
    let steps = left.steps.len().max(right.steps.len());
    let lines = |transcript: &Transcript, step: usize| {
        transcript.steps.get(step).cloned().unwrap_or_default()
    };
    let complete = left.failure.is_none() && right.failure.is_none();
    for step in 0..steps {
        let (a, b) = (lines(left, step), lines(right, step));
        if !agree(&a, &b) {
            return Some(Divergence { step, reference: a, subject: b, complete });
        }
    }
    if complete {
        return None;
    }
    let (a, b) = (left.failure.clone(), right.failure.clone());
    // A server that cannot go on is a finding even if the other one cannot either.
    let line = |failure: Option<String>| vec![failure.unwrap_or_else(|| "goes on".to_owned())];
    Some(Divergence { step: steps, reference: line(a), subject: line(b), complete })
}

/// The lines with the events of a session's end sorted: the reference deletes its ephemeral nodes in
/// the order of a hash table.
fn without_hash_order(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    if lines.iter().any(|line| line.contains(": close_session ")) {
        for run in lines.chunk_by_mut(|a, b| event_of(a).is_some() && event_of(a) == event_of(b)) {
            run.sort();
        }
    }
    lines
}

/// Whose event a line is, and of which transaction.
fn event_of(line: &str) -> Option<(&str, &str)> {
    let (client, event) = line.split_once(": event ")?;
    Some((client, event.split(' ').find(|word| word.starts_with("zxid="))?))
}

/// How many equal lines stand before the first difference.
const CONTEXT: usize = 4;
/// How many lines of each side are shown from there on.
const SHOWN: usize = 12;

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equal = self.reference.iter().zip(&self.subject).take_while(|(a, b)| a == b).count();
        let start = equal.saturating_sub(CONTEXT);
        writeln!(f, "they differ in step {}", self.step)?;
        for line in &self.reference[start..equal] {
            writeln!(f, "        both  {line}")?;
        }
        for line in self.reference[equal..].iter().take(SHOWN) {
            writeln!(f, "   reference  {line}")?;
        }
        for line in self.subject[equal..].iter().take(SHOWN) {
            writeln!(f, "     subject  {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::first_divergence;
    use crate::play::Transcript;

    fn transcript(steps: &[&[&str]]) -> Transcript {
        let lines = |step: &&[&str]| step.iter().map(|line| (*line).to_owned()).collect();
        Transcript { steps: steps.iter().map(lines).collect(), failure: None }
    }

    #[test]
    fn the_first_difference_is_found() {
        let left = transcript(&[&["a"], &["b", "c"], &["d"]]);
        let right = transcript(&[&["a"], &["b", "x"], &["y"]]);
        let found = first_divergence(&left, &right, &[]).unwrap();
        assert_eq!((found.step, found.subject[1].as_str()), (1, "x"));
        assert_eq!(first_divergence(&left, &left, &[]), None);
    }

    #[test]
    fn a_missing_line_a_missing_step_and_a_failure_are_differences() {
        let left = transcript(&[&["a"], &["b"]]);
        assert!(first_divergence(&left, &transcript(&[&["a"]]), &[]).is_some());
        assert!(first_divergence(&left, &transcript(&[&["a"], &[]]), &[]).is_some());
        let failed = Transcript { failure: Some("gone".to_owned()), ..left.clone() };
        assert!(first_divergence(&left, &failed, &[]).is_some());
    }
}
