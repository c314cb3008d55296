//! Watches that stay: `addWatch`, `removewatches`, and `watch`, which follows.

use crate::command::Parsed;
use crate::failure::{About, Failure};
use crate::shell::Shell;
use crate::show::{say, tell};
use crate::watching::{On, kind};
use quorate_client::{Error, WatcherType};

pub(crate) async fn add_watch(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let mode = parsed.value("m").unwrap_or("PERSISTENT_RECURSIVE").to_uppercase();
    let watch = match mode.as_str() {
        "PERSISTENT" => client.watch(path),
        "PERSISTENT_RECURSIVE" => client.watch_recursive(path),
        _ => return Err(Failure::Usage(None)),
    };
    let watch = watch.await.about(path)?;
    shell.watching.follow(watch, On::Persistent);
    Ok(())
}

pub(crate) async fn remove_watches(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let path = parsed.path(0);
    let which = [
        ("c", WatcherType::Children),
        ("d", WatcherType::Data),
        ("p", WatcherType::Persistent),
        ("r", WatcherType::PersistentRecursive),
    ]
    .into_iter()
    .find_map(|(flag, which)| parsed.has(flag).then_some(which))
    .unwrap_or(WatcherType::Any);
    shell.client()?.remove_watches(path, which).await.about(path)
}

/// A line per event: its name, its path and its zxid.
pub(crate) async fn follow(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let path = parsed.path(0);
    let mut left: Option<u64> = parsed.number("n", "-n argument must be a number")?;
    let mut watch = shell.client()?.watch_recursive(path).await.about(path)?;
    while left != Some(0) {
        let Some(event) = watch.next().await else {
            return Err(Error::SessionExpired).about(path);
        };
        match kind(event.kind, On::Persistent) {
            Some(kind) => say(&format!("{kind} {} {:#x}", event.path, event.zxid)),
            None => {
                tell(&format!("{}: events may be missing here", event.path));
                continue;
            }
        }
        left = left.map(|left| left - 1);
    }
    Ok(())
}
