//! Runs a program against one server and writes down what its clients see.
//!
//! After each step that can reach other clients, every connection sends a ping and is read up to
//! the answer: events that the step caused came before it. So a transcript is a function of the
//! program and the server's behaviour. At the end the whole tree is read, and all is removed.

mod client;
mod describe;
mod finish;
mod names;
mod words;

pub use client::{Client, Item, Session};
pub use describe::op_name;
pub use names::{Names, derived_password};
pub use words::WORDS;

use crate::coverage::Coverage;
use crate::program::{Hello, Program, Request, Slot, Step, Value};
use crate::raw::{self, Connection};
use crate::servers::Server;
use anyhow::{Context, Result, ensure};
use wire::OpCode;

/// What the clients saw, step by step; the last entry is the tree at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The lines of each step.
    pub steps: Vec<Vec<String>>,
    /// Why the run could not go on: a server that does not accept connections, say.
    pub failure: Option<String>,
}

/// The user that may do everything, as servers under test are configured.
pub const SUPER_USER: &str = "super:secret";
/// Its line in `zoo.cfg`.
pub const SUPER_DIGEST: &str =
    "DigestAuthenticationProvider.superDigest=super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

/// Runs `program`, and leaves the server as it was found, zxids and counters aside.
#[must_use]
pub fn play(server: &mut Server, program: &Program) -> (Transcript, Coverage) {
    let mut player = Player {
        server,
        names: Names::default(),
        coverage: Coverage::default(),
        transcript: Transcript::default(),
        clients: Vec::new(),
        supervisor: Client::default(),
        abandoned: Vec::new(),
        lines: Vec::new(),
    };
    if let Err(error) = player.run(program) {
        player.transcript.steps.push(std::mem::take(&mut player.lines));
        player.transcript.failure = Some(format!("{error:#}"));
    }
    (player.transcript, player.coverage)
}

struct Player<'a> {
    server: &'a mut Server,
    names: Names,
    coverage: Coverage,
    transcript: Transcript,
    clients: Vec<Client>,
    /// A client of ours that is not part of the program, with all rights.
    supervisor: Client,
    /// Sessions that no client holds any more.
    abandoned: Vec<Session>,
    /// What the step under way gave so far.
    lines: Vec<String>,
}

/// How many clients a program may have.
pub const SLOT_MAX: Slot = 8;

