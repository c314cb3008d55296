//! A member's clock: it may go fast, slow, or jump ahead; never back.

use base::Time;
use std::time::Duration;

/// A linear map from the world's time, changed now and then.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    since: Time,
    reads: Time,
    /// In 1024ths of the world's speed.
    rate: u64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { since: Time::ZERO, reads: Time::ZERO, rate: UNIT }
    }
}

impl Clock {
    /// What it shows at `now`.
    pub(crate) fn local(&self, now: Time) -> Time {
        let passed = u128::from(now.0 - self.since.0) * u128::from(self.rate) / u128::from(UNIT);
        Time(self.reads.0 + passed as u64)
    }

    /// When it will show `local`, or more.
    pub(crate) fn world(&self, local: Time) -> Time {
        let ahead = u128::from(local.0.saturating_sub(self.reads.0)) * u128::from(UNIT);
        let wait = ahead.div_ceil(u128::from(self.rate));
        Time(self.since.0.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// From now on it goes at this speed.
    pub(crate) fn set_rate(&mut self, now: Time, rate: u64) {
        assert!(rate > 0, "time goes on");
        (self.reads, self.since, self.rate) = (self.local(now), now, rate);
    }

    /// It jumps ahead.
    pub(crate) fn jump(&mut self, now: Time, ahead: Duration) {
        (self.reads, self.since) = (self.local(now) + ahead, now);
    }
}

/// The rate of a clock that is right.
pub(crate) const UNIT: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::{Clock, UNIT};
    use base::Time;
    use std::time::Duration;

    #[test]
    fn both_ways_agree_at_every_speed() {
        let mut clock = Clock::default();
        for (step, rate) in [(7, UNIT / 2), (13, UNIT * 2), (1001, 1500), (99_991, 777)] {
            let now = Time(step * 1_000_003);
            clock.set_rate(now, rate);
            clock.jump(now, Duration::from_nanos(step));
            for ahead in 0..50 {
                let local = clock.local(now) + Duration::from_nanos(ahead);
                let world = clock.world(local);
                assert!(clock.local(world) >= local);
                assert!(world == now || clock.local(Time(world.0 - 1)) < local);
            }
        }
    }
}
