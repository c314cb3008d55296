//! Latencies, counted in buckets whose width grows with their value.
//!
//! In: nanoseconds. Out: counts, means and percentiles. Every bucket is at most 1/128 of its value wide, so a
//! percentile is less than 1 % above the truth; recording is an index and an increment.
//! Source: the layout of Gil Tene's HdrHistogram.

/// Sub-buckets per power of two, as a power of two.
const PRECISION_BITS: u32 = 7;
/// Values from here on share the last bucket: 2^38 ns are 275 s.
const VALUE_BITS_MAX: u32 = 38;
const BUCKETS: usize = ((VALUE_BITS_MAX - PRECISION_BITS + 1) as usize) << PRECISION_BITS;

/// Counts of values in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], count: 0, sum: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts one value, in ns.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.max = self.max.max(value);
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, in ns, exactly.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The mean in ns, exactly; 0 of nothing.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The value in ns that `percent` of all values do not exceed, rounded up to its bucket's end; 0 of nothing.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((self.count as f64 * percent / 100.0).ceil() as u64).clamp(1, u64::MAX);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return highest(index).min(self.max);
            }
        }
        self.max
    }
}

#[inline]
fn bucket(value: u64) -> usize {
    let value = value.min((1 << VALUE_BITS_MAX) - 1);
    let bits = u64::BITS - value.leading_zeros();
    if bits <= PRECISION_BITS {
        return value as usize;
    }
    // The leading bit says the power of two; the PRECISION_BITS below it say the sub-bucket.
    let shift = bits - 1 - PRECISION_BITS;
    ((shift as usize) << PRECISION_BITS) + (value >> shift) as usize
}

/// The largest value of a bucket.
fn highest(index: usize) -> u64 {
    let shift = (index >> PRECISION_BITS).saturating_sub(1);
    let within = index - (shift << PRECISION_BITS);
    ((within as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Histogram, VALUE_BITS_MAX, bucket, highest};
    use proptest::prelude::*;

    #[test]
    fn buckets_are_contiguous() {
        for index in 0..BUCKETS {
            assert_eq!(bucket(highest(index)), index);
            if index + 1 < BUCKETS {
                assert_eq!(bucket(highest(index) + 1), index + 1);
            }
        }
        assert_eq!(highest(BUCKETS - 1), (1 << VALUE_BITS_MAX) - 1);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn an_empty_one_says_zero() {
        let none = Histogram::default();
        assert_eq!((none.percentile(50.0), none.max(), none.count()), (0, 0, 0));
        assert!(none.mean().abs() < f64::EPSILON);
    }

    proptest! {
        #[test]
        fn percentiles_are_within_one_percent(
            mut values in prop::collection::vec(0u64..10_000_000_000, 1..300),
            percent in 0.1f64..100.0,
        ) {
            let (mut whole, mut half) = (Histogram::default(), Histogram::default());
            for (at, value) in values.iter().enumerate() {
                if at % 2 == 0 { whole.record(*value) } else { half.record(*value) }
            }
            whole.merge(&half);
            values.sort_unstable();
            let rank = ((values.len() as f64 * percent / 100.0).ceil() as usize).max(1);
            let truth = values[rank - 1];
            let told = whole.percentile(percent);
            prop_assert!(told >= truth && told <= truth + truth / 100 + 1, "{told} for {truth}");
            prop_assert_eq!(whole.count(), values.len() as u64);
            prop_assert_eq!(whole.max(), *values.last().expect("not empty"));
        }
    }
}
