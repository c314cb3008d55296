//! Subtrees as JSON: `export` and `import`.
//!
//! What a client can see of a node is written: data, access list, whether it is ephemeral. Text is
//! written as text and everything else in base64, so that both come back byte for byte. A client
//! cannot see that a node is a container or has a time to live: these come back as plain nodes.

use crate::command::Parsed;
use crate::failure::{About, Failure};
use crate::shell::Shell;
use crate::show::tell;
use crate::subtree::{self, BATCH};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use quorate_client::{Acl, Client, Error, Id};
use serde::{Deserialize, Serialize};
use std::io::Write;

/// The number of the form, in every file.
const FORM: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Export {
    quorate_export: u32,
    /// Where the nodes were.
    root: String,
    /// Parents first.
    nodes: Vec<Node>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    /// Below the root; empty for the root itself.
    path: String,
    /// Data that is text; neither of the two for null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Data that is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    acl: Vec<Entry>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ephemeral: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Bits: 1 read, 2 write, 4 create, 8 delete, 16 admin.
    perms: i32,
    scheme: String,
    id: String,
}

impl Node {
    fn new(path: &str, data: Option<&[u8]>, acl: Vec<Acl>, ephemeral: bool) -> Node {
        let text = data.and_then(|data| std::str::from_utf8(data).ok()).map(str::to_owned);
        let base64 = match &text {
            Some(_) => None,
            None => data.map(|data| BASE64_STANDARD.encode(data)),
        };
        let acl = acl
            .into_iter()
            .map(|acl| Entry { perms: acl.perms, scheme: acl.id.scheme, id: acl.id.id })
            .collect();
        Node { path: path.to_owned(), text, base64, acl, ephemeral }
    }

    /// The data; `None` for null.
    fn data(&self) -> Result<Option<Vec<u8>>, Failure> {
        match (&self.text, &self.base64) {
            (Some(text), _) => Ok(Some(text.as_bytes().to_vec())),
            (None, Some(base64)) => BASE64_STANDARD
                .decode(base64)
                .map(Some)
                .map_err(|error| Failure::Said(format!("{}: {error}", self.path))),
            (None, None) => Ok(None),
        }
    }

    fn acl(&self) -> Vec<Acl> {
        let entry =
            |entry: &Entry| Acl { perms: entry.perms, id: Id::new(&entry.scheme, &entry.id) };
        self.acl.iter().map(entry).collect()
    }
}

pub(crate) async fn export(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, root) = (shell.client()?, parsed.path(0));
    let (nodes, left_out) = read(&client, root, parsed.has("e")).await?;
    let count = nodes.len();
    let export = Export { quorate_export: FORM, root: root.to_owned(), nodes };
    let json = serde_json::to_string_pretty(&export).map_err(|error| error.to_string())?;
    match parsed.word(1) {
        Some(file) => {
            std::fs::write(file, json + "\n").map_err(|error| format!("{file}: {error}"))?;
            tell(&format!("Exported {count} nodes to {file}"));
        }
        None => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{json}").map_err(|error| format!("stdout: {error}"))?;
        }
    }
    if left_out > 0 {
        tell(&format!("{left_out} ephemeral nodes were left out; -e exports them"));
    }
    Ok(())
}

/// The nodes from `root` on, and how many ephemeral ones were left out.
async fn read(
    client: &Client,
    root: &str,
    with_ephemerals: bool,
) -> Result<(Vec<Node>, usize), Failure> {
    let paths = subtree::paths(client, root).await?;
    let (mut nodes, mut left_out) = (Vec::new(), 0);
    for batch in paths.chunks(BATCH) {
        let calls: Vec<_> =
            batch.iter().map(|path| (path, client.get(path), client.acl(path))).collect();
        for (path, data, acl) in calls {
            let (data, stat) = match data.await {
                Ok(found) => found,
                Err(Error::NoNode) => continue,
                Err(error) => return Err(error).about(path),
            };
            let acl = match acl.await {
                Ok((acl, _)) => acl,
                Err(Error::NoNode) => continue,
                Err(error) => return Err(error).about(path),
            };
            let is_ephemeral = stat.ephemeral_owner != 0;
            if is_ephemeral && !with_ephemerals {
                left_out += 1;
                continue;
            }
            let data = subtree::or_null(client, path, data).await;
            let below = if root == "/" { path } else { path.strip_prefix(root).unwrap_or(path) };
            let below = if path == root { "" } else { below };
            nodes.push(Node::new(below, data.as_deref(), acl, is_ephemeral));
        }
    }
    Ok((nodes, left_out))
}

pub(crate) async fn import(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let file = parsed.path(0);
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let export: Export =
        serde_json::from_slice(&bytes).map_err(|error| format!("{file}: {error}"))?;
    if export.quorate_export != FORM {
        return Err(Failure::Said(format!("{file}: of another form than {FORM}")));
    }
    let root = parsed.word(1).unwrap_or(&export.root).to_owned();
    let (client, overwrite) = (shell.client()?, parsed.has("f"));
    let (mut made, mut changed, mut left_out) = (0, 0, 0);
    for node in &export.nodes {
        if node.ephemeral {
            left_out += 1;
            continue;
        }
        let path = place(&root, &node.path);
        // The root of all is always there, and so is what the server keeps.
        let is_there = path == "/";
        let data = node.data()?;
        let created = if is_there {
            Err(Error::NodeExists)
        } else {
            let create = client.create(&path, data.clone().unwrap_or_default()).acl(node.acl());
            let create = if data.is_none() { create.null_data() } else { create };
            create.await.map(|_| ())
        };
        match created {
            Ok(()) => made += 1,
            Err(Error::NodeExists) if overwrite => {
                client.set(&path, data.unwrap_or_default(), None).await.about(&path)?;
                client.set_acl(&path, node.acl(), None).await.about(&path)?;
                changed += 1;
            }
            Err(Error::NodeExists) if is_there => {}
            Err(error) => return Err(error).about(&path),
        }
    }
    tell(&format!("Imported {made} nodes, changed {changed}"));
    if left_out > 0 {
        tell(&format!("{left_out} ephemeral nodes were left out: they belong to a session"));
    }
    Ok(())
}

fn place(root: &str, below: &str) -> String {
    match (root, below) {
        (root, "") => root.to_owned(),
        ("/", below) => below.to_owned(),
        (root, below) => format!("{root}{below}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, place};
    use quorate_client::Acl;

    #[test]
    fn data_and_lists_come_back_exactly() {
        for data in [&b"text \xc3\xa9\n\"quoted\""[..], b"", b"\xff\x00\x80", b"\0"] {
            let node = Node::new("/a", Some(data), Acl::open(), false);
            let json = serde_json::to_string(&node).unwrap();
            let back: Node = serde_json::from_str(&json).unwrap();
            assert_eq!(back, node);
            assert_eq!(back.data().unwrap().unwrap(), data);
            assert_eq!(back.acl(), Acl::open());
        }
        let null = Node::new("/a", None, Acl::open(), false);
        assert_eq!(null.data().unwrap(), None);
        assert_eq!((null.text, null.base64), (None, None));
    }

    #[test]
    fn nodes_find_their_place_below_any_root() {
        assert_eq!(place("/x", ""), "/x");
        assert_eq!(place("/x", "/a/b"), "/x/a/b");
        assert_eq!(place("/", ""), "/");
        assert_eq!(place("/", "/a"), "/a");
    }
}
