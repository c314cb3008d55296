//! Writes to a node that exists: delete, setData, setACL, check, and the reaper's delete.

use super::create::raw_list;
use super::{
    AclState, Outcome, Pending, Place, Preparation, READ, WRITE, next_version, parent_of, put, size,
};
use auth::Fixed;
use wire::{
    CheckVersionRequest, DeleteRequest, ErrorCode, OpCode, OwnerKind, SetAclRequest,
    SetDataRequest, Txn, perms,
};

impl Preparation<'_> {
    pub(super) fn delete(
        &mut self,
        request: &DeleteRequest<'_>,
        in_multi: bool,
        out: &mut Vec<u8>,
    ) -> Outcome<OpCode> {
        self.check_session()?;
        let path = &*request.path;
        let parent_path = deletable(path)?;
        let parent = self.node(parent_path)?;
        self.may(&parent.0.acl, perms::DELETE)?;
        let node = self.node(path)?;
        next_version(node.0.stat.version, request.version)?;
        if node.0.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove((path, &node), (parent_path, parent));
        Ok(put(out, &Txn::Delete { path: path.into(), by_reaper: false }, in_multi))
    }

    /// The server's own delete of an empty container or an expired node: the node may have got a
    /// child, or have been replaced, since it was found.
    pub(crate) fn reap(&mut self, path: &str, out: &mut Vec<u8>) -> Outcome<OpCode> {
        let parent_path = deletable(path)?;
        let parent = self.node(parent_path)?;
        let node = self.node(path)?;
        if node.0.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        let kind = self.config.owners.kind(node.0.stat.ephemeral_owner);
        if matches!(kind, OwnerKind::Ephemeral(_)) {
            return Err(ErrorCode::BadVersion);
        }
        self.remove((path, &node), (parent_path, parent));
        Ok(put(out, &Txn::Delete { path: path.into(), by_reaper: true }, false))
    }

    /// Notes that the node goes, and what that does to its parent.
    pub(super) fn remove(
        &mut self,
        (path, (node, place)): (&str, &(Pending, Place)),
        (parent_path, (mut parent, parent_place)): (&str, (Pending, Place)),
    ) {
        let old_digest = parent.digest;
        parent.children -= 1;
        parent.restate(self.tree, parent_path, |stat| stat.pzxid = self.zxid.0);
        let at = (parent_path, parent_place);
        self.changes.put(self.tree, self.zxid, at, old_digest, Some(parent));
        self.changes.put(self.tree, self.zxid, (path, *place), node.digest, None);
    }

    pub(super) fn set_data(
        &mut self,
        request: &SetDataRequest<'_>,
        in_multi: bool,
        out: &mut Vec<u8>,
    ) -> Outcome<OpCode> {
        self.check_session()?;
        let path = &*request.path;
        let (mut node, place) = self.named(path)?;
        self.may(&node.acl, WRITE)?;
        self.check_quota(path, size(request.data) - node.data_size, 0)?;
        let version = next_version(node.stat.version, request.version)?;
        let old_digest = node.digest;
        node.stat.version = version;
        node.stat.mzxid = self.zxid.0;
        node.stat.mtime = self.time.0;
        node.data_size = size(request.data);
        node.seal(path, request.data);
        self.changes.put(self.tree, self.zxid, (path, place), old_digest, Some(node));
        let data = request.data;
        Ok(put(out, &Txn::SetData { path: path.into(), data, version, reconfig: false }, in_multi))
    }

    pub(super) fn set_acl(
        &mut self,
        request: &SetAclRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome<OpCode> {
        self.check_session()?;
        let path = &*request.path;
        self.check_path(path)?;
        let acl = self.fix_up(request.acl)?;
        let (mut node, place) = self.node(path)?;
        self.may(&node.acl, perms::ADMIN)?;
        let version = next_version(node.stat.aversion, request.version)?;
        let old_digest = node.digest;
        node.restate(self.tree, path, |stat| stat.aversion = version);
        node.acl = if acl.is_open() {
            AclState::Open
        } else {
            AclState::New(acl.clone().into_vec().into())
        };
        self.changes.put(self.tree, self.zxid, (path, place), old_digest, Some(node));
        let mut raw = Vec::new();
        let acl = match acl {
            Fixed::Unchanged(acls) => acls,
            Fixed::Owned(list) => raw_list(&list, &mut raw),
        };
        Ok(put(out, &Txn::SetAcl { path: path.into(), acl, version }, false))
    }

    /// check, which only a multi may hold.
    pub(super) fn check(
        &mut self,
        request: &CheckVersionRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome<OpCode> {
        self.check_session()?;
        let path = &*request.path;
        let (node, _) = self.named(path)?;
        self.may(&node.acl, READ)?;
        let version = next_version(node.stat.version, request.version)?;
        Ok(put(out, &Txn::Check { path: path.into(), version }, true))
    }
}

/// The parent's path of a node that may be deleted.
fn deletable(path: &str) -> Outcome<&str> {
    const KEPT: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
    if KEPT.contains(&path) {
        return Err(ErrorCode::BadArguments);
    }
    parent_of(path)
}
