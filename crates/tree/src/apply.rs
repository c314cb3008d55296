//! Applying transactions: the only thing that changes a tree, live or at replay.
//!
//! Nothing is validated here, since a transaction is final: replicas do as it says. What cannot be
//! done is skipped with an error code, as the replay of a log onto a fuzzy snapshot needs it: a
//! transaction may meet a tree that shows its effect already, or that of a later one.
//! Source: disk format, sections 3, 4 and 13; client protocol, section 10.4.

use crate::change::{Applied, Change, DigestMismatch, OpResult, Results};
use crate::digest::Expected;
use crate::foresight::Foreseen;
use crate::nodes::ROOT;
use crate::quota::{self, QuotaText};
use crate::tree::{NodeIndex, Tree, data_size, node_size};
use base::{SessionId, WallTime, Zxid};
use wire::{
    Acl, Acls, CONTAINER_OWNER, CreateKind, CreateTxn, ErrorCode, EventType, MultiTxn, OpCode,
    OwnerRules, StatPersisted, Strings, Txn, TxnHeader, TxnRecord,
};

/// The node that holds the configuration of the ensemble.
pub const CONFIG_PATH: &str = "/zookeeper/config";
/// The version of what a server itself puts there.
const CONFIG_LOCAL_VERSION: i32 = -1;

