//! Quotas: `setquota`, `listquota`, `delquota`. They are nodes below `/zookeeper/quota` that the
//! server reads: the limits, and what is used.

use crate::command::Parsed;
use crate::failure::{About, Failure};
use crate::shell::Shell;
use crate::show::{say, tell};
use crate::subtree::{below, paths};
use quorate_client::{Client, Error};
use std::fmt;

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const USAGE: &str = "zookeeper_stats";
/// No limit.
const NONE: i64 = -1;

/// Limits, or what is used of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Track {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Track {
    const UNLIMITED: Track = Track { count: NONE, bytes: NONE, count_hard: NONE, bytes_hard: NONE };

    fn parse(text: &str) -> Track {
        let mut track = Track::UNLIMITED;
        for (key, value) in text.split([',', ';']).filter_map(|part| part.split_once('=')) {
            // An old form has a stray "=" behind its bytes.
            let Ok(value) = value.trim_end_matches('=').parse() else { continue };
            match key {
                "count" => track.count = value,
                "bytes" => track.bytes = value,
                "countHardLimit" => track.count_hard = value,
                "byteHardLimit" => track.bytes_hard = value,
                _ => {}
            }
        }
        track
    }

    fn limit(&mut self, flag: &str) -> Option<&mut i64> {
        Some(match flag {
            "n" => &mut self.count,
            "b" => &mut self.bytes,
            "N" => &mut self.count_hard,
            "B" => &mut self.bytes_hard,
            _ => return None,
        })
    }
}

/// The form that old servers read as well.
impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={},bytes={}", self.count, self.bytes)?;
        if self.count_hard != NONE || self.bytes_hard != NONE || self.count < 0 || self.bytes < 0 {
            write!(f, "=;byteHardLimit={};countHardLimit={}", self.bytes_hard, self.count_hard)?;
        }
        Ok(())
    }
}

const FLAGS: [&str; 4] = ["n", "b", "N", "B"];

fn node_of(path: &str) -> String {
    if path == "/" { ROOT.to_owned() } else { format!("{ROOT}{path}") }
}

async fn track(client: &Client, path: &str) -> Result<Option<Track>, Failure> {
    match client.get(path).await {
        Ok((data, _)) => Ok(Some(Track::parse(&String::from_utf8_lossy(&data)))),
        Err(Error::NoNode) => Ok(None),
        Err(error) => Err(error).about(path),
    }
}

pub(crate) async fn list(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let limits_at = below(&node_of(path), LIMITS);
    tell(&format!("absolute path is {limits_at}"));
    let text = |data: &[u8]| String::from_utf8_lossy(data).into_owned();
    let (limits, _) = match client.get(&limits_at).await {
        Ok(found) => found,
        Err(Error::NoNode) => return Err(missing(path)),
        Err(error) => return Err(error).about(&limits_at),
    };
    say(&format!("Output quota for {path} {}", text(&limits)));
    let usage_at = below(&node_of(path), USAGE);
    let (usage, _) = client.get(&usage_at).await.about(&usage_at)?;
    say(&format!("Output stat for {path} {}", text(&usage)));
    Ok(())
}

fn missing(path: &str) -> Failure {
    Failure::Said(format!("quota for {path} does not exist."))
}

pub(crate) async fn set(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let mut wanted = Vec::new();
    for flag in FLAGS {
        let complaint = "NumberFormatException happens when parsing the option value";
        let Some(limit) = parsed.number::<i64>(flag, complaint)? else { continue };
        let counts_nodes = flag.eq_ignore_ascii_case("n");
        if counts_nodes && limit <= 0 {
            return Err(Failure::Said("the num quota must be greater than zero".to_owned()));
        }
        if !counts_nodes && limit < 0 {
            let text = "the bytes quota must be greater than or equal to zero";
            return Err(Failure::Said(text.to_owned()));
        }
        wanted.push((flag, limit));
    }
    if wanted.is_empty() {
        return Err(Failure::Usage(None));
    }
    if path == ROOT || path.starts_with(&format!("{ROOT}/")) {
        return Err(Failure::Said(format!("cannot set a quota under the path: {ROOT}")));
    }
    if client.exists(path).await.about(path)?.is_none() {
        return Err(Failure::Said(format!("{path} does not exist.")));
    }
    refuse_overlap(&client, path).await?;
    store(&client, path, &wanted).await
}

