//! What is run by a seed, and one seed with its trace.

use crate::campaign::Ran;
use crate::engines::options::{Fault, Options, draw_groups, draw_setup, draw_spares};
use crate::engines::report::{Counts, Report};
use crate::engines::subject::{Changes, Setup, Subject};
use crate::engines::world::World;
use crate::strikes;
use base::Rng;

impl Ran for Report {
    type Sum = Counts;

    fn seed(&self) -> u64 {
        self.seed
    }

    fn hash(&self) -> u64 {
        self.hash
    }

    fn has_failed(&self) -> bool {
        self.violation.is_some()
    }

    fn add_to(&self, sum: &mut Counts) {
        sum.add(&self.counts);
    }

    fn differing(self) -> Report {
        let violation = crate::engines::Violation {
            rule: "a seed is a run",
            evidence: "two runs of it differ".to_owned(),
        };
        Report { violation: Some((base::Time::ZERO, violation)), ..self }
    }
}

/// Runs a seed.
#[must_use]
pub fn run_seed<S: Subject>(seed: u64) -> Report {
    run(seed, S::draw, None, 0)
}

/// Runs a seed of a subject that `make` makes in place of [`Subject::draw`].
#[must_use]
pub fn run_drawn<S: Subject>(seed: u64, make: impl Fn(&Setup, &mut Rng) -> S) -> Report {
    run(seed, make, None, 0)
}

/// What a seed says: the protocol's parameters and the world's, and the generator of the rest.
pub(crate) fn draw<S: Subject>(
    seed: u64,
    make: impl Fn(&Setup, &mut Rng) -> S,
) -> (S, Options, Rng) {
    let mut rng = Rng::new(seed);
    let mut setup = draw_setup(&mut rng, S::VOTERS_MIN, S::CHANGES == Changes::Always);
    if S::GROUPS && rng.one_in(4) {
        setup.groups = draw_groups(&setup, &mut rng);
    }
    if S::CHANGES == Changes::Half && setup.groups.is_empty() {
        // With chances of its own: a seed without changes is what it would be without this.
        let mut rng = Rng::new(!seed);
        setup.changes = rng.one_in(2);
        setup.spares = draw_spares(&setup, &mut rng);
    }
    let subject = make(&setup, &mut rng);
    let mut options = Options::draw(&mut rng, setup, subject.patience());
    let changes = options.setup.changes;
    let may_strike = |fault| subject.bears(fault) && (changes || fault != Fault::Reconfigure);
    options.strikes.retain(|strike| may_strike(strike.fault));
    (subject, options, rng)
}

/// Runs a seed, with these strikes of its own if not all, and keeps so many lines of a trace.
pub(crate) fn run<S: Subject>(
    seed: u64,
    make: impl Fn(&Setup, &mut Rng) -> S,
    strikes: Option<&[usize]>,
    lines: usize,
) -> Report {
    let (subject, mut options, rng) = draw(seed, make);
    if let Some(strikes) = strikes {
        options.strikes = strikes.iter().filter_map(|i| options.strikes.get(*i).copied()).collect();
    }
    let mut report = World::new(subject, options, rng, lines).run(seed);
    report.counts.slowest.1 = seed;
    report
}

/// Runs a seed with its trace, and makes it smaller if it fails and that is asked for. Gives the
/// text of what happened, and whether all was well.
#[must_use]
pub fn replay<S: Subject>(
    seed: u64,
    strikes: Option<&[usize]>,
    lines: usize,
    smaller: bool,
) -> (String, bool) {
    let (subject, options, _) = draw(seed, S::draw);
    let mut text = format!("seed {seed}: {options}; {}\n", subject.describe());
    let mut report = run(seed, S::draw, strikes, lines);
    let all: Vec<usize> = (0..options.strikes.len()).collect();
    let mut kept: Vec<usize> = strikes.map_or(all, <[usize]>::to_vec);
    if smaller && let Some((_, failure)) = &report.violation {
        let fails = |strikes: &[usize]| {
            let smaller = run(seed, S::draw, Some(strikes), 0).violation;
            smaller.is_some_and(|(_, violation)| violation.rule == failure.rule)
        };
        kept = strikes::minimize(kept, fails);
        report = run(seed, S::draw, Some(&kept), lines);
    }
    report.lines.iter().for_each(|line| {
        text += line;
        text.push('\n');
    });
    for index in &kept {
        if let Some(strike) = options.strikes.get(*index) {
            let at = strike.at.as_millis();
            text += &format!("strike {index} at {at} ms: {:?}\n", strike.fault);
        }
    }
    text += &report.counts.to_string();
    text += &match &report.violation {
        None => format!("\nseed {seed}: converged, hash {:016x}", report.hash),
        Some((at, violation)) => {
            let only: Vec<String> = kept.iter().map(usize::to_string).collect();
            format!(
                "\nseed {seed}: VIOLATED at {} ms: {violation}\nreplay: sim engines --engine {} \
                 --replay {seed} --strikes {} --lines 400",
                at.as_millis(),
                S::NAME,
                if only.is_empty() { "none".to_owned() } else { only.join(",") }
            )
        }
    };
    (text, report.violation.is_none())
}
