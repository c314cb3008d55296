//! What the member wants read from the disk, each on a thread of its own beside the service.

use crate::driver::Pace;
use crate::peers::Fact;
use crate::service::Service;
use base::Zxid;
use broadcast::LinkId;
use node::Input;
use std::sync::Arc;

/// One thing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// The state at a place.
    State { at: Zxid },
    /// The log from a place on, for a link.
    Log { link: LinkId, from: Zxid },
}

impl Read {
    /// What the member is told if there is no answer.
    fn failed(self, reason: String) -> Input {
        match self {
            Read::State { .. } => Input::ReloadFailed { reason },
            Read::Log { link, .. } => Input::LogRead { link, entries: Vec::new() },
        }
    }
}

type Perform = dyn Fn(Read) -> Input + Send + Sync;

/// Reads the disk.
pub(crate) struct Reads {
    perform: Arc<Perform>,
}

impl Reads {
    /// With what reads.
    pub(crate) fn new(perform: impl Fn(Read) -> Input + Send + Sync + 'static) -> Reads {
        Reads { perform: Arc::new(perform) }
    }

    /// Begins one; the member is told what came of it.
    pub(crate) fn start(&self, service: &Arc<Service>, read: Read) {
        let (perform, for_thread) = (Arc::clone(&self.perform), Arc::clone(service));
        let thread = std::thread::Builder::new().name("log-read".to_owned());
        let spawned = thread.spawn(move || {
            for_thread.inbox.tell(Fact::Answer(perform(read)));
            while for_thread.drive(Pace::Whole) {}
        });
        if let Err(error) = spawned {
            let input = read.failed(format!("no thread for it: {error}"));
            service.inbox.tell(Fact::Answer(input));
        }
    }
}
