//! What harms the reference does not harm us: each such request on a server of its own.
//!
//! While a client misbehaves, another one goes on being served; afterwards the server is killed and
//! starts again from its log: the tree is the same, and so are the digests.

use anyhow::{Context, Result, ensure};
use e2e::load::{create, read_tree, supervisor};
use e2e::play::{Client, Item, SUPER_DIGEST};
use e2e::program::{Hello, Password, Request, Value};
use e2e::raw::{self, Connection, Received, framed};
use e2e::servers::{Config, Kind, Server};
use e2e::tree;
use jute::{Decode, Reader};
use wire::{Acl, ConnectResponse, MultiHeader, OpCode, ReplyHeader, Stat};

const MARSHALLING: i32 = -5;
const UNIMPLEMENTED: i32 = -6;
const BAD_ARGUMENTS: i32 = -8;
const INVALID_ACL: i32 = -114;

/// Runs `misbehave` beside a client that must notice nothing.
fn check(misbehave: impl FnOnce(&Server, &mut Client) -> Result<()>) {
    if let Err(error) = run(misbehave) {
        panic!("{error:#}");
    }
}

fn run(misbehave: impl FnOnce(&Server, &mut Client) -> Result<()>) -> Result<()> {
    let lines = [
        "tickTime=2000",
        "maxSessionTimeout=120000",
        "maxClientCnxns=0",
        "4lw.commands.whitelist=*",
        "extendedTypesEnabled=true",
        "preAllocSize=64",
        "snapCount=1000000",
        SUPER_DIGEST,
    ];
    let properties = vec!["znode.container.checkIntervalMs=50".to_owned()];
    let config = Config { lines: lines.map(str::to_owned).into(), properties };
    let mut server = Server::start(Kind::Quorate, config)?;
    let mut bystander = supervisor(server.address())?;
    create(&mut bystander, "/before", "")?;
    let mut client = connect(&server)?;
    misbehave(&server, &mut client).with_context(|| server.log_tail())?;
    create(&mut bystander, "/after", "").context("the bystander")?;
    let before = read_tree(server.address())?;
    server.kill()?;
    server.start_again()?;
    let after = read_tree(server.address())?;
    ensure!(before == after, "{}", tree::difference(&before, &after).unwrap_or_default());
    let mntr = raw::word(server.address(), "mntr")?;
    ensure!(mntr.contains("zk_digest_mismatches_count\t0\n"), "digests do not match");
    create(&mut supervisor(server.address())?, "/again", "")?;
    Ok(())
}

fn connect(server: &Server) -> Result<Client> {
    let mut client = Client::default();
    client.connect(server.address(), &Hello::new_session(), &[])?;
    ensure!(client.is_connected(), "no session");
    Ok(client)
}

fn text(path: &str) -> Value {
    Value::Text(path.to_owned())
}

fn open() -> Value {
    let mut bytes = Vec::new();
    jute::Writer::new(&mut bytes).vector(&Acl::open());
    Value::Raw(bytes)
}

/// Any of the creates, with open access; the time to live for createTTL alone.
fn create_with(op: OpCode, path: &str, flags: i32) -> Request {
    let mut values = vec![text(path), Value::Bytes(b"x".to_vec()), open(), Value::Int(flags)];
    values.extend((op == OpCode::CreateTtl).then_some(Value::Long(3_600_000)));
    Request::new(op, values)
}

/// createTTL with open access.
fn create_ttl(path: &str, flags: i32, ttl: i64) -> Request {
    let values = vec![text(path), Value::Null, open(), Value::Int(flags), Value::Long(ttl)];
    Request::new(OpCode::CreateTtl, values)
}

/// One request and its reply.
fn ask(client: &mut Client, request: Request) -> Result<(ReplyHeader, Vec<u8>)> {
    Ok(tree::answers(client, &[request])?.remove(0))
}

/// One request, its error, and the end of the connection.
fn ask_to_end(client: &mut Client, request: Request) -> Result<i32> {
    let items = client.exchange_to_end(&[request])?;
    match items.as_slice() {
        [Item::Reply { header, .. }, Item::Closed] => Ok(header.err),
        other => anyhow::bail!("no reply and end: {other:?}"),
    }
}

