//! The operations, by the numbers that requests and transactions carry.

macro_rules! opcodes {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        /// What a request asks for, or what a transaction does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OpCode { $($(#[$doc])* $name = $number,)* }

        impl OpCode {
            /// Every operation.
            pub const ALL: &[OpCode] = &[$(OpCode::$name,)*];

            /// The operation with that number.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<OpCode> {
                match number { $($number => Some(OpCode::$name),)* _ => None }
            }

            /// The name in metrics and logs: lower case with underscores.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(OpCode::$name => $text,)* }
            }
        }
    };
}

opcodes! {
    /// A failed write, in the log only.
    Error = -1 "error",
    /// Opens a session: made by the server from a connect request.
    CreateSession = -10 "create_session",
    /// Ends a session and deletes its ephemeral nodes.
    CloseSession = -11 "close_session",
    /// Creates a node; answers with its path.
    Create = 1 "create",
    /// Deletes a node.
    Delete = 2 "delete",
    /// Asks whether a node exists.
    Exists = 3 "exists",
    /// Reads a node.
    GetData = 4 "get_data",
    /// Replaces a node's data.
    SetData = 5 "set_data",
    /// Reads a node's access list.
    GetAcl = 6 "get_acl",
    /// Replaces a node's access list.
    SetAcl = 7 "set_acl",
    /// Lists a node's children.
    GetChildren = 8 "get_children",
    /// Waits for what the leader has committed.
    Sync = 9 "sync",
    /// Keeps a session alive.
    Ping = 11 "ping",
    /// Lists a node's children, with its stat.
    GetChildren2 = 12 "get_children2",
    /// Checks a version, inside a multi.
    Check = 13 "check",
    /// Several writes, all or none.
    Multi = 14 "multi",
    /// Creates a node; answers with its path and stat.
    Create2 = 15 "create2",
    /// Changes the ensemble.
    Reconfig = 16 "reconfig",
    /// Asks whether a watch is set.
    CheckWatches = 17 "check_watches",
    /// Removes a watch.
    RemoveWatches = 18 "remove_watches",
    /// Creates a container node.
    CreateContainer = 19 "create_container",
    /// Deletes an empty container or an expired node: made by the server.
    DeleteContainer = 20 "delete_container",
    /// Creates a node that expires.
    CreateTtl = 21 "create_ttl",
    /// Several reads.
    MultiRead = 22 "multi_read",
    /// Adds an identity to the connection.
    Auth = 100 "auth",
    /// Sets watches again after a reconnect.
    SetWatches = 101 "set_watches",
    /// A step of a SASL exchange.
    Sasl = 102 "sasl",
    /// Lists the session's ephemeral nodes.
    GetEphemerals = 103 "get_ephemerals",
    /// Counts all descendants of a node.
    GetAllChildrenNumber = 104 "get_all_children_number",
    /// Sets watches again, persistent ones too.
    SetWatches2 = 105 "set_watches2",
    /// Adds a persistent watch.
    AddWatch = 106 "add_watch",
    /// Lists the identities of the connection.
    WhoAmI = 107 "who_am_i",
}

impl OpCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}
