//! Which of the servers this one is: the file `myid`, or the command line.

use std::path::Path;
use std::sync::Arc;

use base::NodeId;
use wire::quorum::Membership;

use super::Outside;
use crate::error::{At, Error};
use crate::settings::Settings;

/// This server's id, from the file `myid` or from the command line.
pub(super) fn my_id(
    settings: &mut Settings,
    outside: &Outside<'_>,
    data_dir: &Path,
) -> Option<NodeId> {
    let path = data_dir.join(MY_ID_FILE);
    let text = match (outside.read)(&path) {
        Ok(bytes) => bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        Err(wrong) => {
            settings.errors.push(bad_my_id(&path, wrong));
            return None;
        }
    };
    let first = text.as_deref().map(|text| text.lines().next().unwrap_or_default().trim());
    let in_file = first.map(str::parse::<u64>);
    let wrong = match (in_file, outside.my_id) {
        (Some(Ok(id)), None) if i64::try_from(id).is_ok() => return Some(NodeId(id)),
        (Some(Ok(id)), Some(given)) if id == given => return Some(NodeId(id)),
        (None, Some(given)) => return Some(NodeId(given)),
        (None, None) => "there is no such file, so this server does not know its number".to_owned(),
        (Some(Ok(id)), Some(given)) => format!("it says {id}, and the command line says {given}"),
        (Some(_), _) => {
            let shown: String = first.unwrap_or_default().chars().take(MY_ID_SHOWN_CHARS).collect();
            format!("{shown:?} is not the number of a server")
        }
    };
    settings.errors.push(bad_my_id(&path, wrong));
    None
}

/// Says that the list does not have this server.
pub(super) fn not_in_the_list(
    settings: &mut Settings,
    outside: &Outside<'_>,
    data_dir: &Path,
    me: NodeId,
    committed: &Membership,
) {
    let servers: Vec<String> = committed.servers().map(|server| server.id().to_string()).collect();
    let wrong = format!("this server is {}, and the servers are {}", me.0, servers.join(", "));
    let mut error = bad_my_id(&data_dir.join(MY_ID_FILE), wrong);
    if let (Error::Malformed { at, .. }, Some(_)) = (&mut error, outside.my_id) {
        *at = At { source: Arc::from("command line"), line: None };
    }
    settings.errors.push(error);
}

fn bad_my_id(path: &Path, wrong: String) -> Error {
    let at = At { source: Arc::from(path.to_string_lossy()), line: None };
    let allowed = "the N of this server's server.N, and nothing else".to_owned();
    Error::Malformed { at, wrong, allowed }
}

/// Holds a server's number, in the data folder.
const MY_ID_FILE: &str = "myid";
/// So much of a wrong one is shown.
const MY_ID_SHOWN_CHARS: usize = 20;
