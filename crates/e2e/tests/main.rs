//! Real processes side by side.

mod crash;
mod deviations;
mod differential;
mod disk;
mod ensemble;
mod locals;
mod masters;
mod migrations;
mod moves;
mod partitions;
mod read_only;
mod reads;
mod synchronization;