impl Tree {
    /// Applies one committed transaction. Tells `on_change` what watchers may be told, in order.
    ///
    /// Transactions come in the order of their zxids, each once, or once more at the replay onto
    /// a fuzzy snapshot.
    pub fn apply(
        &mut self,
        record: &TxnRecord<'_>,
        on_change: &mut impl FnMut(Change<'_>),
    ) -> Applied {
        self.apply_foreseen(record, std::iter::empty(), on_change)
    }

    /// As [`Tree::apply`], by who prepared the transaction against this tree: `foreseen` are the
    /// nodes that it changes, one by one; for a create or a delete the parent and then the node.
    pub fn apply_foreseen(
        &mut self,
        record: &TxnRecord<'_>,
        mut foreseen: impl Iterator<Item = Foreseen>,
        on_change: &mut impl FnMut(Change<'_>),
    ) -> Applied {
        let foreseen = &mut foreseen;
        let results = match &record.txn {
            Txn::Multi(multi) => {
                Results::Multi(self.multi(&record.header, multi, foreseen, on_change))
            }
            Txn::Create(_)
            | Txn::Delete { .. }
            | Txn::SetData { .. }
            | Txn::SetAcl { .. }
            | Txn::Check { .. }
            | Txn::CreateSession { .. }
            | Txn::CloseSession { .. }
            | Txn::Error(_) => {
                Results::One(self.one(&record.header, &record.txn, foreseen, on_change))
            }
        };
        let zxid = Zxid(record.header.zxid);
        self.last_zxid = self.last_zxid.max(zxid);
        self.last_txn = self.last_txn.max(zxid);
        let expected = self.digests.applied(zxid, record.digest);
        let digest_mismatch =
            expected.map(|expected| DigestMismatch { expected, actual: self.digests.total() });
        Applied { results, digest_mismatch }
    }

    /// A new epoch begins at this place, which is no transaction's: what is read from now on is as
    /// of there.
    pub fn begin_epoch(&mut self, at: Zxid) {
        self.last_zxid = self.last_zxid.max(at);
    }

    /// What a snapshot says of itself: the tree is fuzzy until `zxid` is applied and has this digest
    /// then. Transactions' digests are not compared before. If the tree is there already, the
    /// digest is compared at once; if it is past that, nothing is to be learned.
    pub fn expect_digest(&mut self, zxid: Zxid, digest: u64) -> Option<DigestMismatch> {
        if zxid <= Zxid::ZERO || zxid < self.last_zxid {
            return None;
        }
        self.digests.expected = Some(Expected::At(zxid, digest));
        if zxid > self.last_zxid {
            return None;
        }
        let expected = self.digests.applied(zxid, None)?;
        Some(DigestMismatch { expected, actual: self.digests.total() })
    }

    /// The tree may hold some of what transactions after its last one did, and nobody knows of how
    /// many: their digests are compared from the first one that agrees on.
    pub fn expect_fuzzy(&mut self) {
        self.digests.expected = Some(Expected::RECEIVED);
    }

    /// Deletes the ephemeral nodes of a session that a replay left without an owner.
    pub fn kill_session(
        &mut self,
        session: SessionId,
        zxid: Zxid,
        on_change: &mut impl FnMut(Change<'_>),
    ) {
        self.sessions.remove(&session);
        let paths: Vec<String> = self.ephemerals(session).collect();
        for path in paths {
            self.delete(&path, zxid.0, None, on_change).ok(); // it is there: the index says so
        }
    }

    /// Puts a server's configuration into `/zookeeper/config`, on this server alone, as it does
    /// when it starts. The node is made if an old snapshot had none.
    pub fn init_config(&mut self, data: &[u8], zxid: Zxid, now: WallTime) {
        if self.nodes.find(CONFIG_PATH).is_none() && self.nodes.find("/zookeeper").is_some() {
            self.insert_config_node();
        }
        let header = TxnHeader { client_id: 0, cxid: 0, zxid: zxid.0, time: now.0, op: 0 };
        // Without /zookeeper there is no such node, and nobody reads it.
        let (data, version) = (Some(data), CONFIG_LOCAL_VERSION);
        self.set_data(&header, CONFIG_PATH, (data, version), None, &mut |_| {}).ok();
    }

    pub(crate) fn insert_config_node(&mut self) {
        let acl = self.acls.intern_list(Acl::read_only());
        let stat = StatPersisted { aversion: -1, ..StatPersisted::default() };
        self.insert(CONFIG_PATH, Some(b""), acl, &stat);
    }

    fn multi(
        &mut self,
        header: &TxnHeader,
        multi: &MultiTxn<'_>,
        foreseen: &mut impl Iterator<Item = Foreseen>,
        on_change: &mut impl FnMut(Change<'_>),
    ) -> Vec<OpResult> {
        if multi.has_failed() {
            return failed_multi(multi);
        }
        let mut results = Vec::with_capacity(multi.len());
        results.extend(multi.iter().map(|(_, txn)| self.part(header, &txn, foreseen, on_change)));
        results
    }

    /// One operation of a multi that has not failed.
    fn part(
        &mut self,
        header: &TxnHeader,
        txn: &Txn<'_>,
        foreseen: &mut impl Iterator<Item = Foreseen>,
        on_change: &mut impl FnMut(Change<'_>),
    ) -> OpResult {
        match txn {
            Txn::Create(_)
            | Txn::Delete { .. }
            | Txn::SetData { reconfig: false, .. }
            | Txn::Check { .. }
            | Txn::Error(_) => self.one(header, txn, foreseen, on_change),
            // No proposer puts these into a multi.
            Txn::SetData { reconfig: true, .. }
            | Txn::SetAcl { .. }
            | Txn::CreateSession { .. }
            | Txn::CloseSession { .. }
            | Txn::Multi(_) => result(txn.op(), Err(ErrorCode::Unimplemented)),
        }
    }

    fn one(
        &mut self,
        header: &TxnHeader,
        txn: &Txn<'_>,
        foreseen: &mut impl Iterator<Item = Foreseen>,
        on_change: &mut impl FnMut(Change<'_>),
    ) -> OpResult {
        let op = txn.op();
        match txn {
            Txn::Create(create) => {
                let foreseen = (foreseen.next(), foreseen.next());
                let created = self.create(header, create, foreseen, on_change);
                let wants_stat = op != OpCode::Create;
                // A quota's usage is rewritten as soon as its node is there; the answer is not.
                let data_length = data_size(create.data) as i32;
                let stat = |node| wants_stat.then(|| self.stat_of_length(node, data_length));
                result(op, created.map(stat))
            }
            Txn::Delete { path, .. } => {
                let foreseen = (foreseen.next(), foreseen.next());
                result(op, self.delete(path, header.zxid, foreseen.0, on_change).map(|()| None))
            }
            Txn::SetData { path, data, version, .. } => {
                let set =
                    self.set_data(header, path, (*data, *version), foreseen.next(), on_change);
                result(op, set.map(|node| Some(self.stat_of_length(node, data_size(*data) as i32))))
            }
            Txn::SetAcl { path, acl, version } => {
                let set = self.set_acl(path, acl, *version);
                result(op, set.map(|node| Some(self.stat(NodeIndex(node)))))
            }
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(SessionId(header.client_id), *timeout_ms);
                result(op, Ok(None))
            }
            Txn::CloseSession { paths } => {
                self.close_session(header, paths.as_ref(), on_change);
                result(op, Ok(None))
            }
            Txn::Error(err) => OpResult { op: op.number(), err: *err, stat: None },
            // A multi is taken apart before; a check was the proposer's business.
            Txn::Check { .. } | Txn::Multi(_) => result(op, Ok(None)),
        }
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        create: &CreateTxn<'_>,
        foreseen: (Option<Foreseen>, Option<Foreseen>),
        on_change: &mut impl FnMut(Change<'_>),
    ) -> Result<u32, ErrorCode> {
        let path = &*create.path;
        let (parent_path, name) = wire::parent_and_name(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.parent_foreseen(parent_path, foreseen.0).ok_or(ErrorCode::NoNode)?;
        let acl = self.acls.intern(&create.acl);
        let existing = if path == "/" { Some(ROOT) } else { self.nodes.child(parent, name) };
        if let Some(node) = existing {
            self.replace_acl(node, acl);
            if create.kind == CreateKind::Create {
                self.raise(parent, parent_path, create.parent_cversion, header.zxid, None);
            }
            return Err(ErrorCode::NodeExists);
        }
        self.raise(parent, parent_path, create.parent_cversion, header.zxid, foreseen.0);
        let stat = StatPersisted {
            czxid: header.zxid,
            mzxid: header.zxid,
            pzxid: header.zxid,
            ctime: header.time,
            mtime: header.time,
            ephemeral_owner: owner_of(header, create),
            ..StatPersisted::default()
        };
        let node = self.insert_at((parent, name), path, create.data, acl, &stat, foreseen.1);
        self.quota_after_create(path, parent_path, name, create.data);
        self.report(EventType::NodeCreated, path, acl, on_change);
        let parent_acl = self.nodes.record(parent).acl;
        self.report(EventType::NodeChildrenChanged, parent_path, parent_acl, on_change);
        Ok(node)
    }

    /// Raises a parent's cversion, and pzxid with it; neither ever goes back.
    fn raise(
        &mut self,
        parent: u32,
        path: &str,
        cversion: i32,
        zxid: i64,
        foreseen: Option<Foreseen>,
    ) {
        self.ensure_family(parent, path);
        let Some(family) = self.nodes.family_mut(parent) else { return };
        let cversion = if cversion == -1 { family.cversion.wrapping_add(1) } else { cversion };
        if cversion > family.cversion {
            family.cversion = cversion;
            family.pzxid = zxid;
            self.redigest_stat(parent, path, foreseen);
        }
    }

    fn delete(
        &mut self,
        path: &str,
        zxid: i64,
        foreseen: Option<Foreseen>,
        on_change: &mut impl FnMut(Change<'_>),
    ) -> Result<(), ErrorCode> {
        if path == "/" {
            return Err(ErrorCode::BadArguments);
        }
        let (parent_path, name) = wire::parent_and_name(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.parent_foreseen(parent_path, foreseen).ok_or(ErrorCode::NoNode)?;
        // Before anything else: the node may have gone while the snapshot was taken.
        if zxid > self.nodes.stat(parent).pzxid {
            self.ensure_family(parent, parent_path);
            if let Some(family) = self.nodes.family_mut(parent) {
                family.pzxid = zxid;
            }
            self.redigest_stat(parent, parent_path, foreseen);
        }
        let node = self.nodes.child(parent, name).ok_or(ErrorCode::NoNode)?;
        self.remove_below(node);
        let acl = self.remove(node, path);
        self.report(EventType::NodeDeleted, path, acl, on_change);
        self.acls.release(acl);
        let parent_acl = self.nodes.record(parent).acl;
        self.report(EventType::NodeChildrenChanged, parent_path, parent_acl, on_change);
        Ok(())
    }

    /// Removes all nodes below one that is to be deleted. Only a replay can meet such: they come
    /// from transactions later than the delete, and will be created again.
    fn remove_below(&mut self, top: u32) {
        while let Some(child) = self.nodes.first_child(top) {
            let mut leaf = child;
            while let Some(child) = self.nodes.first_child(leaf) {
                leaf = child;
            }
            // From the leaf up as far as there are no siblings to do first.
            let mut path = self.path(NodeIndex(leaf));
            while leaf != top && self.nodes.first_child(leaf).is_none() {
                let parent = self.nodes.record(leaf).parent;
                let acl = self.remove(leaf, &path);
                self.acls.release(acl);
                path.truncate(path.rfind('/').unwrap_or(0));
                leaf = parent;
            }
        }
    }

    /// Takes a leaf out of all that knows of it; its reference to the list in the slot answered
    /// is the caller's to release.
    fn remove(&mut self, node: u32, path: &str) -> u32 {
        let acl = self.nodes.record(node).acl;
        let kind = self.kind(node);
        let data_length = data_size(self.nodes.blob(node).data);
        self.size -= node_size(path, self.nodes.blob(node).data);
        self.cursors.leave(&self.nodes, node);
        self.owned.remove(kind, node);
        self.removals = self.removals.wrapping_add(1);
        self.near.forget();
        self.digests.set(node, 0);
        self.nodes.remove(node);
        if let Some((parent_path, quota::LIMITS_NAME)) = wire::parent_and_name(path)
            && let Some(subject) = quota::subject(parent_path)
        {
            self.quotas.remove(subject);
        }
        self.use_quota(path, -(data_length as i64), -1);
        acl
    }

    fn set_data(
        &mut self,
        header: &TxnHeader,
        path: &str,
        (data, version): (Option<&[u8]>, i32),
        foreseen: Option<Foreseen>,
        on_change: &mut impl FnMut(Change<'_>),
    ) -> Result<u32, ErrorCode> {
        let node = self.find_foreseen(path, foreseen).ok_or(ErrorCode::NoNode)?;
        let grown = self.replace_data(node, data);
        let record = self.nodes.record_mut(node);
        record.version = version;
        record.mzxid = header.zxid;
        record.mtime = header.time;
        let acl = record.acl;
        self.redigest(node, path, data, foreseen);
        self.use_quota(path, grown, 0);
        self.report(EventType::NodeDataChanged, path, acl, on_change);
        Ok(node)
    }

    fn set_acl(&mut self, path: &str, acl: &Acls<'_>, version: i32) -> Result<u32, ErrorCode> {
        let node = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let acl = self.acls.intern(acl);
        self.replace_acl(node, acl);
        self.nodes.record_mut(node).aversion = version;
        self.redigest_stat(node, path, None);
        Ok(node)
    }

    fn close_session(
        &mut self,
        header: &TxnHeader,
        paths: Option<&Strings<'_>>,
        on_change: &mut impl FnMut(Change<'_>),
    ) {
        for path in paths.iter().flat_map(|paths| paths.iter()) {
            // One that is gone is what a replay may meet.
            self.delete(&path, header.zxid, None, on_change).ok();
        }
        self.kill_session(SessionId(header.client_id), Zxid(header.zxid), on_change);
    }

    fn replace_acl(&mut self, node: u32, acl: u32) {
        let old = std::mem::replace(&mut self.nodes.record_mut(node).acl, acl);
        self.acls.release(old);
    }

    /// Replaces a node's data; answers with how many bytes more there are.
    fn replace_data(&mut self, node: u32, data: Option<&[u8]>) -> i64 {
        let old = self.nodes.set_data(node, data) as u64;
        let new = data_size(data);
        let copies = if node == ROOT { 2 } else { 1 };
        self.size = self.size + copies * new - copies * old;
        new as i64 - old as i64
    }

    fn report(
        &self,
        event: EventType,
        path: &str,
        acl: u32,
        on_change: &mut impl FnMut(Change<'_>),
    ) {
        let path = if path.is_empty() { "/" } else { path };
        on_change(Change { event, path, acl: self.acls.list(acl) });
    }

    fn quota_after_create(&mut self, path: &str, parent: &str, name: &str, data: Option<&[u8]>) {
        if let Some(subject) = quota::subject(parent) {
            match name {
                quota::LIMITS_NAME => self.quotas.insert(subject),
                quota::STATS_NAME => self.recount_quota(subject),
                _ => {}
            }
        }
        self.use_quota(path, data_size(data) as i64, 1);
    }

    /// Counts what `subject` holds and keeps it, if there is a place for it.
    pub(crate) fn recount_quota(&mut self, subject: &str) {
        let Some(stats) = self.nodes.find(&quota::stats_path(subject)) else { return };
        let (mut count, mut bytes) = (0, 0);
        if let Some(top) = self.nodes.find(subject) {
            for node in self.nodes.subtree(top) {
                count += 1;
                bytes += data_size(self.nodes.blob(node).data) as i64;
            }
        }
        self.replace_data(stats, Some(QuotaText::new(count, bytes).format().as_bytes()));
    }

    /// Adds to the usage of the quota that `path` falls under.
    #[inline]
    fn use_quota(&mut self, path: &str, bytes: i64, count: i64) {
        let Some(subject) = self.quotas.deepest(path) else { return };
        let Some(stats) = self.nodes.find(&quota::stats_path(subject)) else { return };
        let mut text = QuotaText::parse(self.nodes.blob(stats).data);
        text.count = text.count.wrapping_add(count);
        text.bytes = text.bytes.wrapping_add(bytes);
        self.replace_data(stats, Some(text.format().as_bytes()));
    }
}

fn result(op: OpCode, outcome: Result<Option<wire::Stat>, ErrorCode>) -> OpResult {
    match outcome {
        Ok(stat) => OpResult { op: op.number(), err: 0, stat },
        Err(code) => OpResult { op: op.number(), err: code.number(), stat: None },
    }
}

/// Nothing took effect: 0 before the operation that failed, its code, -2 after it.
fn failed_multi(multi: &MultiTxn<'_>) -> Vec<OpResult> {
    let mut others = ErrorCode::Ok.number();
    let parts = multi.iter().map(|(_, txn)| {
        let err = if let Txn::Error(err) = txn {
            others = ErrorCode::RuntimeInconsistency.number();
            err
        } else {
            others
        };
        OpResult { op: OpCode::Error.number(), err, stat: None }
    });
    parts.collect()
}

fn owner_of(header: &TxnHeader, create: &CreateTxn<'_>) -> i64 {
    match create.kind {
        CreateKind::Create | CreateKind::Create2 => {
            if create.ephemeral {
                header.client_id
            } else {
                0
            }
        }
        CreateKind::Container => CONTAINER_OWNER,
        CreateKind::Ttl(ttl_ms) => OwnerRules::ttl_owner(ttl_ms),
    }
}
