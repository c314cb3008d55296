//! Reading nodes: `get`, `ls`, `stat`, and what is counted or listed.

use crate::command::Parsed;
use crate::failure::{About, Failure};
use crate::shell::Shell;
use crate::show::{self, say, tell};
use crate::subtree;
use crate::watching::On;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use quorate_client::Error;

pub(crate) async fn get(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let (data, stat) = if wants_watch(parsed, "get") {
        let (data, stat, watch) = client.get_watched(path).await.about(path)?;
        shell.watching.follow(watch, On::Data);
        (subtree::or_null(&client, path, data).await, stat)
    } else {
        subtree::data(&client, path).await.about(path)?
    };
    match data {
        None => say("null"),
        Some(data) if parsed.has("b") => say(&BASE64_STANDARD.encode(data)),
        Some(data) if parsed.has("x") => say(&show::hexdump(&data)),
        Some(data) => say(&String::from_utf8_lossy(&data)),
    }
    if parsed.has("s") {
        say(&show::stat(&stat));
    }
    Ok(())
}

pub(crate) async fn ls(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    if parsed.has("R") {
        say(&subtree::paths(&client, path).await?.join("\n"));
        return Ok(());
    }
    let (names, stat) = if wants_watch(parsed, "ls") {
        let (names, stat, watch) = client.children_with_stat_watched(path).await.about(path)?;
        shell.watching.follow(watch, On::Children);
        (names, stat)
    } else {
        client.children_with_stat(path).await.about(path)?
    };
    say(&show::list(names));
    if parsed.has("s") {
        say(&show::stat(&stat));
    }
    Ok(())
}

pub(crate) async fn stat(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let stat = if wants_watch(parsed, "stat") {
        let (stat, watch) = client.exists_watched(path).await.about(path)?;
        shell.watching.follow(watch, On::Data);
        stat
    } else {
        client.exists(path).await.about(path)?
    };
    say(&show::stat(&stat.ok_or(Error::NoNode).about(path)?));
    Ok(())
}

pub(crate) async fn count(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let path = parsed.path(0);
    let count = shell.client()?.descendant_count(path).await.about(path)?;
    say(&count.to_string());
    Ok(())
}

pub(crate) async fn ephemerals(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let path = parsed.path(0);
    let paths = shell.client()?.ephemerals(path).await.about(path)?;
    say(&show::list(paths));
    Ok(())
}

/// Whether a watch is asked for; a second word is the old form.
fn wants_watch(parsed: &Parsed, name: &str) -> bool {
    if parsed.word(1).is_some() {
        tell(&format!("'{name} path watch' is an old form: use '{name} -w path'"));
    }
    parsed.has("w") || parsed.word(1).is_some()
}