/// Waits until the reaper has taken a node.
fn wait_until_gone(client: &mut Client, path: &str) -> Result<()> {
    let (header, _) =
        ask(client, Request::new(OpCode::Exists, vec![text(path), Value::Bool(true)]))?;
    if header.err != 0 {
        return Ok(());
    }
    let items = client.receive_next()?;
    ensure!(matches!(items[..], [Item::Event { .. }]), "{path} stays: {items:?}");
    Ok(())
}

/// A container goes when its last child has gone: that is what tells it from a plain node.
fn is_container(client: &mut Client, path: &str) -> Result<()> {
    let child = format!("{path}/child");
    ensure!(ask(client, create_with(OpCode::Create, &child, 0))?.0.err == 0, "no child");
    let delete = Request::new(OpCode::Delete, vec![text(&child), Value::Int(-1)]);
    ensure!(ask(client, delete)?.0.err == 0, "the child stays");
    wait_until_gone(client, path)
}

#[test]
fn a_time_to_live_with_the_flags_of_another_kind_is_refused() {
    check(|_, client| {
        for flags in 0..=4 {
            // A negative time is what the other creates have: the reference lets it through.
            for ttl in [3_600_000, 0, -1, i64::MIN] {
                let (header, _) = ask(client, create_ttl("/a", flags, ttl))?;
                ensure!(header.err == BAD_ARGUMENTS, "flags {flags} ttl {ttl}: {}", header.err);
            }
        }
        ensure!(ask(client, create_with(OpCode::CreateTtl, "/a", 5))?.0.err == 0);
        Ok(())
    });
}

#[test]
fn a_create_with_the_flags_of_a_container_makes_one() {
    check(|_, client| {
        for op in [OpCode::Create, OpCode::Create2] {
            let (header, _) = ask(client, create_with(op, "/c", 4))?;
            ensure!(header.err == 0, "{op:?}: {}", header.err);
            is_container(client, "/c")?;
        }
        Ok(())
    });
}

#[test]
fn a_container_with_other_flags_is_a_container() {
    check(|_, client| {
        for flags in [0, 1, 2, 3] {
            let (header, body) = ask(client, create_with(OpCode::CreateContainer, "/c", flags))?;
            ensure!(header.err == 0, "flags {flags}: {}", header.err);
            let mut reader = Reader::new(&body);
            let path = reader.string()?.context("no path")?.into_owned();
            ensure!(path.len() == if flags >= 2 { 12 } else { 2 }, "flags {flags}: {path}");
            ensure!(Stat::decode(&mut reader)?.ephemeral_owner == 0, "flags {flags}: an owner");
            is_container(client, &path)?;
        }
        Ok(())
    });
}

#[test]
fn what_only_servers_may_ask_for_ends_the_connection() {
    check(|server, client| {
        let container = Request::new(OpCode::DeleteContainer, vec![text("/before")]);
        ensure!(ask_to_end(client, container)? == UNIMPLEMENTED);
        let session = Request::new(OpCode::CreateSession, vec![Value::Int(30_000)]);
        ensure!(ask_to_end(&mut connect(server)?, session)? == UNIMPLEMENTED);
        ensure!(read_tree(server.address())?.contains_key("/before"), "it was deleted");
        Ok(())
    });
}

#[test]
fn a_truncated_write_has_a_place_in_the_order_of_its_own() {
    check(|_, client| {
        let mut last = client.last_zxid;
        let set = vec![text("/before"), Value::Bytes(b"data".to_vec()), Value::Int(-1)];
        let whole = [
            create_with(OpCode::Create, "/cut", 0),
            create_with(OpCode::Create2, "/cut", 0),
            create_with(OpCode::CreateContainer, "/cut", 4),
            create_with(OpCode::CreateTtl, "/cut", 5),
            Request::new(OpCode::Delete, vec![text("/before"), Value::Int(-1)]),
            Request::new(OpCode::SetData, set),
            Request::new(OpCode::SetAcl, vec![text("/before"), open(), Value::Int(-1)]),
        ];
        for request in whole {
            for cut in [1, 3, 5, 1000] {
                let (header, _) = ask(client, Request { cut, ..request.clone() })?;
                ensure!(header.err == MARSHALLING, "{request:?} cut={cut}: {}", header.err);
                ensure!(header.zxid > last, "zxid {} after {last}", header.zxid);
                last = header.zxid;
            }
        }
        ensure!(ask(client, create_with(OpCode::Create, "/whole", 0))?.0.zxid == last + 1);
        Ok(())
    });
}

