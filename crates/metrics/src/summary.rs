//! The basic kind of summary: how many, how much, and between what.

/// Average, least, greatest, count and sum of what was recorded. The unit is the recorder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Default for Summary {
    fn default() -> Self {
        Summary { count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Summary {
    /// Takes one value.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Takes the same value so many times.
    #[inline]
    pub fn record_many(&mut self, value: u64, times: u64) {
        if times > 0 {
            self.count += times;
            self.sum = self.sum.saturating_add(value.saturating_mul(times));
            self.min = self.min.min(value);
            self.max = self.max.max(value);
        }
    }

    /// Takes all values of `other`.
    pub fn merge(&mut self, other: &Summary) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The least; 0 if there was none.
    #[must_use]
    pub fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The greatest; 0 if there was none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The average, rounded half up to four decimals; 0 if there was none.
    #[must_use]
    pub fn average(&self) -> f64 {
        let count = u128::from(self.count.max(1));
        let ten_thousandths = (u128::from(self.sum) * 20_000 + count) / (2 * count);
        ten_thousandths as f64 / 10_000.0
    }

    /// The average, rounded down; 0 if there was none.
    #[must_use]
    pub fn whole_average(&self) -> u64 {
        self.sum / self.count.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    fn of(values: &[u64]) -> Summary {
        let mut summary = Summary::default();
        values.iter().for_each(|value| summary.record(*value));
        summary
    }

    #[test]
    fn an_empty_summary_is_all_zero() {
        let empty = Summary::default();
        assert_eq!((empty.count(), empty.sum(), empty.min(), empty.max()), (0, 0, 0, 0));
        assert_eq!(empty.average(), 0.0);
        assert_eq!(empty.whole_average(), 0);
    }

    #[test]
    fn values_are_summed_up() {
        let summary = of(&[7, 3, 5, 5]);
        assert_eq!((summary.count(), summary.sum(), summary.min(), summary.max()), (4, 20, 3, 7));
        assert_eq!(of(&[5, 2]).whole_average(), 3);
    }

    #[test]
    fn many_at_once_equal_one_by_one() {
        let mut many = of(&[4]);
        many.record_many(6, 3);
        many.record_many(1, 0);
        assert_eq!(many, of(&[4, 6, 6, 6]));
    }

    #[test]
    fn averages_have_four_decimals_rounded_half_up() {
        assert_eq!(of(&[1, 1, 2]).average(), 1.3333);
        assert_eq!(of(&[1, 2, 2]).average(), 1.6667);
        let mut tie = of(&[1]);
        (0..31).for_each(|_| tie.record(0));
        assert_eq!(tie.average(), 0.0313);
    }

    #[test]
    fn a_merge_equals_recording_all() {
        let mut left = of(&[4, 9]);
        left.merge(&of(&[1]));
        left.merge(&Summary::default());
        assert_eq!(left, of(&[1, 4, 9]));
    }
}
