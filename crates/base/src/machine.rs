//! The contract that every protocol core keeps.

use crate::Time;

/// A protocol core. It owns no socket, file, clock, thread, log or source of randomness.
///
/// A driver gives it one fact, performs all of the commands that it answers with, in order, and
/// only then gives it the next fact.
pub trait Machine {
    /// Facts.
    type Input;
    /// Commands.
    type Output;

    /// Takes one fact at `now`; appends every command that follows from it to `out`.
    fn handle(&mut self, now: Time, input: Self::Input, out: &mut Vec<Self::Output>);

    /// When it wants to be told that time has passed, unless another fact comes first.
    fn deadline(&self) -> Option<Time>;
}
