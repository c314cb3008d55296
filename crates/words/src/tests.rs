//! Every word against what a real server answered, or against the documented sample.

use std::net::SocketAddr;

use base::{SessionId, WallTime, Zxid};
use expect_test::expect;
use metrics::{Sizes, Summary, Traffic};

use crate::{
    Buckets, Conf, Connection, ConnectionSession, DirectorySizes, Dump, Environment, Interest,
    MemberConf, Mode, NOT_SERVING, Server, Sessions, Source, Stat, WatchesByPath, WatchesBySession,
    WatchesSummary, Word, answer, full_version, java_address, java_arch,
};

const JAVA: &str = "3.9.5-293c895a8d966a3ecb92872be4a1daf87d725da2, built on 2026-02-11 20:18 UTC";
/// Fri Nov 20 18:31:31 UTC 2026
const SOON: WallTime = WallTime(1_795_199_491_000);
const ONE: SessionId = SessionId(0x0100_001a_eb2b_0000);
const TWO: SessionId = SessionId(0x0100_001a_eb2b_0001);

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn summary(values: &[u64]) -> Summary {
    let mut summary = Summary::default();
    values.iter().for_each(|value| summary.record(*value));
    summary
}

fn after(ms: i64) -> WallTime {
    WallTime(SOON.0 + ms)
}

/// The standalone server, at the moment of each captured answer.
#[derive(Default)]
struct Captured {
    is_reset: bool,
    is_down: bool,
    trace_mask: i64,
}

impl Captured {
    fn session(&self, id: SessionId, used: ConnectionSession) -> Option<ConnectionSession> {
        let unused = ConnectionSession {
            last_operation: "NA",
            last_cxid: -1,
            last_zxid: Zxid(-1),
            last_response_ms: 0,
            last_latency_ms: 0,
            latency: Summary::default(),
            ..used.clone()
        };
        Some(ConnectionSession { id, ..if self.is_reset { unused } else { used } })
    }

    fn with_session(
        &self,
        port: u16,
        packets: (u64, u64),
        session: Option<ConnectionSession>,
    ) -> Connection {
        let (received, sent) = if self.is_reset { (0, 0) } else { packets };
        Connection {
            remote: local(port),
            interest: Interest::Read,
            queued: 0,
            received,
            sent,
            session,
        }
    }
}

fn asking(port: u16) -> Connection {
    Connection {
        remote: local(port),
        interest: Interest::None,
        queued: 0,
        received: 1,
        sent: 0,
        session: None,
    }
}

impl Source for Captured {
    fn mode(&self) -> Option<Mode> {
        (!self.is_down).then_some(Mode::Standalone)
    }

    fn server(&self) -> Server {
        let mut latencies = vec![0; 30];
        latencies[0] = 7;
        latencies[1..28].fill(1);
        Server {
            version: JAVA.to_owned(),
            traffic: Traffic {
                packets_received: 35,
                packets_sent: 39,
                latency: summary(&latencies),
                response_sizes: Sizes::default(),
            },
            connections: 3,
            outstanding: 0,
            zxid: Zxid(0x19),
            mode: Mode::Standalone,
            node_count: 8,
            proposal_sizes: None,
        }
    }

    fn connections(&self) -> Vec<Connection> {
        let reader = ConnectionSession {
            id: TWO,
            last_operation: "GETD",
            established: WallTime(1_795_199_482_316),
            timeout_ms: 10_000,
            last_cxid: 2,
            last_zxid: Zxid(5),
            last_response_ms: 1_780_690,
            last_latency_ms: 0,
            latency: summary(&[0, 1, 0]),
        };
        let writer = ConnectionSession {
            id: ONE,
            last_operation: "SETD",
            established: WallTime(1_795_199_482_300),
            timeout_ms: 10_000,
            last_cxid: 0x1a,
            last_zxid: Zxid(0x19),
            last_response_ms: 1_780_727,
            last_latency_ms: 1,
            latency: summary(&[0, 0, 0, 7]),
        };
        vec![
            self.with_session(35704, (3, 3), self.session(TWO, reader)),
            self.with_session(35698, (28, 29), self.session(ONE, writer)),
            asking(if self.is_reset { 41812 } else { 41670 }),
        ]
    }

