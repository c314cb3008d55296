//! Files, flags, arguments and server lines: what is accepted, and how errors read.

use super::*;

#[test]
fn debians_file_is_accepted_without_a_word() {
    let text = "\
# http://hadoop.apache.org/zookeeper/docs/current/zookeeperAdmin.html

# The number of milliseconds of each tick
tickTime=2000
initLimit=10
syncLimit=5
dataDir=/var/lib/zookeeper
# dataLogDir=/disk2/zookeeper
clientPort=2181
#server.1=zookeeper1:2888:3888
#server.2=zookeeper2:2888:3888
#preAllocSize=65536
#snapCount=1000
# leaderServes=yes
";
    let loaded = parse("zoo.cfg", text.as_bytes()).expect("Debian's file is valid");
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.storage.data_dir, Path::new("/var/lib/zookeeper"));
    assert_eq!(loaded.config.sessions.timeout_max, seconds(40));
}

#[test]
fn the_file_of_kazoos_harness_is_accepted() {
    let text = "\
tickTime=2000
dataDir=/tmp/kazoo/data
clientPort=20000
secureClientPort=20001
maxClientCnxns=0
admin.serverPort=20002
serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory
authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider
ssl.keyStore.location=/tmp/kazoo/server.jks
ssl.keyStore.password=apassword
ssl.trustStore.location=/tmp/kazoo/truststore.jks
ssl.trustStore.password=apassword
4lw.commands.whitelist=*
reconfigEnabled=true
localSessionsEnabled=true
localSessionsUpgradingEnabled=true
";
    let sources = from_jvm_flags(
        "-Dreadonlymode.enabled=true -Djava.security.auth.login.config=/tmp/jaas.conf -Xmx256m",
    );
    let result = sources.file("zoo.cfg", text.as_bytes()).config();
    expect![[r#"
        accepted
        JVM flags: without effect, for there is no JVM: -Xmx256m
        JVM flags: java.security.auth.login.config: without effect: SASL is not built yet: nobody can log in with it
        zoo.cfg line 4: secureClientPort: without effect: TLS is not built yet: no TLS listener is opened
        zoo.cfg line 6: admin.serverPort: without effect: the admin HTTP server is not built yet
        zoo.cfg line 7: serverCnxnFactory: without effect: Quorate has its own network layer
        zoo.cfg line 8: authProvider.1: without effect: only the digest and ip schemes are built: the scheme of this class is unknown
        zoo.cfg line 9: ssl.keyStore.location: without effect: TLS is not built yet: no TLS listener is opened
        zoo.cfg line 10: ssl.keyStore.password: without effect: TLS is not built yet: no TLS listener is opened
        zoo.cfg line 11: ssl.trustStore.location: without effect: TLS is not built yet: no TLS listener is opened
        zoo.cfg line 12: ssl.trustStore.password: without effect: TLS is not built yet: no TLS listener is opened
    "#]].assert_eq(&outcome(result.clone()));
    let config = result.expect("the harness's file is valid").config;
    assert_eq!((config.listen.port, config.limits.connections_per_address), (20_000, None));
    assert_eq!(config.words, Words::All);
    assert!(config.features.reconfig && config.features.read_only_mode);
}

#[test]
fn the_images_file_takes_the_port_from_its_only_server() {
    let text = "\
dataDir=/data
dataLogDir=/datalog
tickTime=2000
initLimit=5
syncLimit=2
autopurge.snapRetainCount=3
autopurge.purgeInterval=0
maxClientCnxns=60
standaloneEnabled=true
admin.enableServer=true
server.1=localhost:2888:3888;2182
";
    let result = parse("zoo.cfg", text.as_bytes());
    expect![[r#"
        accepted
        zoo.cfg line 10: admin.enableServer: without effect: the admin HTTP server is not built yet
        zoo.cfg line 11: server.1: the only server of its list, so it runs standalone; its peer ports stay closed
    "#]].assert_eq(&outcome(result.clone()));
    let listen = result.expect("the image's file is valid").config.listen;
    assert_eq!((listen.address, listen.port), (None, 2182));
}

#[test]
fn every_error_of_a_file_is_reported_in_the_order_of_its_lines() {
    let text = "tickTime=abc\nclientPort=70000\nreconfigEnabled=yes\nbad=\\u1\nclientPort=x\n\
        minSessionTimeout=\nserver.1=a:1:2\nserver.2=b:1:2\nsnapCount=0x10\npreAllocSize=010\n";
    expect![[r#"
        refused
        zoo.cfg line 1: tickTime=abc: not a whole number of milliseconds (allowed: 1 to 2147483647 milliseconds)
        zoo.cfg line 3: reconfigEnabled=yes: neither true nor false (allowed: true or false)
        zoo.cfg line 4: malformed \uXXXX escape (allowed: \u with 4 hex digits, or \\ for a backslash)
        zoo.cfg line 5: clientPort=x: not a port number (allowed: 0 to 65535)
        zoo.cfg line 6: minSessionTimeout=: not a whole number of milliseconds (allowed: -1 to 2147483647 milliseconds)
        zoo.cfg line 10: preAllocSize=010: not a whole number of KiB (allowed: -9007199254740992 to 9007199254740991 KiB)
        ./quorate-data/myid: there is no such file, so this server does not know its number (allowed: the N of this server's server.N, and nothing else)
    "#]].assert_eq(&outcome(parse("zoo.cfg", text.as_bytes())));
}

#[test]
fn a_file_must_name_its_folder_and_port() {
    expect![[r#"
        refused
        zoo.cfg: dataDir is not set (allowed: a path, as dataDir=/var/lib/zookeeper)
        zoo.cfg: clientPort is not set (allowed: a port, as clientPort=2181)
    "#]]
    .assert_eq(&outcome(parse("zoo.cfg", b"")));
    expect![[r#"
        refused
        zoo.cfg line 1: dataDir=: the path is empty (allowed: a path)
        zoo.cfg: clientPort is not set (allowed: a port, as clientPort=2181; secureClientPort alone would serve nobody, for TLS is not built yet)
    "#]].assert_eq(&outcome(parse("zoo.cfg", b"dataDir=\nsecureClientPort=2182")));
    let from_command_line = Sources::new().option("clientPort", "0").option("dataDir", "d");
    let loaded = from_command_line.file("zoo.cfg", b"").config().expect("both are given");
    assert_eq!((loaded.config.listen.port, loaded.warnings), (0, Vec::new()));
}

#[test]
fn the_last_of_two_entries_holds_with_a_warning() {
    check(
        "tickTime=x\nsnapCount=7\ntickTime=5\nzookeeper.snapCount=8",
        expect![[r#"
        accepted
        zoo.cfg line 5: tickTime: set before in line 3; the last one holds
        zoo.cfg line 6: zookeeper.snapCount: set before in line 4; the last one holds
    "#]],
    );
    let config = config("tickTime=x\nsnapCount=7\ntickTime=5\nzookeeper.snapCount=8");
    assert_eq!(config.sessions.tick, Duration::from_millis(5));
    assert_eq!(config.storage.snapshot_after_txns, 8);
}

#[test]
fn unknown_keys_are_accepted_with_one_warning_and_a_guess() {
    check(
        "tickTimes=1\nzookeeper.dataDir=/x\nmy.own.key=1\nsnapcount=5\nforcesync=no\n",
        expect![[r#"
            accepted
            zoo.cfg line 3: tickTimes: not a known key, and without effect; did you mean tickTime?
            zoo.cfg line 4: zookeeper.dataDir: not a known key, and without effect; did you mean dataDir?
            zoo.cfg line 5: my.own.key: not a known key, and without effect
            zoo.cfg line 6: snapcount: not a known key, and without effect; did you mean snapCount?
            zoo.cfg line 7: forcesync: not a known key, and without effect; did you mean forceSync?
        "#]],
    );
}

#[test]
fn one_server_runs_alone_and_more_make_an_ensemble() {
    check(
        "server.1=localhost:2888:3888",
        expect![[r#"
        accepted
        zoo.cfg line 3: server.1: the only server of its list, so it runs standalone; its peer ports stay closed
    "#]],
    );
    check(
        "server.1=localhost:2888:3888:participant;[::]:2181",
        expect![[r#"
        accepted
        zoo.cfg line 3: server.1: the only server of its list, so it runs standalone; its peer ports stay closed
    "#]],
    );
    check(
        "server.1=localhost:2888:3888:observer",
        expect![[r#"
            refused
            zoo.cfg line 3: server.1=localhost:2888:3888:observer: there are no participants (allowed: at least one participant)
        "#]],
    );
    check(
        "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888",
        expect![[r#"
            refused
            zoo.cfg: initLimit is not set (allowed: a number of ticks, as initLimit=10)
            zoo.cfg: syncLimit is not set (allowed: a number of ticks, as syncLimit=5)
            /d/myid: there is no such file, so this server does not know its number (allowed: the N of this server's server.N, and nothing else)
        "#]],
    );
    check(
        "server.1=a:2888:3888\nstandaloneEnabled=false",
        expect![[r#"
            refused
            zoo.cfg: initLimit is not set (allowed: a number of ticks, as initLimit=10)
            zoo.cfg: syncLimit is not set (allowed: a number of ticks, as syncLimit=5)
            /d/myid: there is no such file, so this server does not know its number (allowed: the N of this server's server.N, and nothing else)
        "#]],
    );
    check(
        "server.1=a:2888:3888;2182",
        expect![[r#"
        refused
        zoo.cfg line 3: server.1=a:2888:3888;2182: clientPort says 0.0.0.0:2181 (allowed: the same client address in both, or in one of them only)
    "#]],
    );
    check(
        "clientPortAddress=127.0.0.1\nserver.1=a:2888:3888;127.0.0.2:2181",
        expect![[r#"
        refused
        zoo.cfg line 4: server.1=a:2888:3888;127.0.0.2:2181: clientPort says 127.0.0.1:2181 (allowed: the same client address in both, or in one of them only)
    "#]],
    );
    let listen =
        config("clientPortAddress=h\nmultiAddress.enabled=true\nserver.1=a:1:2|[::1]:1:2;h:2181");
    assert_eq!(listen.listen.address.as_deref(), Some("h"));
}

#[test]
fn server_lines_are_read_strictly() {
    for (line, expected) in [
        (
            "server.x=a:1:2",
            expect![[r#"
            refused
            zoo.cfg line 3: server.x=a:1:2: "x" is not the number of a server (allowed: server.N=host:port:port[:role][;[host:]port])
        "#]],
        ),
        (
            "server.1=a",
            expect![[r#"
                refused
                zoo.cfg line 3: server.1=a: "a" is not host:port:port[:role][;[host:]port[;[host:]port]] (allowed: server.N=host:port:port[:role][;[host:]port])
            "#]],
        ),
        (
            "server.1=a:1",
            expect![[r#"
                refused
                zoo.cfg line 3: server.1=a:1: "a:1" is not host:port:port[:role][;[host:]port[;[host:]port]] (allowed: server.N=host:port:port[:role][;[host:]port])
            "#]],
        ),
        (
            "server.1=:1:2",
            expect![[r#"
                refused
                zoo.cfg line 3: server.1=:1:2: ":1:2" is not host:port:port[:role][;[host:]port[;[host:]port]] (allowed: server.N=host:port:port[:role][;[host:]port])
            "#]],
        ),
        (
            "server.1=a:1:b",
            expect![[r#"
                refused
                zoo.cfg line 3: server.1=a:1:b: "b" is not a port (allowed: server.N=host:port:port[:role][;[host:]port])
            "#]],
        ),
        (
            "server.1=a:1:2:leader",
            expect![[r#"
            refused
            zoo.cfg line 3: server.1=a:1:2:leader: "leader" is neither participant nor observer (allowed: server.N=host:port:port[:role][;[host:]port])
        "#]],
        ),
        (
            "server.1=a:1:2:observer:x",
            expect![[r#"
                refused
                zoo.cfg line 3: server.1=a:1:2:observer:x: "a:1:2:observer:x" is not host:port:port[:role][;[host:]port[;[host:]port]] (allowed: server.N=host:port:port[:role][;[host:]port])
            "#]],
        ),
        (
            "server.1=a:1:2;",
            expect![[r#"
                accepted
                zoo.cfg line 3: server.1: the only server of its list, so it runs standalone; its peer ports stay closed
            "#]],
        ),
        (
            "server.1=a:1:2;h:65536",
            expect![[r#"
                refused
                zoo.cfg line 3: server.1=a:1:2;h:65536: 65536 is not a port: these go from 0 to 65535 (allowed: server.N=host:port:port[:role][;[host:]port])
            "#]],
        ),
    ] {
        check(line, expected);
    }
}

#[test]
fn client_addresses_stand_on_their_own_port() {
    let text = b"dataDir=/d\nclientPortAddress=127.0.0.1";
    expect![[r#"
        refused
        zoo.cfg line 2: clientPortAddress=127.0.0.1: clientPort is not set (allowed: an address together with clientPort)
    "#]].assert_eq(&outcome(parse("zoo.cfg", text)));
    check(
        "clientPortAddress=not an address",
        expect![[r#"
        refused
        zoo.cfg line 3: clientPortAddress=not an address: not an address (allowed: a host name or an IP address)
    "#]],
    );
    let address = |text: &str| config(&format!("clientPortAddress={text}")).listen.address;
    assert_eq!(address("[::1]"), Some("::1".to_owned()));
    assert_eq!(address("0.0.0.0"), None);
}

#[test]
fn positional_arguments_start_a_server() {
    let start = |arguments: &[&str]| Sources::new().positional(arguments).config();
    let config = start(&["2182", "data"]).expect("two are enough").config;
    assert_eq!((config.listen.port, config.limits.connections_per_address), (2182, None));
    assert_eq!(config.storage.data_dir, Path::new("data"));
    let config = start(&["2182", "data", "100", "7"]).expect("four are allowed").config;
    assert_eq!(config.sessions.tick, Duration::from_millis(100));
    assert_eq!(config.limits.connections_per_address, Some(7));
    expect![[r#"
        refused
        command line: 1 arguments (allowed: <clientPort> <dataDir> [tickTime] [maxClientCnxns])
    "#]]
    .assert_eq(&outcome(start(&["2182"])));
    expect![[r#"
        refused
        command line: clientPort=port: not a port number (allowed: 0 to 65535)
        command line: tickTime=0: out of range (allowed: 1 to 2147483647 milliseconds)
    "#]]
    .assert_eq(&outcome(start(&["port", "data", "0"])));
}

#[test]
fn flags_are_properties_and_the_file_overrides_them() {
    let flags = "-Dzookeeper.snapCount=5 -Djute.maxbuffer=4096 '-Dzookeeper.superUser=a b' \
        -Dzookeeper.tickTime=1 -DsnapCount=9 -Dzookeeper.foo=1 -Djava.net.secret=x -XX:+UseG1GC \
        -Dzookeeper.admin.enableServer";
    let sources = from_jvm_flags(flags);
    let result = sources.clone().file("zoo.cfg", complete("snapCount=6").as_bytes()).config();
    expect![[r#"
        accepted
        JVM flags: without effect, for there is no JVM: -DsnapCount -Djava.net.secret -XX:+UseG1GC
        JVM flags: zookeeper.tickTime: not a known key, and without effect; tickTime is a key of the file, not a flag
        JVM flags: zookeeper.foo: not a known key, and without effect
        JVM flags: zookeeper.superUser: without effect: SASL is not built yet: nobody can log in with it
    "#]].assert_eq(&outcome(result.clone()));
    let config = result.expect("flags and file are valid").config;
    assert_eq!(config.storage.snapshot_after_txns, 6);
    assert_eq!(config.limits.frame_size_max_bytes, 4096);
    let alone = sources.option("snapCount", "7").config().expect("flags are valid").config;
    assert_eq!((alone.storage.snapshot_after_txns, alone.listen.port), (7, 2181));
    expect![[r#"
        refused
        JVM flags: a quote ' is not closed (allowed: pairs of quotes)
    "#]]
    .assert_eq(&outcome(from_jvm_flags("-Dzookeeper.snapCount=x 'open").config()));
    expect![[r#"
        refused
        JVM flags: zookeeper.snapCount=x: not a whole number (allowed: -2147483648 to 2147483647)
    "#]]
    .assert_eq(&outcome(from_jvm_flags("-Dzookeeper.snapCount=x").config()));
}

#[test]
fn secrets_are_never_shown() {
    let lines =
        "DigestAuthenticationProvider.superDigest=super:S3cret\nssl.keyStore.password=S3cret\n";
    let loaded = parse("zoo.cfg", complete(lines).as_bytes()).expect("the file is valid");
    assert!(!format!("{loaded:?}").contains("S3cret"));
    let digest = loaded.config.auth.super_digest.expect("it is set");
    assert_eq!(digest.reveal(), "super:S3cret");
}

#[test]
fn long_values_are_cut_in_messages() {
    check(
        &format!("tickTime={}\\n\\tx", "1".repeat(90)),
        expect![[r#"
        refused
        zoo.cfg line 3: tickTime=11111111111111111111111111111111111111111111111111111111111111111111111111111111...: not a whole number of milliseconds (allowed: 1 to 2147483647 milliseconds)
    "#]],
    );
    check(
        "tickTime=a\\nb",
        expect![[r#"
        refused
        zoo.cfg line 3: tickTime=a�b: not a whole number of milliseconds (allowed: 1 to 2147483647 milliseconds)
    "#]],
    );
}
