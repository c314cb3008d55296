//! Access lists: `getAcl`, `setAcl`.

use super::write::version;
use crate::command::Parsed;
use crate::failure::{About, Failure};
use crate::shell::Shell;
use crate::show::{self, say};
use crate::subtree;

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
    let paths =
        if parsed.has("R") { subtree::paths(&client, path).await? } else { vec![path.to_owned()] };
    for path in paths {
        let stat = client.set_acl(&path, acl.clone(), version).await.about(&path)?;
        if parsed.has("s") {
            say(&show::stat(&stat));
        }
    }
    Ok(())
}