#[test]
fn a_quota_that_is_no_text_of_one_stops_nothing() {
    check(|server, client| {
        let mut quotas = supervisor(server.address())?;
        let texts = ["garbage", "count=x,bytes=y", "", "=,=,=", "count=99999999999999999999"];
        for (number, quota) in texts.into_iter().enumerate() {
            let node = format!("/zookeeper/quota/q{number}");
            create(&mut quotas, &node, "")?;
            create(&mut quotas, &format!("{node}/zookeeper_limits"), quota)?;
            create(&mut quotas, &format!("{node}/zookeeper_stats"), quota)?;
            let path = format!("/q{number}");
            ensure!(ask(client, create_with(OpCode::Create, &path, 0))?.0.err == 0, "{quota}");
            let below = create_with(OpCode::Create, &format!("{path}/below"), 0);
            ensure!(ask(client, below)?.0.err == 0, "{quota}");
            let values = vec![text(&path), Value::Filled(100), Value::Int(-1)];
            ensure!(ask(client, Request::new(OpCode::SetData, values))?.0.err == 0, "{quota}");
        }
        Ok(())
    });
}

#[test]
fn a_wrong_password_does_not_cost_the_owner_its_connection() {
    check(|server, owner| {
        let session = owner.session.clone().context("no session")?;
        let mut thief = Client::of(session.clone());
        let hello = Hello { again: true, password: Password::Wrong, ..Hello::new_session() };
        let items = thief.connect(server.address(), &hello, &[])?;
        let [Item::Hello(frame), Item::Closed] = items.as_slice() else {
            anyhow::bail!("no refusal: {items:?}");
        };
        let answer = ConnectResponse::decode(&mut Reader::new(frame))?;
        ensure!(answer.session_id == 0, "session {:#x}", answer.session_id);
        ensure!(ask(owner, create_with(OpCode::Create, "/owned", 1))?.0.err == 0);
        Ok(())
    });
}

#[test]
fn the_root_has_one_name_in_a_batch() {
    check(|_, client| {
        let set = |path| {
            let values = vec![text(path), Value::Bytes(b"root".to_vec()), Value::Int(-1)];
            Request::new(OpCode::SetData, values)
        };
        let create = |path| create_with(OpCode::Create, path, 0);
        let operations = vec![create("/m"), set("/"), create("/n")];
        let batch = [
            create("/a"),
            set("/"),
            create_with(OpCode::Create, "/s-", 2),
            Request::new(OpCode::Delete, vec![text("/a"), Value::Int(-1)]),
            set("/"),
            Request::new(OpCode::Multi, vec![Value::Operations(operations)]),
            create_with(OpCode::Create, "/s-", 2),
        ];
        let replies = tree::answers(client, &batch)?;
        ensure!(replies.iter().all(|(header, _)| header.err == 0), "{replies:?}");
        // /zookeeper and /before, two numbers, /m and /n.
        let exists = Request::new(OpCode::Exists, vec![text("/"), Value::Bool(false)]);
        let stat = Stat::decode(&mut Reader::new(&ask(client, exists)?.1))?;
        ensure!(stat.version == 3 && stat.num_children == 6, "{stat:?}");
        Ok(())
    });
}

/// The error of each operation in a multi's reply.
fn multi(client: &mut Client, operations: Vec<Request>) -> Result<Vec<i32>> {
    let request = Request::new(OpCode::Multi, vec![Value::Operations(operations)]);
    let (header, body) = ask(client, request)?;
    ensure!(header.err == 0, "the multi has the error {}", header.err);
    let mut reader = Reader::new(&body);
    let mut errors = Vec::new();
    loop {
        let header = MultiHeader::decode(&mut reader)?;
        if header.done {
            return Ok(errors);
        }
        ensure!(header.op == -1, "operation {} was done", header.op);
        errors.push(reader.int()?);
    }
}

