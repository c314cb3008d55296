//! The advanced kind of summary: percentiles from a small log-linear histogram.
//!
//! Values below 128 are kept exactly, greater ones with an error of at most 1/128. Every value
//! since the start counts alike, where the reference keeps a random sample of 4096. The buckets
//! grow to the greatest value that was seen: nothing recorded, nothing allocated.

use crate::Summary;

/// A summary that knows its percentiles. The unit is the recorder's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    summary: Summary,
    buckets: Vec<u64>,
}

impl Distribution {
    /// Takes one value.
    pub fn record(&mut self, value: u64) {
        self.record_many(value, 1);
    }

    /// Takes the same value so many times.
    pub fn record_many(&mut self, value: u64, times: u64) {
        if times == 0 {
            return;
        }
        self.summary.record_many(value, times);
        let bucket = bucket_of(value);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += times;
    }

    /// Takes all values of `other`.
    pub fn merge(&mut self, other: &Distribution) {
        self.summary.merge(&other.summary);
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Average, least, greatest, count and sum.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The value below which `quantile` (0 to 1) of the values are, interpolated between two
    /// neighbours and rounded half up; 0 if there was none.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> u64 {
        let count = self.summary.count();
        if count == 0 {
            return 0;
        }
        let position = quantile * (count + 1) as f64;
        let index = position as u64;
        if index < 1 {
            return self.ranked(1);
        }
        if index >= count {
            return self.ranked(count);
        }
        let (lower, upper) = (self.ranked(index) as f64, self.ranked(index + 1) as f64);
        (lower + (position - index as f64) * (upper - lower) + 0.5) as u64
    }

    /// The value of that rank, counted from 1.
    fn ranked(&self, rank: u64) -> u64 {
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        middle_of(bucket.unwrap_or_default()).clamp(self.summary.min(), self.summary.max())
    }
}

/// Below this every value has a bucket of its own.
const EXACT_BITS: u32 = 7;
const EXACT: usize = 1 << EXACT_BITS;
/// Buckets per power of two above that.
const STEPS: usize = EXACT / 2;

fn bucket_of(value: u64) -> usize {
    if value < EXACT as u64 {
        return value as usize;
    }
    let exponent = value.ilog2();
    let step = (value >> (exponent + 1 - EXACT_BITS)) as usize - STEPS;
    EXACT + (exponent - EXACT_BITS) as usize * STEPS + step
}

fn middle_of(bucket: usize) -> u64 {
    if bucket < EXACT {
        return bucket as u64;
    }
    let shift = (bucket - EXACT) / STEPS + 1;
    let step = ((bucket - EXACT) % STEPS + STEPS) as u64;
    (step << shift) + (1 << (shift - 1))
}

#[cfg(test)]
mod tests {
    use super::{Distribution, bucket_of, middle_of};

    fn of(values: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        values.into_iter().for_each(|value| distribution.record(value));
        distribution
    }

    fn percentiles(distribution: &Distribution) -> [u64; 4] {
        [0.5, 0.95, 0.99, 0.999].map(|quantile| distribution.quantile(quantile))
    }

    #[test]
    fn buckets_meet_and_are_narrow() {
        let mut last = 0;
        for value in (0..5000).chain((13..64).flat_map(|bit| {
            let power = 1u64 << bit;
            [power - 1, power, power + power / 3]
        })) {
            let bucket = bucket_of(value);
            assert!(bucket == last || value >= 5000 || bucket == last + 1, "{value}");
            last = bucket;
            assert!(middle_of(bucket).abs_diff(value) <= value / 128, "{value}");
        }
        assert!(middle_of(bucket_of(u64::MAX)).abs_diff(u64::MAX) <= u64::MAX / 128);
    }

    #[test]
    fn percentiles_of_few_values_are_interpolated() {
        assert_eq!(percentiles(&of([])), [0; 4]);
        assert_eq!(percentiles(&of([6])), [6; 4]);
        assert_eq!(percentiles(&of([0, 1])), [1; 4]);
        assert_eq!(percentiles(&of([0, 0, 1, 1, 2])), [1, 2, 2, 2]);
        assert_eq!(of([10, 20]).quantile(0.5), 15);
        assert_eq!(of([10, 20]).quantile(0.0), 10);
    }

    #[test]
    fn percentiles_of_many_values_are_near() {
        let distribution = of((1..=100_000).map(|n| n * 7919 % 100_000));
        for (quantile, expected) in [(0.5, 50_000), (0.95, 95_000), (0.999, 99_900)] {
            assert!(distribution.quantile(quantile).abs_diff(expected) <= expected / 64);
        }
        assert_eq!(distribution.summary().count(), 100_000);
    }

    #[test]
    fn many_at_once_equal_one_by_one() {
        let mut many = of([4]);
        many.record_many(600, 3);
        many.record_many(1, 0);
        assert_eq!(many, of([4, 600, 600, 600]));
    }

    #[test]
    fn a_merge_equals_recording_all() {
        let mut left = of([1, 5]);
        left.merge(&of([1_000_000, 3]));
        left.merge(&Distribution::default());
        assert_eq!(left, of([1, 3, 5, 1_000_000]));
    }
}
