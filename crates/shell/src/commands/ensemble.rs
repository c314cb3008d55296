//! The session's identities, the server and the ensemble.

use crate::command::Parsed;
use crate::failure::{About, Failure};
use crate::shell::Shell;
use crate::show::{self, say};
use crate::watching::On;
use quorate_client::Reconfig;

pub(crate) async fn add_auth(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let credentials = parsed.word(1).unwrap_or_default().to_owned();
    shell.client()?.add_auth(parsed.path(0), credentials).await.about("")
}

pub(crate) async fn who_am_i(shell: &mut Shell, _: &Parsed) -> Result<(), Failure> {
    let identities = shell.client()?.who_am_i().await.about("")?;
    say("Auth scheme: User");
    for id in identities {
        say(&format!("{}: {}", id.scheme, id.id));
    }
    Ok(())
}

pub(crate) async fn sync(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let path = parsed.path(0);
    shell.client()?.sync(path).await.about(path)?;
    say("Sync is OK");
    Ok(())
}

pub(crate) async fn config(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let client = shell.client()?;
    let (data, stat) = if parsed.has("w") {
        let (data, stat, watch) = client.config_watched().await.about("")?;
        shell.watching.follow(watch, On::Data);
        (data, stat)
    } else {
        client.config().await.about("")?
    };
    let text = String::from_utf8_lossy(&data);
    say(&if parsed.has("c") { for_clients(&text) } else { text.into_owned() });
    if parsed.has("s") {
        say(&show::stat(&stat));
    }
    Ok(())
}

/// The version and the clients' addresses: `1000000 host:2181,host:2182`.
fn for_clients(config: &str) -> String {
    let mut version = "";
    let mut hosts = Vec::new();
    for (key, value) in config.lines().filter_map(|line| line.split_once('=')) {
        if key.trim() == "version" {
            version = value.trim();
        } else if key.starts_with("server.")
            && let Some((servers, client)) = value.split_once(';')
        {
            let client = client.trim();
            // Without an address clients use that of the quorum.
            hosts.push(match client.rsplit_once(':') {
                Some(_) => client.to_owned(),
                None => format!("{}:{client}", quorum_host(servers)),
            });
        }
    }
    format!("{version} {}", hosts.join(","))
}

fn quorum_host(servers: &str) -> &str {
    let bracketed = servers.find(']').map(|end| &servers[..=end]);
    bracketed.or_else(|| servers.split(':').next()).unwrap_or(servers)
}

pub(crate) async fn reconfig(shell: &mut Shell, parsed: &Parsed) -> Result<(), Failure> {
    let text = |flag| parsed.value(flag).map(str::to_lowercase);
    let (file, members) = (parsed.value("file"), text("members"));
    let change = Reconfig { joining: text("add"), leaving: text("remove"), ..Reconfig::default() };
    let is_whole = file.is_some() || members.is_some();
    let is_step = change.joining.is_some() || change.leaving.is_some();
    let complaint = "-v must be followed by a long (configuration version)";
    let refuse = |text: &str| Err(Failure::Said(text.to_owned()));
    if !is_whole && !is_step {
        return Err(Failure::Usage(None));
    }
    // The version is shown in hexadecimal, and so it is taken.
    let from_version = match parsed.value("v").map(|hex| i64::from_str_radix(hex, 16)) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => return refuse(complaint),
    };
    if is_whole && is_step {
        return refuse(
            "Can't use -file or -members together with -add or -remove (mixing incremental and \
             non-incremental modes is not allowed)",
        );
    }
    let members = match (file, members) {
        (Some(_), Some(_)) => {
            let text = "Can't use -file and -members together (conflicting non-incremental modes)";
            return refuse(text);
        }
        (Some(file), None) => Some(membership(file)?),
        (None, members) => members,
    };
    let change = Reconfig { members, from_version, ..change };
    let (config, stat) = shell.client()?.reconfig(change).await.about("")?;
    say(&format!("Committed new configuration:\n{}", String::from_utf8_lossy(&config)));
    if parsed.has("s") {
        say(&show::stat(&stat));
    }
    Ok(())
}

/// The server lines of a configuration file.
fn membership(file: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("Error processing {file}: {error}"))?;
    let servers: Vec<&str> =
        text.lines().map(str::trim).filter(|line| line.starts_with("server.")).collect();
    if servers.is_empty() {
        return Err(Failure::Said(format!("Error processing {file}: no server lines")));
    }
    Ok(servers.join(","))
}

#[cfg(test)]
mod tests {
    use super::for_clients;

    #[test]
    fn a_configuration_becomes_a_connect_string() {
        let config = "server.1=a:2888:3888:participant;2181\n\
                      server.2=[::1]:2888:3888;127.0.0.1:2182\nversion=1f";
        assert_eq!(for_clients(config), "1f a:2181,127.0.0.1:2182");
        assert_eq!(for_clients(""), " ");
    }
}
