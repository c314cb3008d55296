//! That a clock tells the same both ways.

use base::Time;
use sim::clock::{Clock, UNIT};
use std::time::Duration;

#[test]
fn both_ways_agree_at_every_speed() {
    let mut clock = Clock::default();
    for (step, rate) in [(7, UNIT / 2), (13, UNIT * 2), (1001, 1500), (99_991, 777)] {
        let now = Time(step * 1_000_003);
        clock.set_rate(now, rate);
        clock.jump(now, Duration::from_nanos(step));
        for ahead in 0..50 {
            let local = clock.local(now) + Duration::from_nanos(ahead);
            let world = clock.world(local);
            assert!(clock.local(world) >= local);
            assert!(world == now || clock.local(Time(world.0 - 1)) < local);
        }
    }
}
