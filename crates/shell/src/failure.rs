//! Why a command failed, in the words that zkCli has for it.

use quorate_client::{Error, ErrorCode};

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such command.
    UnknownCommand(String),
    /// The command's arguments are not what it takes; with what to say before its usage.
    Usage(Option<String>),
    /// There is no session, and the command needs one.
    NotConnected,
    /// A request about that path failed.
    Request(Error, String),
    /// Anything else, in words.
    Said(String),
}

impl Failure {
    /// What to say; of a wrong usage without the usage itself, which may be all there is to say.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Failure::UnknownCommand(name) => {
                Some(format!("Command not found: Command not found {name}"))
            }
            Failure::Usage(why) => why.clone(),
            Failure::NotConnected => Some("Not connected".to_owned()),
            Failure::Request(error, path) => Some(text(error, path)),
            Failure::Said(text) => Some(text.clone()),
        }
    }

    /// What the process ends with if this command was its last.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::UnknownCommand(_) => 127,
            Failure::Usage(_) | Failure::NotConnected | Failure::Request(..) | Failure::Said(_) => {
                1
            }
        }
    }
}

/// Names the path that a failed request was about.
pub(crate) trait About<T> {
    fn about(self, path: &str) -> Result<T, Failure>;
}

impl<T> About<T> for Result<T, Error> {
    fn about(self, path: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Request(error, path.to_owned()))
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::Said(text)
    }
}

/// The text of a failed request.
pub(crate) fn text(error: &Error, path: &str) -> String {
    let plain = |code: ErrorCode| of_code(code, path);
    match error {
        Error::NoNode => plain(ErrorCode::NoNode),
        Error::NodeExists => plain(ErrorCode::NodeExists),
        Error::BadVersion => plain(ErrorCode::BadVersion),
        Error::NotEmpty => plain(ErrorCode::NotEmpty),
        Error::NoAuth => plain(ErrorCode::NoAuth),
        Error::Refused(code) => plain(*code),
        Error::Transaction { error, .. } => text(error, path),
        // zkCli has no time-out of its own: a server that does not answer is a lost connection.
        Error::OutcomeUnknown
        | Error::ConnectionLost
        | Error::Unreachable
        | Error::TimedOut { .. } => plain(ErrorCode::ConnectionLoss),
        Error::SessionExpired => plain(ErrorCode::SessionExpired),
        Error::AuthFailed => plain(ErrorCode::AuthFailed),
        Error::Closed => "Not connected".to_owned(),
        Error::InvalidPath(path) => bad_path(path),
        Error::RefusedWith(_)
        | Error::LinearizableReadsRefused
        | Error::Overloaded
        | Error::InvalidArgument(_)
        | Error::TooLarge { .. }
        | Error::BadReply
        | Error::ConnectString(_)
        | Error::NoEntropy(_)
        | _ => error.to_string(),
    }
}

/// The text of a refusal.
fn of_code(code: ErrorCode, path: &str) -> String {
    let said = [
        (ErrorCode::NoNode, "Node does not exist: "),
        (ErrorCode::NoChildrenForEphemerals, "Ephemerals cannot have children: "),
        (ErrorCode::NodeExists, "Node already exists: "),
        (ErrorCode::NotEmpty, "Node not empty: "),
        (ErrorCode::NotReadOnly, "Not a read-only call: "),
        (ErrorCode::InvalidAcl, "Acl is not valid : "),
        (ErrorCode::NoAuth, "Insufficient permission : "),
        (ErrorCode::BadArguments, "Arguments are not valid : "),
        (ErrorCode::BadVersion, "version No is not valid : "),
        (ErrorCode::QuotaExceeded, "Quota has exceeded : "),
    ];
    if let Some((_, text)) = said.iter().find(|(known, _)| *known == code) {
        return format!("{text}{path}");
    }
    if code == ErrorCode::ReconfigInProgress {
        return "Another reconfiguration is in progress: they are not done side by side".to_owned();
    }
    if code == ErrorCode::NewConfigNoQuorum {
        return "No quorum of the new configuration is connected and up to date: try again when its \
                servers are"
            .to_owned();
    }
    let name = name(code);
    if path.is_empty() {
        format!("KeeperErrorCode = {name}")
    } else {
        format!("KeeperErrorCode = {name} for {path}")
    }
}

