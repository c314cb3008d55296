//! Known histories, and small random ones beside a judge that tries all orders.

use super::{Call, Sequential, Verdict, linearize};
use base::Rng;

/// A register of small numbers.
struct Register;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Write(u8),
    Read(u8),
    /// From one value to another, and whether it was done.
    Swap(u8, u8, bool),
}
use Action::{Read, Swap, Write};

impl Sequential for Register {
    type State = u8;
    type Action = Action;

    fn step(&self, state: &u8, action: &Action) -> Option<u8> {
        match *action {
            Write(value) => Some(value),
            Read(value) => (*state == value).then_some(value),
            Swap(from, to, true) => (*state == from).then_some(to),
            Swap(from, _, false) => (*state != from).then_some(*state),
        }
    }

    fn is_observation(&self, action: &Action) -> bool {
        matches!(action, Read(_) | Swap(_, _, false))
    }
}

fn call(action: Action, invoked: u64, returned: u64) -> Call<Action> {
    Call { action, invoked, returned: Some(returned) }
}

fn lost(action: Action, invoked: u64) -> Call<Action> {
    Call { action, invoked, returned: None }
}

fn holds(calls: &[Call<Action>]) -> bool {
    match linearize(&Register, 0, calls, 1_000_000) {
        Verdict::Linearizable => true,
        Verdict::Not(_) => false,
        Verdict::Undecided(many) => panic!("undecided after {many}"),
    }
}

/// Herlihy and Wing's histories of a register: (a) and (c) are linearizable, (b) is not.
#[test]
fn overlapping_calls_may_take_effect_in_either_order() {
    assert!(holds(&[call(Write(1), 0, 9), call(Read(0), 1, 2), call(Read(1), 3, 4)]));
    assert!(!holds(&[call(Write(1), 0, 9), call(Read(1), 1, 2), call(Read(0), 3, 4)]));
    assert!(holds(&[call(Write(0), 0, 1), call(Write(1), 2, 9), call(Read(0), 3, 8)]));
}

#[test]
fn a_read_behind_a_write_shows_it() {
    assert!(!holds(&[call(Write(1), 0, 1), call(Read(0), 2, 3)]));
    assert!(!holds(&[call(Write(1), 0, 1), call(Write(2), 2, 3), call(Read(1), 4, 5)]));
    assert!(!holds(&[call(Swap(0, 1, true), 0, 1), call(Swap(0, 2, true), 0, 1)]));
    assert!(!holds(&[call(Write(1), 0, 1), call(Swap(1, 2, false), 2, 3)]));
}

#[test]
fn a_lost_call_takes_effect_late_or_never_and_not_early() {
    let late = [lost(Write(1), 0), call(Read(0), 1, 2), call(Read(1), 3, 4)];
    assert!(holds(&late));
    assert!(holds(&late[..2]));
    assert!(!holds(&[call(Read(1), 0, 1), lost(Write(1), 2)]));
    let twice = [lost(Write(1), 0), call(Read(1), 1, 2), call(Write(2), 3, 4), call(Read(1), 5, 6)];
    assert!(!holds(&twice));
}

#[test]
fn the_message_names_what_cannot_be() {
    let calls = [call(Write(1), 0, 1), call(Read(0), 2, 3)];
    let Verdict::Not(why) = linearize(&Register, 0, &calls, 100) else { panic!("it passed") };
    assert!(why.contains("after 1 of 2 in 1") && why.contains("Read(0)"), "{why}");
}

#[test]
fn a_search_that_takes_too_long_says_so() {
    let calls: Vec<_> = (0..20).map(|n| call(Write(n), 0, 100)).collect();
    let calls = [calls, vec![call(Read(99), 1, 2)]].concat();
    assert_eq!(linearize(&Register, 0, &calls, 1000), Verdict::Undecided(1000));
}

/// All orders are tried, with every choice of lost calls.
fn by_force(calls: &[Call<Action>], done: &mut Vec<usize>, state: u8) -> bool {
    let left: Vec<usize> = (0..calls.len()).filter(|n| !done.contains(n)).collect();
    if left.iter().all(|n| calls[*n].returned.is_none()) {
        return true;
    }
    left.iter().any(|n| {
        let precedes =
            |other: &usize| calls[*other].returned.is_some_and(|r| r < calls[*n].invoked);
        if left.iter().any(precedes) {
            return false;
        }
        let Some(next) = Register.step(&state, &calls[*n].action) else { return false };
        done.push(*n);
        let holds = by_force(calls, done, next);
        done.pop();
        holds
    })
}

#[test]
fn small_histories_are_judged_as_by_trying_all_orders() {
    let mut rng = Rng::new(1);
    let mut verdicts = [0, 0];
    for _ in 0..20_000 {
        let calls: Vec<Call<Action>> = (0..rng.between(1, 6))
            .map(|_| {
                let mut value = || rng.below(3) as u8;
                let (a, b) = (value(), value());
                let action = match rng.below(4) {
                    0 => Write(a),
                    1 => Read(a),
                    2 => Swap(a, b, true),
                    _ => Swap(a, b, false),
                };
                let invoked = rng.below(12);
                let returned = (!rng.one_in(4)).then(|| invoked + rng.below(6));
                Call { action, invoked, returned }
            })
            // A read that was lost says nothing.
            .filter(|call| {
                call.returned.is_some() || matches!(call.action, Write(_) | Swap(_, _, true))
            })
            .collect();
        let expected = by_force(&calls, &mut Vec::new(), 0);
        assert_eq!(holds(&calls), expected, "{calls:?}");
        verdicts[usize::from(expected)] += 1;
    }
    assert!(verdicts.iter().all(|many| *many > 2000), "{verdicts:?}");
}
