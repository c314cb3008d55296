//! The log by itself.

use super::{Entry, InForce, Journal, Log, Parts, Payload, in_force};
use crate::configuration::tests::of;
use base::{Lsn, Zxid};
use broadcast::{Base, Output, Record, Slot, SlotKind};
use bytes::Bytes;

fn base(index: u64, period: u64, at: i64) -> Base {
    let mut configuration = Vec::new();
    of(&[1], &[]).encode(&mut configuration);
    Base { index, period, at: Zxid(at), configuration: configuration.into() }
}

fn slot(index: u64, period: u64) -> Slot {
    let (kind, body) = (SlotKind::Item, Bytes::from_static(b"x"));
    Slot { index, period, at: Zxid(index.cast_signed()), kind, body }
}

fn log(slots: &[(u64, u64)], applied: i64) -> Log {
    let slots = slots.iter().map(|(index, period)| slot(*index, *period)).collect();
    let (recent_entries, recent_bytes) = (4, 1000);
    let (base, applied) = (base(0, 0, 0), Zxid(applied));
    Log::recover(Parts { base, slots, applied, recent_entries, recent_bytes, names: |_| None })
        .expect("a good log")
}

/// Scenario 48: the largest index whose term is not later than what was asked for.
#[test]
fn scenario_48_a_conflict_is_found_term_by_term() {
    let log = log(&[(1, 1), (2, 1), (3, 4), (4, 4), (5, 5)], 0);
    assert_eq!(log.find_conflict(9, 4), Some((4, 4)));
    assert_eq!(log.find_conflict(5, 3), Some((2, 1)));
    assert_eq!(log.find_conflict(3, 9), Some((3, 4)));
    assert_eq!(log.find_conflict(5, 0), Some((0, 0)), "before everything they agree");
}

#[test]
fn the_last_durable_entry_is_found_wherever_it_is() {
    for len in 0..40 {
        let (mut log, mut journal, mut out) = (log(&[], 0), Journal::default(), Vec::new());
        for at in 1..=len {
            let item = Payload::Item(Bytes::from_static(b"x"));
            log.append(Entry::new(1, Zxid(at), item), &mut journal, &mut out);
        }
        for durable in 0..=len.cast_unsigned() {
            journal.durable = Lsn(durable);
            assert_eq!(log.durable_index(&journal), durable, "of {len}");
        }
    }
}

/// Scenario 108: the completion of a write says nothing of what is in its place now.
#[test]
fn scenario_108_what_was_written_again_is_not_durable_by_the_first_write() {
    let (mut log, mut journal, mut out) = (log(&[], 0), Journal::default(), Vec::new());
    let item = |term| Entry::new(term, Zxid(1), Payload::Item(Bytes::from_static(b"x")));
    log.append(item(1), &mut journal, &mut out);
    log.cut(1, &mut journal, &mut out);
    log.append(item(2), &mut journal, &mut out);
    log.cut(1, &mut journal, &mut out);
    log.append(item(1), &mut journal, &mut out);
    journal.durable = Lsn(1);
    assert_eq!(log.durable_index(&journal), 0);
    journal.durable = Lsn(4);
    assert_eq!(log.durable_index(&journal), 0, "what follows is another entry yet");
    journal.durable = Lsn(5);
    assert_eq!(log.durable_index(&journal), 1);
}

#[test]
fn the_disk_is_freed_up_to_a_mark_that_its_state_holds() {
    let slots: Vec<(u64, u64)> = (1..=40).map(|index| (index, 1)).collect();
    let mut log = log(&slots, 0);
    let (mut journal, mut out) = (Journal::default(), Vec::new());
    log.commit(40);
    log.deliver(&journal, &mut out);
    assert_eq!(log.base().0, 36, "four are kept");
    out.clear();
    log.checkpointed(Zxid(17), &mut journal, &mut out);
    let [Output::Persist { record: Record::Base(base), .. }] = &out[..] else { panic!("{out:?}") };
    assert_eq!((base.index, base.period, base.at), (15, 1, Zxid(15)));
    out.clear();
    log.checkpointed(Zxid(17), &mut journal, &mut out);
    assert_eq!(out, [], "once");
}

#[test]
fn a_base_is_in_force_when_the_state_has_reached_it() {
    let slots = || vec![slot(1, 1), slot(2, 1), slot(3, 2)];
    let (first, later) = (base(0, 0, 0), base(2, 1, 2));
    let indexes = |slots: Vec<Slot>| slots.iter().map(|slot| slot.index).collect::<Vec<_>>();
    let bases = || vec![first.clone(), later.clone()];
    let found = |bases, applied| {
        let InForce { base, slots, void } = in_force(bases, slots(), Zxid(applied));
        (base, indexes(slots), void)
    };
    assert_eq!(found(bases(), 1), (Some(first.clone()), vec![1, 2, 3], None), "it is yet to come");
    assert_eq!(found(bases(), 2), (Some(later), vec![3], None));
    let conflicting = base(2, 7, 2);
    let another = (Some(conflicting.clone()), vec![], Some(1));
    assert_eq!(found(vec![first.clone(), conflicting], 2), another, "another history");
    let beyond = base(5, 2, 3);
    assert_eq!(
        found(vec![first, beyond.clone()], 3),
        (Some(beyond), vec![], Some(1)),
        "a longer one"
    );
}

#[test]
fn what_cannot_be_gone_on_with_is_refused() {
    let recover = |slots: Vec<Slot>, applied| {
        let (recent_entries, recent_bytes) = (4, 1000);
        let (base, applied) = (base(0, 0, 0), Zxid(applied));
        Log::recover(Parts { base, slots, applied, recent_entries, recent_bytes, names: |_| None })
            .err()
    };
    assert!(recover(vec![slot(2, 1)], 0).is_some(), "a gap");
    assert!(recover(vec![slot(1, 1)], 2).is_some(), "a state that the log does not reach");
    let wrong = Slot { kind: SlotKind::Control, ..slot(1, 1) };
    assert!(recover(vec![wrong], 0).is_some(), "no configuration");
}
