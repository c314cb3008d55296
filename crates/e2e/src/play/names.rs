//! What differs between two servers though they agree, and how it is made equal.
//!
//! Zxids are counted from the program's start, sessions are named in the order in which they were
//! opened, and times become relations: every zxid has one time, on all nodes that mention it.

use jute::{Decode, Error, Reader};
use std::collections::BTreeMap;
use wire::Stat;

/// The names of one run of a program.
#[derive(Debug, Default)]
pub struct Names {
    base: i64,
    sessions: BTreeMap<i64, String>,
    times: BTreeMap<i64, i64>,
}

/// Reading that can fail.
pub(super) type Decoded<T> = Result<T, Error>;

impl Names {
    /// Counts from this zxid on.
    pub fn start_at(&mut self, zxid: i64) {
        self.base = zxid;
    }

    /// A zxid, relative to the start. 0 and -1, which are no positions, stay.
    #[must_use]
    pub fn zxid(&self, zxid: i64) -> String {
        match zxid {
            0 | -1 => zxid.to_string(),
            _ => format!("{:+}", zxid.wrapping_sub(self.base)),
        }
    }

    /// Names a session at its first mention in an answer to a connect request.
    pub fn open_session(&mut self, id: i64) -> String {
        let next = self.sessions.len();
        self.sessions.entry(id).or_insert_with(|| format!("S{next}")).clone()
    }

    /// A session's name; other ids stand for themselves.
    #[must_use]
    pub fn session(&self, id: i64) -> String {
        match self.sessions.get(&id) {
            Some(name) => name.clone(),
            None if id == 0 => "-".to_owned(),
            None => format!("{id:#x}"),
        }
    }

    /// A stat, in one word.
    ///
    /// # Errors
    /// If the bytes end early.
    pub fn stat(&mut self, reader: &mut Reader<'_>) -> Decoded<String> {
        let s = Stat::decode(reader)?;
        let times = self.times(&s);
        Ok(format!(
            "<c{} m{} p{} v{} cv{} av{} owner={} len={} kids={}{times}>",
            self.zxid(s.czxid),
            self.zxid(s.mzxid),
            self.zxid(s.pzxid),
            s.version,
            s.cversion,
            s.aversion,
            self.session(s.ephemeral_owner),
            s.data_length,
            s.num_children,
        ))
    }

    /// Nothing if the times are plausible, and what is wrong with them otherwise.
    fn times(&mut self, stat: &Stat) -> &'static str {
        let created = *self.times.entry(stat.czxid).or_insert(stat.ctime);
        let modified = *self.times.entry(stat.mzxid).or_insert(stat.mtime);
        if (stat.czxid == 0) != (stat.ctime == 0) || (stat.mzxid == 0) != (stat.mtime == 0) {
            " zero-time"
        } else if created != stat.ctime || modified != stat.mtime {
            " two-times-for-a-zxid"
        } else if stat.mzxid >= stat.czxid && stat.mtime < stat.ctime {
            " modified-before-created"
        } else {
            ""
        }
    }
}

/// The password that the reference derives from a session's id.
///
/// Source: the documented generator of `java.util.Random`, seeded with the id and a constant.
#[must_use]
pub fn derived_password(session: i64) -> Vec<u8> {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = ((session as u64) ^ 0xB341_5C00 ^ MULTIPLIER) & MASK;
    let mut next = || {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        ((state >> 16) as u32).to_le_bytes()
    };
    (0..4).flat_map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Names, derived_password};

    #[test]
    fn passwords_are_derived_as_observed() {
        let expected = [0xf2, 0x2a, 0xcd, 0x4a, 0x97, 0xe6, 0x9d, 0x6d];
        assert_eq!(derived_password(0x0001_0000_0000_0000)[..8], expected);
    }

    #[test]
    fn positions_are_relative_and_sessions_have_names() {
        let mut names = Names::default();
        names.start_at(100);
        assert_eq!(
            (names.zxid(105), names.zxid(95), names.zxid(0)),
            ("+5".into(), "-5".into(), "0".into())
        );
        assert_eq!(names.open_session(77), "S0");
        assert_eq!(names.open_session(78), "S1");
        assert_eq!(names.open_session(77), "S0");
        assert_eq!(names.session(78), "S1");
    }
}
