//! The clocks: monotonic time since the process began, and wall time.

use base::{Time, WallTime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time; a copy tells the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// Time begins now, a little after [`Time::ZERO`]: zero stands for "never" in places.
    #[must_use]
    pub(crate) fn start() -> Clock {
        let origin = Instant::now();
        Clock { origin: origin.checked_sub(Duration::from_millis(1)).unwrap_or(origin) }
    }

    /// The monotonic time.
    #[must_use]
    pub(crate) fn now(&self) -> Time {
        let nanos = self.origin.elapsed().as_nanos();
        Time(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The wall time.
    #[must_use]
    pub(crate) fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The wall time at which the monotonic clock shows `time`, if nobody sets the clock.
    #[must_use]
    pub(crate) fn wall_at(&self, time: Time) -> WallTime {
        let ms = |time: Time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        WallTime(self.wall().0.saturating_add(ms(time)).saturating_sub(ms(self.now())))
    }

    /// The instant that is `time`, for timers.
    #[must_use]
    pub(crate) fn instant(&self, time: Time) -> Instant {
        let far = Duration::from_hours(24 * 365);
        self.origin + Duration::from_nanos(time.0).min(self.origin.elapsed() + far)
    }
}