impl Player<'_> {
    fn run(&mut self, program: &Program) -> Result<()> {
        self.connect_supervisor(&Hello::new_session()).context("at the start")?;
        self.names.start_at(self.supervisor.last_zxid);
        for step in &program.steps {
            self.step(step)?;
            let lines = std::mem::take(&mut self.lines);
            self.transcript.steps.push(lines);
        }
        self.finish()?;
        let lines = std::mem::take(&mut self.lines);
        self.transcript.steps.push(lines);
        Ok(())
    }

    fn connect_supervisor(&mut self, hello: &Hello) -> Result<()> {
        let auth = vec![
            Value::Int(0),
            Value::Text("digest".to_owned()),
            Value::Bytes(SUPER_USER.as_bytes().to_vec()),
        ];
        let auth = Request::new(OpCode::Auth, auth).with_xid(wire::xid::AUTH);
        let address = self.server.address();
        let items = self.supervisor.connect(address, hello, &[])?;
        for item in items.iter().take(1) {
            self.lines.push(format!("supervisor {}", describe::item(item, &mut self.names)));
        }
        let items = self.supervisor.exchange(&[auth])?;
        ensure!(self.supervisor.is_connected(), "the supervisor was refused: {items:?}");
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        self.coverage.step(step);
        match step {
            Step::Connect { slot, hello, requests } => self.connect(*slot, hello, requests)?,
            Step::Burst { slot, requests } => {
                let items = self.client(*slot)?.exchange(requests)?;
                self.record(*slot, &items);
            }
            Step::Last { slot, requests } => {
                let items = self.client(*slot)?.exchange_to_end(requests)?;
                self.record(*slot, &items);
            }
            Step::Drop { slot } => {
                let items = self.client(*slot)?.drop_connection()?;
                self.record(*slot, &items);
            }
            Step::Garbage { slot, bytes } => {
                let items = self.client(*slot)?.send_to_end(bytes)?;
                self.record(*slot, &items);
            }
            Step::Stray { bytes } => self.stray(bytes)?,
            Step::Word { word } => {
                let reply = raw::word(self.server.address(), word)?;
                let stable = words::stable(word, &reply, &self.names);
                self.lines.push(format!("{word} {stable}"));
            }
            Step::Restart { kill } => self.restart(*kill)?,
        }
        if reaches_others(step) { self.barrier(acting(step)) } else { Ok(()) }
    }

    fn client(&mut self, slot: Slot) -> Result<&mut Client> {
        ensure!(slot < SLOT_MAX, "client {slot} is one too many");
        if self.clients.len() <= slot {
            self.clients.resize_with(slot + 1, Client::default);
        }
        Ok(&mut self.clients[slot])
    }

    fn record(&mut self, slot: Slot, items: &[Item]) {
        for item in items {
            self.coverage.item(item);
            let line = describe::item(item, &mut self.names);
            self.lines.push(format!("{slot}: {line}"));
        }
    }

    fn connect(&mut self, slot: Slot, hello: &Hello, requests: &[Request]) -> Result<()> {
        let address = self.server.address();
        let client = self.client(slot)?;
        let before = client.session.clone();
        let mut old = client.detach();
        if !hello.again {
            old.drop_connection()?;
        }
        let items = client.connect(address, hello, requests)?;
        let renewed = client.session == before;
        if hello.again && client.is_connected() && renewed {
            // The server ends a connection whose session is renewed on another.
            let items = old.exchange_to_end(&[])?;
            self.record(slot, &items);
        } else {
            old.drop_connection()?;
        }
        if !renewed && let Some(session) = before {
            self.abandoned.push(session);
        }
        self.record(slot, &items);
        Ok(())
    }

    fn stray(&mut self, bytes: &[u8]) -> Result<()> {
        let mut connection = Connection::open(self.server.address())?;
        connection.send(bytes);
        connection.shutdown_write();
        let (reply, ended) = connection.receive_to_end()?;
        self.lines.push(format!("stray ended={ended} replied={}", !reply.is_empty()));
        Ok(())
    }

    fn restart(&mut self, kill: bool) -> Result<()> {
        if kill {
            self.server.kill()?
        } else {
            self.server.stop()?
        }
        self.clients.iter_mut().for_each(Client::abandon);
        self.supervisor.abandon();
        self.server.start_again()?;
        self.connect_supervisor(&Hello { again: true, ..Hello::new_session() })
    }

    /// Reads what the step sent to the clients other than `acting`, which is read already.
    fn barrier(&mut self, acting: Option<Slot>) -> Result<()> {
        for (slot, client) in self.clients.iter_mut().enumerate() {
            if Some(slot) != acting && client.is_connected() {
                client.send_with_barrier(&[]);
            }
        }
        for slot in 0..self.clients.len() {
            if Some(slot) != acting && self.clients[slot].is_connected() {
                let items = self.clients[slot].finish_exchange()?;
                self.record(slot, &items);
            }
        }
        Ok(())
    }
}

fn acting(step: &Step) -> Option<Slot> {
    match step {
        Step::Connect { slot, .. }
        | Step::Burst { slot, .. }
        | Step::Last { slot, .. }
        | Step::Garbage { slot, .. }
        | Step::Drop { slot } => Some(*slot),
        Step::Stray { .. } | Step::Word { .. } | Step::Restart { .. } => None,
    }
}

/// Whether other clients can see an effect of the step.
fn reaches_others(step: &Step) -> bool {
    match step {
        Step::Connect { .. } | Step::Last { .. } => true,
        Step::Burst { requests, .. } => requests.iter().any(Request::is_write),
        Step::Drop { .. }
        | Step::Garbage { .. }
        | Step::Stray { .. }
        | Step::Word { .. }
        | Step::Restart { .. } => false,
    }
}
