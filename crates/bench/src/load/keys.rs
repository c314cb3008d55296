//! Which key a request names.

use base::Rng;
use clap::ValueEnum;

/// How requests spread over the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Every key alike.
    Uniform,
    /// Key n with a weight of 1 / n^0.99: few keys get most requests.
    Zipf,
    /// One key after the other, every connection from a place of its own.
    Sequential,
}

/// Picks keys.
#[derive(Clone, Debug)]
pub struct Keys {
    count: u64,
    distribution: Distribution,
    /// Zipf only: keys, as often as their weight has it.
    table: Vec<u32>,
    rng: Rng,
}

/// Picks from that many samples of the distribution, so that a pick is one look-up.
const TABLE_SIZE: usize = 1 << 16;
const ZIPF_EXPONENT: f64 = 0.99;

impl Keys {
    /// Picks from `count` keys.
    ///
    /// # Panics
    /// If there are no keys, or more than 2^32.
    #[must_use]
    pub fn new(count: u64, distribution: Distribution, seed: u64) -> Keys {
        assert!(count > 0, "there is a key to pick");
        let table = match distribution {
            Distribution::Zipf => zipf_table(count),
            Distribution::Uniform | Distribution::Sequential => Vec::new(),
        };
        Keys { count, distribution, table, rng: Rng::new(seed) }
    }

    /// The next key; `cursor` is the connection's own.
    #[inline]
    pub fn pick(&mut self, cursor: &mut u64) -> u64 {
        match self.distribution {
            Distribution::Uniform => self.rng.below(self.count),
            Distribution::Zipf => {
                u64::from(self.table[self.rng.next_u64() as usize & (TABLE_SIZE - 1)])
            }
            Distribution::Sequential => {
                *cursor += 1;
                *cursor % self.count
            }
        }
    }

    /// True `percent` times of 100.
    #[inline]
    pub fn percent(&mut self, percent: u64) -> bool {
        self.rng.percent(percent)
    }
}

/// Keys at evenly spaced quantiles of the distribution.
fn zipf_table(count: u64) -> Vec<u32> {
    let weight = |key: u64| ((key + 1) as f64).powf(-ZIPF_EXPONENT);
    let total: f64 = (0..count).map(weight).sum();
    let (mut key, mut below) = (0, weight(0));
    (0..TABLE_SIZE)
        .map(|at| {
            let quantile = (at as f64 + 0.5) / TABLE_SIZE as f64 * total;
            while below < quantile && key + 1 < count {
                key += 1;
                below += weight(key);
            }
            u32::try_from(key).expect("keys are fewer than 2^32")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Distribution, Keys};

    fn counts(distribution: Distribution) -> Vec<u32> {
        let mut keys = Keys::new(100, distribution, 1);
        let (mut counts, mut cursor) = (vec![0; 100], 0);
        for _ in 0..100_000 {
            counts[keys.pick(&mut cursor) as usize] += 1;
        }
        counts
    }

    #[test]
    fn uniform_and_sequential_give_every_key_its_share() {
        assert!(counts(Distribution::Uniform).iter().all(|n| (800..1200).contains(n)));
        assert!(counts(Distribution::Sequential).iter().all(|n| *n == 1000));
    }

    #[test]
    fn zipf_gives_the_first_key_a_fifth_and_the_last_some() {
        let counts = counts(Distribution::Zipf);
        assert!((17_000..22_000).contains(&counts[0]), "{}", counts[0]);
        assert!((9_000..11_000).contains(&counts[1]), "{}", counts[1]);
        assert!(counts[99] > 100);
    }
}
