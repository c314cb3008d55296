//! A program: what several clients do, step by step, and how that is written down.
//!
//! A step is done when everything it causes has been seen by every client; only then does the next
//! one start. So the outcome is a function of the program. A request is an operation and a list of
//! values whose encodings follow one another: any record can be said, and any broken one.

mod text;

pub(crate) use text::hex;

use jute::{put_bool, put_buffer, put_int, put_long};
use std::fmt;
use wire::OpCode;

/// Steps, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// What is done.
    pub steps: Vec<Step>,
}

/// A client of a program: it holds at most one session and one connection at a time.
pub type Slot = usize;

/// Something one client does, or that happens to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client connects, and sends requests without waiting for the answer.
    Connect {
        /// Who.
        slot: Slot,
        /// With what.
        hello: Hello,
        /// What follows in the same write.
        requests: Vec<Request>,
    },
    /// The client sends requests in one write, and reads all replies.
    Burst {
        /// Who.
        slot: Slot,
        /// What.
        requests: Vec<Request>,
    },
    /// As a burst, but the server is expected to close the connection after it.
    Last {
        /// Who.
        slot: Slot,
        /// What.
        requests: Vec<Request>,
    },
    /// The client ends its connection and keeps its session.
    Drop {
        /// Who.
        slot: Slot,
    },
    /// The client sends bytes that no server can go on after.
    Garbage {
        /// Who.
        slot: Slot,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Bytes on a connection of their own, which then sends no more.
    Stray {
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A four-letter word.
    Word {
        /// The word.
        word: String,
    },
    /// The server ends, with a kill or in order, and starts again.
    Restart {
        /// SIGKILL instead of SIGTERM.
        kill: bool,
    },
}

/// A connect request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Ask for the session that the client had, instead of a new one.
    pub again: bool,
    /// What the client asks for, in ms.
    pub timeout_ms: i32,
    /// Which password is sent.
    pub password: Password,
    /// Which zxid is sent.
    pub seen: Seen,
    /// Whether the last field, which older clients do not know, is sent.
    pub form: Form,
}

impl Hello {
    /// What a client sends that opens a session.
    #[must_use]
    pub fn new_session() -> Hello {
        Hello {
            again: false,
            timeout_ms: 40_000,
            password: Password::Right,
            seen: Seen::Zero,
            form: Form::New,
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$item])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// As programs are written.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

words! {
    /// The password of a connect request.
    Password {
        /// The session's, or zeros for a new one.
        Right = "right",
        /// 16 other bytes.
        Wrong = "wrong",
        /// The first 15 bytes of the right one.
        Short = "short",
        /// Null.
        Null = "null",
    }
}

words! {
    /// The last zxid that a client claims to have seen.
    Seen {
        /// None.
        Zero = "zero",
        /// The one it has seen.
        Last = "last",
        /// One that the server has not reached.
        Ahead = "ahead",
        /// A negative one.
        Negative = "negative",
    }
}

words! {
    /// How a connect request ends.
    Form {
        /// With the read-only flag, unset.
        New = "new",
        /// With the read-only flag, set.
        ReadOnly = "readonly",
        /// Without the flag, as clients before 3.4.
        Old = "old",
    }
}

/// One request frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The operation's number, known or not.
    pub op: i32,
    /// The xid, if it is not the client's next.
    pub xid: Option<i32>,
    /// The body.
    pub values: Vec<Value>,
    /// Bytes that are missing at the end of the body.
    pub cut: usize,
}

/// Part of a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A buffer.
    Bytes(Vec<u8>),
    /// A buffer of that many equal bytes.
    Filled(usize),
    /// A null string, buffer or vector.
    Null,
    /// An int.
    Int(i32),
    /// A long.
    Long(i64),
    /// A boolean.
    Bool(bool),
    /// A long: the last zxid that this client has seen, and this much more.
    Zxid(i64),
    /// Bytes as they are.
    Raw(Vec<u8>),
    /// The operations of a multi, and the end mark.
    Operations(Vec<Request>),
}

impl Request {
    /// A well-formed request of a known operation.
    #[must_use]
    pub fn new(op: OpCode, values: Vec<Value>) -> Request {
        Request { op: op.number(), xid: None, values, cut: 0 }
    }

    /// The same request with a fixed xid.
    #[must_use]
    pub fn with_xid(mut self, xid: i32) -> Request {
        self.xid = Some(xid);
        self
    }

    /// The known operation that it asks for.
    #[must_use]
    pub fn opcode(&self) -> Option<OpCode> {
        OpCode::from_number(self.op)
    }

