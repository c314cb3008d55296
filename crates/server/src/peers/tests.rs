//! Links on loopback: two members' worth of [`Peers`], or one and a bare socket.

mod host;
mod links;
mod ports;
