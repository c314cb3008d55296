//! Watches while the connection stands.

use crate::Place;
use quorate_client::{Error, ErrorCode, EventKind, Watch, WatcherType};

/// The next event, as its kind and path.
pub async fn next(watch: &mut Watch) -> Option<(EventKind, String)> {
    watch.next().await.map(|event| (event.kind, event.path))
}

fn told(kind: EventKind, path: &str) -> Option<(EventKind, String)> {
    Some((kind, path.to_owned()))
}

pub async fn one_shot_watches_tell_once(place: Place) {
    let (client, other) = (place.client().await, place.client().await);
    let (stat, mut created) = client.exists_watched("/a").await.unwrap();
    assert_eq!(stat, None);
    let (_, mut children) = client.children_watched("/").await.unwrap();
    other.create("/a", "1").await.unwrap();
    assert_eq!(next(&mut created).await, told(EventKind::Created, "/a"));
    assert_eq!(next(&mut created).await, None);
    assert_eq!(next(&mut children).await, told(EventKind::ChildrenChanged, "/"));
    let (data, _, mut changed) = client.get_watched("/a").await.unwrap();
    assert_eq!(data, "1");
    let (_, _, mut again) = client.get_watched("/a").await.unwrap();
    let (_, _, mut child) = client.children_with_stat_watched("/a").await.unwrap();
    other.set("/a", "2", None).await.unwrap();
    assert_eq!(next(&mut changed).await, told(EventKind::DataChanged, "/a"));
    assert_eq!(next(&mut again).await, told(EventKind::DataChanged, "/a"));
    other.delete("/a", None).await.unwrap();
    assert_eq!(next(&mut child).await, told(EventKind::Deleted, "/a"));
    assert_eq!(next(&mut changed).await, None);
    // A read that fails sets nothing.
    assert!(matches!(client.get_watched("/a").await, Err(Error::NoNode)));
    client.close().await;
    other.close().await;
}

pub async fn lasting_watches_go_on(place: Place) {
    let (client, other) = (place.client().await, place.client().await);
    let mut node = client.watch("/a").await.unwrap();
    // Servers before 3.9 mix up the two kinds if one connection sets both on one path.
    let third = place.client().await;
    let mut tree = third.watch_recursive("/a").await.unwrap();
    other.create("/a", "").await.unwrap();
    other.create("/a/b", "").await.unwrap();
    other.set("/a/b", "x", None).await.unwrap();
    other.set("/a", "x", None).await.unwrap();
    other.delete("/a/b", None).await.unwrap();
    other.delete("/a", None).await.unwrap();
    use EventKind::{ChildrenChanged, Created, DataChanged, Deleted};
    for kind in [Created, ChildrenChanged, DataChanged, ChildrenChanged, Deleted] {
        assert_eq!(next(&mut node).await, told(kind, "/a"));
    }
    for (kind, path) in [
        (Created, "/a"),
        (Created, "/a/b"),
        (DataChanged, "/a/b"),
        (DataChanged, "/a"),
        (Deleted, "/a/b"),
        (Deleted, "/a"),
    ] {
        assert_eq!(next(&mut tree).await, told(kind, path));
    }
    client.close().await;
    assert_eq!(next(&mut node).await, None);
    third.close().await;
    other.close().await;
}

pub async fn watches_are_shared_and_removed(place: Place) {
    let (client, other) = (place.client().await, place.client().await);
    other.create("/a", "").await.unwrap();
    let first = client.watch("/a").await.unwrap();
    let mut second = client.watch("/a").await.unwrap();
    first.remove().await.unwrap();
    other.set("/a", "1", None).await.unwrap();
    assert_eq!(next(&mut second).await, told(EventKind::DataChanged, "/a"));
    second.remove().await.unwrap();
    let gone = client.remove_watches("/a", WatcherType::Any).await;
    assert_eq!(gone, Err(Error::Refused(ErrorCode::NoWatcher)));

    let (_, _, mut data) = client.get_watched("/a").await.unwrap();
    let (_, mut child) = client.children_watched("/a").await.unwrap();
    client.remove_watches("/a", WatcherType::Data).await.unwrap();
    assert_eq!(next(&mut data).await, told(EventKind::Removed, "/a"));
    assert_eq!(next(&mut data).await, None);
    other.create("/a/b", "").await.unwrap();
    assert_eq!(next(&mut child).await, told(EventKind::ChildrenChanged, "/a"));

    // Dropping a stream takes the watch off, too; a new one on the same path is not disturbed.
    drop(client.watch("/a").await.unwrap());
    let mut kept = client.watch("/a").await.unwrap();
    drop(client.watch("/a"));
    other.set("/a", "2", None).await.unwrap();
    assert_eq!(next(&mut kept).await, told(EventKind::DataChanged, "/a"));
    client.close().await;
    other.close().await;
}

pub async fn a_slow_consumer_is_told_that_it_lags(place: Place) {
    let client = place.builder().watch_buffer(3).connect().await.unwrap();
    client.create("/a", "").await.unwrap();
    let mut watch = client.watch("/a").await.unwrap();
    // The event of a change comes before the answer of the write.
    for i in 0..10 {
        client.set("/a", i.to_string(), None).await.unwrap();
    }
    for _ in 0..3 {
        assert_eq!(next(&mut watch).await, told(EventKind::DataChanged, "/a"));
    }
    assert_eq!(next(&mut watch).await, told(EventKind::Lagged, "/a"));
    client.delete("/a", None).await.unwrap();
    assert_eq!(next(&mut watch).await, told(EventKind::Deleted, "/a"));
    client.close().await;
}
