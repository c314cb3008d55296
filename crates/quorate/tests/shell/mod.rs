//! `quorate shell` as a process: what it prints where, its exit codes, and what zkCli does not have.
//! What zkCli has is compared with zkCli itself: `interop/tours/shell`.

use super::{Served, command, run};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

/// A server, and a shell that talks to it.
struct Shelled {
    served: Served,
    hosts: String,
    _dir: tempfile::TempDir,
}

/// What a command left.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    code: i32,
    out: String,
    err: String,
}

fn left(output: std::process::Output) -> Left {
    Left {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Shelled {
    fn start() -> Shelled {
        let dir = tempfile::tempdir().unwrap();
        let served = Served::start(dir.path(), &[]);
        let hosts = format!("127.0.0.1:{}", served.port);
        Shelled { served, hosts, _dir: dir }
    }

    fn run(&self, words: &[&str]) -> Left {
        left(run(&[&["shell", "-server", &self.hosts], words].concat()))
    }

    /// What a command that succeeds prints as its result.
    fn out(&self, words: &[&str]) -> String {
        let Left { code, out, err } = self.run(words);
        assert_eq!(code, 0, "{words:?}: {err}");
        out
    }

    /// Lines from a pipe.
    fn piped(&self, lines: &str) -> Left {
        let mut command = command(&["shell", "-server", &self.hosts]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        left(child.wait_with_output().unwrap())
    }

    /// `/t` with nodes of every kind that an export must keep.
    fn plant(&self) {
        for words in [
            &["create", "/t", "top"][..],
            &["create", "/t/null"],
            &["create", "/t/empty", ""],
            &["create", "/t/text", "caf\u{e9} \"quoted\"", "world:anyone:r,ip:127.0.0.1:cdrwa"],
            &["create", "/t/text/below", "x"],
            &["create", "/t/bytes"],
            &["set", "-b", "/t/bytes", "/wCA"],
        ] {
            self.out(words);
        }
    }
}

impl Drop for Shelled {
    fn drop(&mut self) {
        // Nothing is left to do if it has ended by itself.
        let _ = self.served.child.kill();
        let _ = self.served.child.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn results_go_to_stdout_and_everything_else_to_stderr() {
    let shelled = Shelled::start();
    let Left { code, out, err } = shelled.run(&["create", "/a", "data"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", "Created /a\n"));
    let Left { code, out, err } = shelled.run(&["get", "/a"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "data\n", ""));
    let Left { code, out, err } = shelled.run(&["get", "/none"]);
    let said = "Node does not exist: /none\n";
    assert_eq!((code, out.as_str(), err.as_str()), (1, "", said));
    let Left { code, out, err } = shelled.run(&["nosuch"]);
    assert_eq!((code, out.as_str()), (127, ""));
    assert!(err.contains("\n\tget [-s] [-w] [-b] [-x] path\n"), "{err}");
    assert!(err.ends_with("Command not found: Command not found nosuch\n"), "{err}");
    let Left { code, out, err } = shelled.run(&["-nosuch", "ls", "/"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("unknown option -nosuch"), "{err}");
}

#[test]
fn a_pipe_gets_no_prompt_no_colours_and_the_last_exit_code() {
    let shelled = Shelled::start();
    let Left { code, out, err } = shelled.piped("create /a x\nget /none\nget /a\n");
    assert_eq!(code, 0);
    assert!(out.lines().any(|line| line == "x"), "{out}");
    assert!(err.contains("Node does not exist: /none"), "{err}");
    for text in [&out, &err] {
        assert!(!text.contains('\x1b') && !text.contains("[zk:"), "{text}");
    }
    assert_eq!(shelled.piped("get /a\nget /none\n").code, 1);
    assert_eq!(shelled.piped("get /none\nquit\nget /a\n").code, 1);
    assert_eq!(shelled.piped("get /a\nquit\n").code, 0);
}

#[test]
fn nobody_there_is_a_failure_within_the_timeout() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for more in [&["-waitforconnection"][..], &[]] {
        let hosts = nobody.to_string();
        let first = ["shell", "-server", hosts.as_str(), "-timeout", "300"];
        let Left { code, out, err } = left(run(&[&first, more, &["ls", "/"]].concat()));
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(!err.is_empty());
    }
}

#[test]
fn data_that_is_no_text_goes_in_and_out_as_base64_and_out_as_a_hexdump() {
    let shelled = Shelled::start();
    shelled.out(&["create", "/a"]);
    shelled.out(&["set", "-b", "/a", "AP9oZWxsbw=="]);
    assert_eq!(shelled.out(&["get", "-b", "/a"]), "AP9oZWxsbw==\n");
    let dump = shelled.out(&["get", "-x", "/a"]);
    let row = "|00000000| 00 ff 68 65 6c 6c 6f                            |..hello         |";
    assert_eq!(dump.lines().nth(3), Some(row));
    let Left { code, err, .. } = shelled.run(&["set", "-b", "/a", "no base64"]);
    assert_eq!(code, 1);
    assert!(err.contains("no base64"), "{err}");
}

#[test]
fn a_subtree_is_drawn_and_searched() {
    let shelled = Shelled::start();
    shelled.plant();
    assert_eq!(
        shelled.out(&["tree", "/t"]),
        "/t\n├── bytes\n├── empty\n├── null\n└── text\n    └── below\n"
    );
    assert_eq!(shelled.out(&["tree", "-d", "1", "/t"]).lines().count(), 5);
    assert_eq!(shelled.out(&["find", "/t", "-name", "*t*"]), "/t\n/t/bytes\n/t/empty\n/t/text\n");
    assert_eq!(shelled.out(&["find", "/t", "-data", "quoted"]), "/t/text\n");
    assert_eq!(shelled.out(&["find", "/t", "-e"]), "");
    assert_eq!(shelled.run(&["find", "/none"]).code, 1);
    assert_eq!(shelled.run(&["tree", "-d", "x", "/t"]).code, 1);
    // A chroot is the root of what is drawn.
    let hosts = format!("{}/t/text", shelled.hosts);
    assert_eq!(left(run(&["shell", "-server", &hosts, "tree"])).out, "/\n└── below\n");
}

#[test]
fn an_export_comes_back_byte_for_byte() {
    let shelled = Shelled::start();
    shelled.plant();
    let dir = tempfile::tempdir().unwrap();
    let (file, again) = (dir.path().join("export.json"), dir.path().join("again.json"));
    shelled.out(&["export", "/t", text(&file)]);
    let export: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let node = |path: &str| {
        let nodes = export["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["path"] == path).unwrap().clone()
    };
    let open = json!([{ "perms": 31, "scheme": "world", "id": "anyone" }]);
    assert_eq!(node("/null"), json!({ "path": "/null", "acl": open }));
    assert_eq!(node("/empty"), json!({ "path": "/empty", "text": "", "acl": open }));
    assert_eq!(node("/bytes"), json!({ "path": "/bytes", "base64": "/wCA", "acl": open }));
    assert_eq!(node("/text")["text"], "caf\u{e9} \"quoted\"");
    assert_eq!(node("/text")["acl"][1], json!({ "perms": 31, "scheme": "ip", "id": "127.0.0.1" }));

    // Elsewhere, and back where it was.
    shelled.out(&["import", text(&file), "/elsewhere"]);
    shelled.out(&["export", "/elsewhere", text(&again)]);
    let mut elsewhere: Value = serde_json::from_slice(&fs::read(&again).unwrap()).unwrap();
    assert_eq!(elsewhere["root"], "/elsewhere");
    elsewhere["root"] = json!("/t");
    assert_eq!(elsewhere, export);
    shelled.out(&["deleteall", "/t"]);
    shelled.out(&["import", text(&file)]);
    let printed: Value = serde_json::from_str(&shelled.out(&["export", "/t"])).unwrap();
    assert_eq!(printed, export);
}

#[test]
fn an_import_overwrites_only_on_request() {
    let shelled = Shelled::start();
    shelled.plant();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("export.json");
    shelled.out(&["export", "/t", text(&file)]);
    shelled.out(&["set", "/t", "changed"]);
    let Left { code, err, .. } = shelled.run(&["import", text(&file)]);
    assert_eq!((code, err.as_str()), (1, "Node already exists: /t\n"));
    assert_eq!(shelled.out(&["get", "/t"]), "changed\n");
    shelled.out(&["import", "-f", text(&file)]);
    assert_eq!(shelled.out(&["get", "/t"]), "top\n");

    fs::write(&file, "{}").unwrap();
    assert_eq!(shelled.run(&["import", text(&file)]).code, 1);
    assert_eq!(shelled.run(&["import", "/no/such/file"]).code, 1);
}

#[test]
fn ephemeral_nodes_are_exported_on_request_and_never_imported() {
    let shelled = Shelled::start();
    let dir = tempfile::tempdir().unwrap();
    let (without, with) = (dir.path().join("without"), dir.path().join("with"));
    let lines = format!(
        "create /t\ncreate -e /t/e x\nexport /t {}\nexport -e /t {}\nfind /t -e\n",
        text(&without),
        text(&with)
    );
    let Left { code, out, err } = shelled.piped(&lines);
    assert_eq!(code, 0, "{err}");
    assert!(out.lines().any(|line| line == "/t/e"), "{out}");
    assert!(err.contains("1 ephemeral nodes were left out"), "{err}");
    let count = |file: &Path| {
        let export: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        export["nodes"].as_array().unwrap().len()
    };
    assert_eq!((count(&without), count(&with)), (1, 2));
    let Left { code, err, .. } = shelled.run(&["import", text(&with), "/u"]);
    assert_eq!(code, 0);
    assert!(err.contains("1 ephemeral nodes were left out"), "{err}");
    assert_eq!(shelled.out(&["tree", "/u"]), "/u\n");
}

#[test]
fn a_watch_follows_a_subtree_until_it_has_seen_enough() {
    let shelled = Shelled::start();
    shelled.out(&["create", "/t"]);
    shelled.out(&["create", "/t/a"]);
    let mut watch = command(&["shell", "-server", &shelled.hosts, "watch", "-n", "3", "/t"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    // It says nothing before the first event, so changes are made until it has seen its three.
    while watch.try_wait().unwrap().is_none() {
        shelled.out(&["set", "/t/a", "x"]);
    }
    let mut out = String::new();
    watch.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(watch.wait().unwrap().success());
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.lines().all(|line| line.starts_with("NodeDataChanged /t/a 0x")), "{out}");
}
