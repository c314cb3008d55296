//! A client of few words: raw frames over a blocking socket.

use jute::{Decode, Encode, Reader};
use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use wire::{Acls, ConnectRequest, ConnectResponse, CreateRequest, OpCode, RequestHeader};
use wire::{DeleteRequest, PathWatchRequest, ReplyHeader, SetDataRequest};

/// One connection.
pub(super) struct Client {
    pub(super) stream: TcpStream,
    next_xid: i32,
}

/// One reply or event.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) header: ReplyHeader,
    pub(super) body: Vec<u8>,
}

impl Client {
    /// Connects without a word.
    pub(super) fn dial(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", address.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client::on(stream)
    }

    /// On a connection that is there.
    pub(super) fn on(stream: TcpStream) -> Client {
        Client { stream, next_xid: 0 }
    }

    /// Connects and opens a session.
    pub(super) fn open(address: SocketAddr) -> Client {
        let mut client = Client::dial(address);
        let response = client.handshake(0, &[0; 16]).expect("a session");
        assert_ne!(response.session_id, 0);
        client
    }

    /// Asks for a session, a new one or that of `session_id`; `None` if the server hangs up.
    pub(super) fn handshake(
        &mut self,
        session_id: i64,
        password: &[u8],
    ) -> Option<ConnectResponse> {
        let mut frame = Vec::new();
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 20_000,
            session_id,
            password,
            read_only: Some(false),
        }
        .encode(&mut frame);
        self.send_frame(&frame);
        let frame = self.frame()?;
        Some(ConnectResponse::decode(&mut Reader::new(&frame)).unwrap())
    }

    /// Sends a request and gives its xid.
    pub(super) fn send(&mut self, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) -> i32 {
        let mut frame = Vec::new();
        self.next_xid += 1;
        RequestHeader { xid: self.next_xid, op: op.number() }.encode(&mut frame);
        body(&mut frame);
        self.send_frame(&frame);
        self.next_xid
    }

    /// Sends a request and waits for its reply; events before it are lost.
    pub(super) fn call(&mut self, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) -> Answer {
        self.try_call(op, body).expect("an answer")
    }

    /// The same; `None` if the server hangs up, as at the end of a leader's office.
    pub(super) fn try_call(
        &mut self,
        op: OpCode,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Answer> {
        let xid = self.send(op, body);
        loop {
            let answer = self.answer()?;
            if answer.header.xid == xid {
                return Some(answer);
            }
        }
    }

    pub(super) fn create(&mut self, path: &str, data: &[u8]) -> i32 {
        self.call(OpCode::Create, |out| create(path, data).encode(out)).header.err
    }

    pub(super) fn set(&mut self, path: &str, data: &[u8]) -> i32 {
        self.call(OpCode::SetData, |out| set(path, data).encode(out)).header.err
    }

    pub(super) fn delete(&mut self, path: &str) -> i32 {
        let request = DeleteRequest { path: Cow::Borrowed(path), version: -1 };
        self.call(OpCode::Delete, |out| request.encode(out)).header.err
    }

    /// The data of a node, or the error.
    pub(super) fn get(&mut self, path: &str, watch: bool) -> Result<Vec<u8>, i32> {
        self.try_get(path, watch).expect("an answer")
    }

    /// The same; `None` if the server hangs up.
    pub(super) fn try_get(&mut self, path: &str, watch: bool) -> Option<Result<Vec<u8>, i32>> {
        let answer = self.try_call(OpCode::GetData, |out| get(path, watch).encode(out))?;
        if answer.header.err != 0 {
            return Some(Err(answer.header.err));
        }
        Some(Ok(Reader::new(&answer.body).buffer().unwrap().unwrap_or_default().to_vec()))
    }

    /// The next reply or event; `None` at the end.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        let frame = self.frame()?;
        let mut reader = Reader::new(&frame);
        let header = ReplyHeader::decode(&mut reader).unwrap();
        Some(Answer { header, body: reader.rest().to_vec() })
    }

    pub(super) fn send_frame(&mut self, frame: &[u8]) {
        let length = i32::try_from(frame.len()).unwrap().to_be_bytes();
        self.stream.write_all(&[&length, frame].concat()).unwrap();
    }

    /// Waits until the server hangs up, and gives what it said before.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        rest
    }

    fn frame(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer"),
            Err(_) => return None,
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        Some(frame)
    }
}

/// The answer to a four-letter word.
pub(super) fn word(address: SocketAddr, word: &[u8]) -> String {
    let mut client = Client::dial(address);
    client.stream.write_all(word).unwrap();
    String::from_utf8(client.rest()).unwrap()
}

pub(super) fn create<'a>(path: &'a str, data: &'a [u8]) -> CreateRequest<'a> {
    CreateRequest {
        path: Cow::Borrowed(path),
        data: Some(data),
        acl: Some(Acls::OPEN),
        flags: 0,
        ttl_ms: -1,
    }
}

pub(super) fn set<'a>(path: &'a str, data: &'a [u8]) -> SetDataRequest<'a> {
    SetDataRequest { path: Cow::Borrowed(path), data: Some(data), version: -1 }
}

pub(super) fn get(path: &str, watch: bool) -> PathWatchRequest<'_> {
    PathWatchRequest { path: Cow::Borrowed(path), watch }
}

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);
