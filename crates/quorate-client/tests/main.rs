//! One suite for every server: what passes on the reference must pass on ours.
//!
//! Every scenario has a chroot of its own, so that they disturb nobody on a server that is shared.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod data;
mod ensemble;
mod faults;
mod proxy;
mod servers;
mod watches;

use quorate_client::{Client, Error, Mode};
use servers::Server;
use std::pin::Pin;
use std::time::Duration;

/// Longest scenario, on a machine that is busy with other things.
const SCENARIO_TIME_MAX: Duration = Duration::from_secs(60);

/// What a scenario has: the servers, and a root of its own.
#[derive(Clone)]
struct Place {
    /// Without a chroot.
    hosts: String,
    root: String,
    /// Whether the suite started the servers, and so knows their configuration.
    is_ours: bool,
}

impl Place {
    fn builder(&self) -> quorate_client::Builder {
        self.builder_at(&self.hosts)
    }

    /// The same root through other addresses.
    fn builder_at(&self, hosts: &str) -> quorate_client::Builder {
        Client::builder(&format!("{hosts}{}", self.root)).session_timeout(Duration::from_secs(8))
    }

    async fn client(&self) -> Client {
        self.builder().connect().await.unwrap()
    }
}

type Scenario = fn(Place) -> Pin<Box<dyn Future<Output = ()>>>;

/// Names scenarios once: the function is its name.
macro_rules! scenarios {
    ($($module:ident::$name:ident,)*) => {
        &[$((stringify!($name), |place| Box::pin($module::$name(place)))),*]
    };
}

const SCENARIOS: &[(&str, Scenario)] = scenarios![
    data::nodes_are_created_read_changed_and_deleted,
    data::modes_make_what_they_say,
    data::sizes_are_kept_within_bounds,
    data::access_lists_hold_and_credentials_open_them,
    data::transactions_are_all_or_nothing,
    data::other_operations_answer,
    data::a_thousand_calls_are_answered_in_order,
    data::a_chroot_hides_what_is_above,
    watches::one_shot_watches_tell_once,
    watches::lasting_watches_go_on,
    watches::watches_are_shared_and_removed,
    watches::a_slow_consumer_is_told_that_it_lags,
    faults::watches_tell_what_happened_while_disconnected,
    faults::a_session_goes_on_at_another_address,
    faults::a_lost_answer_is_of_unknown_outcome,
    faults::calls_can_be_dropped_at_any_time,
    faults::calls_end_when_their_time_is_over,
    faults::an_expired_session_fails_everything,
    faults::credentials_are_sent_again,
    faults::a_session_can_be_taken_over,
    faults::a_client_that_is_gone_closes_its_session,
    faults::cuts_lose_and_double_nothing,
];

async fn conform(server: Server) {
    for (name, scenario) in SCENARIOS {
        eprintln!("{name}");
        let root = format!("/conformance-{name}-{}", std::process::id());
        let client = Client::connect(&server.hosts).await.unwrap();
        client.create(&root, "").await.unwrap();
        let (hosts, is_ours) = (server.hosts.clone(), server.is_ours());
        let place = Place { hosts, root: root.clone(), is_ours };
        if tokio::time::timeout(SCENARIO_TIME_MAX, scenario(place)).await.is_err() {
            panic!("{name} takes too long");
        }
        remove(&client, &root).await;
        client.close().await;
    }
}

/// Deletes a node and all below it, whoever else deletes there.
async fn remove(client: &Client, path: &str) {
    for name in client.children(path).await.unwrap_or_default() {
        Box::pin(remove(client, &format!("{path}/{name}"))).await;
    }
    match client.delete(path, None).await {
        Ok(()) | Err(Error::NoNode) => {}
        Err(error) => panic!("{path} stays: {error}"),
    }
}

fn run(server: impl Future<Output = Option<Server>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(server) = server.await {
            conform(server).await;
        }
    });
}

#[test]
fn the_reference_conforms() {
    run(Server::reference());
}

#[test]
fn the_newest_reference_conforms() {
    run(Server::newest_reference());
}

#[test]
fn quorate_conforms() {
    run(Server::quorate());
}

#[test]
fn the_named_servers_conform() {
    run(async { Server::named() });
}

#[tokio::test]
async fn a_client_without_a_server_queues_then_says_that_it_is_closed() {
    // A port that was free a moment ago, and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::builder(&format!("127.0.0.1:{port}")).outstanding_max(2).start().unwrap();
    let first = client.get("/a");
    let second = client.create("/b", "").mode(Mode::Ephemeral).send();
    tokio::task::yield_now().await;
    assert_eq!(client.set("/a", "", None).await, Err(Error::Overloaded));
    drop(first);
    let timed = client.with_timeout(Duration::from_millis(20)).set("/a", "", None).await;
    assert_eq!(timed, Err(Error::TimedOut { outcome_unknown: false }));
    assert_eq!(client.get("a").await, Err(Error::InvalidPath("a".to_owned())));
    let other = client.clone();
    client.close().await;
    assert_eq!(second.await, Err(Error::Closed));
    assert_eq!(other.get("/a").await, Err(Error::Closed));
}
