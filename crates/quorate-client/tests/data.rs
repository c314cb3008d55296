//! Nodes, access lists, transactions, order: everything that needs no fault.

use crate::Place;
use quorate_client::{
    Acl, Bytes, Client, Error, ErrorCode, Id, Mode, OpResult, ReadOp, ReadResult, Transaction,
    perms,
};
use std::time::Duration;

pub async fn nodes_are_created_read_changed_and_deleted(place: Place) {
    let client = place.client().await;
    let created = client.create("/a", "one").await.unwrap();
    assert_eq!((created.path.as_str(), created.stat.version), ("/a", 0));
    assert_eq!(client.create("/a", "").await, Err(Error::NodeExists));
    assert_eq!(client.create("/no/b", "").await, Err(Error::NoNode));
    let (data, stat) = client.get("/a").await.unwrap();
    assert_eq!((data, stat), (Bytes::from("one"), created.stat));
    assert_eq!(client.set("/a", "two", Some(7)).await, Err(Error::BadVersion));
    let stat = client.set("/a", "two", Some(0)).await.unwrap();
    assert_eq!((stat.version, stat.data_length), (1, 3));
    assert_eq!(client.exists("/a").await, Ok(Some(stat)));
    assert_eq!(client.exists("/b").await, Ok(None));
    assert_eq!(client.get("/b").await, Err(Error::NoNode));
    client.create("/a/x", "").await.unwrap();
    client.create("/a/y", "").await.unwrap();
    let mut names = client.children("/a").await.unwrap();
    names.sort();
    assert_eq!(names, ["x", "y"]);
    let (names, stat) = client.children_with_stat("/a").await.unwrap();
    assert_eq!((names.len(), stat.num_children, stat.cversion), (2, 2, 2));
    assert_eq!(client.delete("/a", None).await, Err(Error::NotEmpty));
    client.delete("/a/x", Some(0)).await.unwrap();
    assert_eq!(client.delete("/a/x", None).await, Err(Error::NoNode));
    assert_eq!(client.delete("/a/", None).await, Err(Error::InvalidPath("/a/".to_owned())));
    client.close().await;
}

pub async fn modes_make_what_they_say(place: Place) {
    let client = place.client().await;
    let create = |path: &'static str, mode| client.create(path, "").mode(mode).send();
    let first = create("/s-", Mode::PersistentSequential).await.unwrap().path;
    let second = create("/s-", Mode::PersistentSequential).await.unwrap().path;
    assert_eq!((first.as_str(), second.as_str()), ("/s-0000000000", "/s-0000000001"));
    let ephemeral = create("/e", Mode::Ephemeral).await.unwrap();
    assert_eq!(ephemeral.stat.ephemeral_owner, client.identity().session_id);
    assert_eq!(
        client.create("/e/child", "").await,
        Err(Error::Refused(ErrorCode::NoChildrenForEphemerals))
    );
    let path = create("/es-", Mode::EphemeralSequential).await.unwrap().path;
    assert!(path.starts_with("/es-00000000"), "{path}");
    let mut mine = client.ephemerals("/").await.unwrap();
    mine.sort();
    assert_eq!(mine, ["/e".to_owned(), path]);
    assert_eq!(create("/c", Mode::Container).await.unwrap().stat.ephemeral_owner, 0);
    // Off by default, so a server that the suite did not start may refuse it.
    let life = Duration::from_secs(1000);
    match create("/t", Mode::PersistentWithTtl(life)).await {
        Ok(created) => {
            assert_eq!((created.path.as_str(), created.stat.ephemeral_owner), ("/t", 0));
            let created = create("/t-", Mode::PersistentSequentialWithTtl(life)).await.unwrap();
            assert!(created.path.starts_with("/t-00000000"), "{created:?}");
        }
        Err(error) => {
            assert_eq!(error, Error::Refused(ErrorCode::Unimplemented));
            assert!(!place.is_ours, "a server of the suite's own has it on");
        }
    }
    client.close().await;
    let other = place.client().await;
    assert_eq!(other.exists("/e").await, Ok(None));
    assert!(other.exists("/c").await.unwrap().is_some());
    other.close().await;
}

pub async fn sizes_are_kept_within_bounds(place: Place) {
    let client = place.client().await;
    let large = vec![7_u8; 1_000_000];
    client.create("/large", large.clone()).await.unwrap();
    assert_eq!(client.get("/large").await.unwrap().0, large);
    let too_large = client.set("/large", vec![0; 1_100_000], None).await;
    assert!(matches!(too_large, Err(Error::TooLarge { .. })), "{too_large:?}");
    client.set("/large", "", None).await.unwrap();
    assert_eq!(client.get("/large").await.unwrap().0, "");
    client.close().await;
}

