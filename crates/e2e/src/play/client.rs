//! One client of a program: its connection, its session, and the replies it waits for.
//!
//! Guarantees: every frame that arrives becomes one [`Item`], in order; a reply is matched with the
//! oldest request that has its xid, and requests that it overtook are reported as missing.

use crate::program::{Form, Hello, Password, Request, Seen};
use crate::raw::{Connection, Received, framed};
use anyhow::Result;
use jute::{Decode, Encode, Reader};
use std::collections::VecDeque;
use std::net::SocketAddr;
use wire::{ConnectRequest, ConnectResponse, OpCode, ReplyHeader};

/// What a client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The answer to a connect request: the whole payload.
    Hello(Vec<u8>),
    /// An answer.
    Reply {
        /// The operation's number.
        op: i32,
        /// The reply's header.
        header: ReplyHeader,
        /// What follows the header.
        body: Vec<u8>,
    },
    /// The answer to the ping that ends a step.
    Barrier(ReplyHeader),
    /// A watch event.
    Event {
        /// The frame's header.
        header: ReplyHeader,
        /// What follows the header.
        body: Vec<u8>,
    },
    /// A request was not answered, though a later one was.
    Missing {
        /// The operation's number.
        op: i32,
    },
    /// A frame that answers nothing.
    Unexpected(Vec<u8>),
    /// The connection ended.
    Closed,
    /// Nothing came in time. The client gives the connection up.
    Silence,
}

/// What the client knows of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: i64,
    /// Its password.
    pub password: Vec<u8>,
}

#[derive(Debug)]
struct Expected {
    xid: i32,
    op: i32,
    barrier: bool,
}

/// A client.
#[derive(Debug, Default)]
pub struct Client {
    /// The session, once one was granted.
    pub session: Option<Session>,
    /// The highest zxid of any reply.
    pub last_zxid: i64,
    connection: Option<Connection>,
    next_xid: i32,
    expected: VecDeque<Expected>,
}

/// How far ahead of the server a client may claim to be: further than any program gets.
const AHEAD: i64 = 1 << 30;
/// What no session has as its password.
const WRONG_PASSWORD: [u8; 16] = [0x5a; 16];

impl Client {
    /// A client that holds a session and has no connection.
    #[must_use]
    pub fn of(session: Session) -> Client {
        Client { session: Some(session), ..Client::default() }
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Opens a connection, sends the connect request and `requests` in one write, and reads the
    /// first answer and, if it grants a session, those to the requests.
    ///
    /// # Errors
    /// If the server does not accept connections.
    pub fn connect(
        &mut self,
        address: SocketAddr,
        hello: &Hello,
        requests: &[Request],
    ) -> Result<Vec<Item>> {
        let mut connection = Connection::open(address)?;
        let mut bytes = framed(&self.hello(hello));
        self.next_xid = 0;
        self.expected.clear();
        self.encode(requests, &mut bytes);
        self.encode_barrier(&mut bytes);
        connection.send(&bytes);
        let frame = match connection.receive()? {
            Received::Frame(frame) => frame,
            Received::Closed => return Ok(vec![Item::Closed]),
            Received::Silence => return Ok(vec![Item::Silence]),
        };
        if let Ok(answer) = ConnectResponse::decode(&mut Reader::new(&frame))
            && answer.session_id != 0
        {
            let password = answer.password.to_vec();
            self.session = Some(Session { id: answer.session_id, password });
        }
        self.connection = Some(connection);
        let mut items = vec![Item::Hello(frame)];
        self.receive_expected(&mut items)?;
        Ok(items)
    }

    fn hello(&self, hello: &Hello) -> Vec<u8> {
        let session = self.session.as_ref().filter(|_| hello.again);
        let right = session.map_or_else(|| vec![0; 16], |s| s.password.clone());
        let password = match hello.password {
            Password::Right | Password::Null => right,
            Password::Wrong => WRONG_PASSWORD.to_vec(),
            Password::Short => right[..15].to_vec(),
        };
        let mut bytes = Vec::new();
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: match hello.seen {
                Seen::Zero => 0,
                Seen::Last => self.last_zxid,
                Seen::Ahead => self.last_zxid + AHEAD,
                Seen::Negative => -5,
            },
            timeout_ms: hello.timeout_ms,
            session_id: session.map_or(0, |s| s.id),
            password: &password,
            read_only: match hello.form {
                Form::New => Some(false),
                Form::ReadOnly => Some(true),
                Form::Old => None,
            },
        };
        request.encode(&mut bytes);
        if hello.password == Password::Null {
            // The password's length stands after 24 bytes of fixed fields.
            let flag = bytes.split_off(24).split_off(4 + password.len());
            jute::put_int(&mut bytes, -1);
            bytes.extend(flag);
        }
        bytes
    }

