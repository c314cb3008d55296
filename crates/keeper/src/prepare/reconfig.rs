//! reconfig: the primary turns a change of the members into the text of the next configuration.
//!
//! The transaction's place is the configuration's version. The node is written without a version
//! of its own, as the reference does: it keeps -1.

use super::{Outcome, Preparation, WRITE, put, size};
use tree::CONFIG_PATH;
use wire::quorum::Membership;
use wire::{ErrorCode, OpCode, ReconfigRequest, Txn};

/// The version that the configuration's node always has.
const VERSION: i32 = -1;

impl Preparation<'_> {
    pub(super) fn reconfig(
        &mut self,
        request: &ReconfigRequest<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome<OpCode> {
        if !self.config.reconfig_enabled {
            return Err(ErrorCode::ReconfigDisabled);
        }
        self.check_session()?;
        let members = (self.members)().ok_or(ErrorCode::Unimplemented)?;
        let last_seen = members.last_seen.version();
        if self.reconfiguring || last_seen != members.committed {
            return Err(ErrorCode::ReconfigInProgress);
        }
        if request.config_id != -1 && request.config_id != last_seen {
            return Err(ErrorCode::BadVersion);
        }
        let next = self.next_members(request, &members.last_seen)?;
        if next.has_groups() && !members.knows_groups {
            return Err(ErrorCode::BadArguments);
        }
        if !next.is_quorum_where(|id| members.synced.contains(&id)) {
            return Err(ErrorCode::NewConfigNoQuorum);
        }
        let (mut node, place) = self.node(CONFIG_PATH)?;
        self.may(&node.acl, WRITE)?;
        let text = next.with_version(self.zxid.0).to_string();
        let old_digest = node.digest;
        let data = Some(text.as_bytes());
        node.stat.version = VERSION;
        node.stat.mzxid = self.zxid.0;
        node.stat.mtime = self.time.0;
        node.data_size = size(data);
        node.seal(CONFIG_PATH, data);
        self.changes.put(self.tree, self.zxid, (CONFIG_PATH, place), old_digest, Some(node));
        let path = CONFIG_PATH.into();
        Ok(put(out, &Txn::SetData { path, data, version: VERSION, reconfig: true }, false))
    }

    fn next_members(
        &self,
        request: &ReconfigRequest<'_>,
        last_seen: &Membership,
    ) -> Outcome<Membership> {
        let rules = &self.config.membership;
        let (joining, leaving) = (request.joining.as_deref(), request.leaving.as_deref());
        let next = match request.members.as_deref() {
            Some(members) => Membership::from_new_members(members, rules),
            None => last_seen.with_joiners_leavers(joining, leaving, rules),
        };
        next.map_err(|error| error.problem.error_code())
    }
}
