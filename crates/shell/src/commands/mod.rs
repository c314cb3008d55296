//! What the commands do, by what they are about. Each takes the shell and its line as the table
//! read it.

pub(crate) mod acl;
pub(crate) mod ensemble;
pub(crate) mod exchange;
pub(crate) mod local;
pub(crate) mod quota;
pub(crate) mod read;
pub(crate) mod subtree;
pub(crate) mod watch;
pub(crate) mod write;
