//! Reports: what was measured, as JSON, as text and as a plot.

pub mod comparison;
pub mod outcome;
pub mod plot;
pub mod text;
