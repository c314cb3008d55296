//! A member's clock: it may go fast, slow, or jump ahead; never back.

use base::Time;
use std::time::Duration;

/// A linear map from the world's time, changed now and then.
#[derive(Clone, Debug)]
pub struct Clock {
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
    pub fn local(&self, now: Time) -> Time {
        let passed = u128::from(now.0 - self.since.0) * u128::from(self.rate) / u128::from(UNIT);
        Time(self.reads.0 + passed as u64)
    }

    /// When it will show `local`, or more.
    pub fn world(&self, local: Time) -> Time {
        let ahead = u128::from(local.0.saturating_sub(self.reads.0)) * u128::from(UNIT);
        let wait = ahead.div_ceil(u128::from(self.rate));
        Time(self.since.0.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// From now on it goes at this speed.
    pub fn set_rate(&mut self, now: Time, rate: u64) {
        assert!(rate > 0, "time goes on");
        (self.reads, self.since, self.rate) = (self.local(now), now, rate);
    }

    /// It jumps ahead.
    pub fn jump(&mut self, now: Time, ahead: Duration) {
        (self.reads, self.since) = (self.local(now) + ahead, now);
    }
}

/// The rate of a clock that is right.
pub const UNIT: u64 = 1024;
