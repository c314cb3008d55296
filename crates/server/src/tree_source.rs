//! The tree as another member fetches it: made piece by piece, while it is served.

use crate::hub::Hub;
use crate::peers::Source;
use bytes::Bytes;
use node::SnapshotSender;
use std::sync::Arc;

/// The stream of the hub's tree.
pub(crate) struct TreeSource {
    hub: Arc<Hub>,
    sender: SnapshotSender,
    rests: bool,
}

impl TreeSource {
    /// Begins at what is applied now.
    pub(crate) fn begin(hub: &Arc<Hub>, rests: bool) -> TreeSource {
        let sender = SnapshotSender::new(&hub.tree());
        TreeSource { hub: Arc::clone(hub), sender, rests }
    }
}

impl Source for TreeSource {
    fn next_chunk(&mut self, size_max: usize) -> Result<Option<Bytes>, String> {
        let chunk = self.sender.next_chunk(&self.hub.tree(), size_max);
        if chunk.is_none() && !self.sender.is_complete() {
            return Err("the tree was replaced while it was sent".to_owned());
        }
        Ok(chunk)
    }

    fn rests(&self) -> bool {
        self.rests
    }
}

#[cfg(test)]
mod tests {
    use super::TreeSource;
    use crate::hub::{Hub, SharedHub};
    use crate::peers::Source;
    use base::Zxid;
    use node::{Shared, SnapshotProgress, SnapshotReceiver};
    use std::sync::Arc;
    use tree::Tree;
    use wire::OwnerRules;

    const CONFIG: tree::Config = tree::Config {
        digest: true,
        owners: OwnerRules { extended_types: true, emulate_353_ttl: false },
    };

    #[test]
    fn what_is_sent_is_the_tree_and_a_tree_that_was_replaced_is_not_sent_on() {
        let hub = Arc::new(Hub::new(Tree::new(CONFIG)));
        let mut source = TreeSource::begin(&hub, true);
        let mut receiver = SnapshotReceiver::new(CONFIG, Zxid::ZERO);
        let mut received = None;
        while let Some(chunk) = source.next_chunk(10).unwrap() {
            if let SnapshotProgress::Done { tree, rest } = receiver.feed(chunk).unwrap() {
                assert!(rest.is_empty());
                received = Some(tree);
            }
        }
        assert_eq!(received.unwrap().digest(), hub.tree().digest());
        let mut source = TreeSource::begin(&hub, true);
        assert!(source.next_chunk(1).unwrap().is_some());
        let shared = SharedHub { hub: Arc::clone(&hub), published: Arc::default() };
        shared.write(|tree, _, _| *tree = Tree::new(CONFIG));
        let mut result = source.next_chunk(1);
        while let Ok(Some(_)) = result {
            result = source.next_chunk(1);
        }
        assert_eq!(result.unwrap_err(), "the tree was replaced while it was sent");
    }
}