    /// Sends requests in one write and a ping behind them, and reads all answers.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn exchange(&mut self, requests: &[Request]) -> Result<Vec<Item>> {
        self.send_with_barrier(requests);
        self.finish_exchange()
    }

    /// The first half of [`Client::exchange`].
    pub fn send_with_barrier(&mut self, requests: &[Request]) {
        let mut bytes = Vec::new();
        self.encode(requests, &mut bytes);
        self.encode_barrier(&mut bytes);
        if let Some(connection) = &mut self.connection {
            connection.send(&bytes);
        }
    }

    /// The second half of [`Client::exchange`].
    ///
    /// # Errors
    /// If the socket fails.
    pub fn finish_exchange(&mut self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        self.receive_expected(&mut items)?;
        Ok(items)
    }

    /// Reads one frame, or the end of the connection.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn receive_next(&mut self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        self.receive(&mut items)?;
        Ok(items)
    }

    /// Sends requests, and reads up to the end of the connection.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn exchange_to_end(&mut self, requests: &[Request]) -> Result<Vec<Item>> {
        let mut bytes = Vec::new();
        self.encode(requests, &mut bytes);
        self.send_to_end(&bytes)
    }

    /// Sends bytes, and reads up to the end of the connection.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn send_to_end(&mut self, bytes: &[u8]) -> Result<Vec<Item>> {
        if let Some(connection) = &mut self.connection {
            connection.send(bytes);
        }
        self.drain()
    }

    /// Stops sending, and reads up to the end of the connection: by then the server has forgotten
    /// the connection's watches.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn drop_connection(&mut self) -> Result<Vec<Item>> {
        if let Some(connection) = &self.connection {
            connection.shutdown_write();
        }
        self.drain()
    }

    /// Takes the connection apart from the session.
    pub fn detach(&mut self) -> Client {
        Client {
            connection: self.connection.take(),
            expected: std::mem::take(&mut self.expected),
            ..Client::default()
        }
    }

    /// Forgets a connection whose server is gone.
    pub fn abandon(&mut self) {
        self.connection = None;
        self.expected.clear();
    }

    fn encode(&mut self, requests: &[Request], bytes: &mut Vec<u8>) {
        for request in requests {
            let xid = request.xid.unwrap_or_else(|| {
                self.next_xid += 1;
                self.next_xid
            });
            request.encode(xid, self.last_zxid, bytes);
            let ping = request.op == OpCode::Ping.number();
            let xid = if ping { wire::xid::PING } else { xid };
            self.expected.push_back(Expected { xid, op: request.op, barrier: false });
        }
    }

    fn encode_barrier(&mut self, bytes: &mut Vec<u8>) {
        let xid = wire::xid::PING;
        let op = OpCode::Ping.number();
        Request::new(OpCode::Ping, Vec::new()).encode(xid, 0, bytes);
        self.expected.push_back(Expected { xid, op, barrier: true });
    }

    fn receive_expected(&mut self, items: &mut Vec<Item>) -> Result<()> {
        while !self.expected.is_empty() && self.connection.is_some() {
            self.receive(items)?;
        }
        Ok(())
    }

    /// Reads up to the end of the connection.
    ///
    /// # Errors
    /// If the socket fails.
    pub fn drain(&mut self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        while self.connection.is_some() {
            self.receive(&mut items)?;
        }
        Ok(items)
    }

    fn receive(&mut self, items: &mut Vec<Item>) -> Result<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        match connection.receive()? {
            Received::Frame(frame) => self.frame(frame, items),
            Received::Closed => self.end(Item::Closed, items),
            Received::Silence => self.end(Item::Silence, items),
        }
        Ok(())
    }

    fn end(&mut self, item: Item, items: &mut Vec<Item>) {
        items.push(item);
        self.abandon();
    }

    fn frame(&mut self, frame: Vec<u8>, items: &mut Vec<Item>) {
        let mut reader = Reader::new(&frame);
        let Ok(header) = ReplyHeader::decode(&mut reader) else {
            items.push(Item::Unexpected(frame));
            return;
        };
        let body = reader.rest().to_vec();
        if header.xid == wire::xid::NOTIFICATION {
            items.push(Item::Event { header, body });
            return;
        }
        if !self.expected.iter().any(|e| e.xid == header.xid) {
            items.push(Item::Unexpected(frame));
            return;
        }
        self.last_zxid = self.last_zxid.max(header.zxid);
        while let Some(expected) = self.expected.pop_front() {
            if expected.xid != header.xid {
                items.push(Item::Missing { op: expected.op });
            } else if expected.barrier {
                items.push(Item::Barrier(header));
                return;
            } else {
                items.push(Item::Reply { op: expected.op, header, body });
                return;
            }
        }
    }
}
