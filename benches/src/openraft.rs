//! The `openraft` crate: on a runtime of one thread, a task for each item under way. A call to
//! another member is a call of its handle, with the messages as they are in memory.

use crate::{Applied, Ensemble, Load, RECENT};
use bytes::Bytes;
use openraft::error::{InstallSnapshotError, RPCError, RaftError};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::{
    BasicNode, Config, Entry, EntryPayload, LogId, LogState, Raft, RaftLogReader, RaftNetwork,
    RaftNetworkFactory, RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError,
    StoredMembership, Vote,
};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::io::Cursor;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::{Builder, Runtime};

openraft::declare_raft_types!(
    /// Items in, nothing out.
    pub(crate) Types: D = Bytes, R = ()
);

type Failed = StorageError<u64>;
type Handles = Arc<Mutex<BTreeMap<u64, Raft<Types>>>>;
type Called<T, E = openraft::error::Infallible> =
    Result<T, RPCError<u64, BasicNode, RaftError<u64, E>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A log in memory, of which the oldest entries go.
#[derive(Default)]
struct Log {
    vote: Option<Vote<u64>>,
    /// The index of the first entry that is here.
    first: u64,
    entries: VecDeque<Entry<Types>>,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Log>>);

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Types>>, Failed> {
        let log = lock(&self.0);
        let end = log.first + log.entries.len() as u64;
        let from = match range.start_bound() {
            Bound::Included(at) => *at,
            Bound::Excluded(at) => at + 1,
            Bound::Unbounded => log.first,
        };
        let to = match range.end_bound() {
            Bound::Included(at) => at + 1,
            Bound::Excluded(at) => *at,
            Bound::Unbounded => end,
        };
        let (from, to) = (from.max(log.first), to.min(end));
        let range = (from - log.first) as usize..(to.max(from) - log.first) as usize;
        Ok(log.entries.range(range).cloned().collect())
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, Failed> {
        let last_log_id = lock(&self.0).entries.back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: None, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), Failed> {
        lock(&self.0).vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, Failed> {
        Ok(lock(&self.0).vote)
    }

    async fn append<I>(&mut self, entries: I, flushed: LogFlushed<Types>) -> Result<(), Failed>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let mut log = lock(&self.0);
        log.entries.extend(entries);
        while log.entries.len() > RECENT {
            log.entries.pop_front();
            log.first += 1;
        }
        drop(log);
        flushed.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Result<(), Failed> {
        let mut log = lock(&self.0);
        let kept = from.index.saturating_sub(log.first) as usize;
        log.entries.truncate(kept);
        Ok(())
    }

    async fn purge(&mut self, _upto: LogId<u64>) -> Result<(), Failed> {
        Ok(())
    }
}

/// What a member has applied.
#[derive(Clone, Default)]
struct State {
    applied: Arc<Mutex<Applied>>,
    last: Option<LogId<u64>>,
    members: StoredMembership<u64, BasicNode>,
}

impl RaftStateMachine<Types> for State {
    type SnapshotBuilder = State;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), Failed> {
        Ok((self.last, self.members.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, Failed>
    where
        I: IntoIterator<Item = Entry<Types>> + Send,
        I::IntoIter: Send,
    {
        let mut applied = lock(&self.applied);
        let mut answers = Vec::new();
        for entry in entries {
            self.last = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(item) => applied.apply(&item),
                EntryPayload::Membership(members) => {
                    self.members = StoredMembership::new(self.last, members);
                }
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> State {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, Failed> {
        unreachable!("nobody falls behind")
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, BasicNode>,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), Failed> {
        unreachable!("nobody falls behind")
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, Failed> {
        Ok(None)
    }
}

impl RaftSnapshotBuilder<Types> for State {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, Failed> {
        unreachable!("the policy is never")
    }
}

struct Network(Handles);

impl RaftNetworkFactory<Types> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Link {
        Link { handles: Arc::clone(&self.0), target, handle: None }
    }
}

/// To one other member: its handle, once it is there.
struct Link {
    handles: Handles,
    target: u64,
    handle: Option<Raft<Types>>,
}

impl Link {
    fn handle(&mut self) -> &Raft<Types> {
        let Link { handles, target, handle } = self;
        handle.get_or_insert_with(|| lock(handles)[target].clone())
    }
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Called<AppendEntriesResponse<u64>> {
        Ok(self.handle().append_entries(request).await.expect("nobody fails"))
    }

    async fn install_snapshot(
        &mut self,
        _request: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Called<InstallSnapshotResponse<u64>, InstallSnapshotError> {
        unreachable!("nobody falls behind")
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Called<VoteResponse<u64>> {
        Ok(self.handle().vote(request).await.expect("nobody fails"))
    }
}

/// Three of them.
pub(crate) struct Members {
    runtime: Runtime,
    leader: Raft<Types>,
    handles: Handles,
    applied: Vec<Arc<Mutex<Applied>>>,
}

impl Members {
    pub(crate) fn start() -> Members {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let config = Config {
            heartbeat_interval: 500,
            election_timeout_min: 2000,
            election_timeout_max: 4000,
            snapshot_policy: SnapshotPolicy::Never,
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("a good configuration"));
        let (handles, mut applied) = (Handles::default(), Vec::new());
        let leader = runtime.block_on(async {
            for id in IDS {
                let state = State::default();
                applied.push(Arc::clone(&state.applied));
                let network = Network(Arc::clone(&handles));
                let new = Raft::new(id, Arc::clone(&config), network, Store::default(), state);
                let raft = new.await.expect("an empty disk is a good one");
                lock(&handles).insert(id, raft);
            }
            let leader = lock(&handles)[&IDS[0]].clone();
            let members = IDS.map(|id| (id, BasicNode::default()));
            leader.initialize(BTreeMap::from(members)).await.expect("they are new");
            leader.wait(None).current_leader(IDS[0], "elected").await.expect("it is");
            leader.client_write(Bytes::new()).await.expect("it leads");
            leader
        });
        applied.iter().for_each(|applied| *lock(applied) = Applied::default());
        let all = Members { runtime, leader, handles, applied };
        all.settle();
        // From now on nothing happens by time, as with the others.
        lock(&all.handles).values().for_each(|raft| raft.runtime_config().tick(false));
        all.applied.iter().for_each(|applied| *lock(applied) = Applied::default());
        all
    }

    /// All members apply what the leader has.
    fn settle(&self) {
        let last = self.leader.metrics().borrow().last_log_index;
        let handles: Vec<Raft<Types>> = lock(&self.handles).values().cloned().collect();
        self.runtime.block_on(async {
            for raft in handles {
                raft.wait(None).applied_index_at_least(last, "applied").await.expect("it will");
            }
        });
    }
}

impl Ensemble for Members {
    fn run(&mut self, load: &Load) {
        let items: VecDeque<Bytes> = load.items.iter().cloned().collect();
        let items = Arc::new(Mutex::new(items));
        self.runtime.block_on(async {
            let proposer = |_| {
                let (leader, items) = (self.leader.clone(), Arc::clone(&items));
                tokio::spawn(async move {
                    loop {
                        let Some(item) = lock(&items).pop_front() else { return };
                        leader.client_write(item).await.expect("it leads");
                    }
                })
            };
            let proposers: Vec<_> = (0..load.window).map(proposer).collect();
            for proposer in proposers {
                proposer.await.expect("it does not panic");
            }
        });
        self.settle();
    }

    fn applied(&self) -> Vec<Applied> {
        self.applied.iter().map(|applied| *lock(applied)).collect()
    }
}

const IDS: [u64; 3] = [1, 2, 3];
