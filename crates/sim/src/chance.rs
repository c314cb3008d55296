//! How durations and rates are drawn.

use base::Rng;
use std::time::Duration;

/// Small and large numbers equally often.
pub(crate) fn log_uniform(rng: &mut Rng, low: u64, high: u64) -> u64 {
    let high = high.max(low);
    let doublings = u64::from((high / low).ilog2());
    let base = low << rng.between(0, doublings);
    rng.between(base, (base * 2).min(high).max(base))
}

/// Any duration of these.
pub(crate) fn between(rng: &mut Rng, low: Duration, high: Duration) -> Duration {
    Duration::from_nanos(rng.between(low.as_nanos() as u64, high.as_nanos() as u64))
}

/// Around `mean`, seldom far from it.
pub(crate) fn around(rng: &mut Rng, mean: Duration) -> Duration {
    let factor = *rng.pick(&[1, 4, 8, 8, 8, 8, 8, 30]);
    between(rng, mean * factor / 16, mean * factor / 8)
}
