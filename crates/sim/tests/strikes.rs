//! That a failing run is made smaller.

use sim::strikes::minimize;

#[test]
fn what_is_left_fails_and_nothing_less_does() {
    let fails = |left: &[usize]| left.contains(&3) && left.contains(&17);
    assert_eq!(minimize((0..40).collect(), fails), [3, 17]);
    assert_eq!(minimize((0..40).collect(), |_| true), [0_usize; 0]);
}
