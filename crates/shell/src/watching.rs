//! Watch events, printed while the shell goes on.
//!
//! The reference hands every event to one watcher of the shell, however many watches it meets; so an
//! event is printed once here, too.

use crate::show::say;
use quorate_client::{Client, Event, EventKind, State, Watch};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many events are remembered to tell repetitions.
const REMEMBERED: usize = 64;

/// What a watch is on: it decides how its removal is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// Data, and whether there is a node.
    Data,
    /// Children.
    Children,
    /// All, until it is removed.
    Persistent,
}

/// Writes a text where an interactive line is being typed.
pub(crate) type Writer = Box<dyn FnMut(String) + Send>;

/// All watches of the shell: they share a printer.
#[derive(Clone, Default)]
pub(crate) struct Watching(Arc<Mutex<Printer>>);

#[derive(Default)]
struct Printer {
    is_silent: bool,
    /// Zxid, kind and path of the last events.
    printed: VecDeque<(i64, &'static str, String)>,
    writer: Option<Writer>,
}

impl Watching {
    fn with<T>(&self, act: impl FnOnce(&mut Printer) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether events are printed.
    pub(crate) fn is_printing(&self) -> bool {
        self.with(|printer| !printer.is_silent)
    }

    /// Switches printing.
    pub(crate) fn print(&self, on: bool) {
        self.with(|printer| printer.is_silent = !on);
    }

    /// Prints through `writer` from now on.
    pub(crate) fn write_by(&self, writer: Writer) {
        self.with(|printer| printer.writer = Some(writer));
    }

    /// Prints the events of a watch as they come.
    pub(crate) fn follow(&self, mut watch: Watch, on: On) {
        let this = self.clone();
        tokio::spawn(async move {
            while let Some(event) = watch.next().await {
                this.event(&event, on);
            }
        });
    }

    /// Prints how the session stands, at every change.
    pub(crate) fn follow_session(&self, client: &Client) {
        let (this, mut status) = (self.clone(), client.subscribe());
        tokio::spawn(async move {
            while status.changed().await.is_ok() {
                let state = status.borrow_and_update().state;
                let name = match state {
                    State::Connected => "SyncConnected",
                    State::ReadOnly => "ConnectedReadOnly",
                    State::Suspended => "Disconnected",
                    State::Expired => "Expired",
                    State::AuthFailed => "AuthFailed",
                    State::Closed => "Closed",
                    State::Connecting => continue,
                };
                this.with(|printer| printer.print(name, "None", "null", -1));
                if state.is_final() {
                    return;
                }
            }
        });
    }

    fn event(&self, event: &Event, on: On) {
        let Some(kind) = kind(event.kind, on) else {
            let text = "events may be missing here: read what you depend on";
            self.with(|printer| printer.write(format!("{}: {text}", event.path)));
            return;
        };
        self.with(|printer| printer.once(kind, &event.path, event.zxid));
    }
}

impl Printer {
    fn once(&mut self, kind: &'static str, path: &str, zxid: i64) {
        if zxid > 0 {
            let seen = (zxid, kind, path.to_owned());
            if self.printed.contains(&seen) {
                return;
            }
            self.printed.push_back(seen);
            if self.printed.len() > REMEMBERED {
                self.printed.pop_front();
            }
        }
        self.print("SyncConnected", kind, path, zxid);
    }

    fn print(&mut self, state: &str, kind: &str, path: &str, zxid: i64) {
        if !self.is_silent {
            self.write(format!(
                "\nWATCHER::\n\nWatchedEvent state:{state} type:{kind} path:{path} zxid: {zxid}"
            ));
        }
    }

    fn write(&mut self, text: String) {
        match &mut self.writer {
            Some(writer) => writer(text),
            None => say(&text),
        }
    }
}

/// The reference's name of an event; `None` for what it does not have.
pub(crate) fn kind(kind: EventKind, on: On) -> Option<&'static str> {
    Some(match (kind, on) {
        (EventKind::Created, _) => "NodeCreated",
        (EventKind::Deleted, _) => "NodeDeleted",
        (EventKind::DataChanged, _) => "NodeDataChanged",
        (EventKind::ChildrenChanged, _) => "NodeChildrenChanged",
        (EventKind::Removed, On::Data) => "DataWatchRemoved",
        (EventKind::Removed, On::Children) => "ChildWatchRemoved",
        (EventKind::Removed, On::Persistent) => "PersistentWatchRemoved",
        _ => return None,
    })
}
