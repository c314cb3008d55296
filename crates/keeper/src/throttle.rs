//! A token bucket for new connections.
//!
//! A connect request takes tokens by its kind; without enough of them it is closed, and the
//! client comes back later. With a freeze time, closed connections raise the probability that
//! later ones are closed at random before they cost anything, and accepted ones lower it.
//! Source: client protocol, section 23.

use base::{Rng, Time};
use std::time::Duration;

/// How the bucket is filled and drained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThrottleConfig {
    /// Size of the bucket; 0 switches the throttle off.
    pub tokens: u32,
    /// Time between two fills.
    pub fill_time: Duration,
    /// Tokens per fill.
    pub fill_count: u32,
    /// Time between two changes of the drop probability; `None`: no random drops.
    pub freeze_time: Option<Duration>,
    /// How much the probability rises at a change.
    pub drop_increase: f64,
    /// How much it falls.
    pub drop_decrease: f64,
    /// The share of the bucket that must be there for it to fall.
    pub decrease_ratio: f64,
}

/// The bucket.
#[derive(Debug)]
pub struct ConnectThrottle {
    config: ThrottleConfig,
    tokens: u32,
    last_fill: Time,
    last_freeze: Time,
    drop_probability: f64,
    rng: Rng,
}

impl ConnectThrottle {
    /// A full bucket.
    #[must_use]
    pub fn new(config: ThrottleConfig, now: Time, rng: Rng) -> ConnectThrottle {
        ConnectThrottle {
            tokens: config.tokens,
            config,
            last_fill: now,
            last_freeze: now,
            drop_probability: 0.0,
            rng,
        }
    }

    /// Whether a connect request that costs `need` tokens is let in.
    pub fn admit(&mut self, now: Time, need: u32) -> bool {
        if self.config.tokens == 0 {
            return true;
        }
        self.fill(now);
        if self.drop_probability > 0.0 && self.draw() < self.drop_probability {
            return false;
        }
        self.adjust(now, need);
        if self.tokens < need {
            return false;
        }
        self.tokens -= need;
        true
    }

    /// The probability of a random drop, for the metrics.
    #[must_use]
    pub fn drop_probability(&self) -> f64 {
        self.drop_probability
    }

    fn fill(&mut self, now: Time) {
        let step = self.config.fill_time.as_nanos().max(1);
        let fills = now.since(self.last_fill).as_nanos() / step;
        if fills > 0 {
            let more = u64::try_from(fills).unwrap_or(u64::MAX);
            let more = more.saturating_mul(u64::from(self.config.fill_count));
            let sum = u64::from(self.tokens).saturating_add(more);
            self.tokens = u32::try_from(sum).unwrap_or(u32::MAX).min(self.config.tokens);
            self.last_fill = now;
        }
    }

    fn adjust(&mut self, now: Time, need: u32) {
        let Some(freeze) = self.config.freeze_time else { return };
        if now.since(self.last_freeze) < freeze {
            return;
        }
        let left = f64::from(self.tokens) / f64::from(self.config.tokens);
        if self.tokens < need {
            self.drop_probability = (self.drop_probability + self.config.drop_increase).min(1.0);
            self.last_freeze = now;
        } else if left > self.config.decrease_ratio {
            self.drop_probability = (self.drop_probability - self.config.drop_decrease).max(0.0);
            self.last_freeze = now;
        }
    }

    fn draw(&mut self) -> f64 {
        const STEPS: u64 = 1 << 30;
        self.rng.below(STEPS) as f64 / STEPS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectThrottle, ThrottleConfig};
    use base::{Rng, Time};
    use std::time::Duration;

    const CONFIG: ThrottleConfig = ThrottleConfig {
        tokens: 2,
        fill_time: Duration::from_millis(10),
        fill_count: 1,
        freeze_time: None,
        drop_increase: 0.5,
        drop_decrease: 0.5,
        decrease_ratio: 0.0,
    };

    #[test]
    fn tokens_run_out_and_come_back() {
        let mut throttle = ConnectThrottle::new(CONFIG, Time::ZERO, Rng::new(1));
        let admitted: Vec<bool> = (0..3).map(|_| throttle.admit(Time::ZERO, 1)).collect();
        assert_eq!(admitted, [true, true, false]);
        assert!(throttle.admit(Time::from_millis(10), 1));
        assert!(!throttle.admit(Time::from_millis(10), 1));
        assert!(throttle.admit(Time::from_millis(1000), 2));
        assert!(!throttle.admit(Time::from_millis(1000), 1));
    }

    #[test]
    fn refusals_raise_the_drop_probability_and_calm_lowers_it() {
        let config = ThrottleConfig { freeze_time: Some(Duration::ZERO), ..CONFIG };
        let mut throttle = ConnectThrottle::new(config, Time::ZERO, Rng::new(1));
        assert!(!throttle.admit(Time::ZERO, 3));
        assert!(throttle.drop_probability() > 0.0);
        let mut now = Time::ZERO;
        for _ in 0..64 {
            now += Duration::from_secs(1);
            throttle.admit(now, 1);
        }
        assert!(throttle.drop_probability() == 0.0);
    }

    #[test]
    fn without_a_bucket_everyone_is_let_in() {
        let config = ThrottleConfig { tokens: 0, ..CONFIG };
        let mut throttle = ConnectThrottle::new(config, Time::ZERO, Rng::new(1));
        assert!((0..100).all(|_| throttle.admit(Time::ZERO, 50)));
    }
}