    fn conf(&self) -> Conf {
        Conf {
            client_port: 23950,
            secure_client_port: -1,
            data_dir: "/tmp/zookeeper/version-2".to_owned(),
            data_log_dir: "/tmp/zookeeper/version-2".to_owned(),
            sizes: self.directory_sizes(),
            tick_time_ms: 2000,
            max_client_connections: 60,
            min_session_timeout_ms: 4000,
            max_session_timeout_ms: 40_000,
            client_port_listen_backlog: -1,
            server_id: 0,
            member: None,
        }
    }

    fn directory_sizes(&self) -> DirectorySizes {
        DirectorySizes { data: 67_109_358, log: 67_109_358 }
    }

    fn dump(&self) -> Dump {
        Dump {
            local_sessions: None,
            sessions: Sessions::Tracked(Buckets(vec![(after(2000), vec![ONE, TWO])])),
            ephemerals: vec![(TWO, vec!["/a/f".to_owned()]), (ONE, vec!["/a/e".to_owned()])],
            connections: Buckets(vec![
                (SOON, vec![]),
                (
                    after(10_000),
                    vec![(local(41680), SessionId::NONE), (local(35704), TWO), (local(35698), ONE)],
                ),
            ]),
        }
    }

    fn environment(&self) -> Environment {
        Environment {
            version: full_version("0.1.0", "2026-11-20 10:00 UTC"),
            host_name: "db1.example".to_owned(),
            os_name: "Linux".to_owned(),
            os_arch: java_arch("x86_64").to_owned(),
            os_version: "6.1.0".to_owned(),
            user_name: "zookeeper".to_owned(),
            user_home: "/var/lib/zookeeper".to_owned(),
            user_dir: "/".to_owned(),
            memory_free: 300 << 20,
            memory_max: (1 << 30) + 1,
            memory_total: (20 << 20) - 1,
        }
    }

    fn digests(&self) -> Vec<(Zxid, i64)> {
        vec![(Zxid(0x80), 1_371_985_504), (Zxid(0x1_0000_0000), -5)]
    }

    fn metrics(&self) -> String {
        "zk_version\t3.9.5\n".to_owned()
    }

    fn watches_summary(&self) -> WatchesSummary {
        WatchesSummary { connections: 2, paths: 2, watches: 3 }
    }

    fn watches_by_session(&self) -> WatchesBySession {
        WatchesBySession(vec![
            (TWO, vec!["/a".to_owned()]),
            (ONE, vec!["/a".to_owned(), "/nope".to_owned()]),
        ])
    }

    fn watches_by_path(&self) -> WatchesByPath {
        WatchesByPath(vec![("/a".to_owned(), vec![TWO, ONE]), ("/nope".to_owned(), vec![ONE])])
    }

    fn trace_mask(&self) -> i64 {
        306
    }

    fn set_trace_mask(&mut self, mask: i64) {
        self.trace_mask = mask;
    }

    fn reset_connections(&mut self) {
        self.is_reset = true;
    }

    fn reset_server(&mut self) {
        self.is_reset = true;
    }
}

fn ask(word: Word) -> String {
    answer(word, &[], &mut Captured::default())
}

#[test]
fn answers_are_those_that_java_gave() {
    for (word, captured) in [
        (Word::Srvr, include_str!("../testdata/standalone/srvr")),
        (Word::Conf, include_str!("../testdata/standalone/conf")),
        (Word::Cons, include_str!("../testdata/standalone/cons")),
        (Word::Dump, include_str!("../testdata/standalone/dump")),
        (Word::Wchs, include_str!("../testdata/standalone/wchs")),
        (Word::Wchc, include_str!("../testdata/standalone/wchc")),
        (Word::Wchp, include_str!("../testdata/standalone/wchp")),
        (Word::Dirs, include_str!("../testdata/standalone/dirs")),
        (Word::Isro, include_str!("../testdata/standalone/isro")),
        (Word::Gtmk, include_str!("../testdata/standalone/gtmk")),
        (Word::Ruok, include_str!("../testdata/standalone/ruok")),
        (Word::Crst, include_str!("../testdata/standalone/crst")),
        (Word::Srst, include_str!("../testdata/standalone/srst")),
    ] {
        assert_eq!(ask(word), captured, "{word:?}");
    }
}

