//! A machine of the world: its disk and its clocks, and the member that may run on it.

use crate::clock::Clock;
use crate::epochs::Epochs;
use crate::ledger::Ledger;
use crate::power::PoweredDisk;
use crate::server::Host;
use base::{NodeId, Time};
use node::Output;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use storage::Dirs;
use storage::simulated::MetadataMode;
use wire::quorum::{Membership, Rules};

pub(crate) struct Site {
    pub(crate) node: NodeId,
    pub(crate) disk: PoweredDisk,
    pub(crate) dirs: Dirs,
    pub(crate) clock: Clock,
    pub(crate) wall_offset: i64,
    pub(crate) keeper_config: Arc<keeper::Config>,
    pub(crate) host: Option<Host>,
    /// Which start of the member this is.
    pub(crate) start: u64,
    /// The end of its log, and of what it was told to be durable of it. The world's account: a
    /// start must find no less than the second and no more than the first.
    pub(crate) tip: i64,
    pub(crate) durable: i64,
    /// The end of its log before the truncation under way. A log that does not lead to where it is to
    /// be cut is left alone, which only the reading of it tells.
    pub(crate) uncut: Option<i64>,
    /// A state that replaces all of that, while it is on its way to the disk.
    pub(crate) installing: Option<i64>,
    /// What was durable before that.
    replaced: i64,
    /// Of a member over Raft.
    pub(crate) slots: Option<Box<Slots>>,
    /// What it has promised and begun.
    pub(crate) epochs: Epochs,
    pub(crate) paused_until: Time,
    pub(crate) slow_sync_until: Time,
    /// When the member last could not do its work in time.
    pub(crate) stalled_at: Time,
    /// Where a bit of its disk is not what it was.
    pub(crate) flipped: Option<(PathBuf, u64)>,
    /// Its disk was replaced, and it has not served since.
    pub(crate) lost: bool,
    /// Crashes the member when that many boundaries are passed.
    pub(crate) boundary: Option<u64>,
    pub(crate) recovery_fuse: Option<u64>,
    /// It stays as it is: nothing is mended any more.
    pub(crate) frozen: bool,
}

impl Site {
    pub(crate) fn new(node: NodeId, mode: MetadataMode, keeper: keeper::Config) -> Site {
        Site {
            node,
            disk: PoweredDisk::new(mode),
            dirs: Dirs::single("/data"),
            clock: Clock::default(),
            wall_offset: 1_700_000_000_000,
            keeper_config: Arc::new(keeper),
            host: None,
            start: 0,
            tip: 0,
            durable: 0,
            uncut: None,
            installing: None,
            replaced: 0,
            slots: None,
            epochs: Epochs::default(),
            paused_until: Time::ZERO,
            slow_sync_until: Time::ZERO,
            stalled_at: Time::ZERO,
            flipped: None,
            lost: false,
            boundary: None,
            recovery_fuse: None,
            frozen: false,
        }
    }

    /// Whether clients are served here now; a server alone goes on with reads when its disk fails.
    pub(crate) fn serves(&self) -> bool {
        let alone = self.keeper_config.alone;
        self.host.as_ref().is_some_and(|host| alone || host.member.keeper().is_serving())
    }

    /// From now on the disk may be as this leaves it.
    #[allow(clippy::wildcard_enum_match_arm)] // what takes nothing back changes nothing
    pub(crate) fn begins(&mut self, ledger: &Ledger, output: &Output) {
        match output {
            Output::Truncate { to, .. } => {
                self.uncut = Some(self.tip);
                self.durable = self.durable.min(ledger.entry_at(to.0));
                let (_, end) = &mut self.epochs.written;
                *end = self.durable.min(*end);
            }
            Output::BeginInstall { at } => {
                self.replaced = self.durable;
                (self.durable, self.epochs.written.1) = (0, 0);
                let coming = self.slots.as_ref().map(|slots| slots.coming);
                self.installing = coming.or_else(|| Some(ledger.entry_at(at.0)));
            }
            Output::Cut { from, .. } => {
                let to = self.slots.as_mut().map_or(0, |slots| slots.cut(*from));
                self.uncut.get_or_insert(self.tip);
                (self.tip, self.durable) = (to, self.durable.min(to));
            }
            Output::Slot { slot, .. } => {
                if let Some(slots) = &mut self.slots {
                    slots.ends.insert(slot.index, self.tip);
                }
            }
            Output::Announced { base, .. } => {
                if let Some(slots) = &mut self.slots {
                    slots.announced = base.index;
                }
            }
            Output::Register { name: raft::TERM, value, .. } => {
                if let Some(slots) = &mut self.slots {
                    slots.term = *value;
                }
            }
            Output::Register { name: CURRENT_EPOCH, value, .. }
                if *value > self.epochs.written.0 =>
            {
                // What was to be cut is gone before the epoch is written.
                (self.epochs.written, self.uncut) = ((*value, self.tip), None);
            }
            _ => {}
        }
    }

    /// The disk is as this leaves it.
    pub(crate) fn has_done(&mut self, ledger: &Ledger, done: Done) {
        match done {
            Done::Truncated(to) => self.tip = ledger.back_to(ledger.entry_at(to), self.tip),
            Done::Installed(at) => {
                self.tip = self.installing.unwrap_or_else(|| ledger.entry_at(at));
                (self.installing, self.uncut) = (None, None);
                if let Some(slots) = &mut self.slots {
                    slots.ends = BTreeMap::from([(slots.announced, self.tip)]);
                }
            }
            Done::Promised(epoch) => self.epochs.held.0 = epoch,
            Done::Begun(epoch) => self.epochs.held.1 = epoch,
            Done::Settled => {}
            Done::Nothing => return,
        }
        self.durable = self.tip;
    }

