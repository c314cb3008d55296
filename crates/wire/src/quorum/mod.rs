//! What the members of an ensemble say to each other: learners to their leader, and everyone in
//! an election.
//!
//! Two kinds of links. On the quorum port a learner and its leader exchange [`Packet`]s, which
//! follow one another without framing; what their data holds is in the records of `learner`. On
//! the election port each link opens with an [`Opening`], after which either side sends messages
//! with a length, each a [`Notification`]. The functions that end in `_len` say where the first
//! piece of a stream ends, and refuse it at the first byte that cannot be right. Who the members
//! are is a [`Membership`], whose text both kinds of links carry.
//! Source: the reference's quorum protocol as of 3.4 to 3.10.

mod address;
mod election;
mod learner;
mod membership;
mod packet;
mod problem;
mod reconfig;
mod server;

#[cfg(test)]
mod tests;

pub use address::Address;
pub use election::{
    ADDRESSES_SIZE_MAX, MESSAGE_SIZE_MAX, NOTIFICATION_VERSION, Notification, Opening,
    OpeningError, OpeningForm, ServerState, message_len, opening_len, put_notification,
};
pub use learner::{
    Activation, ForwardedRequest, LearnerInfo, PROTOCOL_VERSION, Revalidate, RevalidateReply,
    SNAP_SIGNATURE, Touches, decode_epoch_ack, decode_leader_info, encode_epoch_ack,
    encode_leader_info, put_request, put_touch,
};
pub use membership::Membership;
pub use packet::{
    AuthIds, PACKET_SIZE_MIN, Packet, PacketKind, packet_len, put_packet, put_packet_with_data,
    put_packet_with_ids,
};
pub use problem::{MembershipError, Problem, Rules};
pub use server::{PeerAddress, Role, Server};
