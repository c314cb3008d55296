//! Finds empty containers and expired nodes, and paces their deletion.

use crate::config::ReaperConfig;
use base::{Time, WallTime};
use std::collections::VecDeque;
use std::time::Duration;
use tree::{ReapRules, Tree};

/// The reaper of one member; works while that member is primary.
#[derive(Debug)]
pub(crate) struct Reaper {
    config: ReaperConfig,
    next_look: Time,
    candidates: VecDeque<String>,
    next_deletion: Time,
}

impl Reaper {
    /// Looks for the first time one interval after `now`.
    pub(crate) fn new(config: ReaperConfig, now: Time) -> Reaper {
        let next_look = now + config.interval;
        Reaper { config, next_look, candidates: VecDeque::new(), next_deletion: now }
    }

    pub(crate) fn deadline(&self) -> Time {
        if self.candidates.is_empty() { self.next_look } else { self.next_deletion }
    }

    /// The nodes whose turn it is at `now`.
    pub(crate) fn due(&mut self, tree: &Tree, now: Time, wall: WallTime) -> Vec<String> {
        if self.candidates.is_empty() && self.next_look <= now {
            let never_used_ms =
                self.config.never_used.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0));
            self.candidates = tree.reapable(wall, ReapRules { never_used_ms }).into();
            self.next_look = now + self.config.interval;
            self.next_deletion = now;
        }
        let mut due = Vec::new();
        while self.next_deletion <= now
            && let Some(path) = self.candidates.pop_front()
        {
            due.push(path);
            self.next_deletion += self.pause();
        }
        due
    }

    fn pause(&self) -> Duration {
        const MINUTE: Duration = Duration::from_mins(1);
        MINUTE / self.config.per_minute_max.max(1)
    }
}
