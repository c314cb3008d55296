//! A transaction as a line of text, in the shape of ZooKeeper's `TxnLogToolkit`.
//!
//! Deviations: always one line (Java breaks it within access lists), bytes that are no text are
//! escaped, long data is shortened unless it is asked for, and a multi shows its parts as text.

use base::WallTime;
use std::fmt::Write;
use wire::{Acls, CreateKind, Txn, TxnHeader, TxnRecord};

/// How much data is shown without `--verbose`, in bytes.
const DATA_SHOWN: usize = 64;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Data in short.
    Short,
    /// All data, and the digest.
    Full,
}

/// The whole line.
pub(crate) fn line(record: &TxnRecord<'_>, detail: Detail) -> String {
    let TxnHeader { client_id, cxid, zxid, time, .. } = record.header;
    let mut text = format!(
        "{} session {client_id:#x} cxid {cxid:#x} zxid {zxid:#x} {} ",
        short_date(WallTime(time)),
        name(&record.txn)
    );
    push_body(&mut text, &record.txn, detail);
    if let (Detail::Full, Some(digest)) = (detail, &record.digest) {
        let _ = write!(text, " digest {},{:#x}", digest.version, digest.tree);
    }
    text
}

/// The name that the reference prints.
pub(crate) fn name(txn: &Txn<'_>) -> &'static str {
    match txn {
        Txn::Create(create) => match create.kind {
            CreateKind::Create => "create",
            CreateKind::Create2 => "create2",
            CreateKind::Container => "createContainer",
            CreateKind::Ttl(_) => "createTTL",
        },
        Txn::Delete { by_reaper: false, .. } => "delete",
        Txn::Delete { by_reaper: true, .. } => "deleteContainer",
        Txn::SetData { reconfig: false, .. } => "setData",
        Txn::SetData { reconfig: true, .. } => "reconfig",
        Txn::SetAcl { .. } => "setACL",
        Txn::Check { .. } => "check",
        Txn::CreateSession { .. } => "createSession",
        Txn::CloseSession { .. } => "closeSession",
        Txn::Error(_) => "error",
        Txn::Multi(_) => "multi",
    }
}

fn push_body(out: &mut String, txn: &Txn<'_>, detail: Detail) {
    // Writing into a string cannot fail.
    let _ = match txn {
        Txn::Create(create) => {
            let (data, acl) = (shown(create.data, detail), acl_list(&create.acl));
            let _ = write!(out, "{},{data},{acl},", shown_text(&create.path));
            match create.kind {
                CreateKind::Create | CreateKind::Create2 => {
                    write!(out, "{},{}", create.ephemeral, create.parent_cversion)
                }
                CreateKind::Container => write!(out, "{}", create.parent_cversion),
                CreateKind::Ttl(ttl) => write!(out, "{},{ttl}", create.parent_cversion),
            }
        }
        Txn::Delete { path, .. } => write!(out, "'{}", shown_text(path)),
        Txn::SetData { path, data, version, .. } => {
            write!(out, "{},{},{version}", shown_text(path), shown(*data, detail))
        }
        Txn::SetAcl { path, acl, version } => {
            let entries: Vec<String> = acl
                .to_vec()
                .iter()
                .map(|acl| format!("s{{{},{}}}", acl.perms, id(&acl.id)))
                .collect();
            write!(out, "'{},v{{{}}},{version}", shown_text(path), entries.join(","))
        }
        Txn::Check { path, version } => write!(out, "'{},{version}", shown_text(path)),
        Txn::CreateSession { timeout_ms } => write!(out, "{timeout_ms}"),
        Txn::CloseSession { paths: None } => Ok(()),
        Txn::CloseSession { paths: Some(paths) } => {
            let paths: Vec<String> =
                paths.iter().map(|path| format!("'{}", shown_text(&path))).collect();
            write!(out, "v{{{}}}", paths.join(","))
        }
        Txn::Error(code) => write!(out, "{code}"),
        Txn::Multi(multi) => {
            for (index, (_, part)) in multi.iter().enumerate() {
                let _ = write!(out, "{}{}:", if index == 0 { "" } else { ";" }, name(&part));
                push_body(out, &part, detail);
            }
            Ok(())
        }
    };
}

fn acl_list(acl: &Acls<'_>) -> String {
    let entries: Vec<String> =
        acl.to_vec().iter().map(|acl| format!("{},{}", acl.perms, id(&acl.id))).collect();
    format!("[{}]", entries.join(", "))
}

fn id(id: &wire::Id) -> String {
    format!("s{{'{},'{}}}", shown_text(&id.scheme), shown_text(&id.id))
}

/// Data as text, with what is none escaped.
fn shown(data: Option<&[u8]>, detail: Detail) -> String {
    let data = data.unwrap_or_default();
    let size = if detail == Detail::Short { data.len().min(DATA_SHOWN) } else { data.len() };
    let mut text = String::new();
    for chunk in data[..size].utf8_chunks() {
        text.push_str(&shown_text(chunk.valid()));
        chunk.invalid().iter().for_each(|byte| {
            let _ = write!(text, "\\x{byte:02x}");
        });
    }
    if size < data.len() {
        let _ = write!(text, "...({} bytes)", data.len());
    }
    text
}

fn shown_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// `11/20/26, 6:37:24 PM UTC`: the short date and long time of Java's English locale.
fn short_date(time: WallTime) -> String {
    // "Fri Nov 20 18:37:24 UTC 2026"
    let long = words::java_date(time);
    let fields: Vec<&str> = long.split(' ').collect();
    let [_, month, day, clock, zone, year] = fields[..] else { return long };
    let month = 1 + MONTHS.iter().position(|name| *name == month).unwrap_or_default();
    let day: u32 = day.parse().unwrap_or_default();
    let (hour, rest) = clock.split_once(':').unwrap_or((clock, ""));
    let hour: u32 = hour.parse().unwrap_or_default();
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = (hour + 11) % 12 + 1;
    let year = &year[year.len().saturating_sub(2)..];
    format!("{month}/{day}/{year}, {hour}:{rest} {half} {zone}")
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::{Detail, short_date, shown};
    use base::WallTime;

    #[test]
    fn dates_are_those_of_javas_english_locale() {
        for (ms, text) in [
            (0, "1/1/70, 12:00:00 AM UTC"),
            (1_709_210_096_789, "2/29/24, 12:34:56 PM UTC"),
            (1_795_199_844_000, "11/20/26, 6:37:24 PM UTC"),
        ] {
            assert_eq!(short_date(WallTime(ms)), text);
        }
    }

    #[test]
    fn data_is_shown_in_short_and_never_raw() {
        assert_eq!(shown(None, Detail::Short), "");
        assert_eq!(shown(Some(b"caf\xc3\xa9\xff\n"), Detail::Short), "café\\xff\\x0a");
        let long = [b'x'; 100];
        assert!(shown(Some(&long), Detail::Short).ends_with("xx...(100 bytes)"));
        assert_eq!(shown(Some(&long), Detail::Full).len(), 100);
    }
}