#[test]
fn a_multi_does_not_let_through_what_is_refused_alone() {
    check(|_, client| {
        let good = || create_with(OpCode::Create, "/good", 0);
        for ttl in [3_600_000, -1] {
            let errors = multi(client, vec![good(), create_ttl("/a", 0, ttl)])?;
            ensure!(errors == [0, BAD_ARGUMENTS], "ttl {ttl}: {errors:?}");
        }
        let values = vec![text("/a"), Value::Null, Value::Null, Value::Int(0)];
        let errors = multi(client, vec![Request::new(OpCode::Create, values), good()])?;
        ensure!(errors == [INVALID_ACL, -2], "{errors:?}");
        Ok(())
    });
}

#[test]
fn a_multi_of_ten_thousand_multis_is_refused() {
    check(|server, client| {
        let mut body = Vec::new();
        for _ in 0..10_000 {
            jute::put_int(&mut body, OpCode::Multi.number());
            jute::put_bool(&mut body, false);
            jute::put_int(&mut body, -1);
        }
        for op in [OpCode::Multi, OpCode::MultiRead] {
            let items = client.exchange(&[Request::new(op, vec![Value::Raw(body.clone())])])?;
            let refused = match &items[..] {
                [Item::Reply { header, .. }, ..] => header.err != 0,
                [Item::Closed] => true,
                _ => false,
            };
            ensure!(refused, "{op:?}: {items:?}");
            *client = connect(server)?;
        }
        Ok(())
    });
}

/// What came before the connection ended; it must end.
fn end(connection: &mut Connection) -> Result<Vec<u8>> {
    let (bytes, ended) = connection.receive_to_end()?;
    ensure!(ended, "the connection stays open");
    Ok(bytes)
}

#[test]
fn lengths_that_no_frame_has_end_the_connection() {
    check(|server, client| {
        for length in [-1, i32::MIN, i32::MAX, 0x0010_0000, 0x7f00_0000] {
            let mut connection = server.connect()?;
            connection.send(&length.to_be_bytes());
            connection.send(&[0xff; 64]);
            connection.shutdown_write();
            ensure!(end(&mut connection)?.is_empty(), "length {length} is answered");
        }
        for length in [-1, i32::MIN, i32::MAX] {
            let mut client = connect(server)?;
            let items = client.send_to_end(&length.to_be_bytes())?;
            ensure!(items == [Item::Closed], "length {length}: {items:?}");
        }
        ensure!(ask(client, create_with(OpCode::Create, "/fine", 0))?.0.err == 0);
        Ok(())
    });
}

#[test]
fn lengths_inside_a_request_are_not_believed() {
    check(|server, _| {
        for length in [-2, i32::MIN, i32::MAX, 1_000_000] {
            for op in [OpCode::Create, OpCode::SetData, OpCode::GetData, OpCode::SetWatches] {
                let mut client = connect(server)?;
                let values = vec![Value::Int(length), Value::Raw(b"/abc".to_vec())];
                let items = client.exchange(&[Request::new(op, values)])?;
                let refused = match &items[..] {
                    [Item::Reply { header, .. }, ..] => header.err != 0,
                    [Item::Closed] => true,
                    _ => false,
                };
                ensure!(refused, "{op:?} with {length}: {items:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn connections_that_say_nothing_or_half_keep_nobody_waiting() {
    check(|server, client| {
        let mut hello = Vec::new();
        jute::Writer::new(&mut hello).int(0).long(0).int(30_000).long(0).buffer(Some(&[0; 16]));
        let hello = framed(&hello);
        let mut open = Vec::new();
        for size in 0..hello.len() {
            let mut connection = server.connect()?;
            connection.send(&hello[..size]);
            open.push(connection);
        }
        let mut half = Vec::new();
        create_with(OpCode::Create, "/half", 0).encode(1, 0, &mut half);
        for size in [1, 4, 8, half.len() - 1] {
            let mut connection = server.connect()?;
            connection.send(&hello);
            let answer = connection.receive()?;
            ensure!(matches!(answer, Received::Frame(_)), "no session: {answer:?}");
            connection.send(&half[..size]);
            open.push(connection);
        }
        for number in 0..20 {
            let path = format!("/served{number}");
            ensure!(ask(client, create_with(OpCode::Create, &path, 0))?.0.err == 0);
        }
        for connection in &mut open {
            connection.shutdown_write();
            end(connection)?;
        }
        ensure!(!read_tree(server.address())?.contains_key("/half"), "half a request was done");
        Ok(())
    });
}