    /// Whether it may change what others see.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let Some(op) = self.opcode() else { return true };
        matches!(
            op,
            OpCode::Create
                | OpCode::Create2
                | OpCode::CreateContainer
                | OpCode::CreateTtl
                | OpCode::Delete
                | OpCode::DeleteContainer
                | OpCode::SetData
                | OpCode::SetAcl
                | OpCode::Multi
                | OpCode::Reconfig
                | OpCode::CloseSession
        )
    }

    /// Appends the frame. `last_zxid` is what [`Value::Zxid`] counts from.
    ///
    /// # Panics
    /// If the frame is longer than an int can say.
    pub fn encode(&self, xid: i32, last_zxid: i64, out: &mut Vec<u8>) {
        let start = out.len();
        put_int(out, 0);
        put_int(out, xid);
        put_int(out, self.op);
        let body = out.len();
        self.values.iter().for_each(|value| value.encode(last_zxid, out));
        out.truncate(out.len().saturating_sub(self.cut).max(body));
        let length = i32::try_from(out.len() - start - 4).expect("requests are small");
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

impl Value {
    fn encode(&self, last_zxid: i64, out: &mut Vec<u8>) {
        match self {
            Value::Text(text) => put_buffer(out, Some(text.as_bytes())),
            Value::Bytes(bytes) => put_buffer(out, Some(bytes)),
            Value::Filled(size) => put_buffer(out, Some(&vec![b'x'; *size])),
            Value::Null => put_int(out, -1),
            Value::Int(n) => put_int(out, *n),
            Value::Long(n) => put_long(out, *n),
            Value::Bool(b) => put_bool(out, *b),
            Value::Zxid(offset) => put_long(out, last_zxid.wrapping_add(*offset)),
            Value::Raw(bytes) => out.extend_from_slice(bytes),
            Value::Operations(operations) => {
                for operation in operations {
                    multi_header(out, operation.op, false);
                    operation.values.iter().for_each(|value| value.encode(last_zxid, out));
                }
                multi_header(out, -1, true);
            }
        }
    }
}

fn multi_header(out: &mut Vec<u8>, op: i32, done: bool) {
    put_int(out, op);
    put_bool(out, done);
    put_int(out, -1);
}

impl Step {
    /// The requests that the step sends.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        match self {
            Step::Connect { requests, .. }
            | Step::Burst { requests, .. }
            | Step::Last { requests, .. } => requests,
            Step::Drop { .. }
            | Step::Garbage { .. }
            | Step::Stray { .. }
            | Step::Word { .. }
            | Step::Restart { .. } => &[],
        }
    }

    /// The same, to change them.
    pub fn requests_mut(&mut self) -> Option<&mut Vec<Request>> {
        match self {
            Step::Connect { requests, .. }
            | Step::Burst { requests, .. }
            | Step::Last { requests, .. } => Some(requests),
            Step::Drop { .. }
            | Step::Garbage { .. }
            | Step::Stray { .. }
            | Step::Word { .. }
            | Step::Restart { .. } => None,
        }
    }
}

impl Program {
    /// How many requests it sends: each connect, word and stray connection counts as one.
    #[must_use]
    pub fn request_count(&self) -> usize {
        let own = |step: &Step| {
            usize::from(matches!(
                step,
                Step::Connect { .. }
                    | Step::Garbage { .. }
                    | Step::Stray { .. }
                    | Step::Word { .. }
            ))
        };
        self.steps.iter().map(|step| own(step) + step.requests().len()).sum()
    }

    /// Reads what `Display` writes; empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// If a line makes no sense: its number is in the message.
    pub fn parse(text: &str) -> anyhow::Result<Program> {
        text::parse(text)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Program, Request, Value};
    use wire::OpCode;

    #[test]
    fn a_request_is_its_header_and_its_values() {
        let values = vec![Value::Text("/a".into()), Value::Int(-1)];
        let mut request = Request::new(OpCode::Delete, values);
        let mut out = Vec::new();
        request.encode(7, 0, &mut out);
        assert_eq!(out, b"\0\0\0\x12\0\0\0\x07\0\0\0\x02\0\0\0\x02/a\xff\xff\xff\xff");
        request.cut = 5;
        out.clear();
        request.encode(7, 0, &mut out);
        assert_eq!(out, b"\0\0\0\x0d\0\0\0\x07\0\0\0\x02\0\0\0\x02/");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "connect 0 new timeout=40000 password=right seen=zero form=new\n  \
                    create \"/a\\\"\\n\\u{1}\" x00ff i1 i31 \"world\" \"anyone\" i0 cut=2\n\
                    burst 0\n  set_watches @-8 z-3 i1 \"/a\" i0 null\n  \
                    multi { create \"/a\" null null i0 ; check \"/b\" i1 }\n  op=999 rdead f300 l5 true\n\
                    last 1\n  close_session\ndrop 0\ngarbage 1 x00000000\nstray xffff\nword ruok\nrestart kill\n\
                    connect 0 again timeout=-1 password=wrong seen=ahead form=old\n";
        let program = Program::parse(text).unwrap();
        assert_eq!(program.steps.len(), 9);
        assert_eq!(program.to_string(), text);
        assert!(Program::parse("burst zero\n").is_err());
        assert!(Program::parse("burst 0\n  create \"open\n").is_err());
    }
}
