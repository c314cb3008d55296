//! The error codes that a server sends or a client makes.

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// Why a request failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name = $number,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The code with that number.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<ErrorCode> {
                match number { $($number => Some(ErrorCode::$name),)* _ => None }
            }
        }
    };
}

error_codes! {
    /// No error.
    Ok = 0,
    /// Something in the server is broken.
    SystemError = -1,
    /// In a multi: not done because an operation before it failed.
    RuntimeInconsistency = -2,
    /// Data does not fit together.
    DataInconsistency = -3,
    /// The connection was lost (made by clients).
    ConnectionLoss = -4,
    /// The request's bytes make no sense.
    MarshallingError = -5,
    /// The operation is not known or not switched on.
    Unimplemented = -6,
    /// The operation took too long (made by clients).
    OperationTimeout = -7,
    /// An argument is not allowed.
    BadArguments = -8,
    /// The session is not known.
    UnknownSession = -12,
    /// The new configuration has no quorum of synced members.
    NewConfigNoQuorum = -13,
    /// Another reconfiguration is under way.
    ReconfigInProgress = -14,
    /// The upper end of the API errors.
    ApiError = -100,
    /// The node does not exist.
    NoNode = -101,
    /// The access list does not allow it.
    NoAuth = -102,
    /// The version does not match.
    BadVersion = -103,
    /// Ephemeral nodes have no children.
    NoChildrenForEphemerals = -108,
    /// The node exists.
    NodeExists = -110,
    /// The node has children.
    NotEmpty = -111,
    /// The session is over.
    SessionExpired = -112,
    /// A callback is missing (made by clients).
    InvalidCallback = -113,
    /// The access list is not valid.
    InvalidAcl = -114,
    /// The credentials were refused.
    AuthFailed = -115,
    /// The session is served by another server now.
    SessionMoved = -118,
    /// A write on a read-only server.
    NotReadOnly = -119,
    /// A local session cannot hold ephemeral nodes.
    EphemeralOnLocalSession = -120,
    /// No such watch.
    NoWatcher = -121,
    /// The request took too long (made by clients).
    RequestTimeout = -122,
    /// Reconfiguration is switched off.
    ReconfigDisabled = -123,
    /// The session must authenticate first.
    SessionClosedRequireSaslAuth = -124,
    /// A hard quota would be exceeded.
    QuotaExceeded = -125,
    /// The request waited too long in the server.
    ThrottledOp = -127,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}