pub async fn access_lists_hold_and_credentials_open_them(place: Place) {
    let owner = place.builder().auth("digest", "anna:secret").connect().await.unwrap();
    let mine = vec![Acl { perms: perms::ALL, id: Id::new("auth", "") }];
    owner.create("/mine", "x").acl(mine).await.unwrap();
    let (acl, stat) = owner.acl("/mine").await.unwrap();
    assert_eq!((acl[0].id.scheme.as_str(), acl[0].perms, stat.aversion), ("digest", 31, 0));
    assert!(acl[0].id.id.starts_with("anna:"), "{acl:?}");
    let ids = owner.who_am_i().await.unwrap();
    assert!(ids.contains(&Id::new("digest", "anna")), "{ids:?}");

    let stranger = place.client().await;
    assert_eq!(stranger.get("/mine").await, Err(Error::NoAuth));
    assert_eq!(stranger.set("/mine", "", None).await, Err(Error::NoAuth));
    stranger.add_auth("digest", "anna:secret").await.unwrap();
    assert_eq!(stranger.get("/mine").await.unwrap().0, "x");
    assert_eq!(owner.set_acl("/mine", Acl::open(), Some(3)).await, Err(Error::BadVersion));
    assert_eq!(owner.set_acl("/mine", Acl::read_only(), Some(0)).await.unwrap().aversion, 1);
    assert!(matches!(owner.set_acl("/mine", vec![], None).await, Err(Error::InvalidArgument(_))));

    // A scheme that no server knows is refused, and that is final.
    assert_eq!(stranger.add_auth("no-such-scheme", "x").await, Err(Error::AuthFailed));
    assert_eq!(stranger.get("/mine").await, Err(Error::AuthFailed));
    owner.close().await;
}

pub async fn transactions_are_all_or_nothing(place: Place) {
    let client = place.client().await;
    client.create("/a", "").await.unwrap();
    let transaction = Transaction::new()
        .check("/a", Some(0))
        .set("/a", "1", Some(0))
        .create("/a/s-", "", Mode::PersistentSequential)
        .create("/b", "", Mode::Ephemeral)
        .delete("/b", None);
    let results = client.multi(transaction).await.unwrap();
    assert_eq!(results.len(), 5);
    assert_eq!((&results[0], &results[4]), (&OpResult::Checked, &OpResult::Deleted));
    assert!(matches!(&results[1], OpResult::Set(stat) if stat.version == 1), "{results:?}");
    assert!(matches!(&results[2], OpResult::Created(path, _) if path == "/a/s-0000000000"));
    let failing = Transaction::new().set("/a", "2", None).delete("/none", None).delete("/a", None);
    let error = client.multi(failing).await.unwrap_err();
    assert_eq!(error, Error::Transaction { index: 1, error: Box::new(Error::NoNode) });
    assert!(!error.outcome_unknown());
    assert_eq!(client.get("/a").await.unwrap().0, "1");
    assert_eq!(client.multi(Transaction::new()).await, Ok(vec![]));
    let reads = vec![
        ReadOp::Data("/a".to_owned()),
        ReadOp::Children("/a".to_owned()),
        ReadOp::Data("/none".to_owned()),
    ];
    let results = client.multi_read(reads).await.unwrap();
    assert!(matches!(&results[0], Ok(ReadResult::Data(Some(data), _)) if data == "1"));
    assert_eq!(results[1], Ok(ReadResult::Children(vec!["s-0000000000".to_owned()])));
    assert_eq!(results[2], Err(Error::NoNode));
    client.close().await;
}

pub async fn other_operations_answer(place: Place) {
    let client = place.client().await;
    client.sync("/").await.unwrap();
    client.create("/a", "").await.unwrap();
    client.create("/a/b", "").await.unwrap();
    assert_eq!(client.descendant_count("/").await, Ok(2));
    assert_eq!(client.descendant_count("/none").await, Err(Error::NoNode));
    // The configuration is found whatever the chroot, and a stranger cannot change it.
    let (_, stat) = client.config().await.unwrap();
    assert_eq!(stat.num_children, 0);
    let change = quorate_client::Reconfig { leaving: Some("9".into()), ..Default::default() };
    let refused = client.reconfig(change).await.unwrap_err();
    assert!(matches!(refused, Error::Refused(_) | Error::NoAuth), "{refused:?}");
    client.close().await;
}

pub async fn a_thousand_calls_are_answered_in_order(place: Place) {
    let client = place.client().await;
    client.create("/n", "").await.unwrap();
    let calls: Vec<_> = (0..1000)
        .map(|i| {
            // Each read must see the write before it and none after it.
            (client.set("/n", i.to_string(), Some(i)), client.get("/n"))
        })
        .collect();
    let mut last = 0;
    for (i, (write, read)) in calls.into_iter().enumerate() {
        let stat = write.await.unwrap();
        let (data, seen) = read.await.unwrap();
        assert_eq!((data, seen), (Bytes::from(i.to_string()), stat));
        assert!(stat.mzxid > last);
        last = stat.mzxid;
    }
    client.close().await;
}

pub async fn a_chroot_hides_what_is_above(place: Place) {
    let outer = place.client().await;
    outer.create("/in", "root").await.unwrap();
    let servers = format!("{}{}/in", place.hosts, place.root);
    let inner = Client::builder(&servers).connect().await.unwrap();
    assert_eq!(inner.get("/").await.unwrap().0, "root");
    let mut watch = inner.watch_recursive("/").await.unwrap();
    let created = inner.create("/x-", "").mode(Mode::EphemeralSequential).await.unwrap();
    assert_eq!(created.path, "/x-0000000000");
    let event = watch.next().await.unwrap();
    assert_eq!(
        (event.path.as_str(), event.zxid),
        ("/x-0000000000", watch_zxid(&created, event.zxid))
    );
    assert_eq!(inner.ephemerals("/").await.unwrap(), ["/x-0000000000"]);
    assert_eq!(outer.children("/in").await.unwrap(), ["x-0000000000"]);
    inner.close().await;
    outer.close().await;
}

/// Servers before 3.9 do not say which transaction an event comes from.
fn watch_zxid(created: &quorate_client::Created, said: i64) -> i64 {
    if said == -1 { -1 } else { created.stat.czxid }
}
