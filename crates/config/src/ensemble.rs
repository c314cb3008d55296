//! Server lines: whether they make an ensemble, and what this server is in it.
//!
//! As in ZooKeeper: several participants make an ensemble, and a single one does if
//! standaloneEnabled is false; else it runs alone. Images and older clients write a single
//! `server.1=localhost:2888:3888;2181` and no clientPort: then the line's client part says where
//! clients are served, as in an ensemble.
//! The lines stand in the static file, or in the file that dynamicConfigFile names.

mod engine;
mod lines;
mod my_id;
mod times;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::quorum::{Membership, Role, Rules, Server};

use crate::dynamic;
use crate::error::{At, Error};
use crate::model::{Ensemble, Files};
use crate::properties;
use crate::settings::{Entry, Setting, Settings};

/// Reads a file: its bytes, or `None` if there is none, or why it cannot be read.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Option<Vec<u8>>, String>;

/// What the lines and keys do not say.
pub(crate) struct Outside<'a> {
    pub(crate) read: ReadFile<'a>,
    /// This server's id, if the command line has it.
    pub(crate) my_id: Option<u64>,
    /// The file that was read.
    pub(crate) static_file: Option<PathBuf>,
    /// The file that must be complete, if there is one.
    pub(crate) complete: Option<Arc<str>>,
}

/// Where clients are served, according to a server line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientAddress {
    /// `None` for all addresses.
    pub(crate) address: Option<String>,
    pub(crate) port: u16,
}

/// What the server lines say about clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Nothing: there is no line of this server, or it has no client part.
    Unsaid,
    /// The client part of this server's line.
    At(ClientAddress),
    /// An error, which is reported already.
    Invalid,
}

/// What the server lines say, beside errors that are left in `settings`.
pub(crate) fn read(
    settings: &mut Settings,
    outside: &Outside<'_>,
    data_dir: &Path,
) -> (Clients, Option<Ensemble>) {
    let rules = Rules {
        multi_address: settings.bool("multiAddress.enabled"),
        standalone: settings.bool("standaloneEnabled"),
    };
    let Some(source) = source(settings, outside) else { return (Clients::Invalid, None) };
    if source.lines.is_empty() {
        no_lines(settings, &rules);
        return (Clients::Unsaid, None);
    }
    let committed = lines::membership(settings, &source.lines, &rules);
    let voters = committed.as_ref().map(|membership| membership.voters().count());
    if rules.standalone && voters == Some(1) {
        return (alone(settings, &source.lines, committed), None);
    }
    // A line that cannot be read is not yet an ensemble.
    if rules.standalone && voters.is_none() && source.lines.len() == 1 {
        return (Clients::Invalid, None);
    }
    let me = my_id::my_id(settings, outside, data_dir);
    let times = times::times(settings, outside.complete.as_ref());
    let last_seen = last_seen(settings, outside, &source, &rules);
    let Some((committed, me)) = committed.zip(me) else { return (Clients::Invalid, None) };
    let committed = committed.with_version(source.version);
    warn_of_numbers(settings, &source.lines, &committed);
    let Some(own) = committed.server(me.0.cast_signed()).cloned() else {
        my_id::not_in_the_list(settings, outside, data_dir, me, &committed);
        return (Clients::Invalid, None);
    };
    check_id_and_role(settings, &own);
    let clients = match lines::of_server(&source.lines, own.id()) {
        Some(line) => clients(settings, line, &own),
        None => Clients::Unsaid,
    };
    let engine = engine::engine(settings, &committed);
    let last_seen = last_seen.filter(|seen| seen.version() > committed.version());
    let files = outside
        .static_file
        .clone()
        .map(|static_file| Files { static_file, dynamic_file: source.dynamic_file.clone() });
    let log_per_snapshot = settings.ratio("snapshotSizeFactor");
    let ensemble = Ensemble {
        engine,
        me,
        committed,
        last_seen,
        rules,
        files,
        listen_on_all_addresses: settings.bool("quorumListenOnAllIPs"),
        observer_port: u16::try_from(settings.int("observerMasterPort"))
            .ok()
            .filter(|port| *port > 0),
        tcp_keepalive: settings.bool("tcpKeepAlive"),
        local_sessions: settings.bool("localSessionsEnabled"),
        local_sessions_upgrade: settings.bool("localSessionsUpgradingEnabled"),
        leader_serves: settings.bool("leaderServes"),
        force_snapshot: settings.bool("forceSnapshotSync"),
        log_per_snapshot: Some(log_per_snapshot).filter(|factor| *factor >= 0.0),
        snapshot_syncs_max: settings.count("leader.maxConcurrentSnapSyncs"),
        difference_syncs_max: settings.count("leader.maxConcurrentDiffSyncs"),
        times,
    };
    (clients, Some(ensemble))
}