#[test]
fn stat_is_the_one_that_java_gave() {
    let source = Captured::default();
    let mut server = source.server();
    server.traffic.packets_received += 1;
    server.traffic.packets_sent += 1;
    let mut connections = source.connections();
    connections[2] = asking(41656);
    let stat = Stat { server, connections };
    assert_eq!(stat.to_string(), include_str!("../testdata/standalone/stat"));
}

#[test]
fn reset_connections_have_done_nothing() {
    let mut source = Captured::default();
    answer(Word::Crst, &[], &mut source);
    assert_eq!(
        answer(Word::Cons, &[], &mut source),
        include_str!("../testdata/standalone/cons-reset")
    );
}

#[test]
fn a_leader_shows_its_proposals() {
    let mut latencies = vec![2; 30];
    latencies[0] = 0;
    latencies[1] = 9;
    latencies[2..8].fill(3);
    let server = Server {
        traffic: Traffic {
            packets_received: 36,
            packets_sent: 40,
            latency: summary(&latencies),
            response_sizes: Sizes::default(),
        },
        zxid: Zxid(0x2_0000_0019),
        mode: Mode::Leader,
        node_count: 9,
        proposal_sizes: Some(Sizes { last: 62, min: 48, max: 96 }),
        ..Captured::default().server()
    };
    assert_eq!(server.to_string(), include_str!("../testdata/leader/srvr"));
}

#[test]
fn members_show_their_ensemble() {
    let sizes = DirectorySizes { data: 134_219_141, log: 134_219_141 };
    let conf = Conf {
        client_port: 23963,
        data_dir: "/var/lib/zookeeper/version-2".to_owned(),
        data_log_dir: "/var/lib/zookeeper/version-2".to_owned(),
        sizes,
        server_id: 3,
        member: Some(MemberConf {
            init_limit: 10,
            sync_limit: 5,
            election_ports: vec![23983],
            quorum_ports: vec![23973],
            is_observer: false,
            membership: Some(
                "server.1=127.0.0.1:23971:23981:participant\n\
                 server.2=127.0.0.1:23972:23982:participant\n\
                 server.3=127.0.0.1:23973:23983:participant\n\
                 version=0"
                    .to_owned(),
            ),
        }),
        ..Captured::default().conf()
    };
    assert_eq!(conf.to_string(), include_str!("../testdata/leader/conf"));
}

#[test]
fn a_leader_dumps_what_expires() {
    let session = |n: i64| SessionId(0x0300_001a_ee76_0000 + n);
    let later = |n: i64| SessionId(0x0300_001b_6911_0000 + n);
    let dump = Dump {
        local_sessions: None,
        sessions: Sessions::Tracked(Buckets(vec![
            (after(18_000), vec![session(1), session(0)]),
            (after(24_000), vec![later(0), later(1)]),
        ])),
        ephemerals: vec![(later(0), vec!["/b/e".to_owned()]), (later(1), vec!["/b/f".to_owned()])],
        connections: Buckets(vec![(
            after(30_000),
            vec![
                (local(38646), SessionId::NONE),
                (local(38586), later(1)),
                (local(38572), later(0)),
            ],
        )]),
    };
    assert_eq!(dump.to_string(), include_str!("../testdata/leader/dump"));
}

