//! broadcast.
