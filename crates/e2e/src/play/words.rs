//! What of a four-letter word's reply is the same on every server.

use super::names::Names;
use std::collections::BTreeMap;

/// The words whose replies are compared, at least in part.
pub const WORDS: &[&str] = &[
    "ruok", "isro", "gtmk", "srst", "crst", "wchs", "wchc", "wchp", "dump", "srvr", "stat", "mntr",
    "conf", "cons", "dirs", "envi",
];

/// A word's reply, less what depends on time, on paths and on the version.
#[must_use]
pub(super) fn stable(word: &str, reply: &str, names: &Names) -> String {
    match word {
        "wchc" | "wchp" => blocks(reply, names),
        // The reference also counts connections whose last watch was filtered away at delivery.
        "wchs" => format!("{:?}", reply.split_once(" connections ").map(|(_, rest)| rest)),
        "dump" => {
            let start = reply.find("ephemeral nodes dump:").unwrap_or(0);
            let end = reply.find("Connections dump:").unwrap_or(reply.len());
            blocks(reply.get(start..end).unwrap_or(reply), names)
        }
        "srvr" | "stat" => lines(reply, names, &["Mode:", "Zxid:", "Node count:"]),
        "mntr" => lines(reply, names, MONITORED),
        "conf" => lines(reply, names, &["tickTime=", "minSession", "maxSession", "serverId="]),
        "cons" | "dirs" | "envi" => format!("answered: {}", !reply.is_empty()),
        _ => format!("{reply:?}"),
    }
}

/// Metrics that count what clients see. Not the approximate data size: the reference's own drifts,
/// since it is not told when a quota's usage changes its text.
const MONITORED: &[&str] = &[
    "zk_znode_count\t",
    "zk_watch_count\t",
    "zk_ephemerals_count\t",
    "zk_global_sessions\t",
    "zk_local_sessions\t",
    "zk_server_state\t",
];

fn lines(reply: &str, names: &Names, wanted: &[&str]) -> String {
    let mut kept: Vec<String> = reply
        .lines()
        .filter(|line| wanted.iter().any(|start| line.starts_with(start)))
        .map(|line| match line.strip_prefix("Zxid: 0x") {
            Some(digits) => {
                format!("Zxid: {}", names.zxid(i64::from_str_radix(digits, 16).unwrap_or(-2)))
            }
            None => line.to_owned(),
        })
        .collect();
    kept.sort();
    format!("{kept:?}")
}

/// Lines that start blocks of indented lines, both in any order; ids of sessions become names.
fn blocks(reply: &str, names: &Names) -> String {
    let named = |text: &str| match text.strip_prefix("0x").map(|t| t.trim_end_matches(':')) {
        Some(digits) => match u64::from_str_radix(digits, 16) {
            Ok(id) => names.session(id as i64),
            Err(_) => text.to_owned(),
        },
        // A watch on a null path, which is an empty one to ours.
        None if text == "null" => String::new(),
        None => text.to_owned(),
    };
    let mut blocks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in reply.lines() {
        match line.strip_prefix('\t') {
            Some(item) => blocks.entry(current.clone()).or_default().push(named(item)),
            None => {
                current = named(line);
                blocks.entry(current.clone()).or_default();
            }
        }
    }
    for items in blocks.values_mut() {
        items.sort();
        items.dedup();
    }
    // The reference goes on naming a session whose last watch was filtered away at delivery.
    blocks.retain(|heading, items| heading.is_empty() || !items.is_empty());
    format!("{blocks:?}")
}

#[cfg(test)]
mod tests {
    use super::stable;
    use crate::play::names::Names;

    #[test]
    fn blocks_are_sorted_and_sessions_named() {
        let mut names = Names::default();
        names.open_session(0x10);
        let reply = "0x10\n\t/b\n\t/a\n\n";
        assert_eq!(stable("wchc", reply, &names), r#"{"": [], "S0": ["/a", "/b"]}"#);
        let reply = "/a\n\t0x10\n\n";
        assert_eq!(stable("wchp", reply, &names), r#"{"": [], "/a": ["S0"]}"#);
    }

    #[test]
    fn positions_in_words_are_relative() {
        let mut names = Names::default();
        names.start_at(0x10);
        let reply = "Latency min/avg/max: 1/2/3\nZxid: 0x12\nMode: standalone\nNode count: 5\n";
        let expected = r#"["Mode: standalone", "Node count: 5", "Zxid: +2"]"#;
        assert_eq!(stable("srvr", reply, &names), expected);
    }
}