/// Whether an address stands for all addresses of the machine.
pub(crate) fn is_any(address: &str) -> bool {
    matches!(address, "0.0.0.0" | "::" | "[::]" | "0:0:0:0:0:0:0:0")
}

/// Where the lines stand.
struct Source {
    lines: Vec<Entry>,
    version: i64,
    dynamic_file: Option<PathBuf>,
}

/// The lines of the static file, or of the dynamic one; `None` if they cannot be had.
fn source(settings: &mut Settings, outside: &Outside<'_>) -> Option<Source> {
    let lines = settings.membership_lines();
    let Some(setting) = settings.setting("dynamicConfigFile").cloned() else {
        // What is wrong with it is reported already.
        let named = settings.mentions("dynamicConfigFile");
        return (!named).then_some(Source { lines, version: 0, dynamic_file: None });
    };
    for line in &lines {
        let allowed = format!("{} in the file that dynamicConfigFile names", line.key);
        let wrong = "dynamicConfigFile is set".to_owned();
        settings.reject(lines::row(line), line, wrong, allowed);
    }
    let path = PathBuf::from(&setting.entry.value);
    let lines = file_lines(settings, outside, &setting, &path)?;
    let refuse = |line: &Entry| {
        let wrong = match line.key.as_str() {
            "version" => "the version stands in the file's name",
            _ if Membership::is_key(&line.key) => return None,
            _ => "not a key of such a file",
        };
        Some(bad_line(line, wrong.to_owned(), "server.N, group.G and weight.N".to_owned()))
    };
    let errors: Vec<Error> = lines.iter().filter_map(refuse).collect();
    let is_bad = !errors.is_empty();
    settings.errors.extend(errors);
    if lines.is_empty() {
        let wrong = "the file names no servers".to_owned();
        settings.reject(setting.key, &setting.entry, wrong, "a file with server.N".to_owned());
    }
    let version = dynamic::version_of(&setting.entry.value).unwrap_or(0);
    (!is_bad && !lines.is_empty()).then_some(Source { lines, version, dynamic_file: Some(path) })
}

/// The lines of a file that must be there; `None` if there was an error.
fn file_lines(
    settings: &mut Settings,
    outside: &Outside<'_>,
    setting: &Setting,
    path: &Path,
) -> Option<Vec<Entry>> {
    let bytes = match (outside.read)(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let (wrong, allowed) = ("there is no such file", "a file with server.N");
            settings.reject(setting.key, &setting.entry, wrong.to_owned(), allowed.to_owned());
            return None;
        }
        Err(wrong) => {
            let allowed = "a file that can be read".to_owned();
            settings.reject(setting.key, &setting.entry, wrong, allowed);
            return None;
        }
    };
    entries(settings, path, &bytes)
}

fn entries(settings: &mut Settings, path: &Path, bytes: &[u8]) -> Option<Vec<Entry>> {
    let name: Arc<str> = Arc::from(path.to_string_lossy());
    let read = properties::read(&name, bytes);
    let is_whole = read.errors.is_empty();
    settings.errors.extend(read.errors);
    let entry = |properties::Entry { key, value, line }| {
        let at = At { source: Arc::clone(&name), line: Some(line) };
        Entry { key, value, at }
    };
    is_whole.then(|| read.entries.into_iter().map(entry).collect())
}

/// The configuration of the file beside the static one, which a crash may have left.
fn last_seen(
    settings: &mut Settings,
    outside: &Outside<'_>,
    source: &Source,
    rules: &Rules,
) -> Option<Membership> {
    let setting = settings.setting("dynamicConfigFile").cloned()?;
    source.dynamic_file.as_ref().filter(|_| settings.bool("reconfigEnabled"))?;
    let path = dynamic::next_path(outside.static_file.as_ref()?);
    match (outside.read)(&path) {
        Ok(Some(bytes)) => {
            let lines = entries(settings, &path, &bytes)?;
            lines::membership(settings, &lines, rules)
        }
        Ok(None) => None,
        Err(wrong) => {
            let (wrong, allowed) =
                (format!("{}: {wrong}", path.display()), "a file that can be read");
            settings.reject(setting.key, &setting.entry, wrong, allowed.to_owned());
            None
        }
    }
}

fn no_lines(settings: &mut Settings, rules: &Rules) {
    engine::reject_alone(settings);
    if rules.standalone {
        warn_of_alone(settings);
    } else if let Some(setting) = settings.setting("standaloneEnabled").cloned() {
        let wrong = "there is no server.N, and a quorum needs one".to_owned();
        settings.reject(setting.key, &setting.entry, wrong, "true, or server.N".to_owned());
    }
}

