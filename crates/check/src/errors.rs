//! The error numbers that the model gives.

pub(crate) const MARSHALLING: i32 = -5;
pub(crate) const UNIMPLEMENTED: i32 = -6;
pub(crate) const BAD_ARGUMENTS: i32 = -8;
pub(crate) const NEW_CONFIG_NO_QUORUM: i32 = -13;
pub(crate) const RECONFIG_IN_PROGRESS: i32 = -14;
pub(crate) const NO_NODE: i32 = -101;
pub(crate) const NO_AUTH: i32 = -102;
pub(crate) const BAD_VERSION: i32 = -103;
pub(crate) const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
pub(crate) const NODE_EXISTS: i32 = -110;
pub(crate) const NOT_EMPTY: i32 = -111;
pub(crate) const SESSION_EXPIRED: i32 = -112;
pub(crate) const INVALID_ACL: i32 = -114;
pub(crate) const SESSION_MOVED: i32 = -118;
pub(crate) const NOT_READ_ONLY: i32 = -119;
pub(crate) const EPHEMERAL_ON_LOCAL_SESSION: i32 = -120;
pub(crate) const NO_WATCHER: i32 = -121;
/// What a server answers to a write once its disk has failed.
pub(crate) const SYSTEM_ERROR: i32 = -1;
/// What stands for the parts of a failed multi behind the one that failed.
pub(crate) const NOT_REACHED: i32 = -2;
