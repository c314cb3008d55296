//! What ensembles have: a server without its quorum, a change of members, linearizable reads.

use crate::servers::{Server, member_address};
use quorate_client::{Client, Error, ErrorCode, Mode, Reconfig, State};
use std::time::Duration;

/// Longest wait for a state; a probe for a better server waits up to a minute between two looks.
const WAIT_MAX: Duration = Duration::from_secs(100);

async fn until(client: &Client, state: State) {
    let mut status = client.subscribe();
    let reached = status.wait_for(|status| status.state == state);
    tokio::time::timeout(WAIT_MAX, reached).await.expect("the state is reached").unwrap();
}

#[tokio::test]
async fn a_server_without_quorum_serves_reads_until_a_better_one_is_found() {
    let Some(alone) = Server::member_of(3).await else { return };
    let Some(whole) = Server::member_of(1).await else { return };
    reads_until_a_better_one_is_found(&alone, &whole).await;
}

#[tokio::test]
async fn ours_without_quorum_serves_reads_until_a_better_one_is_found() {
    let Some(alone) = Server::own_member_of(3).await else { return };
    let Some(whole) = Server::own_member_of(1).await else { return };
    reads_until_a_better_one_is_found(&alone, &whole).await;
}

/// Both have read-only mode on: only then does the whole one say to everyone that it takes writes.
async fn reads_until_a_better_one_is_found(alone: &Server, whole: &Server) {
    let client = Client::builder(&alone.hosts).read_only(true).connect().await.unwrap();
    assert_eq!(client.status().state, State::ReadOnly);
    assert!(client.exists("/zookeeper").await.unwrap().is_some());
    let refused = client.create("/a", "").await.unwrap_err();
    assert_eq!(refused, Error::Refused(ErrorCode::NotReadOnly));
    assert!(refused.is_retryable() && !refused.outcome_unknown());
    client.close().await;
    // Who did not ask for such a server does not get it.
    let picky = Client::builder(&alone.hosts).connect_timeout(Duration::from_secs(1));
    assert!(matches!(picky.connect().await, Err(Error::Unreachable)));

    let both = format!("{},{}", alone.hosts, whole.hosts);
    let picky = Client::connect(&both).await.unwrap();
    assert_eq!(picky.status().state, State::Connected);
    picky.close().await;
    // The seed decides which comes first; among a few each does.
    let mut moved = 0;
    for seed in 0..8 {
        let client = Client::builder(&both).read_only(true).seed(seed).connect().await.unwrap();
        moved += usize::from(client.status().state == State::ReadOnly);
        until(&client, State::Connected).await;
        let path = format!("/moved-{seed}");
        client.create(&path, "").mode(Mode::Ephemeral).await.unwrap();
        client.close().await;
    }
    assert!((1..8).contains(&moved), "{moved} of 8 began without quorum");
}

#[tokio::test]
async fn members_are_changed_and_the_configuration_is_watched() {
    let Some(server) = Server::member_of(1).await else { return };
    let client = Client::builder(&format!("{}/app", server.hosts)).connect().await.unwrap();
    let (before, _, mut watch) = client.config_watched().await.unwrap();
    let version_of = |config: &[u8]| {
        let text = String::from_utf8_lossy(config).into_owned();
        let version = text.lines().find_map(|line| line.strip_prefix("version=")).unwrap();
        i64::from_str_radix(version, 16).unwrap()
    };
    let joining = Some(format!("server.2={}:observer;127.0.0.1:1", member_address()));
    let join = Reconfig { joining, from_version: Some(version_of(&before)), ..Reconfig::default() };
    let (joined, _) = client.reconfig(join.clone()).await.unwrap();
    assert!(String::from_utf8_lossy(&joined).contains("server.2="), "{joined:?}");
    let event = watch.next().await.unwrap();
    assert_eq!(event.path, "/zookeeper/config");
    // The same once more is for a version that was.
    assert_eq!(client.reconfig(join).await, Err(Error::BadVersion));
    let leave = Reconfig { leaving: Some("2".to_owned()), ..Reconfig::default() };
    let (left, _) = client.reconfig(leave).await.unwrap();
    assert!(!String::from_utf8_lossy(&left).contains("server.2="), "{left:?}");
    assert_eq!(client.config().await.unwrap().0, left);
    client.close().await;
}

#[tokio::test]
async fn linearizable_reads_are_granted_by_ours_and_refused_by_theirs() {
    let wanting = |server: &Server| Client::builder(&server.hosts).linearizable_reads(true);
    if let Some(ours) = Server::quorate().await {
        let client = wanting(&ours).connect().await.unwrap();
        assert!(client.exists("/zookeeper").await.unwrap().is_some());
        assert_eq!(client.who_am_i().await.unwrap().len(), 1, "it is no identity");
        client.close().await;
    }
    let Some(theirs) = Server::reference().await else { return };
    let refused = wanting(&theirs).connect().await.unwrap_err();
    assert_eq!(refused, Error::LinearizableReadsRefused);
    assert!(refused.is_final());
    let client = wanting(&theirs).start().unwrap();
    assert_eq!(client.get("/").await, Err(Error::LinearizableReadsRefused), "never a weaker read");
}