/// The names that differ from ours.
fn name(code: ErrorCode) -> String {
    let known = [
        (ErrorCode::ApiError, "APIError"),
        (ErrorCode::SessionExpired, "Session expired"),
        (ErrorCode::InvalidCallback, "Invalid callback"),
        (ErrorCode::SessionMoved, "Session moved"),
        (ErrorCode::EphemeralOnLocalSession, "Ephemeral node on local session"),
        (ErrorCode::NoWatcher, "No such watcher"),
        (ErrorCode::ReconfigDisabled, "Reconfig is disabled"),
        (
            ErrorCode::SessionClosedRequireSaslAuth,
            "Session closed because client failed to authenticate",
        ),
        (ErrorCode::ThrottledOp, "Op throttled due to high load"),
    ];
    let name = known.iter().find(|(known, _)| *known == code).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("{code:?}"))
}

/// What is wrong with a path.
pub(crate) fn bad_path(path: &str) -> String {
    use wire::PathError;
    match wire::validate_path(path) {
        Err(PathError::Empty) => "Path length must be > 0".to_owned(),
        Err(PathError::NotAbsolute) => "Path must start with / character".to_owned(),
        Err(PathError::TrailingSlash) => "Path must not end with / character".to_owned(),
        Err(PathError::BadSegment | PathError::BadCharacter) | Ok(()) => {
            format!("Invalid path string \"{path}\" caused by {}", reason(path))
        }
    }
}

/// The first thing that is wrong within a path, and where: in units of UTF-16, as Java counts.
fn reason(path: &str) -> String {
    let units: Vec<u16> = path.encode_utf16().collect();
    let is = |at: usize, c: char| units.get(at).is_some_and(|unit| *unit == c as u16);
    let ends = |at: usize| at + 1 == units.len() || is(at + 1, '/');
    let found = (1..units.len()).find_map(|at| {
        let what = match units[at] {
            0 => "null character not allowed",
            _ if is(at, '/') && is(at - 1, '/') => "empty node name specified",
            _ if is(at, '.') && is(at - 1, '/') && ends(at) => "relative paths not allowed",
            _ if at > 1 && is(at, '.') && is(at - 1, '.') && is(at - 2, '/') && ends(at) => {
                "relative paths not allowed"
            }
            0x01..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff => "invalid character",
            _ => return None,
        };
        Some(format!("{what} @{at}"))
    });
    found.unwrap_or_else(|| "invalid character".to_owned())
}

#[cfg(test)]
mod tests {
    use super::text;
    use quorate_client::{Error, ErrorCode};

    #[test]
    fn refusals_have_zkclis_words() {
        for (error, want) in [
            (Error::NoNode, "Node does not exist: /a"),
            (Error::BadVersion, "version No is not valid : /a"),
            (Error::Refused(ErrorCode::BadArguments), "Arguments are not valid : /a"),
            (Error::Refused(ErrorCode::NoWatcher), "KeeperErrorCode = No such watcher for /a"),
            (Error::Refused(ErrorCode::Unimplemented), "KeeperErrorCode = Unimplemented for /a"),
            (Error::InvalidPath("a".to_owned()), "Path must start with / character"),
            (Error::InvalidPath("/a/".to_owned()), "Path must not end with / character"),
            (
                Error::InvalidPath("/a//b".to_owned()),
                "Invalid path string \"/a//b\" caused by empty node name specified @3",
            ),
            (
                Error::InvalidPath("/a/../b".to_owned()),
                "Invalid path string \"/a/../b\" caused by relative paths not allowed @4",
            ),
            (
                Error::InvalidPath("/é/.".to_owned()),
                "Invalid path string \"/é/.\" caused by relative paths not allowed @3",
            ),
            (
                Error::InvalidPath("/a\tb".to_owned()),
                "Invalid path string \"/a\tb\" caused by invalid character @2",
            ),
            (Error::ConnectionLost, "KeeperErrorCode = ConnectionLoss for /a"),
        ] {
            assert_eq!(text(&error, "/a"), want);
        }
        let disabled = Error::Refused(ErrorCode::ReconfigDisabled);
        assert_eq!(text(&disabled, ""), "KeeperErrorCode = Reconfig is disabled");
    }
}
