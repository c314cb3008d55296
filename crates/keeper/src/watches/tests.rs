//! The trigger table of the client protocol, section 10, and the bookkeeping behind it.

use super::Watches;
use base::ConnectionId;
use wire::{AddWatchMode, EventType, WatcherType};

const A: ConnectionId = ConnectionId { slot: 1, generation: 1 };
const B: ConnectionId = ConnectionId { slot: 2, generation: 1 };

#[test]
fn a_one_shot_watch_fires_once() {
    let mut watches = Watches::default();
    watches.watch_data(A, "/x");
    watches.watch_data(A, "/x");
    assert_eq!(watches.count(), 1);
    assert_eq!(watches.triggered(EventType::NodeChildrenChanged, "/x"), []);
    assert_eq!(watches.triggered(EventType::NodeDataChanged, "/x"), [A]);
    assert_eq!(watches.triggered(EventType::NodeDataChanged, "/x"), []);
    assert!(watches.is_empty());
}

#[test]
fn a_deletion_reaches_a_connection_once_though_it_watches_data_and_children() {
    let mut watches = Watches::default();
    watches.watch_data(A, "/x");
    watches.watch_children(A, "/x");
    watches.watch_children(B, "/x");
    assert_eq!(watches.triggered(EventType::NodeDeleted, "/x"), [A, B]);
    assert_eq!(watches.count(), 0);
}

#[test]
fn a_recursive_watch_sees_descendants_but_no_lists_of_children() {
    let mut watches = Watches::default();
    watches.add(A, "/a", AddWatchMode::PersistentRecursive);
    watches.add(B, "/", AddWatchMode::PersistentRecursive);
    for path in ["/a", "/a/b", "/a/b/c"] {
        assert_eq!(watches.triggered(EventType::NodeCreated, path), [A, B], "{path}");
    }
    assert_eq!(watches.triggered(EventType::NodeCreated, "/ab"), [B]);
    assert_eq!(watches.triggered(EventType::NodeChildrenChanged, "/a"), []);
}

#[test]
fn a_persistent_watch_sees_data_and_children_of_its_node_alone() {
    let mut watches = Watches::default();
    watches.add(A, "/a", AddWatchMode::Persistent);
    for event in [EventType::NodeDataChanged, EventType::NodeChildrenChanged] {
        assert_eq!(watches.triggered(event, "/a"), [A]);
        assert_eq!(watches.triggered(event, "/a"), [A]);
        assert_eq!(watches.triggered(event, "/a/b"), []);
    }
}

#[test]
fn modes_coexist_and_go_one_by_one() {
    let mut watches = Watches::default();
    watches.watch_data(A, "/a");
    watches.add(A, "/a", AddWatchMode::Persistent);
    watches.add(A, "/a", AddWatchMode::PersistentRecursive);
    assert_eq!(watches.triggered(EventType::NodeDataChanged, "/a"), [A]);
    assert!(!watches.contains(A, "/a", WatcherType::Data));
    assert!(watches.contains(A, "/a", WatcherType::Any));
    assert!(watches.remove(A, "/a", WatcherType::Persistent));
    assert!(!watches.remove(A, "/a", WatcherType::Persistent));
    assert!(watches.contains(A, "/a", WatcherType::PersistentRecursive));
    assert!(watches.remove(A, "/a", WatcherType::Any));
    assert!(watches.is_empty());
    assert_eq!(watches.triggered(EventType::NodeDataChanged, "/a"), []);
}

#[test]
fn a_connection_takes_its_watches_with_it() {
    let mut watches = Watches::default();
    watches.watch_data(A, "/a");
    watches.watch_data(B, "/a");
    watches.watch_children(A, "/b");
    watches.add(A, "/", AddWatchMode::PersistentRecursive);
    watches.remove_connection(A);
    assert_eq!(watches.count(), 1);
    assert_eq!(watches.data_summary(), (1, 1, 1));
    assert_eq!(watches.triggered(EventType::NodeDataChanged, "/a"), [B]);
    assert!(watches.is_empty());
}
