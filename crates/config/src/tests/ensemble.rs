//! Ensembles: when there is one, what it is told, and what is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::NodeId;
use wire::quorum::Role;

use super::*;

const THREE: &str = "initLimit=10\nsyncLimit=5\n\
    server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n";

/// What the lines make, with other files: `myid`, dynamic ones.
fn load_with(lines: &str, files: &[(&str, &str)]) -> Result<Loaded, Errors> {
    let files: BTreeMap<PathBuf, Vec<u8>> =
        files.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect();
    let text = format!("dataDir=/d\nclientPort=2181\n{lines}");
    let sources = Sources::new().file("zoo.cfg", text.as_bytes());
    sources.config_with_files(&|path| Ok(files.get(path).cloned()))
}

fn load(lines: &str) -> Result<Loaded, Errors> {
    load_with(lines, &[("/d/myid", "1\n")])
}

fn ensemble(lines: &str) -> Ensemble {
    load(lines).expect("valid").config.ensemble.expect("an ensemble")
}

fn check(lines: &str, expected: Expect) {
    expected.assert_eq(&outcome(load(lines)));
}

fn check_with(lines: &str, files: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&outcome(load_with(lines, files)));
}

#[test]
fn three_servers_make_an_ensemble() {
    let loaded = load(THREE).expect("valid");
    assert_eq!(loaded.warnings, []);
    let ensemble = loaded.config.ensemble.expect("an ensemble");
    assert_eq!((ensemble.me, ensemble.role()), (NodeId(1), Role::Participant));
    assert_eq!(ensemble.committed.version(), 0);
    assert_eq!(ensemble.committed.voters().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((ensemble.last_seen, ensemble.force_snapshot), (None, false));
    assert!(ensemble.leader_serves);
    assert_eq!(ensemble.log_per_snapshot, Some(0.33));
    assert_eq!(
        ensemble.files,
        Some(Files { static_file: PathBuf::from("zoo.cfg"), dynamic_file: None })
    );
    let times = ensemble.times;
    assert_eq!((times.init_ticks, times.sync_ticks), (10, 5));
    assert_eq!((times.election_connect, times.election_opening), (seconds(5), seconds(15)));
}

#[test]
fn the_time_for_an_opening_is_in_ticks_or_its_own() {
    let times = |lines: &str| ensemble(&format!("{THREE}tickTime=100\n{lines}")).times;
    assert_eq!(times("quorumCnxnTimeoutMs=-1").election_opening.as_millis(), 500);
    assert_eq!(times("quorumCnxnTimeoutMs=30").election_opening.as_millis(), 30);
}

#[test]
fn a_negative_factor_sends_no_log() {
    assert_eq!(ensemble(&format!("{THREE}snapshotSizeFactor=-1")).log_per_snapshot, None);
}

#[test]
fn standalone_enabled_decides_about_a_single_participant() {
    let one = "initLimit=10\nsyncLimit=5\nserver.1=a:2888:3888\n";
    let alone = load(one).expect("valid");
    assert_eq!(alone.config.ensemble, None);
    let ensemble = ensemble(&format!("{one}standaloneEnabled=false"));
    assert!(!ensemble.rules.standalone);
    check(
        &format!("{one}server.2=b:2888:3888:observer"),
        expect![[r#"
        refused
        zoo.cfg line 5: server.1=a:2888:3888: there are observers, and a single participant is no ensemble (allowed: two participants or more, or standaloneEnabled=false with one)
    "#]],
    );
    check(
        "initLimit=1\nsyncLimit=1\nstandaloneEnabled=false\nserver.2=b:2888:3888:observer\nserver.1=a:1:2:observer",
        expect![[r#"
            refused
            zoo.cfg line 6: server.2=b:2888:3888:observer: there are no participants (allowed: at least one participant)
        "#]],
    );
    check(
        "standaloneEnabled=false",
        expect![[r#"
        refused
        zoo.cfg line 3: standaloneEnabled=false: there is no server.N, and a quorum needs one (allowed: true, or server.N)
    "#]],
    );
    check(
        "initLimit=1\nsyncLimit=1\nserver.1=a:1:2\nserver.2=b:1:2",
        expect![[r#"
        accepted
        zoo.cfg line 5: 2 participants survive no failure: 3 are needed for that
    "#]],
    );
    check(
        &format!("{THREE}server.4=d:1:2"),
        expect![[r#"
        accepted
        zoo.cfg line 5: 4 participants survive no more failures than 3
    "#]],
    );
}

#[test]
fn every_broken_line_is_told() {
    let lines = "server.1=a:2888:3888\nserver.01=b:2888:3888\nserver.x=a:1:2\nserver.-3=c:1:2\n\
        server.4=d:0:2\nserver.5=a:1:3888\nserver.6=f:7:7\nserver.7=g:1:70000\nserver.8=h:1:2|i:1:2\n\
        group.1=1:x\ngroup.2=2:2\nweight.1=-1\nserver.1=z:1:2\nserver.9=i:1:2:leader";
    check(
        lines,
        expect![[r#"
        refused
        zoo.cfg line 5: server.x=a:1:2: "x" is not the number of a server (allowed: server.N=host:port:port[:role][;[host:]port])
        zoo.cfg line 6: server.-3=c:1:2: "-3" is not the number of a server (allowed: server.N=host:port:port[:role][;[host:]port])
        zoo.cfg line 7: server.4=d:0:2: at port 0 no other server would find it (allowed: server.N=host:port:port[:role][;[host:]port])
        zoo.cfg line 9: server.6=f:7:7: 7 cannot be both the quorum and the election port (allowed: server.N=host:port:port[:role][;[host:]port])
        zoo.cfg line 10: server.7=g:1:70000: 70000 is not a port: these go from 0 to 65535 (allowed: server.N=host:port:port[:role][;[host:]port])
        zoo.cfg line 11: server.8=h:1:2|i:1:2: several addresses need multiAddress.enabled (allowed: server.N=host:port:port[:role][;[host:]port])
        zoo.cfg line 12: group.1=1:x: "x" is not a number (allowed: group.G=N:N:..., each server in one group)
        zoo.cfg line 13: group.2=2:2: server 2 is in another group already (allowed: group.G=N:N:..., each server in one group)
        zoo.cfg line 14: weight.1=-1: weights go from 0 to 2^63 - 1, together too (allowed: weight.N=a whole number, at least 0)
        zoo.cfg line 15: server.1=z:1:2: it is there twice (allowed: one line for each)
        zoo.cfg line 15: server.1=z:1:2: it is there already: zoo.cfg line 4 has server.01 (allowed: server.N=host:port:port[:role][;[host:]port])
        zoo.cfg line 16: server.9=i:1:2:leader: "leader" is neither participant nor observer (allowed: server.N=host:port:port[:role][;[host:]port])
        zoo.cfg: initLimit is not set (allowed: a number of ticks, as initLimit=10)
        zoo.cfg: syncLimit is not set (allowed: a number of ticks, as syncLimit=5)
    "#]],
    );
}

#[test]
fn groups_hold_every_participant_once() {
    let groups = "group.1=1:2\ngroup.2=3\nweight.3=0\n";
    let ensemble = ensemble(&format!("{THREE}{groups}"));
    assert!(ensemble.committed.has_groups() && ensemble.committed.weight(3) == 0);
    check(
        &format!("{THREE}group.1=1:2"),
        expect![[r#"
        refused
        zoo.cfg line 7: server.3=c:2888:3888: the server is a participant and in no group (allowed: every participant in a group, or no groups)
    "#]],
    );
    check(
        &format!("{THREE}group.1=1:2:3\ngroup.2=3"),
        expect![[r#"
        refused
        zoo.cfg line 9: group.2=3: server 3 is in another group already (allowed: group.G=N:N:..., each server in one group)
    "#]],
    );
    check(
        &format!("{THREE}group.1=1:2:3:4"),
        expect![[r#"
        refused
        zoo.cfg line 8: group.1=1:2:3:4: server 4 is no participant and has no weight (allowed: group.G=N:N:..., each server in one group)
    "#]],
    );
}

#[test]
fn an_ensemble_needs_limits_and_its_own_number() {
    let servers = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
    check_with(
        servers,
        &[],
        expect![[r#"
        refused
        zoo.cfg: initLimit is not set (allowed: a number of ticks, as initLimit=10)
        zoo.cfg: syncLimit is not set (allowed: a number of ticks, as syncLimit=5)
        /d/myid: there is no such file, so this server does not know its number (allowed: the N of this server's server.N, and nothing else)
    "#]],
    );
    check(
        &format!("initLimit=0\nsyncLimit=x\n{servers}"),
        expect![[r#"
        refused
        zoo.cfg line 3: initLimit=0: an ensemble needs some time for it (allowed: a number of ticks, as initLimit=10)
        zoo.cfg line 4: syncLimit=x: not a whole number of ticks (allowed: 0 to 2147483647 ticks)
    "#]],
    );
    for (my_id, expected) in [
        (
            "",
            expect![[r#"
            refused
            /d/myid: "" is not the number of a server (allowed: the N of this server's server.N, and nothing else)
        "#]],
        ),
        (
            "one",
            expect![[r#"
            refused
            /d/myid: "one" is not the number of a server (allowed: the N of this server's server.N, and nothing else)
        "#]],
        ),
        (
            "-1",
            expect![[r#"
            refused
            /d/myid: "-1" is not the number of a server (allowed: the N of this server's server.N, and nothing else)
        "#]],
        ),
        (
            "4",
            expect![[r#"
            refused
            /d/myid: this server is 4, and the servers are 1, 2, 3 (allowed: the N of this server's server.N, and nothing else)
        "#]],
        ),
        (
            "18446744073709551615",
            expect![[r#"
            refused
            /d/myid: "18446744073709551615" is not the number of a server (allowed: the N of this server's server.N, and nothing else)
        "#]],
        ),
    ] {
        check_with(THREE, &[("/d/myid", my_id)], expected);
    }
    let first_line = load_with(THREE, &[("/d/myid", " 2 \nmore")]).expect("valid").config;
    assert_eq!(first_line.ensemble.map(|ensemble| ensemble.me), Some(NodeId(2)));
    let unreadable = Sources::new().file("zoo.cfg", complete(THREE).as_bytes());
    let unreadable = unreadable.config_with_files(&|_| Err("permission denied".to_owned()));
    expect![[r#"
        refused
        /d/myid: permission denied (allowed: the N of this server's server.N, and nothing else)
    "#]]
    .assert_eq(&outcome(unreadable));
}

#[test]
fn the_command_line_can_give_the_number_and_the_servers() {
    let sources = || {
        let servers = [("server.1", "a:1:2;2191"), ("server.2", "b:1:2"), ("server.3", "c:1:2")];
        servers.into_iter().fold(Sources::new(), |sources, (key, value)| sources.option(key, value))
    };
    let config = sources().my_id(1).config().expect("valid").config;
    assert_eq!(config.listen.port, 2191);
    let ensemble = config.ensemble.expect("an ensemble");
    assert_eq!((ensemble.times.init_ticks, ensemble.times.sync_ticks), (10, 5));
    assert_eq!(ensemble.files, None);
    expect![[r#"
        refused
        command line: this server is 4, and the servers are 1, 2, 3 (allowed: the N of this server's server.N, and nothing else)
    "#]].assert_eq(&outcome(sources().my_id(4).config()));
    let other = sources().my_id(1).config_with_files(&|_| Ok(Some(b"2".to_vec())));
    expect![[r#"
        refused
        ./quorate-data/myid: it says 2, and the command line says 1 (allowed: the N of this server's server.N, and nothing else)
    "#]].assert_eq(&outcome(other));
}

#[test]
fn clients_are_served_where_the_own_line_says() {
    let lines = |own: &str| THREE.replace("a:2888:3888", &format!("a:2888:3888;{own}"));
    let listen = |own: &str| load(&lines(own)).expect("valid").config.listen;
    assert_eq!(listen("2181").address, None);
    assert_eq!(listen("h:2181").address.as_deref(), Some("h"));
    check(
        &lines("2182"),
        expect![[r#"
        refused
        zoo.cfg line 5: server.1=a:2888:3888;2182: clientPort says 0.0.0.0:2181 (allowed: the same client address in both, or in one of them only)
    "#]],
    );
    check(
        &lines("2181;2281"),
        expect![[r#"
        accepted
        zoo.cfg line 5: server.1: its client port for TLS stays closed: TLS is not built yet
    "#]],
    );
    let without = |lines: &str| {
        let text = format!("dataDir=/d\n{lines}");
        Sources::new().file("zoo.cfg", text.as_bytes()).my_id(1).config()
    };
    let config = without(&lines("2182")).expect("the line has the port").config;
    assert_eq!(config.listen.port, 2182);
    expect![[r#"
        refused
        zoo.cfg: clientPort is not set (allowed: a port, as clientPort=2181)
    "#]]
    .assert_eq(&outcome(without(THREE)));
}

#[test]
fn the_line_says_whether_a_server_votes() {
    let lines = format!("{THREE}server.4=d:2888:3888:observer\n");
    let of = |lines: &str| load_with(lines, &[("/d/myid", "4")]);
    let ensemble = of(&lines).expect("valid").config.ensemble.expect("an ensemble");
    assert_eq!(ensemble.role(), Role::Observer);
    assert_eq!(of(&format!("{lines}peerType=observer")).expect("valid").warnings, []);
    check(
        &format!("{lines}peerType=observer"),
        expect![[r#"
        accepted
        zoo.cfg line 9: peerType=observer: server.1 says participant, and that holds
    "#]],
    );
    check(
        "peerType=observer",
        expect![[r#"
        accepted
        zoo.cfg line 3: peerType=observer: without effect, the server runs alone
    "#]],
    );
}

#[test]
fn numbers_of_servers_are_in_session_ids() {
    let lines = format!("{THREE}server.257=d:1:2\nserver.300=e:1:2\nextendedTypesEnabled=true\n");
    let without_types = lines.replace("true", "false");
    check(
        &without_types,
        expect![[r#"
        accepted
        zoo.cfg line 5: the numbers 1 and 257 agree in the last 8 bits, so their sessions may get the same ids
    "#]],
    );
    check_with(
        &lines,
        &[("/d/myid", "300")],
        expect![[r#"
        refused
        zoo.cfg line 10: extendedTypesEnabled=true: this server's number is 300 (allowed: false, or numbers of servers up to 254)
    "#]],
    );
}

#[test]
fn no_two_servers_have_one_address() {
    check(
        &THREE.replace("=b:", "=A:"),
        expect![[r#"
        refused
        zoo.cfg line 6: server.2=A:2888:3888: A:2888 is an address of server 1 already (allowed: server.N=host:port:port[:role][;[host:]port])
    "#]],
    );
    check(
        &THREE.replace("=c:2888:3888", "=b:1:2888"),
        expect![[r#"
        refused
        zoo.cfg line 7: server.3=b:1:2888: b:2888 is an address of server 2 already (allowed: server.N=host:port:port[:role][;[host:]port])
    "#]],
    );
    let clients = "server.4=d:1:2;h:5\nserver.5=e:1:2;h:5\nserver.6=f:1:2;5\nserver.7=g:1:2;5";
    check(
        &format!("{THREE}{clients}"),
        expect![[r#"
        refused
        zoo.cfg line 9: server.5=e:1:2;h:5: h:5 is an address of server 4 already (allowed: server.N=host:port:port[:role][;[host:]port])
    "#]],
    );
}

#[test]
fn dynamic_files_hold_the_servers() {
    let lines = "initLimit=10\nsyncLimit=5\nreconfigEnabled=true\ndynamicConfigFile=/c/zoo.cfg.dynamic.10000000a\n";
    let servers = "server.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2\nserver.3=c:1:2";
    let file = "/c/zoo.cfg.dynamic.10000000a";
    let load = |next: Option<&str>, lines: &str| {
        let mut files = vec![("/d/myid", "1"), (file, servers)];
        files.extend(next.map(|next| ("zoo.cfg.dynamic.next", next)));
        load_with(lines, &files).expect("valid").config.ensemble.expect("an ensemble")
    };
    let read = load(None, lines);
    assert_eq!((read.committed.version(), read.last_seen), (0x1_0000_000a, None));
    assert_eq!(read.files.and_then(|files| files.dynamic_file), Some(PathBuf::from(file)));
    let next = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\nversion=10000000b";
    let seen = load(Some(next), lines).last_seen.expect("a later one");
    assert_eq!((seen.version(), seen.servers().len()), (0x1_0000_000b, 4));
    assert_eq!(load(Some(&next.replace("10000000b", "9")), lines).last_seen, None);
    assert_eq!(load(Some(next), &lines.replace("true", "false")).last_seen, None);

    let one = |text| [("/d/myid", "1"), (file, text)];
    check_with(
        lines,
        &[("/d/myid", "1")],
        expect![[r#"
        refused
        zoo.cfg line 6: dynamicConfigFile=/c/zoo.cfg.dynamic.10000000a: there is no such file (allowed: a file with server.N)
    "#]],
    );
    check_with(
        &format!("{lines}server.1=a:1:2\ngroup.1=1\n"),
        &one(servers),
        expect![[r#"
        refused
        zoo.cfg line 7: server.1=a:1:2: dynamicConfigFile is set (allowed: server.1 in the file that dynamicConfigFile names)
        zoo.cfg line 8: group.1=1: dynamicConfigFile is set (allowed: group.1 in the file that dynamicConfigFile names)
    "#]],
    );
    check_with(
        lines,
        &one("server.1=a:1:2\nversion=5\nclientPort=7"),
        expect![[r#"
        refused
        /c/zoo.cfg.dynamic.10000000a line 2: version=5: the version stands in the file's name (allowed: server.N, group.G and weight.N)
        /c/zoo.cfg.dynamic.10000000a line 3: clientPort=7: not a key of such a file (allowed: server.N, group.G and weight.N)
    "#]],
    );
    check_with(
        lines,
        &one("# nothing"),
        expect![[r#"
        refused
        zoo.cfg line 6: dynamicConfigFile=/c/zoo.cfg.dynamic.10000000a: the file names no servers (allowed: a file with server.N)
    "#]],
    );
    check_with(
        lines,
        &one("server.1=a\nserver.2=b:1:2\nbad=\\u1"),
        expect![[r#"
        refused
        /c/zoo.cfg.dynamic.10000000a line 3: malformed \uXXXX escape (allowed: \u with 4 hex digits, or \\ for a backslash)
    "#]],
    );
    check_with(
        lines,
        &one("server.1=a:1:2;7\nserver.2=b:1:2\nserver.3=c:1:2"),
        expect![[r#"
        refused
        /c/zoo.cfg.dynamic.10000000a line 1: server.1=a:1:2;7: clientPort says 0.0.0.0:2181 (allowed: the same client address in both, or in one of them only)
    "#]],
    );
    let broken = [("/d/myid", "1"), (file, servers), ("zoo.cfg.dynamic.next", "server.1=a")];
    check_with(
        lines,
        &broken,
        expect![[r#"
        refused
        zoo.cfg.dynamic.next line 1: server.1=a: "a" is not host:port:port[:role][;[host:]port[;[host:]port]] (allowed: server.N=host:port:port[:role][;[host:]port])
    "#]],
    );
}

#[test]
fn what_is_not_built_between_servers_is_refused() {
    let lines = "sslQuorum=true\nquorum.auth.enableSasl=true\noraclePath=/o\nobserverMasterPort=-1\n\
        localSessionsEnabled=true\nelectionPortBindRetry=3\nfastleader.maxNotificationInterval=100\n";
    check(
        &format!("{THREE}{lines}"),
        expect![[r#"
        refused
        zoo.cfg line 8: sslQuorum=true: refused: TLS between servers is not built yet (allowed: false, or to leave the key out)
        zoo.cfg line 9: quorum.auth.enableSasl=true: refused: SASL between servers is not built yet (allowed: false, or to leave the key out)
        zoo.cfg line 10: oraclePath=/o: refused: the oracle of two servers is not built yet (allowed: to leave the key out)
        zoo.cfg line 11: observerMasterPort=-1: out of range (allowed: 0 to 65535)
        zoo.cfg line 14: fastleader.maxNotificationInterval=100: below fastleader.minNotificationInterval, which is 200 milliseconds (allowed: 200 or more)
    "#]],
    );
}

#[test]
fn what_an_engine_cannot_do_is_refused_or_warned_of() {
    let lines = "initLimit=10\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
    let load = |more: &str| {
        let text = complete(&format!("{lines}{more}"));
        outcome(Sources::new().file("zoo.cfg", text.as_bytes()).my_id(1).config())
    };
    expect![[r#"
        accepted
    "#]]
    .assert_eq(&load("engine=raft\nquorate.cluster=blue"));
    expect![[r#"
        refused
        zoo.cfg line 8: engine=raft: Raft decides by majorities, and there are groups (allowed: zab, or no group.G and weight.N)
    "#]].assert_eq(&load("engine=raft\ngroup.1=1:2:3"));
    expect![[r#"
        accepted
        zoo.cfg line 9: observerMasterPort: without effect: under Raft observers learn from the leader
        zoo.cfg line 10: forceSync: without effect: Raft has a journal of its own, in segments of 64 MiB, and always syncs it
    "#]].assert_eq(&load("engine=raft\nobserverMasterPort=2191\nforceSync=no"));
    expect![[r#"
        accepted
        zoo.cfg line 8: quorate.cluster: without effect: engine is zab
    "#]]
    .assert_eq(&load("quorate.cluster=blue"));
    check(
        "engine=raft",
        expect![[r#"
        refused
        zoo.cfg line 3: engine=raft: this server runs alone (allowed: zab, or servers of an ensemble (one alone with standaloneEnabled=false))
    "#]],
    );
    check(
        "engine=paxos",
        expect![[r#"
        refused
        zoo.cfg line 3: engine=paxos: not one of the known words (allowed: zab, raft)
    "#]],
    );
}
