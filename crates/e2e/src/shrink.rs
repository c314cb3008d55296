//! Makes a program that shows a difference smaller, as long as it shows one.
//!
//! Delta debugging: first chunks of steps are left out, then chunks of the requests of each step,
//! then operations of multis; halves first, single ones last, until nothing can go.
//! Source: Zeller, Hildebrandt, "Simplifying and isolating failure-inducing input", 2002.

use crate::program::{Program, Request, Value};

/// A program that still `fails` and from which no step, request or operation can be left out; or
/// the best one after `attempts_max` tries.
pub fn shrink(
    program: &Program,
    attempts_max: usize,
    mut fails: impl FnMut(&Program) -> bool,
) -> Program {
    let mut best = program.clone();
    let mut attempts = 0;
    let mut still_fails = |candidate: &Program| {
        attempts += 1;
        attempts <= attempts_max && fails(candidate)
    };
    loop {
        let before = best.clone();
        let steps =
            reduce(best.steps.clone(), |steps| still_fails(&Program { steps: steps.to_vec() }));
        best = Program { steps };
        for at in 0..best.steps.len() {
            shrink_requests(&mut best, at, &mut still_fails);
        }
        if best == before {
            return best;
        }
    }
}

fn shrink_requests(best: &mut Program, at: usize, still_fails: &mut impl FnMut(&Program) -> bool) {
    let with = |program: &Program, requests: &[Request]| {
        let mut candidate = program.clone();
        if let Some(slot) = candidate.steps[at].requests_mut() {
            *slot = requests.to_vec();
        }
        candidate
    };
    let requests = best.steps[at].requests().to_vec();
    let mut requests = reduce(requests, |fewer| still_fails(&with(best, fewer)));
    for index in 0..requests.len() {
        for value in 0..requests[index].values.len() {
            let Value::Operations(operations) = requests[index].values[value].clone() else {
                continue;
            };
            let operations = reduce(operations, |fewer| {
                let mut candidate = requests.clone();
                candidate[index].values[value] = Value::Operations(fewer.to_vec());
                still_fails(&with(best, &candidate))
            });
            requests[index].values[value] = Value::Operations(operations);
        }
    }
    *best = with(best, &requests);
}

/// Leaves out chunks of `items`, of half their number first and of one last.
fn reduce<T: Clone>(mut items: Vec<T>, mut still_fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut chunk = items.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < items.len() {
            let mut fewer = items.clone();
            fewer.drain(at..(at + chunk).min(items.len()));
            if still_fails(&fewer) {
                items = fewer;
            } else {
                at += chunk;
            }
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
    items
}

#[cfg(test)]
mod tests {
    use super::shrink;
    use crate::program::Program;

    const LONG: &str = "connect 0 new\nword ruok\nburst 0\n  ping\n  delete \"/a\" i0\n  \
                        multi { check \"/b\" i1 ; check \"/c\" i2 ; delete \"/d\" i3 }\n\
                        drop 0\nrestart kill\nburst 0\n  ping\n";

    #[test]
    fn what_does_not_matter_goes() {
        let program = Program::parse(LONG).unwrap();
        let fails = |p: &Program| {
            let text = p.to_string();
            text.contains("connect 0") && text.contains("check \"/c\"")
        };
        let small = shrink(&program, 1000, fails).to_string();
        let expected = "connect 0 new timeout=40000 password=right seen=zero form=new\n\
                        burst 0\n  multi { check \"/c\" i2 }\n";
        assert_eq!(small, expected);
    }

    #[test]
    fn attempts_are_bounded() {
        let program = Program::parse(LONG).unwrap();
        let mut attempts = 0;
        let small = shrink(&program, 3, |_| {
            attempts += 1;
            false
        });
        assert_eq!((small, attempts), (program, 3));
    }
}
