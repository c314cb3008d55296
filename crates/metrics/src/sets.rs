//! Metrics with a key: per namespace (the first component of a path) or per learner.

use crate::{Distribution, Summary};

/// How many keys a set remembers. Namespaces are the clients' to invent; later ones are not shown.
pub const KEYS_MAX: usize = 1000;

/// A value per key.
#[derive(Clone, Debug, Default)]
pub struct Keyed<T> {
    /// Sorted by key.
    values: Vec<(String, T)>,
    /// The one that was asked for last: mostly the next one, too.
    last: usize,
}

/// What was asked for last does not matter.
impl<T: PartialEq> PartialEq for Keyed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl<T: Eq> Eq for Keyed<T> {}

impl<T: Default> Keyed<T> {
    /// The value of `key`, made at its first use; `None` if there are too many keys already.
    pub fn of(&mut self, key: &str) -> Option<&mut T> {
        if self.values.get(self.last).is_none_or(|(last, _)| last != key) {
            self.last = self.place(key)?;
        }
        self.values.get_mut(self.last).map(|(_, value)| value)
    }

    /// The value that was asked for last, if its key is the right one: for a caller to whom making
    /// a key costs something.
    pub fn last_if(&mut self, is_right: impl FnOnce(&str) -> bool) -> Option<&mut T> {
        let (last, value) = self.values.get_mut(self.last)?;
        if is_right(last) { Some(value) } else { None }
    }

    fn place(&mut self, key: &str) -> Option<usize> {
        match self.values.binary_search_by(|(other, _)| other.as_str().cmp(key)) {
            Ok(place) => Some(place),
            Err(_) if self.values.len() >= KEYS_MAX => None,
            Err(place) => {
                self.values.insert(place, (key.to_owned(), T::default()));
                Some(place)
            }
        }
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    fn merge(&mut self, other: &Keyed<T>, merge: impl Fn(&mut T, &T)) {
        for (key, theirs) in &other.values {
            if let Some(mine) = self.of(key) {
                merge(mine, theirs);
            }
        }
    }
}

/// The sets, under ZooKeeper's names. A set without keys shows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// Writes that a quota refused, by namespace.
    pub quota_exceeded_error_per_namespace: Keyed<u64>,
    /// Bytes of path and data of each write, by namespace.
    pub write_per_namespace: Keyed<Summary>,
    /// Bytes of path, data and stat of each read, by namespace.
    pub read_per_namespace: Keyed<Summary>,
    /// Packets that wait for a learner when one is added, by the learner's id.
    pub learner_handler_qp_size: Keyed<Summary>,
    /// Milliseconds that packets wait for a learner, by the learner's id.
    pub learner_handler_qp_time_ms: Keyed<Distribution>,
    /// Milliseconds from a proposal to a voter's acknowledgement, by the voter's id.
    pub ack_latency: Keyed<Distribution>,
}

impl Sets {
    /// Takes all values of `other`.
    pub fn merge(&mut self, other: &Sets) {
        self.quota_exceeded_error_per_namespace
            .merge(&other.quota_exceeded_error_per_namespace, |mine, theirs| *mine += theirs);
        self.write_per_namespace.merge(&other.write_per_namespace, Summary::merge);
        self.read_per_namespace.merge(&other.read_per_namespace, Summary::merge);
        self.learner_handler_qp_size.merge(&other.learner_handler_qp_size, Summary::merge);
        self.learner_handler_qp_time_ms
            .merge(&other.learner_handler_qp_time_ms, Distribution::merge);
        self.ack_latency.merge(&other.ack_latency, Distribution::merge);
    }
}

#[cfg(test)]
mod tests {
    use super::{KEYS_MAX, Keyed, Sets};

    #[test]
    fn a_set_has_a_limit() {
        let mut set = Keyed::<u64>::default();
        for n in 0..KEYS_MAX {
            *set.of(&n.to_string()).unwrap() += 1;
        }
        assert!(set.of("one more").is_none());
        assert_eq!(set.of("7"), Some(&mut 1));
        assert_eq!(set.last_if(|key| key == "7"), Some(&mut 1));
        assert_eq!(set.last_if(|key| key == "8"), None);
        assert_eq!(set.iter().count(), KEYS_MAX);
    }

    #[test]
    fn sets_merge_by_key() {
        let mut one = Sets::default();
        one.read_per_namespace.of("a").unwrap().record(4);
        *one.quota_exceeded_error_per_namespace.of("a").unwrap() += 1;
        let mut two = Sets::default();
        two.read_per_namespace.of("a").unwrap().record(6);
        two.ack_latency.of("3").unwrap().record(1);
        one.merge(&two);
        let read: Vec<_> = one.read_per_namespace.iter().map(|(k, s)| (k, s.sum())).collect();
        assert_eq!(read, [("a", 10)]);
        assert_eq!(one.ack_latency.iter().count(), 1);
    }
}
