//! That the account of the order bites.

use base::Zxid;
use sim::ledger::Ledger;

/// The record of a new session.
fn record(zxid: i64, session: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let header = jute::Writer::new(&mut out);
    header.long(session).int(0).long(zxid).long(7).int(-10).int(4000);
    out
}

fn ledger(entries: &[(i64, i64)]) -> Ledger {
    let mut ledger = Ledger::default();
    for (before, at) in entries {
        ledger.append(*before, Zxid(*at), &record(*at, *at)).unwrap();
    }
    ledger
}

fn rule<T: std::fmt::Debug>(result: Result<T, check::Violation>) -> &'static str {
    result.unwrap_err().rule
}

#[test]
fn a_place_names_one_transaction_with_one_predecessor() {
    let mut ledger = ledger(&[(0, 1), (1, 2)]);
    assert!(ledger.append(1, Zxid(2), &record(2, 2)).unwrap().is_none());
    assert_eq!(rule(ledger.append(1, Zxid(2), &record(2, 3))), "order.places");
    assert_eq!(rule(ledger.append(0, Zxid(2), &record(2, 2))), "order.places");
    assert_eq!(rule(ledger.append(4, Zxid(3), &record(3, 3))), "order.back");
}

#[test]
fn what_is_applied_is_one_order_and_who_leads_has_all_of_it() {
    let second = 2 << 32;
    let mut ledger = ledger(&[(0, 1), (1, 2), (1, second + 1)]);
    ledger.decide(2).unwrap();
    ledger.decide(1).unwrap();
    assert_eq!(rule(ledger.clone().decide(second + 1)), "order.agreement");
    assert_eq!(rule(ledger.begin_epoch(second, second + 1)), "order.lost");
    assert_eq!(rule(ledger.decide(3)), "order.unlogged");
    assert_eq!(ledger.decided(), 2);
    ledger.begin_epoch(3 << 32, 2).unwrap();
    assert_eq!(ledger.commits().len(), 3);
}

#[test]
fn digests_agree_at_each_place() {
    let mut ledger = Ledger::default();
    ledger.digest(1, 7).unwrap();
    ledger.digest(1, 7).unwrap();
    assert_eq!(rule(ledger.digest(1, 8)), "digest.agreement");
}
