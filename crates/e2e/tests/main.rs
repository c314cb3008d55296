//! Real processes side by side.

mod differential;
