//! Real server processes, and the tests that hold ours against the reference.
//!
//! `servers` starts and kills them, `raw` speaks the client protocol byte by byte. A `program` is a
//! list of steps that a seed (`generate`) or a file gives; `play` runs it against one server and
//! writes down what a client can see; `compare` runs it against two and finds the first difference;
//! `shrink` makes the program small; `campaign` runs many of them and counts what they reached.
//! `load` writes at random until its server is killed, and knows what must be there afterwards; `tree`
//! reads everything back. An `ensemble` has several servers, and `faults` happen to it under load.
//! A `network` cuts members off from each other, while `registers` are read and written; `partitions`
//! has both done for as long as asked, and has the histories judged; `recovery` is how long clients
//! (`writers`) wait then, and `joining` how long when a member fetches a large tree.
//! Nothing here shares code with the server: requests are written and replies are read by hand.

pub mod allowed;
pub mod campaign;
pub mod compare;
pub mod coverage;
pub mod ensemble;
pub mod faults;
pub mod generate;
pub mod joining;
mod listening;
pub mod load;
mod migrating;
pub mod network;
pub mod partitions;
pub mod play;
mod ports;
pub mod program;
pub mod raw;
pub mod recovery;
pub mod registers;
pub mod servers;
pub mod shrink;
mod signals;
pub mod tree;
mod unbegun;
mod waking;
pub mod writers;
