//! What the records of an engine with slots mean: terms, kinds, transactions, bases.
//!
//! A journal does not say which engine writes it; what cannot be read as a slot or a base is shown
//! by its size. Source: `docs/journal.md`.

use crate::txn_text::{self, Detail};
use base::Zxid;
use broadcast::{ANNOUNCED, Base, Slot, SlotKind};
use storage::journal::{Checkpoint, Record};
use wire::TxnRecord;

/// Reads records in their order.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// The place of the last entry, or what stands in its place.
    last: Zxid,
    sums: Sums,
}

/// What live and void slots were, all together.
#[derive(Debug, Default)]
struct Sums {
    empty: u64,
    transactions: u64,
    control: u64,
    terms: Option<(u64, u64)>,
    cut: u64,
}

impl Slots {
    /// What the record means, if it is one of an engine with slots.
    pub(crate) fn read(&mut self, record: &Record<'_>, detail: Detail) -> Option<String> {
        match record {
            Record::Entry { at, bytes } => {
                self.last = *at;
                let slot = Slot::decode(at.0.cast_unsigned(), bytes)?;
                self.sums.count(&slot);
                Some(slot_line(&slot, detail))
            }
            Record::Truncate { to } => {
                let cut = (self.last.0 - to.0).max(0);
                self.last = self.last.min(*to);
                self.sums.cut += cut.unsigned_abs();
                Some(format!("to {}, {cut} void", to.0))
            }
            Record::Checkpoint { at, state } => {
                self.last = self.last.max(*at);
                Some(base_line(&Base::decode(at.0.cast_unsigned(), state)?))
            }
            Record::Text { name: ANNOUNCED, text: Some(text) } => {
                let base = Base::from_text(text)?;
                Some(format!("{ANNOUNCED}, a state on its way: {}", base_line(&base)))
            }
            Record::Text { .. }
            | Record::Register { .. }
            | Record::Mark { .. }
            | Record::Successor { .. } => None,
        }
    }

    /// Lines on all of them; none if there was no slot.
    pub(crate) fn summary(&self) -> Vec<String> {
        let Sums { empty, transactions, control, terms, cut } = &self.sums;
        let Some((first, last)) = terms else { return Vec::new() };
        vec![
            format!(
                "Slots, void ones too: {transactions} transactions, {empty} empty, {control} control"
            ),
            format!("Terms: {first} to {last}"),
            format!("Cut: {cut} slots"),
        ]
    }
}

impl Sums {
    fn count(&mut self, slot: &Slot) {
        match slot.kind {
            SlotKind::Empty => self.empty += 1,
            SlotKind::Item => self.transactions += 1,
            SlotKind::Control => self.control += 1,
        }
        let (first, last) = self.terms.unwrap_or((slot.period, slot.period));
        self.terms = Some((first.min(slot.period), last.max(slot.period)));
    }
}

/// Where the log begins, if this is the checkpoint of an engine with slots.
pub(crate) fn base_of(checkpoint: &Checkpoint) -> Option<String> {
    Base::decode(checkpoint.at.0.cast_unsigned(), &checkpoint.state).map(|base| base_line(&base))
}

fn slot_line(slot: &Slot, detail: Detail) -> String {
    let Slot { index, period, at, kind, body } = slot;
    let what = match kind {
        SlotKind::Empty => format!("empty, zxid {at}"),
        SlotKind::Control => format!("control, zxid {at}, {} bytes", body.len()),
        SlotKind::Item => match TxnRecord::decode(body) {
            Ok(txn) if txn.header.zxid == at.0 => txn_text::line(&txn, detail),
            Ok(txn) => format!("at zxid {at}: {}", txn_text::line(&txn, detail)),
            Err(error) => format!("at zxid {at}: no transaction ({error}), {} bytes", body.len()),
        },
    };
    format!("{index}, term {period}, {what}")
}

fn base_line(base: &Base) -> String {
    let Base { index, period, at, configuration } = base;
    let size = configuration.len();
    format!("{index}, term {period}, zxid {at}, configuration of {size} bytes")
}
