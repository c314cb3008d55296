//! Linearizability: whether calls that overlap could have taken effect one at a time, each between
//! its start and its return, with the outcomes that were seen.
//!
//! A search over configurations: which calls have taken effect, and the state that they left. From
//! each, any call may be next that began before the first return among those that are left. A
//! configuration is entered once. A call whose outcome is unknown may take effect at any time after
//! its start, or never; of two such calls with equal actions the older one goes first, since nothing
//! can tell them apart, and what only observes goes as soon as it may: neither multiplies the
//! configurations.
//! Objects that share no call are to be judged one by one: a history of all is linearizable if and
//! only if each object's is.
//! Sources: Wing, Gong, "Testing and verifying concurrent objects", 1993; Lowe, "Testing for
//! linearizability", 2017 (configurations that were seen); Herlihy, Wing, 1990 (locality).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

#[cfg(test)]
mod tests;

/// What an object does, one call at a time.
pub trait Sequential {
    /// The object's state.
    type State: Clone + Ord + Debug;
    /// A call with the outcome that was seen. Equal actions do the same in every state.
    type Action: Ord + Debug;

    /// The state after the action, if it has that outcome in this state.
    fn step(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;

    /// Whether the action leaves every state as it is.
    fn is_observation(&self, action: &Self::Action) -> bool;
}

/// A call as its client saw it. Times are of one clock, in any unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<A> {
    /// What was asked, and what came back.
    pub action: A,
    /// Before this it has not taken effect.
    pub invoked: u64,
    /// By then it has taken effect; `None` if its outcome is unknown.
    pub returned: Option<u64>,
}

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order.
    Linearizable,
    /// There is none: where the furthest attempt ended.
    Not(String),
    /// The search was given up after so many configurations.
    Undecided(usize),
}

/// Searches for an order of `calls` from `start` on, through at most so many configurations.
pub fn linearize<S: Sequential>(
    object: &S,
    start: S::State,
    calls: &[Call<S::Action>],
    configurations_max: usize,
) -> Verdict {
    let calls = Calls::new(calls);
    let first = Configuration {
        before: 0,
        beyond: Vec::new(),
        taken: vec![0; calls.optional.len()],
        state: start,
    };
    let mut furthest = (0, String::new());
    let mut seen = BTreeSet::new();
    let mut open = vec![first];
    while let Some(configuration) = open.pop() {
        if configuration.before == calls.required.len() {
            return Verdict::Linearizable;
        }
        if seen.contains(&configuration) {
            continue;
        }
        if seen.len() == configurations_max {
            return Verdict::Undecided(configurations_max);
        }
        let nexts = calls.nexts(object, &configuration);
        let done = configuration.before + configuration.beyond.len();
        if nexts.is_empty() && (done > furthest.0 || furthest.1.is_empty()) {
            furthest = (done, calls.describe(&configuration));
        }
        seen.insert(configuration);
        // The last one is taken first.
        open.extend(nexts.into_iter().rev());
    }
    Verdict::Not(furthest.1)
}

/// Calls in the order of their starts.
struct Calls<'a, A> {
    required: Vec<&'a Call<A>>,
    /// Calls of unknown outcome by their actions: when they began, sorted.
    optional: Vec<(&'a A, Vec<u64>)>,
}

/// What has taken effect, and the state after it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Configuration<S> {
    /// All required calls before this one; it has not.
    before: usize,
    /// Those behind it that have, sorted.
    beyond: Vec<u32>,
    /// How many of each optional action.
    taken: Vec<u32>,
    state: S,
}

/// How many calls a message names.
const SHOWN_MAX: usize = 6;

impl<'a, A: Ord + Debug> Calls<'a, A> {
    fn new(calls: &'a [Call<A>]) -> Calls<'a, A> {
        let mut required: Vec<&Call<A>> = calls.iter().filter(|c| c.returned.is_some()).collect();
        required.sort_by_key(|call| call.invoked);
        let mut optional: BTreeMap<&A, Vec<u64>> = BTreeMap::new();
        for call in calls.iter().filter(|call| call.returned.is_none()) {
            optional.entry(&call.action).or_default().push(call.invoked);
        }
        optional.values_mut().for_each(|starts| starts.sort_unstable());
        Calls { required, optional: optional.into_iter().collect() }
    }

    /// The required calls that may be next, and the first return among those that are left.
    fn window<S>(&self, at: &Configuration<S>) -> (Vec<usize>, u64) {
        let mut horizon = u64::MAX;
        let mut window = Vec::new();
        for (n, call) in self.required.iter().enumerate().skip(at.before) {
            if call.invoked > horizon {
                break;
            }
            if at.beyond.binary_search(&(n as u32)).is_err() {
                horizon = horizon.min(call.returned.unwrap_or(u64::MAX));
                window.push(n);
            }
        }
        window.retain(|n| self.required[*n].invoked <= horizon);
        window.sort_by_key(|n| self.required[*n].returned);
        (window, horizon)
    }

    /// The configurations one call further, the likeliest first.
    fn nexts<S>(&self, object: &S, at: &Configuration<S::State>) -> Vec<Configuration<S::State>>
    where
        S: Sequential<Action = A>,
    {
        let (window, horizon) = self.window(at);
        let mut steps = Vec::new();
        for n in window {
            let Some(state) = object.step(&at.state, &self.required[n].action) else { continue };
            if object.is_observation(&self.required[n].action) {
                // It may as well be next: it changes nothing, now or later.
                return vec![self.with(at, n, state)];
            }
            steps.push((n, state));
        }
        let required = steps.into_iter().map(|(n, state)| self.with(at, n, state));
        let optional = self.optional.iter().enumerate().filter_map(|(n, (action, starts))| {
            starts.get(at.taken[n] as usize).filter(|start| **start <= horizon)?;
            let mut next = Configuration { state: object.step(&at.state, action)?, ..at.clone() };
            next.taken[n] += 1;
            Some(next)
        });
        required.chain(optional).collect()
    }

    fn with<S: Clone>(&self, at: &Configuration<S>, n: usize, state: S) -> Configuration<S> {
        let mut next = Configuration { state, ..at.clone() };
        if n == next.before {
            let follows = |beyond: &[u32], before: usize| beyond.first() == Some(&(before as u32));
            next.before += 1;
            while follows(&next.beyond, next.before) {
                next.beyond.remove(0);
                next.before += 1;
            }
        } else if let Err(place) = next.beyond.binary_search(&(n as u32)) {
            next.beyond.insert(place, n as u32);
        }
        next
    }

    fn describe<S: Debug>(&self, at: &Configuration<S>) -> String {
        let (window, _) = self.window(at);
        let calls: Vec<_> = window.iter().take(SHOWN_MAX).map(|n| self.required[*n]).collect();
        let done = at.before + at.beyond.len();
        let all = self.required.len();
        format!("after {done} of {all} in {:?} none of {calls:?} can be next", at.state)
    }
}
