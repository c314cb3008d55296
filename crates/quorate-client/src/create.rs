//! Creating a node: what is usual by default, the rest by name.

use crate::call::Call;
use crate::handle::Handle;
use crate::{Acl, Error, Mode, Stat};
use bytes::Bytes;
use client_core::{Op, Reply, Request};

/// A node that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its path, with the sequence number if it has one.
    pub path: String,
    /// Its stat.
    pub stat: Stat,
}

/// A create before it is sent. Persistent and open to everyone unless told otherwise.
#[must_use = "nothing is created before it is awaited or sent"]
#[derive(Debug)]
pub struct Create<'a> {
    handle: &'a Handle,
    path: String,
    data: Option<Bytes>,
    mode: Mode,
    acl: Vec<Acl>,
}

impl<'a> Create<'a> {
    pub(crate) fn new(handle: &'a Handle, path: &str, data: Bytes) -> Create<'a> {
        let (path, mode, acl) = (path.to_owned(), Mode::Persistent, Acl::open());
        Create { handle, path, data: Some(data), mode, acl }
    }

    /// Null in place of data, which reads tell apart from empty data.
    pub fn null_data(mut self) -> Self {
        self.data = None;
        self
    }

    /// Its kind: ephemeral, sequential, container, or with a time to live.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Its access list; must not be empty.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// Queues the request now.
    pub fn send(self) -> Call<Created> {
        let Create { handle, path, data, mode, acl } = self;
        let op = Op::Create { path, data, acl, mode };
        handle.submit(Request::Write(op), None, |reply, _| {
            if let Reply::Created(path, stat) = reply { Some(Created { path, stat }) } else { None }
        })
    }
}

impl IntoFuture for Create<'_> {
    type Output = Result<Created, Error>;
    type IntoFuture = Call<Created>;

    fn into_future(self) -> Call<Created> {
        self.send()
    }
}
