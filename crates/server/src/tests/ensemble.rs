//! Whole ensembles in one process: what each member tells, whom it serves, and what strangers on the
//! ports for members come to.

use super::client::{Client, word};
use super::options;
use crate::Server;
use config::{Config, Sources};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use wire::quorum::{LearnerInfo, Opening, OpeningForm, PacketKind, put_packet_with_data};

/// Three members, each at an address of its own.
struct Ensemble {
    members: Vec<Member>,
    options: Vec<(&'static str, &'static str)>,
}

struct Member {
    server: Option<Server>,
    dir: tempfile::TempDir,
    ip: Ipv4Addr,
    /// Where clients connect, also when it is stopped.
    address: SocketAddr,
}

impl Ensemble {
    fn start(options: &[(&'static str, &'static str)]) -> Ensemble {
        static GIVEN: AtomicU8 = AtomicU8::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let member = || Member {
            server: None,
            dir: tempfile::tempdir().unwrap(),
            ip: Ipv4Addr::new(127, high, low, GIVEN.fetch_add(1, Ordering::Relaxed)),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let members = (0..3).map(|_| member()).collect();
        let mut ensemble = Ensemble { members, options: options.to_vec() };
        (0..3).for_each(|index| ensemble.start_one(index));
        ensemble
    }

    fn start_one(&mut self, index: usize) {
        let config = self.config(index, self.members[index].dir.path());
        let server = Server::start(config, options()).unwrap();
        let member = &mut self.members[index];
        member.address = server.address();
        member.server = Some(server);
    }

    fn config(&self, index: usize, dir: &Path) -> Config {
        let mut sources = Sources::new()
            .option("clientPort", "0")
            .option("clientPortAddress", "127.0.0.1")
            .option("dataDir", dir.to_str().unwrap())
            .option("4lw.commands.whitelist", "*")
            .option("preAllocSize", "64")
            .option("tickTime", "500")
            .option("initLimit", "20")
            .option("syncLimit", "10")
            .my_id(index as u64 + 1);
        for (number, member) in (1..).zip(&self.members) {
            let line = format!("{}:{QUORUM}:{ELECTION}", member.ip);
            sources = sources.option(&format!("server.{number}"), &line);
        }
        for (key, value) in &self.options {
            sources = sources.option(key, value);
        }
        sources.config().unwrap().config
    }

    fn stop(&mut self, index: usize) {
        self.members[index].server.take().unwrap().stop();
    }

    fn ask(&self, index: usize, four: &[u8]) -> String {
        word(self.members[index].address, four)
    }

    /// Waits for a member's answer that has this in it.
    fn await_answer(&self, index: usize, four: &[u8], part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(index, four);
            if answer.contains(part) {
                return answer;
            }
            assert!(Instant::now() < until, "{part} is not in {answer}");
        }
    }

    /// Waits until all three serve; gives the leader and the others.
    fn await_all(&self) -> (usize, [usize; 2]) {
        let until = Instant::now() + PATIENCE;
        loop {
            let modes: Vec<String> =
                (0..3).map(|index| self.await_answer(index, b"srvr", "Mode: ")).collect();
            let leads = |index: &usize| modes[*index].contains("Mode: leader\n");
            // One may have lost its office while the others were asked.
            if let [leader] = (0..3).filter(leads).collect::<Vec<usize>>()[..] {
                return (leader, [(leader + 1) % 3, (leader + 2) % 3]);
            }
            assert!(Instant::now() < until, "not one leader: {modes:?}");
        }
    }

    /// How often each has begun to look for a leader: also a member that then follows may have,
    /// before it knew of the one that was elected meanwhile.
    fn elections(&self) -> [u64; 3] {
        [0, 1, 2].map(|index| metric(&self.ask(index, b"mntr"), "zk_looking_count"))
    }

    /// Sends this to a member's port and waits until it hangs up.
    fn knock(&self, index: usize, port: u16, bytes: &[u8]) {
        let mut client = self.call(index, port);
        client.stream.write_all(bytes).unwrap();
        client.rest();
    }

