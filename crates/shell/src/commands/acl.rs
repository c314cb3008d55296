//! Access lists: `getAcl`, `setAcl`.

use super::write::version;
use crate::command::Parsed;
use crate::failure::{About, Failure, text};
use crate::shell::Shell;
use crate::show::{self, say, tell};
use crate::subtree;
use quorate_client::{Acl, Client, Error};

pub(crate) async fn get(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let path = parsed.path(0);
    let (acl, stat) = shell.client()?.acl(path).await.about(path)?;
    say(&show::acl(&acl));
    if parsed.has("s") {
        say(&show::stat(&stat));
    }
    Ok(())
}

pub(crate) async fn set(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let (client, path) = (shell.client()?, parsed.path(0));
    let acl = show::parse_acl(parsed.word(1).unwrap_or_default())?;
    let version = version(parsed)?;
    if parsed.has("R") {
        return set_all(&client, path, &acl, version).await;
    }
    let stat = client.set_acl(path, acl, version).await.about(path)?;
    if parsed.has("s") {
        say(&show::stat(&stat));
    }
    Ok(())
}

/// A node and all below it: one that fails does not keep the others from theirs.
async fn set_all(
    client: &Client,
    top: &str,
    acl: &[Acl],
    version: Option<i32>,
) -> Result<(), Failure> {
    let mut failed = 0;
    for path in subtree::paths(client, top).await? {
        match client.set_acl(&path, acl.to_vec(), version).await {
            Ok(_) => {}
            Err(Error::NoNode) if path != top => {}
            Err(error) if error.is_final() => return Err(error).about(&path),
            Err(error) => {
                failed += 1;
                tell(&text(&error, &path));
            }
        }
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::Said(format!("{failed} nodes kept their access lists"))),
    }
}
