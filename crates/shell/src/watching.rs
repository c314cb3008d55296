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

#[derive(Debug)]
struct Printed {
    zxid: i64,
    kind: &'static str,
    path: String,
    /// How many had been printed with it.
    number: u64,
}

/// Writes a text where an interactive line is being typed.
pub(crate) type Writer = Box<dyn FnMut(String) + Send>;

/// All watches of the shell: they share a printer.
#[derive(Clone, Default)]
pub(crate) struct Watching(Arc<Mutex<Printer>>);

#[derive(Default)]
struct Printer {
    is_silent: bool,
    /// The last events.
    printed: VecDeque<Printed>,
    /// How many were printed so far.
    count: u64,
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
        let mut heard = self.with(|printer| printer.count);
        tokio::spawn(async move {
            while let Some(event) = watch.next().await {
                this.event(&event, on, &mut heard);
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

    fn event(&self, event: &Event, on: On, heard: &mut u64) {
        let Some(kind) = kind(event.kind, on) else {
            let text = "events may be missing here: read what you depend on";
            self.with(|printer| printer.write(format!("{}: {text}", event.path)));
            return;
        };
        self.with(|printer| printer.once(kind, &event.path, event.zxid, heard));
    }
}

impl Printer {
    /// Prints an event unless another watch has. Servers before 3.9 name no zxid: there it is the
    /// same if it was printed since this watch was set or has last `heard` one.
    fn once(&mut self, kind: &'static str, path: &str, zxid: i64, heard: &mut u64) {
        let same = self.printed.iter().find(|printed| {
            (printed.zxid, printed.kind, printed.path.as_str()) == (zxid, kind, path)
                && (zxid > 0 || printed.number > *heard)
        });
        if let Some(same) = same {
            *heard = same.number;
            return;
        }
        self.count += 1;
        *heard = self.count;
        let (path_printed, number) = (path.to_owned(), self.count);
        self.printed.push_back(Printed { zxid, kind, path: path_printed, number });
        if self.printed.len() > REMEMBERED {
            self.printed.pop_front();
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

#[cfg(test)]
mod tests {
    use super::Printer;
    use std::sync::mpsc;

    /// How many events were printed of those that two watches, set before, heard in turn.
    fn printed(events: &[(usize, i64)]) -> usize {
        let (sender, printed) = mpsc::channel();
        let writer = Box::new(move |text| sender.send(text).unwrap());
        let mut printer = Printer { writer: Some(writer), ..Printer::default() };
        let mut heard = [0, 0];
        for (watch, zxid) in events {
            printer.once("NodeDataChanged", "/a", *zxid, &mut heard[*watch]);
        }
        printed.try_iter().count()
    }

    #[test]
    fn an_event_that_several_watches_hear_is_printed_once() {
        assert_eq!(printed(&[(0, 5), (1, 5), (0, 6), (1, 6)]), 2);
        assert_eq!(printed(&[(0, 5), (0, 6), (1, 5), (1, 6)]), 2);
    }

    #[test]
    fn events_without_a_zxid_are_told_apart_by_who_has_heard_them() {
        assert_eq!(printed(&[(0, -1), (1, -1), (1, -1), (0, -1)]), 2);
        assert_eq!(printed(&[(0, -1), (0, -1), (1, -1), (1, -1)]), 2);
        assert_eq!(printed(&[(0, -1), (0, -1), (0, -1)]), 3);
    }
}
