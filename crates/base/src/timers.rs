//! One table of named timers for a core: its `deadline()` is the earliest of them.

use crate::Time;
use std::collections::BTreeMap;

/// Named timers; each name is set at most once at a time.
#[derive(Clone, Debug, Hash)]
pub struct Timers<Name> {
    due: BTreeMap<Name, Time>,
}

impl<Name> Default for Timers<Name> {
    fn default() -> Self {
        Timers { due: BTreeMap::new() }
    }
}

impl<Name: Ord + Copy> Timers<Name> {
    /// Sets `name` to expire at `at`, in place of what it was set to.
    pub fn set(&mut self, name: Name, at: Time) {
        self.due.insert(name, at);
    }

    /// Forgets `name`.
    pub fn clear(&mut self, name: Name) {
        self.due.remove(&name);
    }

    /// When the first of them expires.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.due.values().copied().min()
    }

    /// Takes one timer that is due at `now`: the earliest, ties by name.
    pub fn expired(&mut self, now: Time) -> Option<Name> {
        let (&name, _) =
            self.due.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at)?;
        self.due.remove(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::Timers;
    use crate::Time;

    #[test]
    fn the_earliest_expires_first_and_once() {
        let mut timers = Timers::default();
        timers.set("b", Time(5));
        timers.set("a", Time(7));
        assert_eq!(timers.deadline(), Some(Time(5)));
        assert_eq!(timers.expired(Time(4)), None);
        assert_eq!(timers.expired(Time(9)), Some("b"));
        assert_eq!(timers.expired(Time(9)), Some("a"));
        assert_eq!(timers.expired(Time(9)), None);
    }
}
