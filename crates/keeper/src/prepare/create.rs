//! The four creates.

use super::{AclState, Outcome, Pending, Prefix, Preparation, parent_of, put, size};
use auth::Fixed;
use jute::{Encode, Reader};
use std::borrow::Cow;
use std::fmt::Write;
use wire::{
    Acl, Acls, CreateKind, CreateMode, CreateRequest, CreateTxn, ErrorCode, OpCode, OwnerKind,
    OwnerRules, StatPersisted, TTL_MAX_MS, Txn, perms,
};

impl Preparation<'_> {
    /// create, create2, createContainer or createTTL.
    pub(super) fn create(
        &mut self,
        op: OpCode,
        request: &CreateRequest<'_>,
        in_multi: bool,
        out: &mut Vec<u8>,
    ) -> Outcome<OpCode> {
        let (mode, kind) = self.create_mode(op, request)?;
        if mode.ephemeral {
            self.ephemeral_state?
        } else {
            self.check_session()?
        }
        let parent_path = parent_of(&request.path)?;
        let acl = self.fix_up(request.acl)?;
        let (mut parent, parent_place) = self.node(parent_path)?;
        self.may(&parent.acl, perms::CREATE)?;
        let mut path = Cow::Borrowed(&*request.path);
        if mode.sequential {
            let number = parent.stat.cversion;
            write!(path.to_mut(), "{number:010}").expect("a string takes all");
        }
        self.check_path(&path)?;
        let place = self.changes.vacant(self.tree, &path).ok_or(ErrorCode::NodeExists)?;
        let parent_kind = self.config.owners.kind(parent.stat.ephemeral_owner);
        if matches!(parent_kind, OwnerKind::Ephemeral(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        self.check_quota(&path, size(request.data), 1)?;
        // Like the apply step: the count is only ever raised, and pzxid moves with it.
        let parent_cversion = parent.stat.cversion.wrapping_add(1);
        let old_digest = parent.digest;
        parent.children += 1;
        parent.restate(self.tree, parent_path, |stat| {
            if parent_cversion > stat.cversion {
                stat.cversion = parent_cversion;
                stat.pzxid = self.zxid.0;
            }
        });
        let child = self.child(&path, request.data, mode, request.ttl_ms, &acl);
        let mut raw = Vec::new();
        let acl = match acl {
            Fixed::Unchanged(acls) => acls,
            Fixed::Owned(list) => raw_list(&list, &mut raw),
        };
        let at = (parent_path, parent_place);
        self.changes.put(self.tree, self.zxid, at, old_digest, Some(parent));
        self.changes.put(self.tree, self.zxid, (&path, place), 0, Some(child));
        let data = request.data;
        let ephemeral = mode.ephemeral;
        let create = CreateTxn { kind, path, data, acl, ephemeral, parent_cversion };
        Ok(put(out, &Txn::Create(create), in_multi))
    }

    /// What the operation and the flags together ask for.
    pub(super) fn create_mode(
        &self,
        op: OpCode,
        request: &CreateRequest<'_>,
    ) -> Outcome<(CreateMode, CreateKind)> {
        let mut mode = CreateMode::from_flags(request.flags).ok_or(ErrorCode::BadArguments)?;
        if mode.ttl && !self.config.owners.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let ttl_fits =
            if mode.ttl { (1..=TTL_MAX_MS).contains(&request.ttl_ms) } else { request.ttl_ms < 0 };
        if !ttl_fits {
            return Err(ErrorCode::BadArguments);
        }
        // Operation and flags can contradict each other. The reference then logs a record that
        // its own apply step cannot take, or a node of another kind than it promised; here a
        // container is one by either of them, and a TTL node by both.
        if op == OpCode::CreateTtl && !mode.ttl {
            return Err(ErrorCode::BadArguments);
        }
        let kind = if mode.ttl {
            CreateKind::Ttl(request.ttl_ms)
        } else if mode.container || op == OpCode::CreateContainer {
            mode.container = true;
            mode.ephemeral = false;
            CreateKind::Container
        } else if op == OpCode::Create {
            CreateKind::Create
        } else {
            CreateKind::Create2
        };
        Ok((mode, kind))
    }

    fn child(
        &self,
        path: &str,
        data: Option<&[u8]>,
        mode: CreateMode,
        ttl_ms: i64,
        acl: &Fixed<'_>,
    ) -> Pending {
        let acl = if acl.is_open() {
            AclState::Open
        } else {
            AclState::New(match acl {
                Fixed::Unchanged(acls) => acls.to_vec().into(),
                Fixed::Owned(list) => list.as_slice().into(),
            })
        };
        let (zxid, time) = (self.zxid.0, self.time.0);
        let mut child = Pending {
            stat: StatPersisted {
                czxid: zxid,
                mzxid: zxid,
                ctime: time,
                mtime: time,
                version: 0,
                cversion: 0,
                aversion: 0,
                ephemeral_owner: OwnerRules::owner_of(mode, self.session, ttl_ms),
                pzxid: zxid,
            },
            children: 0,
            data_size: size(data),
            acl,
            digest: 0,
            prefix: if self.config.digest { Prefix::Behind } else { Prefix::Off },
            hint: None,
        };
        child.seal(path, data);
        child
    }
}

/// The list as records hold it, in `raw`.
pub(super) fn raw_list<'a>(list: &[Acl], raw: &'a mut Vec<u8>) -> Acls<'a> {
    jute::put_int(raw, i32::try_from(list.len()).expect("counts are bounded by frames"));
    list.iter().for_each(|acl| acl.encode(raw));
    let list = Acls::decode(&mut Reader::new(raw)).expect("written above");
    list.expect("not null")
}
