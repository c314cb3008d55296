//! A group of registers that change together, as a sequential object.

use crate::linear::Sequential;

/// What is written to one register.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    /// Which, by its place in the group.
    pub register: usize,
    /// Only if this is its version.
    pub version: Option<i32>,
    /// The value, which is written once only; `None` looks at the version and leaves the value.
    pub value: Option<u64>,
}

/// What a register shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    /// How many writes there were.
    pub version: i32,
    /// The last one's value; 0 before the first.
    pub value: u64,
}

/// A call and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// All of the writes took effect; the version after each, where it is known.
    Done(Vec<Write>, Vec<Option<i32>>),
    /// None did, because this one's version was another.
    Refused(Vec<Write>, usize),
    /// A register was read.
    Read(usize, Shown),
}

/// Registers that start with version 0 and value 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group;

impl Sequential for Group {
    type State = Vec<Shown>;
    type Action = Action;

    fn step(&self, state: &Vec<Shown>, action: &Action) -> Option<Vec<Shown>> {
        match action {
            Action::Read(register, shown) => (state[*register] == *shown).then(|| state.clone()),
            Action::Done(writes, versions) => {
                let mut state = state.clone();
                for (write, version) in writes.iter().zip(versions) {
                    let after = apply(&mut state, write)?;
                    if version.is_some_and(|version| version != after) {
                        return None;
                    }
                }
                Some(state)
            }
            Action::Refused(writes, refused) => {
                let mut after = state.clone();
                let failed = writes.iter().position(|write| apply(&mut after, write).is_none());
                (failed == Some(*refused)).then(|| state.clone())
            }
        }
    }

    fn is_observation(&self, action: &Action) -> bool {
        matches!(action, Action::Read(..) | Action::Refused(..))
    }
}

/// The version after the write, if it is not refused.
fn apply(state: &mut [Shown], write: &Write) -> Option<i32> {
    let shown = &mut state[write.register];
    if write.version.is_some_and(|version| version != shown.version) {
        return None;
    }
    if let Some(value) = write.value {
        *shown = Shown { version: shown.version + 1, value };
    }
    Some(shown.version)
}
