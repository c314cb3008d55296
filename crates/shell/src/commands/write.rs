//! Changing nodes: `create`, `set`, `delete`.

use crate::command::Parsed;
use crate::failure::{About, Failure};
use crate::shell::Shell;
use crate::show::{self, say, tell};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use quorate_client::{Acl, Mode};
use std::time::Duration;

/// The longest time to live that fits beside its mark in a node's owner, in ms.
const TTL_MS_MAX: u64 = (1 << 40) - 1;

pub(crate) async fn create(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let mode = mode(parsed)?;
    let path = parsed.path(0);
    let acl = parsed.word(2).map_or_else(|| Ok(Acl::open()), show::parse_acl)?;
    let data = parsed.word(1);
    let client = shell.client()?;
    let create = client.create(path, data.unwrap_or_default().to_owned());
    let create = if data.is_none() { create.null_data() } else { create };
    let created = create.mode(mode).acl(acl).await.about(path)?;
    tell(&format!("Created {}", created.path));
    Ok(())
}

fn mode(parsed: &Parsed) -> Result<Mode, Failure> {
    let refuse = |text: &str| Err(Failure::Said(text.to_owned()));
    let ttl: Option<i64> = parsed.number("t", "-t argument must be a long value")?;
    let (ephemeral, sequential) = (parsed.has("e"), parsed.has("s"));
    if parsed.has("c") && (ephemeral || sequential) {
        return refuse(
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        );
    }
    if ttl.is_some() && ephemeral {
        return refuse("TTLs cannot be used with Ephemeral znodes");
    }
    if ttl.is_some() && parsed.has("c") {
        return refuse("TTLs cannot be used with Container znodes");
    }
    let ttl = match ttl.map(u64::try_from) {
        None => None,
        Some(Ok(ttl_ms @ 1..=TTL_MS_MAX)) => Some(Duration::from_millis(ttl_ms)),
        Some(_) => {
            let text = "ttl must be positive and cannot be larger than:";
            return refuse(&format!("{text} {TTL_MS_MAX}"));
        }
    };
    Ok(match (ttl, ephemeral, sequential) {
        (Some(ttl), _, true) => Mode::PersistentSequentialWithTtl(ttl),
        (Some(ttl), _, false) => Mode::PersistentWithTtl(ttl),
        (None, true, true) => Mode::EphemeralSequential,
        (None, true, false) => Mode::Ephemeral,
        (None, false, true) => Mode::PersistentSequential,
        (None, false, false) if parsed.has("c") => Mode::Container,
        (None, false, false) => Mode::Persistent,
    })
}

pub(crate) async fn set(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let path = parsed.path(0);
    let text = parsed.word(1).unwrap_or_default();
    let data = if parsed.has("b") {
        BASE64_STANDARD.decode(text).map_err(|error| format!("no base64: {error}"))?
    } else {
        text.as_bytes().to_vec()
    };
    let version = version(parsed)?;
    let stat = shell.client()?.set(path, data, version).await.about(path)?;
    if parsed.has("s") {
        say(&show::stat(&stat));
    }
    Ok(())
}

pub(crate) async fn delete(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let path = parsed.path(0);
    let mut version = version(parsed)?;
    if let Some(old) = parsed.word(1) {
        tell(
            "'delete path [version]' has been deprecated. Please use 'delete [-v version] path' \
             instead.",
        );
        version = Some(old.parse().map_err(|_| Failure::Usage(None))?);
    }
    shell.client()?.delete(path, version).await.about(path)
}

/// The version that is asked for; -1 is any.
pub(crate) fn version(parsed: &Parsed) -> Result<Option<i32>, Failure> {
    let version: Option<i32> = parsed.number("v", "-v argument must be an int value")?;
    Ok(version.filter(|version| *version != -1))
}
