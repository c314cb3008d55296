//! Whether a leader still has a quorum, and its learners are alive.

use super::peers::Stage;
use super::{Leading, Lost, Phase};
use crate::core::Core;
use base::Time;
use broadcast::{LinkId, Output};
use std::time::Duration;

impl Leading {
    /// When it wants to be asked again.
    pub(crate) fn deadline(&self) -> Time {
        let mut at = self.tick_at;
        if self.phase != Phase::Broadcast {
            at = at.min(self.until);
        }
        self.listen_at.map_or(at, |listen| at.min(listen))
    }

    /// Time has passed.
    pub(crate) fn expired(
        &mut self,
        core: &mut Core,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<(), Lost> {
        if self.listen_at.is_some_and(|at| at <= now) {
            self.listen(core, out);
        }
        if self.phase != Phase::Broadcast && self.until <= now {
            return Err(match self.phase {
                Phase::Discovery => "no quorum came in time".to_owned(),
                Phase::Promising(_) => "no quorum promised the epoch in time".to_owned(),
                Phase::Synchronization(_) | Phase::Broadcast => {
                    "no quorum took the history in time".to_owned()
                }
            });
        }
        if self.tick_at > now {
            return Ok(());
        }
        if self.until <= now {
            self.returning.clear();
        }
        self.tick_at = now + core.limits.tick / 2;
        self.ticks += 1;
        if self.phase >= Phase::Synchronization(base::Lsn::ZERO) {
            self.ping(core, out);
        }
        if matches!(self.phase, Phase::Synchronization(_)) && self.ticks > 2 {
            self.is_late = true;
            self.synchronize_all(core, out);
        }
        self.drop_silent(core, now, out)?;
        self.drop_slow(core, now, out)?;
        // Who made this member leader may have left before it was established.
        self.has_quorum(core)
    }

    /// Learners that are not heard of.
    fn drop_silent(&mut self, core: &Core, now: Time, out: &mut Vec<Output>) -> Result<(), Lost> {
        let limits = &core.limits;
        let silent: Vec<(LinkId, Duration)> = (self.learners.iter())
            .map(|(link, learner)| (*link, learner.stage, now.since(learner.heard)))
            .filter(|(_, stage, silence)| {
                let joined = *stage >= Stage::Installed;
                *silence > if joined { limits.sync_time() } else { limits.init_time() }
            })
            .map(|(link, _, silence)| (link, silence))
            .collect();
        for (link, silence) in silent {
            let reason = format!("it was not heard for {} ms", silence.as_millis());
            self.drop_learner(core, link, reason, out)?;
        }
        Ok(())
    }

    /// Learners that do not get what is proposed on their disks.
    fn drop_slow(&mut self, core: &Core, now: Time, out: &mut Vec<Output>) -> Result<(), Lost> {
        let last = core.history.last();
        let mut slow = Vec::new();
        for (&link, learner) in &mut self.learners {
            if learner.observes || learner.stage != Stage::Active {
                continue;
            }
            match learner.mark {
                Some((at, since)) if learner.acknowledged < at => {
                    if now.since(since) > core.limits.sync_time() {
                        slow.push(link);
                    }
                }
                Some(_) | None => learner.mark = Some((last, now)).filter(|_| last.counter() > 0),
            }
        }
        for link in slow {
            self.drop_learner(core, link, "it does not acknowledge in time".to_owned(), out)?;
        }
        Ok(())
    }

    /// Whether the learners that are left are a quorum with this member, once there was one.
    pub(super) fn has_quorum(&self, core: &Core) -> Result<(), Lost> {
        if self.phase != Phase::Broadcast {
            return Ok(());
        }
        let mut alive = self.returning.clone();
        alive.insert(core.me);
        let learners = self.learners.values().filter(|learner| learner.counts());
        alive.extend(learners.map(|learner| learner.node));
        if core.ensemble.is_quorum(&alive) {
            return Ok(());
        }
        let ids: Vec<String> = alive.iter().map(|node| node.0.to_string()).collect();
        Err(format!("not enough followers are synced: only {}", ids.join(",")))
    }
}

/// Time between two trials to open the port.
pub(crate) const LISTEN_RETRY: Duration = Duration::from_millis(100);
