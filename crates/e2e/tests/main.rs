//! Real processes side by side.

mod crash;
mod deviations;
mod differential;
mod disk;
mod ensemble;
mod moves;
mod partitions;
