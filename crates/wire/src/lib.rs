//! Every ZooKeeper record that crosses a socket or stands in a log or snapshot.
//!
//! Records are read in place: strings and buffers borrow from the bytes that they came in. What
//! is read here is well-formed, not yet legal: the order of the legality checks is the keeper's.
//! Source: the reference's `zookeeper.jute`, versions 3.4 to 3.10.

mod acl;
mod connect;
mod create_mode;
mod error_code;
mod event;
mod header;
mod multi;
mod opcode;
mod owner;
mod path;
pub mod quorum;
mod request;
mod snapshot;
mod stat;
mod txn;

#[cfg(test)]
mod tests;

pub use acl::{Acl, AclRef, Acls, Id, OPEN_ACL_ID, perms};
pub use connect::{ConnectRequest, ConnectResponse, PASSWORD_SIZE};
pub use create_mode::CreateMode;
pub use error_code::ErrorCode;
pub use event::{AddWatchMode, EventType, WatcherType, encode_event};
pub use header::{REPLY_HEADER_SIZE, ReplyHeader, RequestHeader, xid};
pub use multi::{MULTI_END, MultiHeader, MultiIter};
pub use opcode::OpCode;
pub use owner::{CONTAINER_OWNER, OwnerKind, OwnerRules, TTL_MAX_MS};
pub use path::{PathError, parent_and_name, validate as validate_path};
pub use request::{
    AddWatchRequest, AuthPacket, CheckVersionRequest, CheckWatchesRequest, CreateRequest,
    DeleteRequest, PathRequest, PathWatchRequest, ReconfigRequest, SetAclRequest, SetDataRequest,
    SetWatchesRequest, Strings,
};
pub use snapshot::{NodeRecord, SnapshotHeader};
pub use stat::{Stat, StatPersisted};
pub use txn::{CreateKind, CreateTxn, MultiTxn, Txn, TxnDigest, TxnHeader, TxnRecord};
