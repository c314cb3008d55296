//! Real processes side by side.

mod crash;
mod deviations;
mod differential;
mod disk;
mod ensemble;
mod masters;
mod moves;
mod partitions;
mod synchronization;
