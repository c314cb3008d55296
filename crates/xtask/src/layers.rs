//! Which crate may use which: the allowed edges of the workspace. A new edge is a decision.

/// Crates and what they may depend on among ours, in the order of the layers.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    // vocabulary
    ("base", &[]),
    ("jute", &[]),
    ("wire", &["base", "jute"]),
    ("trace", &["base"]),
    ("metrics", &["base"]),
    // cores
    ("config", &["base", "wire"]),
    ("words", &["base", "metrics"]),
    ("client-core", &["base", "jute", "wire", "trace"]),
    ("broadcast", &["base", "trace"]),
    ("zab", &["base", "jute", "wire", "trace", "broadcast"]),
    ("raft", &["base", "trace", "broadcast"]),
    ("auth", &["base", "jute", "wire"]),
    ("tree", &["base", "jute", "wire"]),
    ("storage", &["base", "jute", "wire"]),
    ("keeper", &["base", "jute", "wire", "trace", "metrics", "broadcast", "tree", "auth"]),
    (
        "node",
        &[
            "base",
            "jute",
            "wire",
            "trace",
            "metrics",
            "broadcast",
            "zab",
            "raft",
            "tree",
            "auth",
            "storage",
            "keeper",
        ],
    ),
    // shells
    (
        "server",
        &[
            "base",
            "jute",
            "wire",
            "trace",
            "metrics",
            "broadcast",
            "zab",
            "raft",
            "tree",
            "auth",
            "storage",
            "keeper",
            "node",
            "config",
            "words",
        ],
    ),
    ("quorate-client", &["base", "jute", "wire", "client-core"]),
    // tools
    ("inspect", &["base", "wire", "broadcast", "tree", "storage", "words", "server"]),
    ("shell", &["base", "wire", "words", "quorate-client"]),
    ("check", &["base", "trace"]),
    (
        "sim",
        &[
            "base",
            "jute",
            "wire",
            "trace",
            "metrics",
            "broadcast",
            "zab",
            "raft",
            "tree",
            "auth",
            "storage",
            "keeper",
            "node",
            "check",
            "config",
        ],
    ),
    ("bench", &["base", "jute", "wire"]),
    (
        "quorate",
        &["bench", "server", "config", "words", "base", "trace", "inspect", "shell", "sim"],
    ),
    ("e2e", &["base", "jute", "wire", "storage", "tree", "node", "auth", "check", "config"]),
    (
        "counts",
        &["base", "jute", "wire", "broadcast", "zab", "raft", "tree", "storage", "keeper", "node"],
    ),
    ("xtask", &["config", "wire", "words"]),
];

/// What is wrong with the edge, if anything.
pub(crate) fn complaint(from: &str, to: &str) -> Option<String> {
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == from) else {
        return Some(format!("crate {from} has no row in the table of layers"));
    };
    if allowed.contains(&to) { None } else { Some(format!("crate {from} may not use {to}")) }
}

#[cfg(test)]
mod tests {
    use super::{LAYERS, complaint};

    #[test]
    fn edges_point_up_the_list_only() {
        for (at, (name, allowed)) in LAYERS.iter().enumerate() {
            for to in *allowed {
                assert!(LAYERS[..at].iter().any(|(above, _)| above == to), "{name} -> {to}");
            }
        }
    }

    #[test]
    fn an_edge_that_is_not_listed_is_refused() {
        assert!(complaint("tree", "wire").is_none());
        assert!(complaint("tree", "keeper").is_some());
        assert!(complaint("nobody", "wire").is_some());
    }
}
