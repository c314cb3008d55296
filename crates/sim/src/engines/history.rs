//! Histories as chains of hashes: equal chains are equal sequences of entries.

use crate::hash::{hash_bytes, mix};
use base::Zxid;
use bytes::Bytes;

/// The name of a whole history: of an entry, and of all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain(pub u64);

impl Chain {
    /// Nothing has happened.
    pub(crate) const ROOT: Chain = Chain(0);

    /// This history and one entry more.
    pub(crate) fn then(self, at: Zxid, item: u64) -> Chain {
        Chain(mix(mix(self.0, at.0 as u64), item))
    }
}

/// What the state machine is: the history that it has applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The last entry.
    pub last: Zxid,
    /// How many there are.
    pub count: u64,
    /// All of them.
    pub chain: Chain,
    /// The last entry that a client asked for.
    pub work: Zxid,
}

impl State {
    /// One entry more.
    pub fn apply(&mut self, at: Zxid, item: &Bytes, is_work: bool) {
        self.last = at;
        self.count += 1;
        self.chain = self.chain.then(at, hash_bytes(item));
        if is_work {
            self.work = at;
        }
    }

    /// The state as it is sent: long enough to be cut, and with an end that can be recognised.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let filler = (self.count % 97) * 3;
        let words =
            [MAGIC, filler, self.last.0 as u64, self.count, self.chain.0, self.work.0 as u64];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.resize(bytes.len() + filler as usize, 0xa5);
        bytes.extend_from_slice(&END.to_be_bytes());
        Bytes::from(bytes)
    }

    /// The state that these bytes begin with and its length; `Ok(None)` if more are to come.
    pub fn decode(bytes: &[u8]) -> Result<Option<(State, usize)>, &'static str> {
        let word = |at: usize| {
            let eight = bytes.get(at * 8..at * 8 + 8)?;
            Some(u64::from_be_bytes(eight.try_into().ok()?))
        };
        if word(0).is_some_and(|magic| magic != MAGIC) {
            return Err("the bytes are no state");
        }
        let Some(filler) = word(1) else { return Ok(None) };
        let end = WORDS * 8 + filler as usize;
        let Some(last) = bytes.get(end..end + 8) else { return Ok(None) };
        if last != END.to_be_bytes() {
            return Err("the state does not end as it should");
        }
        let at = |index: usize| word(index).expect("the end is behind it");
        let state = State {
            last: Zxid(at(2) as i64),
            count: at(3),
            chain: Chain(at(4)),
            work: Zxid(at(5) as i64),
        };
        Ok(Some((state, end + 8)))
    }
}

const MAGIC: u64 = 0x5374_6174_6521_0a01;
const END: u64 = 0x5468_6545_6e64_2e0a;
const WORDS: usize = 6;