/// Quotas do not nest.
async fn refuse_overlap(client: &Client, path: &str) -> Result<(), Failure> {
    let own = node_of(path);
    match paths(client, &own).await {
        Ok(nodes) => {
            let nested = nodes
                .iter()
                .filter_map(|node| node.strip_suffix(LIMITS)?.strip_suffix('/'))
                .find(|node| *node != own);
            if let Some(child) = nested.and_then(|node| node.strip_prefix(ROOT)) {
                let text = format!("{path} has a child {child} which has a quota");
                return Err(Failure::Said(text));
            }
        }
        Err(Failure::Request(Error::NoNode, _)) => {}
        Err(failure) => return Err(failure),
    }
    let mut above = path;
    while let Some((parent, _)) = above.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
        above = parent;
        let limits_at = below(&node_of(above), LIMITS);
        if client.exists(&limits_at).await.about(&limits_at)?.is_some() {
            return Err(Failure::Said(format!("{path} has a parent {above} which has a quota")));
        }
    }
    Ok(())
}

async fn store(client: &Client, path: &str, wanted: &[(&str, i64)]) -> Result<(), Failure> {
    let own = node_of(path);
    let (limits_at, usage_at) = (below(&own, LIMITS), below(&own, USAGE));
    let old = track(client, &limits_at).await?;
    let mut limits = old.unwrap_or(Track::UNLIMITED);
    for (flag, value) in wanted {
        if let Some(limit) = limits.limit(flag) {
            *limit = *value;
        }
    }
    if old.is_some() {
        client.set(&limits_at, limits.to_string(), None).await.about(&limits_at)?;
        return warn(client, &usage_at, limits).await;
    }
    let ends = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]);
    for end in ends.filter(|_| path != "/") {
        make(client, &format!("{ROOT}{}", &path[..end]), "").await?;
    }
    make(client, &limits_at, &limits.to_string()).await?;
    // The server counts what is used when this node appears.
    make(client, &usage_at, "count=0,bytes=0").await?;
    warn(client, &usage_at, limits).await
}

/// Creates a node that may be there.
async fn make(client: &Client, path: &str, data: &str) -> Result<(), Failure> {
    match client.create(path, data.to_owned()).await {
        Ok(_) | Err(Error::NodeExists) => Ok(()),
        Err(error) => Err(error).about(path),
    }
}

/// Says if more is used than is allowed now.
async fn warn(client: &Client, usage_at: &str, limits: Track) -> Result<(), Failure> {
    let Some(used) = track(client, usage_at).await? else { return Ok(()) };
    let is_over = |limit: i64, used: i64| limit != NONE && used > limit;
    if is_over(limits.count, used.count) || is_over(limits.count_hard, used.count) {
        let text = "the count quota you create is less than the existing count:";
        tell(&format!("[Warning]: {text}{}", used.count));
    }
    if is_over(limits.bytes, used.bytes) || is_over(limits.bytes_hard, used.bytes) {
        let text = "the bytes quota you create is less than the existing bytes:";
        tell(&format!("[Warning]: {text}{}", used.bytes));
    }
    Ok(())
}

pub(crate) async fn delete(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let own = node_of(path);
    let limits_at = below(&own, LIMITS);
    let Some(mut limits) = track(&client, &limits_at).await? else {
        return Err(Failure::Said(format!("Quota does not exist for {path}")));
    };
    let flags: Vec<&str> = FLAGS.into_iter().filter(|flag| parsed.has(flag)).collect();
    if !flags.is_empty() {
        for flag in flags {
            if let Some(limit) = limits.limit(flag) {
                *limit = NONE;
            }
        }
        client.set(&limits_at, limits.to_string(), None).await.about(&limits_at)?;
        return Ok(());
    }
    for node in [below(&own, USAGE), limits_at] {
        match client.delete(&node, None).await {
            Ok(()) | Err(Error::NoNode) => {}
            Err(error) => return Err(error).about(&node),
        }
    }
    // What led to it goes, too, as far as nothing else needs it.
    let mut node = own.as_str();
    while node != ROOT && client.delete(node, None).await.is_ok() {
        node = node.rsplit_once('/').map_or(ROOT, |(parent, _)| parent);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Track;

    #[test]
    fn limits_have_the_stored_form() {
        let mut limits = Track::UNLIMITED;
        limits.count = 3;
        let text = "count=3,bytes=-1=;byteHardLimit=-1;countHardLimit=-1";
        assert_eq!(limits.to_string(), text);
        assert_eq!(Track::parse(text), limits);
        assert_eq!(Track::parse("count=2,bytes=7").to_string(), "count=2,bytes=7");
        let all = "count=1,bytes=2=;byteHardLimit=4;countHardLimit=3";
        assert_eq!(Track::parse(all).to_string(), all);
        assert_eq!(Track::parse(all).count_hard, 3);
    }
}