/// A single participant that runs without a quorum.
fn alone(settings: &mut Settings, lines: &[Entry], committed: Option<Membership>) -> Clients {
    engine::reject_alone(settings);
    let server = committed.and_then(|membership| membership.servers().next().cloned());
    let Some((server, line)) =
        server.and_then(|server| lines::of_server(lines, server.id()).map(|line| (server, line)))
    else {
        return Clients::Invalid;
    };
    let text = "the only server of its list, so it runs standalone; its peer ports stay closed";
    settings.warn(&line.at, format!("{}: {text}", line.key));
    warn_of_alone(settings);
    clients(settings, line, &server)
}

fn warn_of_alone(settings: &mut Settings) {
    if settings.text("peerType").as_deref() == Some(Role::Observer.name())
        && let Some(at) = settings.setting("peerType").map(|setting| setting.entry.at.clone())
    {
        settings.warn(&at, "peerType=observer: without effect, the server runs alone".to_owned());
    }
}

/// Where the line says that clients are served; it must agree with clientPort.
fn clients(settings: &mut Settings, line: &Entry, server: &Server) -> Clients {
    if server.secure_client().is_some() {
        let text = "its client port for TLS stays closed: TLS is not built yet";
        settings.warn(&line.at, format!("{}: {text}", line.key));
    }
    let Some(client) = server.client() else { return Clients::Unsaid };
    let address = Some(client.host.clone()).filter(|_| !client.is_wildcard());
    let client = ClientAddress { address, port: client.port };
    let agrees = agrees_with_client_port(settings, line, &client);
    if agrees { Clients::At(client) } else { Clients::Invalid }
}

/// `clientPort` and the client part may both be there if they say the same.
fn agrees_with_client_port(settings: &mut Settings, line: &Entry, client: &ClientAddress) -> bool {
    let Some(port) = settings.setting("clientPort").and_then(|_| settings.int_if_set("clientPort"))
    else {
        return true;
    };
    let own = settings.text("clientPortAddress").filter(|address| !is_any(address));
    let same_address = own.is_none() || own == client.address;
    if port == i64::from(client.port) && same_address {
        return true;
    }
    let wrong = format!("clientPort says {}:{port}", own.as_deref().unwrap_or("0.0.0.0"));
    let allowed = "the same client address in both, or in one of them only".to_owned();
    settings.reject(lines::row(line), line, wrong, allowed);
    false
}

/// The line says whether a server votes; what else depends on its own id.
fn check_id_and_role(settings: &mut Settings, own: &Server) {
    if let Some(setting) = settings.setting("peerType").cloned()
        && !setting.entry.value.eq_ignore_ascii_case(own.role().name())
    {
        let text = format!("server.{} says {}, and that holds", own.id(), own.role().name());
        settings.warn(&setting.entry.at, format!("peerType={}: {text}", setting.entry.value));
    }
    if own.id() > EXTENDED_ID_MAX
        && settings.bool("extendedTypesEnabled")
        && let Some(setting) = settings.setting("extendedTypesEnabled").cloned()
    {
        let wrong = format!("this server's number is {}", own.id());
        let allowed = format!("false, or numbers of servers up to {EXTENDED_ID_MAX}");
        settings.reject(setting.key, &setting.entry, wrong, allowed);
    }
}

/// Ensembles that work, and not as well as they could.
fn warn_of_numbers(settings: &mut Settings, lines: &[Entry], committed: &Membership) {
    let Some(first) = lines.iter().find(|line| line.key.starts_with("server.")) else { return };
    let voters = committed.voters().count();
    if voters <= 2 {
        let text = format!("{voters} participants survive no failure: 3 are needed for that");
        settings.warn(&first.at, text);
    } else if voters.is_multiple_of(2) && !committed.has_groups() {
        let text = format!("{voters} participants survive no more failures than {}", voters - 1);
        settings.warn(&first.at, text);
    }
    let mut ids: Vec<i64> = committed.servers().map(Server::id).collect();
    let byte = |id: i64| id & SESSION_ID_MASK;
    ids.sort_unstable_by_key(|id| byte(*id));
    for pair in ids.windows(2).filter(|pair| byte(pair[0]) == byte(pair[1])) {
        let (one, two) = (pair[0], pair[1]);
        let text = "agree in the last 8 bits, so their sessions may get the same ids";
        settings.warn(&first.at, format!("the numbers {one} and {two} {text}"));
    }
}

fn bad_line(line: &Entry, wrong: String, allowed: String) -> Error {
    let Entry { key, value, at } = line.clone();
    let value = crate::value::shown(crate::keys::Kind::Text, &value);
    Error::BadValue { at, key, value, wrong, allowed }
}

/// The largest number of a server with which owners of TTL nodes can be told from sessions.
const EXTENDED_ID_MAX: i64 = 0xfe;
/// So much of a server's number is in the ids of its sessions.
const SESSION_ID_MASK: i64 = 0xff;
