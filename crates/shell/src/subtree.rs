//! Reading whole subtrees: level by level, many requests under way at once.

use crate::failure::{About, Failure};
use quorate_client::{Bytes, Client, Error, ReadOp, ReadResult, Stat};
use std::collections::BTreeMap;

/// Requests under way at once.
pub(crate) const BATCH: usize = 500;

/// The paths of a node and all below it, depth first and sorted; what goes meanwhile is left out.
///
/// # Errors
/// If `top` is not there, or any of them cannot be listed.
pub(crate) async fn paths(client: &Client, top: &str) -> Result<Vec<String>, Failure> {
    paths_to_depth(client, top, usize::MAX).await
}

/// The same down to so many levels below it.
///
/// # Errors
/// As [`paths`].
pub(crate) async fn paths_to_depth(
    client: &Client,
    top: &str,
    depth: usize,
) -> Result<Vec<String>, Failure> {
    let mut all = vec![top.to_owned()];
    let mut level = vec![top.to_owned()];
    for _ in 0..depth {
        let mut next = Vec::new();
        for batch in level.chunks(BATCH) {
            let calls: Vec<_> = batch.iter().map(|path| client.children(path)).collect();
            for (path, call) in batch.iter().zip(calls) {
                match call.await {
                    Ok(names) => next.extend(names.iter().map(|name| below(path, name))),
                    Err(Error::NoNode) if path != top => {}
                    Err(error) => return Err(error).about(path),
                }
            }
        }
        if next.is_empty() {
            break;
        }
        all.extend_from_slice(&next);
        level = next;
    }
    all.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    Ok(all)
}

/// Puts sorted paths, parents first, into zkCli's order: all children of a node, then what is below
/// the first of them, and so on.
pub(crate) fn children_together(paths: Vec<String>) -> Vec<String> {
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths.iter().skip(1) {
        children.entry(parent(path)).or_default().push(path);
    }
    let Some(top) = paths.first() else { return Vec::new() };
    let mut ordered = vec![top.clone()];
    // Nodes whose children are to be listed, the next one last.
    let mut waiting = vec![top.as_str()];
    while let Some(path) = waiting.pop() {
        let Some(below) = children.get(path) else { continue };
        ordered.extend(below.iter().map(|path| (*path).to_owned()));
        waiting.extend(below.iter().rev());
    }
    ordered
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// A child's path.
pub(crate) fn below(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

/// A node's data, null told from empty, and its stat.
///
/// # Errors
/// As [`Client::get`].
pub(crate) async fn data(client: &Client, path: &str) -> Result<(Option<Bytes>, Stat), Error> {
    let (data, stat) = client.get(path).await?;
    if !data.is_empty() {
        return Ok((Some(data), stat));
    }
    Ok((or_null(client, path, data).await, stat))
}

/// Asks whether empty data is null: only a multi-read tells. Servers before 3.6 do not have it.
pub(crate) async fn or_null(client: &Client, path: &str, data: Bytes) -> Option<Bytes> {
    if !data.is_empty() {
        return Some(data);
    }
    let reads = vec![ReadOp::Data(path.to_owned())];
    match client.multi_read(reads).await.ok().and_then(|mut results| results.pop()) {
        Some(Ok(ReadResult::Data(data, _))) => data,
        Some(Ok(ReadResult::Children(_)) | Err(_)) | None => Some(data),
    }
}

#[cfg(test)]
mod tests {
    use super::children_together;

    #[test]
    fn children_stand_together_as_zkcli_lists_them() {
        let ordered = |paths: &[&str]| {
            children_together(paths.iter().map(|path| (*path).to_owned()).collect()).join(" ")
        };
        assert_eq!(
            ordered(&["/", "/a", "/a/x", "/a/x/1", "/a/y", "/b", "/b/z"]),
            "/ /a /b /a/x /a/y /a/x/1 /b/z"
        );
        assert_eq!(ordered(&["/a/b", "/a/b/c", "/a/b/c/d"]), "/a/b /a/b/c /a/b/c/d");
        assert_eq!(ordered(&["/a"]), "/a");
    }
}
