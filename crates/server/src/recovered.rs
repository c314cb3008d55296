//! From the data directory to what the member starts with, and what it reads there later.

use crate::configuration::ConfigurationFiles;
use crate::counters::millis;
use crate::engine;
use crate::reads::{Read, Reads};
use crate::settings::Settings;
use node::{
    Durable, Input, Journal, JournalFiles, RecentLimits, RecoverError, RecoveredSlots, Start,
    Texts, UNKNOWN_STATE, recover_member, recover_telling,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage::journal::TornTail;
use storage::{Disk, Finding, Restored, TxnLog};
use tree::Tree;

/// How long the parts of a recovery took.
pub(crate) struct Took {
    pub(crate) snapshot: Duration,
    pub(crate) replay: Duration,
}

impl Took {
    pub(crate) fn total(&self) -> Duration {
        self.snapshot + self.replay
    }
}

/// What a server starts with.
pub(crate) struct Found<D: Disk> {
    pub(crate) tree: Tree,
    /// The journal of an engine that keeps slots.
    pub(crate) slots: Option<storage::journal::Journal<D>>,
    pub(crate) restored: Restored,
    pub(crate) start: Start,
    pub(crate) took: Took,
}

/// Recovers the tree, and what a member of an ensemble has promised.
///
/// # Errors
/// What is wrong with the data, where, and what to do.
pub(crate) fn recover<D: Disk>(disk: &D, settings: &Settings) -> Result<Found<D>, RecoverError> {
    let started = Instant::now();
    let mut loaded = started;
    let (dirs, options) = (settings.dirs(), settings.recovery());
    let (tree, snapshot) = (settings.tree(), settings.snapshot());
    let mut snapshot_loaded = || loaded = Instant::now();
    let told = &mut snapshot_loaded;
    if let Some((cluster, ensemble)) =
        settings.config.ensemble.as_ref().and_then(|e| Some((engine::cluster(e)?, e)))
    {
        let identity = engine::identity(cluster, ensemble.me);
        let journal = (identity, storage::journal::Options::default());
        let found = node::recover_slots(disk, &dirs, options, tree, snapshot, journal, told)?;
        let took = Took { snapshot: loaded - started, replay: loaded.elapsed() };
        return Ok(found_slots(found, took));
    }
    let (tree, restored, durable) = if let Some(recent) = settings.recent() {
        let found = recover_member(disk, &dirs, options, tree, snapshot, recent, told)?;
        (found.tree, found.restored, Some(found.durable))
    } else {
        let found = recover_telling(disk, &dirs, options, tree, snapshot, told)?;
        (found.tree, found.restored, None)
    };
    let took = Took { snapshot: loaded - started, replay: loaded.elapsed() };
    report(&tree, &restored, &took);
    let replayed = restored.replayed > 0;
    let start = match durable {
        None => Start { replayed, ..Start::default() },
        Some(Durable { accepted, current, recent, is_lost, .. }) => Start {
            replayed,
            accepted_epoch: accepted,
            current_epoch: current,
            recent,
            is_lost,
            ..Start::default()
        },
    };
    if start.is_lost {
        tracing::warn!("{UNKNOWN_STATE}");
    }
    Ok(Found { tree, slots: None, restored, start, took })
}

fn found_slots<D: Disk>(found: RecoveredSlots<D>, took: Took) -> Found<D> {
    let RecoveredSlots { tree, restored, journal, torn, durable } = found;
    report(&tree, &restored, &took);
    if let Some(TornTail { path, offset, bytes, damage }) = torn {
        let file = path.display();
        tracing::warn!(%file, offset, bytes, %damage, "the journal's last write was torn, and is cut");
    }
    let entries = durable.slots.len();
    tracing::info!(
        entries,
        term = durable.term,
        "journal read: what of it is decided, a leader tells"
    );
    if durable.is_lost {
        tracing::warn!("{LOST_VOTER}");
    }
    // Of what is behind the snapshot nothing is replayed before it is known to be decided.
    let start = Start { replayed: entries > 0, raft: durable, ..Start::default() };
    Found { tree, slots: Some(journal), restored, start, took }
}

/// What to tell people of a member whose votes are forgotten.
const LOST_VOTER: &str = "what this member promised is lost with its disk: it follows and does not \
                          vote. To bring its vote back, remove it from the ensemble by reconfig, \
                          and add it again under a new id";

/// The journal on what was found.
pub(crate) fn journal<D>(
    disk: &D,
    settings: &Settings,
    slots: Option<storage::journal::Journal<D>>,
) -> Journal<D>
where
    D: Disk + Send + Sync + 'static,
{
    let dirs = settings.dirs();
    let log = TxnLog::new(disk.clone(), dirs.logs(), settings.log());
    let Some(ensemble) = &settings.config.ensemble else { return Journal::new(log) };
    let texts = ConfigurationFiles::new(disk.clone(), ensemble);
    let texts = texts.map(|texts| Arc::new(texts) as Arc<dyn Texts>);
    let read = settings.recovery().read;
    let files = JournalFiles { disk: disk.clone(), dirs, read, texts };
    match slots {
        Some(slots) => Journal::of_slots(slots, files),
        None => Journal::of_member(log, files),
    }
}

/// What reads the disk for a member.
pub(crate) fn reads<D>(disk: D, settings: &Settings) -> Reads
where
    D: Disk + Send + Sync + 'static,
{
    let (dirs, options, tree) = (settings.dirs(), settings.recovery(), settings.tree());
    let recent = settings.recent().unwrap_or(RecentLimits::NONE);
    let factor = settings.log_per_snapshot();
    Reads::new(move |read| match read {
        Read::State { at } => match node::reload(&disk, &dirs, options, tree, at, recent) {
            Ok((tree, recent)) => Input::Reloaded { tree: Box::new(tree), recent },
            Err(error) => Input::ReloadFailed { reason: error.to_string() },
        },
        Read::Log { link, from } => {
            let entries = node::read_log(&disk, &dirs, options, from, factor, recent);
            Input::LogRead { link, entries }
        }
    })
}

fn report(tree: &Tree, restored: &Restored, took: &Took) {
    let Restored { snapshot, replayed, skipped_snapshots, findings, .. } = restored;
    for (snapshot, error) in skipped_snapshots {
        let path = snapshot.path.display();
        tracing::warn!(%path, %error, "a snapshot is bad; an older one and the log were used");
    }
    for finding in findings {
        match finding {
            Finding::TornTail { path, offset, .. } => tracing::warn!(
                path = %path.display(), offset,
                "cut off the end of a log: a crash tore it before it was acknowledged"
            ),
            Finding::Unbegun(path) => tracing::info!(
                path = %path.display(), "removed a log file that a crash left without a header"
            ),
            Finding::TornMiddle { path, offset } => tracing::info!(
                path = %path.display(), offset, "a log ends in a torn record; the next goes on"
            ),
            Finding::OutOfOrder { after, zxid } => {
                tracing::warn!(%after, %zxid, "the log goes back in one place");
            }
            Finding::Gap { after, next } => {
                tracing::warn!(%after, %next, "transactions are missing from the log");
            }
        }
    }
    let (took_ms, zxid, digest) = (millis(took.total()), tree.last_zxid(), tree.digest());
    tracing::info!(
        snapshot = %snapshot.map_or_else(|| "none".to_owned(), |zxid| zxid.to_string()),
        nodes = tree.node_count(),
        "Snapshot loaded in {took_ms} ms, highest zxid is {zxid}, digest is {digest}"
    );
    tracing::info!("{replayed} txns loaded in {} ms", millis(took.replay));
}