    /// All that was appended is durable.
    pub(crate) fn synced(&mut self) {
        if self.installing.is_none() {
            self.durable = self.tip;
        }
        if let Some(slots) = &self.slots {
            (self.epochs.held.0, self.uncut) = (slots.term, None);
        }
    }

    /// A state whose snapshot is complete counts as durable in the very step that says so.
    pub(crate) fn installs(&mut self, out: &[Output]) {
        if let Some(entry) = self.installing
            && out.iter().any(|output| matches!(output, Output::Install { .. }))
        {
            (self.tip, self.durable) = (entry, entry);
        }
    }

    /// Whether a start may find this as the end of the log.
    pub(crate) fn may_find(&self, ledger: &Ledger, last: i64) -> Result<(), String> {
        let last = if self.slots.is_some() { last } else { ledger.entry_at(last) };
        if self.installing == Some(last) {
            return Ok(());
        }
        let is_end = |tip: i64| ledger.leads_to(last, tip);
        let leads = last <= 0 || is_end(self.tip) || self.uncut.is_some_and(is_end);
        if leads && last.max(0) >= self.durable {
            return Ok(());
        }
        Err(format!(
            "member {} has found {last:#x}, {:#x} was durable of {:#x}",
            self.node.0, self.durable, self.tip
        ))
    }

    /// Its disk is another one, and holds nothing.
    pub(crate) fn forget(&mut self) {
        (self.tip, self.durable, self.replaced) = (0, 0, 0);
        (self.uncut, self.installing, self.flipped) = (None, None, None);
        (self.epochs, self.lost) = (Epochs::default(), true);
    }

    /// Whether its disk holds this entry for certain, or did before a state came in its place. One
    /// that was replaced may have: nobody is elected by its member before that has a state.
    pub(crate) fn holds(&self, ledger: &Ledger, entry: i64) -> bool {
        if self.lost {
            return true;
        }
        let end = if self.installing.is_some() { self.replaced } else { self.durable };
        ledger.leads_to(entry, end)
    }

    /// A configuration that its disk has kept.
    pub(crate) fn kept(&self, name: &str) -> Option<String> {
        let text = self.disk.inner().contents(&self.dirs.data.join(name))?;
        String::from_utf8(text).ok()
    }

    /// What a start finds of configurations: the one in force, and one that was seen. Without a
    /// place in it a server is not started as it is: whoever runs it adds a line for it.
    pub(crate) fn configurations(&self) -> [Option<Membership>; 2] {
        let parse = |text: &str| Membership::parse(text, &Rules::DEFAULT).ok();
        let kept = [zab::CONFIGURATION, zab::NEXT_CONFIGURATION];
        let [committed, next] = kept.map(|name| parse(&self.kept(name)?));
        let id = self.node.0;
        match committed {
            Some(others) if others.server(id.cast_signed()).is_none() => {
                let own = format!("server.{id}=10.0.0.{id}:2888:3888:observer");
                [parse(&format!("{own}\n{}", others.with_version(0))), None]
            }
            committed => [committed, next],
        }
    }

    /// The power goes, or the process: what the disk says of its epoch by now.
    pub(crate) fn ends(&mut self) {
        let path = self.dirs.snapshots().join(CURRENT_EPOCH);
        let text = self.disk.inner().contents(&path).and_then(|text| String::from_utf8(text).ok());
        self.epochs.stated = text.and_then(|text| text.parse().ok()).unwrap_or(0);
    }

    /// Whether it is the one that proposes.
    pub(crate) fn leads(&self) -> bool {
        self.host.as_ref().is_some_and(|host| host.member.keeper().is_primary())
    }
}

/// What a member over Raft has logged, beside transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    /// The last transaction up to each slot.
    pub(crate) ends: BTreeMap<u64, i64>,
    /// Where the log begins with the state that is to come.
    pub(crate) announced: u64,
    /// The last transaction of that state.
    pub(crate) coming: i64,
    /// The term that was written last.
    pub(crate) term: i64,
}

impl Slots {
    /// Every slot from this one on is void; gives the last transaction that is left.
    fn cut(&mut self, from: u64) -> i64 {
        self.ends.split_off(&from);
        self.ends.last_key_value().map_or(0, |(_, end)| *end)
    }
}

/// What is certain once the journal has performed an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Nothing,
    /// All that was logged is durable.
    Settled,
    /// So is this promise.
    Promised(i64),
    /// So is the beginning of this epoch.
    Begun(i64),
    /// What comes after this place is gone.
    Truncated(i64),
    /// All is replaced by a state of this place.
    Installed(i64),
}

impl Done {
    #[allow(clippy::wildcard_enum_match_arm)] // the rest waits for a sync, or is not the journal's
    pub(crate) fn of(output: &Output, over_raft: bool) -> Done {
        match output {
            Output::Register { .. } | Output::Text { .. } if over_raft => Done::Nothing,
            Output::Truncate { to, .. } => Done::Truncated(to.0),
            Output::Install { at } => Done::Installed(at.0),
            Output::Register { name: "acceptedEpoch", value, .. } => Done::Promised(*value),
            Output::Register { name: CURRENT_EPOCH, value, .. } => Done::Begun(*value),
            Output::Register { .. } | Output::Text { .. } => Done::Settled,
            _ => Done::Nothing,
        }
    }
}

/// The file of the epoch whose initial history a member has.
const CURRENT_EPOCH: &str = "currentEpoch";
