//! Golden transcripts: scripts of commands, each followed by all that it leads to.
//!
//! A line that begins with `>` is a command; what follows it is written by this test. With
//! `UPDATE_GOLDENFILES=1` the files are written anew, and the difference is reviewed like code.
//! `docs/protocols/zab.md` says how to read them.

use super::ms;
use super::room::{Room, ensemble_text, members_text};
use crate::QUORUM;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts");

#[test]
fn scripts_lead_to_what_they_say() {
    let update = std::env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value == "1");
    let mut files = Vec::new();
    collect(Path::new(SCRIPTS), &mut files);
    assert!(files.len() > 10, "the scripts are there");
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

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
    files.sort();
}

/// The script with what its commands lead to.
fn play(script: &str) -> String {
    let mut room = Room::empty(&ensemble_text(3, 0));
    let mut text = String::new();
    let mut in_output = false;
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            let _ = writeln!(text, "{line}");
            let words: Vec<&str> = command.split_whitespace().collect();
            run(&mut room, &words);
            let told = room.transcript.take();
            told.iter().filter(|line| !line.starts_with('*')).for_each(|line| {
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
    let ids: Vec<u64> = args.iter().filter_map(|word| word.parse().ok()).collect();
    match (*command, args) {
        ("ensemble", [voters, rest @ ..]) => {
            let observers = rest.first().map_or(0, |word| number(word));
            *room = Room::empty(&ensemble_text(number(voters), observers));
        }
        ("observer-masters", []) => room.setup.observer_port = Some(2191),
        ("reconfigurable", []) => room.setup.reconfig = true,
        ("votes", []) => room.transcript.votes = true,
        ("pings", []) => room.transcript.pings = true,
        ("recent-entries", [count]) => room.setup.limits.recent_entries = number(count) as usize,
        ("counter-max", [max]) => room.setup.limits.counter_max = number(max) as u32,
        ("disk", [id, epoch, entries @ ..]) => give(room, number(id), number(epoch), entries),
        ("purge", [id, upto]) => room.purge(number(id), place(upto)),
        ("start", _) => ids.iter().for_each(|id| room.restart(*id)),
        ("join", [id, ensemble @ ..]) => {
            let ensemble: Vec<u64> = ensemble.iter().map(|word| number(word)).collect();
            room.join(number(id), &ensemble);
        }
        ("crash", [id]) => room.crash(number(id)),
        ("run", [time]) => return room.run(ms(number(time))),
        ("elect", []) => {
            room.elect();
        }
        ("propose", [id, texts @ ..]) => {
            room.propose(number(id), texts);
        }
        ("reconfig", [id, members @ ..]) => {
            let members: Vec<u64> = members.iter().map(|word| number(word)).collect();
            room.reconfigure(number(id), &members_text(&members));
        }
        ("read", [id]) => {
            room.read(number(id), broadcast::ReadLevel::Linearizable);
        }
        ("hold", [from, to]) => room.hold(number(from), number(to), QUORUM),
        ("release", [from, to]) => room.release(number(from), number(to), QUORUM),
        ("part", [a, b]) => room.part(number(a), number(b)),
        ("isolate", [id]) => room.isolate(number(id)),
        ("heal", []) => room.heal(),
        ("slow-disk", [id]) => room.hold_disk(number(id)),
        ("sync-disk", [id, count]) => room.sync_disk(number(id), number(count) as usize),
        ("quick-disk", [id]) => room.release_disk(number(id)),
        ("fail-disk", [id]) => room.fail_disk(number(id)),
        ("pause", [id]) => room.pause(number(id)),
        ("resume", [id]) => room.resume(number(id)),
        _ => panic!("not a command: {words:?}"),
    }
    room.flow();
}

/// A disk with that epoch installed, and entries like `1.2=text`.
fn give(room: &mut Room, id: u64, epoch: u64, entries: &[&str]) {
    let entries = entries.iter().map(|entry| entry.split_once('=').expect("place=text"));
    let entries: Vec<(i64, &str)> = entries.map(|(at, text)| (place(at), text)).collect();
    room.give(id, (epoch as i64, epoch as i64), &entries);
}

/// A place like `1.2`: the second of the first epoch.
fn place(text: &str) -> i64 {
    let (epoch, counter) = text.split_once('.').expect("epoch.counter");
    super::z(number(epoch) as i64, number(counter) as i64)
}
