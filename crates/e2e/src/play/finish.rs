//! The end of a program: reads the whole tree, ends all sessions, and deletes what is left.

use super::client::Client;
use super::describe::{acl, data, text};
use super::names::Decoded;
use super::{Player, SUPER_USER};
use crate::program::{Hello, Request, Value};
use crate::tree::replies;
use anyhow::{Result, bail, ensure};
use jute::Reader;
use wire::{OpCode, ReplyHeader};

/// Nodes that are always there.
const RESERVED: &[&str] = &["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
/// How many nodes are read in one write.
const BATCH: usize = 100;

impl Player<'_> {
    /// Writes the tree into the transcript, and cleans up.
    pub(super) fn finish(&mut self) -> Result<()> {
        let paths = self.dump()?;
        self.close_sessions()?;
        self.delete(&paths)?;
        let close = [Request::new(OpCode::CloseSession, Vec::new())];
        self.supervisor.exchange_to_end(&close)?;
        Ok(())
    }

    /// Reads every node, parents first; gives the paths.
    fn dump(&mut self) -> Result<Vec<String>> {
        let mut paths = vec!["/".to_owned()];
        let mut next = 0;
        while next < paths.len() {
            let batch: Vec<String> = paths[next..].iter().take(BATCH).cloned().collect();
            next += batch.len();
            let replies =
                self.supervise(&batch.iter().flat_map(|path| reads(path)).collect::<Vec<_>>())?;
            for (path, replies) in batch.iter().zip(replies.chunks(3)) {
                let mut children = self.dump_node(path, replies)?;
                children.sort();
                let parent = if path == "/" { "" } else { path };
                paths.extend(children.iter().map(|child| format!("{parent}/{child}")));
            }
        }
        Ok(paths)
    }

    fn dump_node(&mut self, path: &str, replies: &[(ReplyHeader, Vec<u8>)]) -> Result<Vec<String>> {
        if let Some((header, _)) = replies.iter().find(|(header, _)| header.err != 0) {
            self.lines.push(format!("node {path} cannot be read: {}", header.err));
            return Ok(Vec::new());
        }
        let mut decode = || -> Decoded<(String, Vec<String>)> {
            let data = data(&mut Reader::new(&replies[1].1))?;
            let acl = acl(&mut Reader::new(&replies[2].1))?;
            let mut reader = Reader::new(&replies[0].1);
            let count = reader.count(4)?.unwrap_or(0);
            let children = (0..count).map(|_| text(&mut reader)).collect::<Decoded<_>>()?;
            Ok((format!("{data} {acl} {}", self.names.stat(&mut reader)?), children))
        };
        match decode() {
            Ok((line, children)) => {
                self.lines.push(format!("node {path} {line}"));
                Ok(children)
            }
            Err(error) => bail!("node {path}: {error}"),
        }
    }

    /// Sends requests of the supervisor; gives their replies.
    fn supervise(&mut self, requests: &[Request]) -> Result<Vec<(ReplyHeader, Vec<u8>)>> {
        let items = self.supervisor.exchange(requests)?;
        ensure!(self.supervisor.is_connected(), "the supervisor lost its connection");
        replies(items, requests.len())
    }

    fn close_sessions(&mut self) -> Result<()> {
        let mut clients = std::mem::take(&mut self.clients);
        let abandoned = std::mem::take(&mut self.abandoned);
        for client in clients.iter_mut().filter(|c| c.session.is_some()) {
            self.close_session(client)?;
        }
        for session in abandoned {
            self.close_session(&mut Client::of(session))?;
        }
        Ok(())
    }

    fn close_session(&mut self, client: &mut Client) -> Result<()> {
        if !client.is_connected() {
            let hello = Hello { again: true, ..Hello::new_session() };
            client.connect(self.server.address(), &hello, &[])?;
        }
        let close = Request::new(OpCode::CloseSession, Vec::new());
        client.exchange_to_end(&[close])?;
        Ok(())
    }

    /// Deletes all but the reserved nodes, whose data and access lists are set back.
    fn delete(&mut self, paths: &[String]) -> Result<()> {
        let doomed = paths.iter().rev().filter(|path| !RESERVED.contains(&path.as_str()));
        let mut requests: Vec<Request> = doomed
            .map(|path| {
                Request::new(OpCode::Delete, vec![Value::Text(path.clone()), Value::Int(-1)])
            })
            .collect();
        for path in RESERVED {
            let perms = if *path == "/zookeeper/config" { 1 } else { 31 };
            let path = Value::Text((*path).to_owned());
            let (data, version) = (Value::Bytes(Vec::new()), Value::Int(-1));
            requests.push(Request::new(OpCode::SetData, vec![path.clone(), data, version.clone()]));
            let world = ["world", "anyone"].map(|text| Value::Text(text.to_owned()));
            let entry = [Value::Int(1), Value::Int(perms)].into_iter().chain(world);
            let values = [path].into_iter().chain(entry).chain([version]).collect();
            requests.push(Request::new(OpCode::SetAcl, values));
        }
        for batch in requests.chunks(BATCH) {
            self.supervise(batch)?;
        }
        let zxid = self.names.zxid(self.supervisor.last_zxid);
        self.lines.push(format!("all deleted by {} at {zxid}", SUPER_USER));
        Ok(())
    }
}

fn reads(path: &str) -> [Request; 3] {
    let path = || Value::Text(path.to_owned());
    [
        Request::new(OpCode::GetChildren2, vec![path(), Value::Bool(false)]),
        Request::new(OpCode::GetData, vec![path(), Value::Bool(false)]),
        Request::new(OpCode::GetAcl, vec![path()]),
    ]
}
