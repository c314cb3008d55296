//! Differences between servers that are right: each with its reason.
//!
//! A rule rewrites lines of a transcript so that both forms read the same. It applies only to pairs
//! that it names, and only where two transcripts differ: everything else is compared as it is.

use crate::servers::Kind;

/// A difference that is no error.
#[derive(Debug)]
pub struct Allowed {
    /// Why the servers differ and may.
    pub reason: &'static str,
    /// Whether the rule is for this pair.
    applies: fn(&Kind, &Kind) -> bool,
    /// The line without the difference.
    rewrite: fn(&str) -> String,
}

/// All of them.
pub const ALLOWED: &[Allowed] = &[
    Allowed {
        reason: "servers before 3.9 send zxid -1 in every event, later ones the transaction's",
        applies: old_and_new,
        rewrite: |line| without_field(line, "event ", "zxid="),
    },
    Allowed {
        reason: "servers before 3.9 answer a multi that they cannot read with an end mark and the \
                 last applied zxid, later ones with a header and the zxid of the error",
        applies: old_and_new,
        rewrite: |line| match line.split_once(" multi ") {
            Some((client, answer)) if answer.contains(" err=-5") => format!("{client} multi -5"),
            Some(_) | None => line.to_owned(),
        },
    },
    Allowed {
        reason: "Java writes a character beyond the first plane as two surrogates of three bytes, \
                 which are not UTF-8; Quorate writes UTF-8",
        applies: ours_and_theirs,
        rewrite: without_planes,
    },
    Allowed {
        reason: "the reference expands `auth` in the order of a hash table, Quorate in the order in \
                 which the identities were added; what the list permits is the same",
        applies: ours_and_theirs,
        rewrite: with_sorted_acl,
    },
];

fn ours_and_theirs(left: &Kind, right: &Kind) -> bool {
    left.is_ours() != right.is_ours()
}

/// An access list's entries in the order of their text.
fn with_sorted_acl(line: &str) -> String {
    const START: &str = "acl[";
    let Some((before, rest)) = line.split_once(START) else { return line.to_owned() };
    let Some((list, after)) = rest.split_once("\"]") else { return line.to_owned() };
    let mut entries: Vec<&str> = list.trim_start_matches('"').split("\", \"").collect();
    entries.sort_unstable();
    format!("{before}{START}{}\"]{after}", entries.join("\", \""))
}

/// Each character beyond the first plane as what is left of its two encoded surrogates.
fn without_planes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for c in line.chars() {
        if u32::from(c) > 0xffff {
            text.extend([char::REPLACEMENT_CHARACTER; 2]);
        } else {
            text.push(c);
        }
    }
    text
}

fn old_and_new(left: &Kind, right: &Kind) -> bool {
    (*left == Kind::Reference38) != (*right == Kind::Reference38)
}

/// The rules for a pair.
pub fn rules(left: &Kind, right: &Kind) -> Vec<&'static Allowed> {
    ALLOWED.iter().filter(|rule| (rule.applies)(left, right)).collect()
}

/// Whether two lines say the same under the rules.
#[must_use]
pub fn same(left: &str, right: &str, rules: &[&Allowed]) -> bool {
    if left == right {
        return true;
    }
    let (mut left, mut right) = (left.to_owned(), right.to_owned());
    for rule in rules {
        left = (rule.rewrite)(&left);
        right = (rule.rewrite)(&right);
    }
    left == right
}

/// Takes the word that starts with `field` out of lines that contain `marker`.
fn without_field(line: &str, marker: &str, field: &str) -> String {
    if !line.contains(marker) {
        return line.to_owned();
    }
    line.split(' ').filter(|word| !word.starts_with(field)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{rules, same};
    use crate::servers::Kind;

    #[test]
    fn events_of_old_servers_have_no_position() {
        let (old, new) = ("0: event NodeCreated /a zxid=-1", "0: event NodeCreated /a zxid=+4");
        assert!(same(old, new, &rules(&Kind::Reference38, &Kind::Quorate)));
        assert!(!same(old, new, &rules(&Kind::Reference39, &Kind::Quorate)));
        assert!(!same("0: at +3", "0: at +4", &rules(&Kind::Reference38, &Kind::Quorate)));
    }
}
