//! Golden transcripts: scripts of commands, each followed by all that it leads to.
//!
//! A line that begins with `>` is a command; what follows it is written by this test. With
//! `UPDATE_GOLDENFILES=1` the files are written anew, and the difference is reviewed like code.
//! `docs/protocols/raft.md` says how to read them.

use super::room::{Room, ms};
use broadcast::ReadLevel;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts");

#[test]
fn scripts_lead_to_what_they_say() {
    let update = std::env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value == "1");
    let entries = std::fs::read_dir(Path::new(SCRIPTS)).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 3, "the scripts are there");
    for file in files {
        let before = std::fs::read_to_string(&file).expect("a text");
        let after = play(&before);
        if update {
            std::fs::write(&file, after).expect("it is ours");
        } else {
            let name = file.strip_prefix(SCRIPTS).expect("one of them").display();
            assert!(before == after, "{name} leads to something else:\n{after}");
        }
    }
}

/// The script with what its commands lead to.
fn play(script: &str) -> String {
    let mut room = Room::empty(&[1, 2, 3], &[]);
    let mut text = String::new();
    let mut in_output = false;
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            let _ = writeln!(text, "{line}");
            let words: Vec<&str> = command.split_whitespace().collect();
            run(&mut room, &words);
            room.transcript.take().iter().for_each(|line| {
                let _ = writeln!(text, "{line}");
            });
            in_output = true;
        } else if line.is_empty() || line.starts_with('#') {
            let _ = writeln!(text, "{line}");
            in_output = false;
        } else {
            assert!(in_output, "no command: {line}");
        }
    }
    text
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

fn run(room: &mut Room, words: &[&str]) {
    let (command, args) = words.split_first().expect("a command");
    match (*command, args) {
        ("start", ids) => {
            for id in ids.iter().map(|id| number(id)) {
                if !room.members.contains_key(&id) {
                    room.start(id);
                }
            }
        }
        ("time-out", [id]) => room.time_out(number(id)),
        ("propose", [id, texts @ ..]) => {
            room.propose(number(id), texts);
        }
        // The voters from now on.
        ("reconfig", [id, voters]) => {
            room.propose(number(id), &[&format!("members {voters} ")]);
        }
        ("read", [id]) => {
            room.read(number(id), ReadLevel::Linearizable);
        }
        ("hold", [from, to]) => room.net.block(number(from), number(to)),
        // All connections end, and what was held is lost with them.
        ("break", []) => room.heal_anew(),
        ("crash", [id]) => room.crash(number(id)),
        ("checkpoint", [id]) => room.checkpoint(number(id)),
        ("run", [time]) => return room.run(ms(number(time))),
        _ => panic!("not a command: {words:?}"),
    }
    room.flow();
}
