//! Connections that are cut, answers that are lost, sessions that end.

use crate::Place;
use crate::proxy::Proxy;
use crate::watches::next;
use quorate_client::{Acl, Bytes, Client, Error, EventKind, Id, Mode, State, perms};
use std::collections::BTreeMap;
use std::time::Duration;

async fn until(client: &Client, state: State) {
    client.subscribe().wait_for(|status| status.state == state).await.unwrap();
}

/// A proxy, a client through it, and a client beside it.
async fn behind_proxy(place: &Place) -> (Proxy, Client, Client) {
    let proxy = Proxy::start(&place.hosts).await;
    let client = place.builder_at(&proxy.address()).connect().await.unwrap();
    (proxy, client, place.client().await)
}

pub async fn watches_tell_what_happened_while_disconnected(place: Place) {
    let (proxy, client, other) = behind_proxy(&place).await;
    other.create("/d", "").await.unwrap();
    other.create("/gone", "").await.unwrap();
    other.create("/quiet", "").await.unwrap();
    let (_, _, mut data) = client.get_watched("/d").await.unwrap();
    let (_, _, mut gone) = client.get_watched("/gone").await.unwrap();
    let (_, _, mut quiet) = client.get_watched("/quiet").await.unwrap();
    let (_, mut created) = client.exists_watched("/new").await.unwrap();
    let (_, mut children) = client.children_watched("/d").await.unwrap();
    let mut lasting = client.watch("/l").await.unwrap();
    let mut tree = client.watch_recursive("/").await.unwrap();
    proxy.set_open(false);
    proxy.cut();
    until(&client, State::Suspended).await;
    other.set("/d", "1", None).await.unwrap();
    other.delete("/gone", None).await.unwrap();
    other.create("/new", "").await.unwrap();
    other.create("/d/c", "").await.unwrap();
    proxy.set_open(true);
    let told = |kind, path: &str| Some((kind, path.to_owned()));
    assert_eq!(next(&mut data).await, told(EventKind::DataChanged, "/d"));
    assert_eq!(next(&mut gone).await, told(EventKind::Deleted, "/gone"));
    assert_eq!(next(&mut created).await, told(EventKind::Created, "/new"));
    assert_eq!(next(&mut children).await, told(EventKind::ChildrenChanged, "/d"));
    assert_eq!(next(&mut lasting).await, told(EventKind::Resumed, "/l"));
    // What the one-shot watches were told reaches every watch that covers it.
    while next(&mut tree).await != told(EventKind::Resumed, "/") {}
    other.set("/quiet", "1", None).await.unwrap();
    assert_eq!(next(&mut quiet).await, told(EventKind::DataChanged, "/quiet"));
    assert_eq!(next(&mut tree).await, told(EventKind::DataChanged, "/quiet"));
    client.close().await;
    other.close().await;
}

pub async fn a_session_goes_on_at_another_address(place: Place) {
    let (first, second) = (Proxy::start(&place.hosts).await, Proxy::start(&place.hosts).await);
    let hosts = format!("{},{}", first.address(), second.address());
    let client = place.builder_at(&hosts).connect().await.unwrap();
    client.create("/mine", "").mode(Mode::Ephemeral).await.unwrap();
    let identity = client.identity();
    for proxy in [&first, &second, &first] {
        proxy.set_open(false);
        proxy.cut();
        client.get("/mine").await.unwrap();
        client.set("/mine", "x", None).await.unwrap();
        proxy.set_open(true);
    }
    assert_eq!(client.identity(), identity);
    assert_eq!(client.ephemerals("/").await.unwrap(), ["/mine"]);
    client.close().await;
}

pub async fn a_lost_answer_is_of_unknown_outcome(place: Place) {
    let (proxy, client, other) = behind_proxy(&place).await;
    other.create("/a", "0").await.unwrap();
    let (_, _, mut done) = other.get_watched("/a").await.unwrap();
    proxy.set_answers(false);
    let (read, write) = (client.get("/a"), client.set("/a", "1", Some(0)));
    let queued_read = client.get("/a");
    next(&mut done).await.unwrap();
    proxy.cut();
    until(&client, State::Suspended).await;
    let queued_write = client.set("/a", "2", None);
    proxy.set_answers(true);
    let error = write.await.unwrap_err();
    assert!(error.outcome_unknown() && !error.is_retryable(), "{error:?}");
    // Reads are asked again, and see what the write did.
    assert_eq!(read.await.unwrap().0, "1");
    assert_eq!(queued_read.await.unwrap().0, "1");
    // What was never sent is sent once.
    assert_eq!(queued_write.await.unwrap().version, 2);
    client.close().await;
    other.close().await;
}

pub async fn calls_can_be_dropped_at_any_time(place: Place) {
    let (proxy, client, other) = behind_proxy(&place).await;
    client.create("/a", "").await.unwrap();
    for round in 0..50 {
        let dropped = client.set("/a", "dropped", None);
        let kept = client.get("/a");
        let polled = async {
            let mut call = std::pin::pin!(client.get_watched("/a"));
            std::future::poll_fn(|cx| {
                let _ = call.as_mut().poll(cx);
                std::task::Poll::Ready(())
            })
            .await;
        };
        polled.await;
        drop(dropped);
        kept.await.unwrap();
        if round % 10 == 9 {
            proxy.cut();
        }
    }
    // What is dropped before it could be sent never is.
    let before = other.get("/a").await.unwrap().1.version;
    proxy.set_open(false);
    proxy.cut();
    until(&client, State::Suspended).await;
    drop(client.set("/a", "never", None));
    let kept = client.set("/a", "kept", None);
    proxy.set_open(true);
    let after = kept.await.unwrap().version;
    assert_eq!(after, before + 1);
    client.close().await;
    other.close().await;
}

