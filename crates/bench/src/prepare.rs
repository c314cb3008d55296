//! Before and after a load: makes the nodes that it works on, and removes them.
//!
//! One plain blocking connection with requests in a pipeline; any error reply ends the preparation.

use crate::load::connection::handshake;
use crate::load::plan::{Kind, Load};
use crate::load::template::{Template, value};
use anyhow::{Context, Result, bail, ensure};
use jute::{Encode, Reader};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use wire::{ConnectResponse, DeleteRequest, ErrorCode, MULTI_END, MultiHeader, OpCode};
use wire::{ReplyHeader, RequestHeader, Strings};

/// A session for preparations.
pub(crate) struct Preparation {
    stream: TcpStream,
    /// Frames to send, and how many they are.
    out: Vec<u8>,
    unanswered: usize,
}

impl Preparation {
    /// Opens a session.
    pub(crate) fn connect(host: SocketAddr) -> Result<Preparation> {
        let stream =
            TcpStream::connect(host).with_context(|| format!("cannot connect to {host}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        let mut this = Preparation { stream, out: Vec::new(), unanswered: 0 };
        this.stream.write_all(&handshake(SESSION_TIMEOUT_MS))?;
        let answer = this.frame().with_context(|| format!("{host} does not answer"))?;
        let answer = ConnectResponse::decode(&mut Reader::new(&answer))?;
        ensure!(answer.timeout_ms > 0, "{host} refuses a session");
        Ok(this)
    }

    /// Makes the nodes of a load under `root`; the layout stands in `traffic`.
    pub(crate) fn make(&mut self, load: &Load, root: &str) -> Result<()> {
        self.remove(root)?;
        self.create(root, b"")?;
        let data = value(load.value_size);
        let (keys, directories, children) = match load.kind {
            Kind::Create | Kind::Sequential => (0, load.connections as u64, 0),
            Kind::Children => (0, 0, load.children),
            Kind::Watch => (1, 0, 0),
            Kind::Get | Kind::Exists | Kind::Set | Kind::Mixed | Kind::Sync | Kind::Multi => {
                (load.keys, 0, 0)
            }
            Kind::Ping | Kind::Churn | Kind::Storm | Kind::Idle => (0, 0, 0),
        };
        self.create_all(&format!("{root}/k########"), &data, keys)?;
        self.create_all(&format!("{root}/d######"), b"", directories)?;
        if children > 0 {
            let list = format!("{root}/dlist");
            self.create(&list, b"")?;
            self.create_all(&format!("{list}/n########"), b"", children)?;
        }
        Ok(())
    }

    /// Removes what [`Preparation::make`] and the load made; nothing there is fine.
    pub(crate) fn remove(&mut self, root: &str) -> Result<()> {
        let Some(entries) = self.children(root)? else { return Ok(()) };
        for directory in entries.iter().filter(|name| name.starts_with('d')) {
            let path = format!("{root}/{directory}");
            let names = self.children(&path)?.unwrap_or_default();
            self.delete_all(&path, &names)?;
        }
        self.delete_all(root, &entries)?;
        let (parent, name) = root.rsplit_once('/').context("a root is a path")?;
        self.delete_all(parent, &[name.to_owned()])
    }

    /// Ends the session.
    pub(crate) fn close(mut self) -> Result<()> {
        Template::close().emit(1, &mut self.out, || 0);
        self.unanswered += 1;
        self.settle(&[])
    }

    fn create(&mut self, path: &str, data: &[u8]) -> Result<()> {
        Template::create(path, data, 0).emit(1, &mut self.out, || 0);
        self.unanswered += 1;
        self.settle(&[ErrorCode::NodeExists])
    }

    fn create_all(&mut self, path: &str, data: &[u8], count: u64) -> Result<()> {
        let template = Template::create(path, data, 0);
        for number in 0..count {
            template.emit(1, &mut self.out, || number);
            self.push()?;
        }
        self.settle(&[])
    }

    fn delete_all(&mut self, parent: &str, names: &[String]) -> Result<()> {
        for some in names.chunks(DELETES_PER_MULTI) {
            let mut body = Vec::new();
            RequestHeader { xid: 1, op: OpCode::Multi.number() }.encode(&mut body);
            for name in some {
                let header = MultiHeader { op: OpCode::Delete.number(), done: false, err: -1 };
                header.encode(&mut body);
                DeleteRequest { path: format!("{parent}/{name}").into(), version: -1 }
                    .encode(&mut body);
            }
            MULTI_END.encode(&mut body);
            jute::put_buffer(&mut self.out, Some(&body));
            self.push()?;
        }
        self.settle(&[])
    }

    /// The names of a node's children; `None` if there is no such node.
    fn children(&mut self, path: &str) -> Result<Option<Vec<String>>> {
        Template::children(path).emit(1, &mut self.out, || 0);
        self.send()?;
        let frame = self.frame()?;
        let mut reader = Reader::new(&frame);
        let header = ReplyHeader { xid: reader.int()?, zxid: reader.long()?, err: reader.int()? };
        if header.err == ErrorCode::NoNode.number() {
            return Ok(None);
        }
        ensure!(header.err == 0, "cannot list {path}: {}", error_name(header.err));
        let names = Strings::decode(&mut reader)?.context("a list of children is not null")?;
        Ok(Some(names.iter().map(std::borrow::Cow::into_owned).collect()))
    }

    fn push(&mut self) -> Result<()> {
        self.unanswered += 1;
        if self.unanswered >= PIPELINE { self.settle(&[]) } else { Ok(()) }
    }

    /// Sends what is made and takes its replies.
    fn settle(&mut self, tolerated: &[ErrorCode]) -> Result<()> {
        self.send()?;
        for _ in 0..std::mem::take(&mut self.unanswered) {
            let frame = self.frame()?;
            let err = Reader::new(frame.get(12..16).context("a reply has a header")?).int()?;
            if err != 0 && tolerated.iter().all(|code| code.number() != err) {
                bail!("the server answers {} while nodes are prepared", error_name(err));
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn frame(&mut self) -> Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        ensure!(length <= FRAME_SIZE_MAX, "a reply of {length} bytes");
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame)?;
        Ok(frame)
    }
}

/// An error code's name, or its number.
pub(crate) fn error_name(code: i32) -> String {
    ErrorCode::from_number(code).map_or_else(|| code.to_string(), |code| format!("{code:?}"))
}

/// Long enough to delete many nodes without the session's expiry, in ms.
const SESSION_TIMEOUT_MS: u32 = 30_000;
/// A server that does not answer for that long is not there.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Requests sent before their replies are read; small enough for socket buffers to hold the replies.
const PIPELINE: usize = 100;
/// A multi stays far below the reference's frame limit of 1 MiB.
const DELETES_PER_MULTI: usize = 200;
/// A list of ten million children fits.
const FRAME_SIZE_MAX: usize = 1 << 30;