    fn call(&self, index: usize, port: u16) -> Client {
        let stream = TcpStream::connect((self.members[index].ip, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::on(stream)
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        self.members.iter_mut().filter_map(|member| member.server.take()).for_each(Server::stop);
    }
}

/// The value of a whole number that `mntr` tells.
fn metric(told: &str, name: &str) -> u64 {
    let value = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    value.unwrap_or_else(|| panic!("no {name} in {told}")).parse().unwrap()
}

/// The keys of each engine.
const ZAB: &[(&str, &str)] = &[];
const RAFT: &[(&str, &str)] = &[("engine", "raft")];

#[test]
fn every_member_tells_its_place() {
    tells_its_place(ZAB);
}

#[test]
fn over_raft_every_member_tells_its_place() {
    tells_its_place(RAFT);
}

fn tells_its_place(engine: &'static [(&'static str, &'static str)]) {
    let ensemble = Ensemble::start(engine);
    let (leader, [one, other]) = ensemble.await_all();
    ensemble.await_answer(leader, b"mntr", "zk_synced_followers\t2\n");
    let mut client = Client::open(ensemble.members[one].address);
    assert_eq!(client.create("/a", b"one"), 0);
    // The session and the node.
    let told = ensemble.await_answer(leader, b"mntr", "zk_commit_count\t2\n");
    for line in [
        "zk_server_state\tleader\n",
        "zk_peer_state\tleading - broadcast\n",
        "zk_quorum_size\t3\n",
        "zk_learners\t2\n",
        "zk_cnt_election_time\t1\n",
        "zk_cnt_leader_unavailable_time\t1\n",
        "zk_proposal_count\t2\n",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    let tries = metric(&told, "zk_looking_count");
    // Over Raft votes may be split.
    assert!(tries == 1 || tries > 1 && !engine.is_empty(), "{told}");
    assert!(ensemble.ask(leader, b"srvr").contains("Proposal sizes last/min/max: "));
    let told = ensemble.await_answer(one, b"mntr", "zk_learner_commit_received_count\t2\n");
    for line in [
        "zk_server_state\tfollower\n",
        "zk_peer_state\tfollowing - broadcast\n",
        "zk_quorum_size\t3\n",
        "zk_cnt_follower_sync_time\t1\n",
        "zk_cnt_unavailable_time\t1\n",
        "zk_learner_proposal_received_count\t2\n",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    assert!(!told.contains("zk_learners\t") && !ensemble.ask(one, b"srvr").contains("Proposal"));
    assert!(ensemble.await_answer(other, b"dump", "Global Sessions(1):").contains("\t10000ms\n"));
    assert!(ensemble.ask(leader, b"dump").contains("Session Sets (1)/(1):"));
    let conf = ensemble.ask(one, b"conf");
    let ip = ensemble.members[one].ip;
    for part in [
        format!("serverId={}\ninitLimit=20\nsyncLimit=10\nelectionAlg=3\n", one + 1),
        format!("electionPort={ELECTION}\nquorumPort={QUORUM}\npeerType=0\nmembership: \n"),
        format!("server.{}={ip}:{QUORUM}:{ELECTION}:participant\n", one + 1),
    ] {
        assert!(conf.contains(&part), "{part} in {conf}");
    }
    assert!(conf.ends_with("\nversion=0"), "{conf}");
}

#[test]
fn without_a_quorum_clients_are_sent_away_and_the_port_stays_open() {
    is_without_quorum(ZAB);
}

#[test]
fn over_raft_without_a_quorum_clients_are_sent_away() {
    is_without_quorum(RAFT);
}

fn is_without_quorum(engine: &'static [(&'static str, &'static str)]) {
    let mut ensemble = Ensemble::start(engine);
    let (leader, others) = ensemble.await_all();
    let mut client = Client::open(ensemble.members[leader].address);
    assert_eq!(client.create("/kept", b""), 0);
    others.into_iter().for_each(|other| ensemble.stop(other));
    assert_eq!(client.rest(), b"");
    let refused = "This ZooKeeper instance is not currently serving requests";
    assert_eq!(ensemble.await_answer(leader, b"srvr", refused), format!("{refused}\n"));
    assert_eq!(ensemble.ask(leader, b"hash"), refused);
    assert_eq!(ensemble.ask(leader, b"isro"), "null");
    assert_eq!(ensemble.ask(leader, b"ruok"), "imok");
    let mut early = Client::dial(ensemble.members[leader].address);
    assert!(early.handshake(0, &[0; 16]).is_none());
    ensemble.start_one(others[0]);
    // Over Raft either may be the one that stands for election.
    let is_raft = !engine.is_empty();
    let served = if is_raft { "zk_server_state\t" } else { "zk_looking_count\t2\n" };
    let told = ensemble.await_answer(leader, b"mntr", served);
    assert!(told.contains("zk_cnxn_closed_without_zk_server_running\t1\n"), "{told}");
    assert_eq!(Client::open(ensemble.members[leader].address).get("/kept", false), Ok(vec![]));
}

#[test]
fn a_leader_that_is_not_to_serve_has_no_clients() {
    does_not_serve(&[("leaderServes", "no")]);
}

#[test]
fn over_raft_a_leader_that_is_not_to_serve_has_no_clients() {
    does_not_serve(&[("leaderServes", "no"), ("engine", "raft")]);
}

fn does_not_serve(keys: &'static [(&'static str, &'static str)]) {
    let ensemble = Ensemble::start(keys);
    let until = Instant::now() + PATIENCE;
    let serves = |index: usize| ensemble.ask(index, b"srvr").contains("Mode: follower\n");
    let leader = loop {
        let idle: Vec<usize> = (0..3).filter(|index| !serves(*index)).collect();
        if let [leader] = idle[..] {
            break leader;
        }
        assert!(Instant::now() < until, "{idle:?} do not follow");
    };
    assert!(ensemble.ask(leader, b"mntr").contains("not currently serving"));
    let mut client = Client::dial(ensemble.members[leader].address);
    assert!(client.handshake(0, &[0; 16]).is_none());
    let mut served = Client::open(ensemble.members[(leader + 1) % 3].address);
    assert_eq!(served.create("/by-the-leader", b""), 0);
}

/// What no member says first.
fn nonsense() -> Vec<Vec<u8>> {
    vec![
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 64]].concat(),
        vec![0xff; 64],
        [&[0x7f, 0xff, 0xff, 0xff][..], &[0; 60]].concat(),
        (0..=255).collect(),
    ]
}

#[test]
fn strangers_on_the_ports_for_members_are_sent_away_and_nobody_else_notices() {
    let ensemble = Ensemble::start(&[]);
    let (leader, others) = ensemble.await_all();
    ensemble.await_answer(leader, b"mntr", "zk_synced_followers\t2\n");
    let elections = ensemble.elections();
    let mut client = Client::open(ensemble.members[others[0]].address);
    for bytes in nonsense() {
        ensemble.knock(leader, QUORUM, &bytes);
        (0..3).for_each(|index| ensemble.knock(index, ELECTION, &bytes));
        assert_eq!(client.set("/zookeeper/quota", b""), 0);
    }
    let (alive, own) = (others[1] as i64 + 1, leader as i64 + 1);
    // Too old, here already, and the leader itself.
    for (id, version) in [(alive, 1), (alive, 0x10000), (own, 0x10000)] {
        let info = LearnerInfo { protocol_version: version, ..LearnerInfo::new(id, 0) };
        let mut frame = Vec::new();
        let kind = PacketKind::FollowerInfo;
        put_packet_with_data(&mut frame, kind, 0, |data| jute::Encode::encode(&info, data));
        ensemble.knock(leader, QUORUM, &frame);
    }
    // A second server with an id, the member's own and another's, hangs up by itself or is sent away.
    for server_id in [own, alive, 77] {
        let opening = Opening { form: OpeningForm::Bare, server_id, addresses: Vec::new() };
        let mut bytes = Vec::new();
        jute::Encode::encode(&opening, &mut bytes);
        ensemble.call(leader, ELECTION).stream.write_all(&bytes).unwrap();
    }
    ensemble.knock(leader, ELECTION, &[&(-1i64).to_be_bytes()[..], &[0; 64]].concat());
    assert_eq!(client.create("/still-here", b""), 0);
    assert_eq!(ensemble.elections(), elections);
    assert!(ensemble.ask(leader, b"mntr").contains("zk_synced_followers\t2\n"));
}

#[test]
fn over_raft_strangers_are_sent_away_and_nobody_else_notices() {
    let ensemble = Ensemble::start(RAFT);
    let (leader, others) = ensemble.await_all();
    ensemble.await_answer(leader, b"mntr", "zk_synced_followers\t2\n");
    let elections = ensemble.elections();
    let mut client = Client::open(ensemble.members[others[0]].address);
    for bytes in nonsense() {
        (0..3).for_each(|index| ensemble.knock(index, QUORUM, &bytes));
        assert_eq!(client.set("/zookeeper/quota", b""), 0);
    }
    // A member of another cluster, with an id that is here.
    let dir = tempfile::tempdir().unwrap();
    let mut config = ensemble.config(others[0], dir.path());
    let members = config.ensemble.as_mut().unwrap();
    members.engine = config::Engine::Raft {
        cluster: "another".to_owned(),
        joins: false,
        lease_drift_percent: None,
    };
    members.listen_on_all_addresses = false;
    let stranger = Server::start(config, options()).unwrap();
    for _ in 0..20 {
        assert_eq!(client.set("/zookeeper/quota", b""), 0);
    }
    assert!(word(stranger.address(), b"srvr").contains("not currently serving"));
    stranger.stop();
    assert_eq!(client.create("/still-here", b""), 0);
    assert_eq!(ensemble.elections(), elections);
    assert!(ensemble.ask(leader, b"mntr").contains("zk_synced_followers\t2\n"));
}

/// What it promised is forgotten: with its vote, two that know nothing of it could decide.
#[test]
fn over_raft_who_lost_its_disk_follows_and_votes_no_more() {
    let mut ensemble = Ensemble::start(RAFT);
    let (leader, [lost, other]) = ensemble.await_all();
    let mut client = Client::open(ensemble.members[other].address);
    assert_eq!(client.create("/kept", b"1"), 0);
    ensemble.stop(lost);
    let dir = ensemble.members[lost].dir.path().join("raft/version-2");
    std::fs::remove_dir_all(dir).unwrap();
    ensemble.start_one(lost);
    ensemble.await_answer(lost, b"srvr", "Mode: follower\n");
    let mut client = Client::open(ensemble.members[lost].address);
    assert_eq!(client.get("/kept", false), Ok(b"1".to_vec()));
    // Also when it is started again.
    ensemble.stop(lost);
    ensemble.start_one(lost);
    ensemble.await_answer(lost, b"srvr", "Mode: follower\n");
    // Whoever stops hands over to one that was elected before.
    [leader, other].into_iter().for_each(|index| ensemble.stop(index));
    ensemble.start_one(other);
    let until = Instant::now() + Duration::from_secs(2); // four election timeouts
    while Instant::now() < until {
        for index in [lost, other] {
            let told = ensemble.ask(index, b"srvr");
            assert!(!told.contains("Mode: leader"), "{index} leads by a vote that is lost");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    ensemble.start_one(leader);
    ensemble.await_answer(other, b"srvr", "Mode: ");
    assert_eq!(
        Client::open(ensemble.members[other].address).get("/kept", false),
        Ok(b"1".to_vec())
    );
}

#[test]
fn data_of_the_other_engine_is_refused() {
    let mut ensemble = Ensemble::start(RAFT);
    ensemble.await_all();
    (0..3).for_each(|index| ensemble.stop(index));
    let dir = ensemble.members[0].dir.path().to_owned();
    ensemble.options = vec![("engine", "zab")];
    let refused = Server::start(ensemble.config(0, &dir), options()).err().unwrap();
    let text = refused.to_string();
    assert!(text.contains("engine=raft") && text.contains("quorate migrate"), "{text}");
    // And data of another member, or of another cluster.
    ensemble.options = vec![("engine", "raft"), ("quorate.cluster", "another")];
    let refused = Server::start(ensemble.config(0, &dir), options()).err().unwrap();
    assert!(refused.to_string().contains("journal.0000000000000001"), "{refused}");
}

#[test]
fn who_says_nothing_on_the_election_port_is_sent_away() {
    let ensemble = Ensemble::start(&[("quorumCnxnTimeoutMs", "300")]);
    ensemble.await_all();
    assert_eq!(ensemble.call(0, ELECTION).rest(), b"");
}

const QUORUM: u16 = 12888;
const ELECTION: u16 = 13888;
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