#[test]
fn a_follower_dumps_the_sessions_that_it_knows() {
    let session = |n: i64| SessionId(0x0100_001a_eea5_0000 + n);
    let mut dump = Dump {
        local_sessions: None,
        sessions: Sessions::Known(vec![(session(0), 10_000), (session(1), 10_000)]),
        ephemerals: vec![
            (session(1), vec!["/a/f".to_owned()]),
            (session(0), vec!["/a/e".to_owned()]),
        ],
        connections: Buckets(vec![
            (SOON, vec![]),
            (
                after(10_000),
                vec![
                    (local(39762), session(0)),
                    (local(39776), session(1)),
                    (local(39812), SessionId::NONE),
                ],
            ),
        ]),
    };
    assert_eq!(dump.to_string(), include_str!("../testdata/follower/dump"));
    dump.local_sessions = Some(Buckets(vec![(SOON, vec![session(9)])]));
    let head: Vec<String> = dump.to_string().lines().take(5).map(str::to_owned).collect();
    assert_eq!(
        head,
        [
            "SessionTracker dump:",
            "Local Session Sets (1)/(1):",
            "1 expire at Fri Nov 20 18:31:31 UTC 2026:",
            "\t0x100001aeea50009",
            "Global Sessions(2):",
        ]
    );
    dump.sessions = Sessions::Tracked(Buckets::default());
    assert!(dump.to_string().contains("\nGlobal Session Sets (0)/(0):\n"));
}

#[test]
fn the_environment_has_javas_keys() {
    let text = ask(Word::Envi);
    let keys: String =
        text.lines().map(|line| line.split('=').next().unwrap().to_owned() + "\n").collect();
    assert_eq!(keys, include_str!("../testdata/standalone/envi-keys"));
    expect![[r#"
        Environment:
        zookeeper.version=3.9.5-quorate-0.1.0, built on 2026-11-20 10:00 UTC
        host.name=db1.example
        java.version=none
        java.vendor=none
        java.home=none
        java.class.path=none
        java.library.path=none
        java.io.tmpdir=none
        java.compiler=none
        os.name=Linux
        os.arch=amd64
        os.version=6.1.0
        user.name=zookeeper
        user.home=/var/lib/zookeeper
        user.dir=/
        os.memory.free=300MB
        os.memory.max=1024MB
        os.memory.total=19MB
    "#]]
    .assert_eq(&text);
}

#[test]
fn digests_are_hexadecimal_and_decimal() {
    expect![[r#"
        80: 1371985504
        100000000: -5
    "#]]
    .assert_eq(&ask(Word::Hash));
}

#[test]
fn the_trace_mask_is_set_from_eight_bytes() {
    let mut source = Captured::default();
    assert_eq!(Word::Stmk.argument_size(), 8);
    let text = answer(Word::Stmk, &306i64.to_be_bytes(), &mut source);
    assert_eq!(text, include_str!("../testdata/standalone/stmk"));
    assert_eq!(source.trace_mask, 306);
    assert_eq!(answer(Word::Stmk, &(-1i64).to_be_bytes(), &mut source), "-1");
}

#[test]
fn a_server_that_does_not_serve_says_so() {
    let mut source = Captured { is_down: true, ..Captured::default() };
    for word in Word::ALL {
        let text = answer(*word, &[0; 8], &mut source);
        match word.name() {
            "hash" => assert_eq!(text, NOT_SERVING),
            "ruok" => assert_eq!(text, "imok"),
            "isro" => assert_eq!(text, "null"),
            "gtmk" => assert_eq!(text, "306"),
            "stmk" => assert_eq!(text, "0"),
            "envi" => assert!(text.starts_with("Environment:\n")),
            _ => assert_eq!(text, format!("{NOT_SERVING}\n"), "{word:?}"),
        }
    }
    assert!(!source.is_reset);
}

#[test]
fn a_read_only_server_says_so() {
    let server = Server { mode: Mode::ReadOnly, ..Captured::default().server() };
    let text = server.to_string();
    assert!(text.contains("UTC\nREAD-ONLY mode; serving only read-only clients\nLatency"));
    assert!(text.contains("\nMode: read-only\n"));
}

#[test]
fn addresses_are_javas() {
    for (address, text) in [
        ("127.0.0.1:80", "/127.0.0.1:80"),
        ("[::1]:34684", "/[0:0:0:0:0:0:0:1]:34684"),
        ("[::ffff:10.0.0.1]:2181", "/10.0.0.1:2181"),
    ] {
        assert_eq!(java_address(address.parse().unwrap()), text);
    }
}
