//! The end of a session.

use super::{Outcome, Preparation, put};
use base::SessionId;
use jute::Reader;
use wire::{OpCode, OwnerKind, Strings, Txn};

impl Preparation<'_> {
    /// closeSession: lists what goes with the session, in the order in which it goes.
    pub(crate) fn close_session(&mut self, out: &mut Vec<u8>) -> Outcome<OpCode> {
        let paths = self.ephemerals(self.session);
        for path in &paths {
            if let Some((parent_path, _)) = wire::parent_and_name(path)
                && let (Ok(parent), Ok(node)) = (self.node(parent_path), self.node(path))
            {
                self.remove((path, &node), (parent_path, parent));
            }
        }
        let mut raw = Vec::new();
        let listed = if self.config.close_session_txn {
            Txn::encode_paths(&mut raw, &paths);
            Strings::decode(&mut Reader::new(&raw)).expect("written above")
        } else {
            None
        };
        Ok(put(out, &Txn::CloseSession { paths: listed }, false))
    }

    /// The session's ephemeral nodes once all that is pending is applied, children of one parent
    /// in the order of their names.
    fn ephemerals(&self, session: SessionId) -> Vec<String> {
        let mut paths: std::collections::BTreeSet<String> = self.tree.ephemerals(session).collect();
        for (path, node) in self.changes.iter() {
            let owner = node.map(|node| self.config.owners.kind(node.stat.ephemeral_owner));
            if owner == Some(OwnerKind::Ephemeral(session)) {
                paths.insert(path.to_owned());
            } else {
                paths.remove(path); // it will be gone, or another's
            }
        }
        paths.into_iter().collect()
    }
}