pub async fn calls_end_when_their_time_is_over(place: Place) {
    let (proxy, client, other) = behind_proxy(&place).await;
    client.create("/a", "").await.unwrap();
    let hasty = client.with_timeout(Duration::from_millis(100));
    proxy.set_answers(false);
    let (write, read) = (hasty.set("/a", "1", None), hasty.get("/a"));
    let write = write.await.unwrap_err();
    assert!(write.outcome_unknown() && !write.is_retryable());
    assert!(read.await.unwrap_err().is_retryable());
    proxy.set_answers(true);
    assert_eq!(client.get("/a").await.unwrap().0, "1");
    proxy.set_open(false);
    proxy.cut();
    until(&client, State::Suspended).await;
    let error = hasty.set("/a", "2", None).await.unwrap_err();
    assert_eq!(error, Error::TimedOut { outcome_unknown: false });
    proxy.set_open(true);
    client.connected().await.unwrap();
    assert_eq!(client.get("/a").await.unwrap().0, "1");
    client.close().await;
    other.close().await;
}

pub async fn an_expired_session_fails_everything(place: Place) {
    let proxy = Proxy::start(&place.hosts).await;
    let connect = place.builder_at(&proxy.address()).session_timeout(Duration::from_millis(1500));
    let client = connect.connect().await.unwrap();
    let other = place.client().await;
    client.create("/mine", "").mode(Mode::Ephemeral).await.unwrap();
    let mut watch = client.watch("/mine").await.unwrap();
    let (_, mut gone) = other.exists_watched("/mine").await.unwrap();
    proxy.set_open(false);
    proxy.cut();
    until(&client, State::Suspended).await;
    let queued = client.set("/mine", "", None);
    assert_eq!(gone.next().await.unwrap().kind, EventKind::Deleted);
    assert_eq!(client.status().state, State::Suspended);
    proxy.set_open(true);
    assert_eq!(queued.await, Err(Error::SessionExpired));
    until(&client, State::Expired).await;
    assert!(client.get("/").await.unwrap_err().is_final());
    assert_eq!(watch.next().await, None);
    other.close().await;
}

pub async fn credentials_are_sent_again(place: Place) {
    let (proxy, client, other) = behind_proxy(&place).await;
    client.add_auth("digest", "anna:secret").await.unwrap();
    let mine = vec![Acl { perms: perms::ALL, id: Id::new("auth", "") }];
    client.create("/mine", "").acl(mine).await.unwrap();
    for _ in 0..3 {
        proxy.cut();
        until(&client, State::Suspended).await;
        client.set("/mine", "x", None).await.unwrap();
    }
    assert_eq!(other.get("/mine").await, Err(Error::NoAuth));
    client.close().await;
    other.close().await;
}

pub async fn a_session_can_be_taken_over(place: Place) {
    let (proxy, client, _other) = behind_proxy(&place).await;
    client.create("/mine", "").mode(Mode::Ephemeral).await.unwrap();
    // The first one must not come back and take it again.
    proxy.set_open(false);
    let heir = place.builder().resume(client.identity()).connect().await.unwrap();
    assert_eq!(heir.identity().session_id, client.identity().session_id);
    assert_eq!(heir.ephemerals("/").await.unwrap(), ["/mine"]);
    until(&client, State::Suspended).await;
    heir.close().await;
    proxy.set_open(true);
    until(&client, State::Expired).await;
    let refused = place.builder().resume(client.identity()).connect().await;
    assert!(matches!(refused, Err(Error::SessionExpired)), "{refused:?}");
}

pub async fn a_client_that_is_gone_closes_its_session(place: Place) {
    let other = place.client().await;
    let client = place.client().await;
    client.create("/mine", "").mode(Mode::Ephemeral).await.unwrap();
    let (stat, mut gone) = other.exists_watched("/mine").await.unwrap();
    assert!(stat.is_some());
    let mut watch = client.watch("/").await.unwrap();
    drop(client);
    assert_eq!(gone.next().await.unwrap().kind, EventKind::Deleted);
    // Events before the end, then the end.
    while watch.next().await.is_some() {}
    other.close().await;
}

pub async fn cuts_lose_and_double_nothing(place: Place) {
    let (proxy, client, other) = behind_proxy(&place).await;
    let mut outcomes = BTreeMap::new();
    for round in 0..20 {
        let calls: Vec<_> = (0..50)
            .map(|i| {
                let tag = format!("{round}-{i}");
                let path = format!("/n-{tag}-");
                (tag.clone(), client.create(&path, tag).mode(Mode::PersistentSequential).send())
            })
            .collect();
        let mut calls = calls.into_iter();
        // Somewhere in the middle of the answers.
        for (tag, call) in calls.by_ref().take(round * 2) {
            outcomes.insert(tag, call.await);
        }
        proxy.cut();
        for (tag, call) in calls {
            outcomes.insert(tag, call.await);
        }
    }
    // What was cut off may still be on its way, until the session is held by a new connection.
    client.sync("/").await.unwrap();
    let mut done: BTreeMap<Bytes, usize> = BTreeMap::new();
    for name in other.children("/").await.unwrap() {
        *done.entry(other.get(&format!("/{name}")).await.unwrap().0).or_default() += 1;
    }
    assert_eq!(outcomes.len(), 1000);
    for (tag, outcome) in &outcomes {
        let done = done.get(tag.as_bytes()).copied().unwrap_or(0);
        match outcome {
            Ok(_) => assert_eq!(done, 1, "{tag}"),
            Err(error) if error.outcome_unknown() => assert!(done <= 1, "{tag} was done twice"),
            Err(error) => panic!("{tag}: {error}"),
        }
    }
    client.close().await;
    other.close().await;
}
