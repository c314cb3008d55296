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
    let (data, stat) = if wants_watch(parsed, "get [-s] [-w] path") {
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
    let is_watched = wants_watch(parsed, "ls [-w] path");
    if parsed.has("R") {
        return ls_all(shell, path, is_watched).await;
    }
    let (names, stat) = if is_watched {
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

/// All paths, a line each; a node's children come together, and then what is below each of them.
async fn ls_all(shell: &Shell, top: &str, is_watched: bool) -> Result<(), Failure> {
    let client = shell.client()?;
    // The reference reads the first node, which takes a permission and sets a watch on its data.
    if is_watched {
        let (_, _, watch) = client.get_watched(top).await.about(top)?;
        shell.watching.follow(watch, On::Data);
    } else {
        client.get(top).await.about(top)?;
    }
    let paths = subtree::paths(&client, top).await?;
    for path in paths.iter().filter(|_| is_watched) {
        match client.children_watched(path).await {
            Ok((_, watch)) => shell.watching.follow(watch, On::Children),
            Err(Error::NoNode) => {}
            Err(error) => return Err(error).about(path),
        }
    }
    say(&subtree::children_together(paths).join("\n"));
    Ok(())
}

pub(crate) async fn stat(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let stat = if wants_watch(parsed, "stat [-w] path") {
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

/// Whether a watch is asked for; a second word is the old form of what is said `instead` now.
fn wants_watch(parsed: &Parsed, instead: &str) -> bool {
    if parsed.word(1).is_some() {
        let name = instead.split(' ').next().unwrap_or_default();
        tell(&format!(
            "'{name} path [watch]' has been deprecated. Please use '{instead}' instead."
        ));
    }
    parsed.has("w") || parsed.word(1).is_some()
}
