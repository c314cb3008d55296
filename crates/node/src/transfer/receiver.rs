//! The receiving side: a parser that keeps only the element that is not all there yet.

use super::{END_MARK, SIGNATURE};
use crate::recovery::kill_orphans;
use base::{SessionId, Zxid};
use bytes::Bytes;
use jute::{Decode, Reader};
use tree::{Tree, TreeBuilder};
use wire::{Acl, AclRef, NodeRecord, StatPersisted};

/// Builds a tree from a stream that comes piece by piece. What a length field claims is waited
/// for up to a limit, and never allocated ahead.
#[allow(missing_debug_implementations)]
pub struct SnapshotReceiver {
    /// Gone when the stream has ended, well or not.
    builder: Option<TreeBuilder>,
    at: Zxid,
    length_max: usize,
    section: Section,
    /// The beginning of an element whose end has not come.
    pending: Vec<u8>,
    /// Where in the stream it is.
    position: u64,
}

/// What comes next, and how many of it.
#[derive(Debug)]
enum Section {
    SessionCount,
    Sessions(usize),
    AclCount,
    Acls(usize),
    Acl(AclParts),
    Nodes,
    Signature,
    Complete,
}

/// An access list under way.
#[derive(Debug)]
struct AclParts {
    id: i64,
    list: Vec<Acl>,
    entries_left: usize,
    lists_left: usize,
}

/// How far a [`SnapshotReceiver`] is.
#[derive(Debug)]
pub enum SnapshotProgress {
    /// More bytes must come.
    More,
    /// That was all; nothing is to be fed any more.
    Done {
        /// The tree. It may hold some of what comes after its last zxid.
        tree: Box<Tree>,
        /// The bytes behind the stream.
        rest: Bytes,
    },
}

/// A stream that is no snapshot: the sender is at fault, or speaks something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the received snapshot is malformed at byte {position}: {fault}")]
pub struct SnapshotError {
    /// Where the bad element begins.
    pub position: u64,
    /// What is wrong with it.
    pub fault: SnapshotFault,
}

/// What is wrong with a received snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFault {
    /// A count or a length that cannot be one.
    #[error("impossible length {0}")]
    Length(i32),
    /// More than is accepted.
    #[error("a length of {len} bytes, more than the limit of {max}: raise jute.maxbuffer")]
    TooLong {
        /// What was claimed, in bytes.
        len: usize,
        /// What is accepted, in bytes.
        max: usize,
    },
    /// An access list that is null.
    #[error("a null access list")]
    NullAcl,
    /// Something else than the signature at the end.
    #[error("the signature is missing")]
    Signature,
    /// Nodes that are no tree.
    #[error(transparent)]
    Tree(#[from] tree::RestoreError),
}

impl SnapshotReceiver {
    /// Begins. `at` is the zxid of the SNAP packet: the last that is in the tree as a whole.
    #[must_use]
    pub fn new(config: tree::Config, at: Zxid) -> SnapshotReceiver {
        SnapshotReceiver {
            builder: Some(TreeBuilder::new(config)),
            at,
            length_max: LENGTH_MAX,
            section: Section::SessionCount,
            pending: Vec::new(),
            position: 0,
        }
    }

    /// Accepts paths, data, schemes and ids of up to so many bytes: `jute.maxbuffer` and
    /// `zookeeper.jute.maxbuffer.extrasize`.
    #[must_use]
    pub fn with_length_max(self, length_max: usize) -> SnapshotReceiver {
        SnapshotReceiver { length_max, ..self }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// If they are no snapshot: the receiver is of no use any more.
    ///
    /// # Panics
    /// If the stream has ended or was refused.
    pub fn feed(&mut self, bytes: Bytes) -> Result<SnapshotProgress, SnapshotError> {
        let mut builder = self.builder.take().expect("a stream ends once");
        let mut pending = std::mem::take(&mut self.pending);
        let was_pending = !pending.is_empty();
        if was_pending {
            pending.extend_from_slice(&bytes);
        }
        let input = if was_pending { &pending[..] } else { &bytes[..] };
        let begin = self.position;
        let fault = self.parse(&mut builder, input);
        fault.map_err(|fault| SnapshotError { position: self.position, fault })?;
        let taken = (self.position - begin) as usize;
        let left = input.len() - taken;
        if matches!(self.section, Section::Complete) {
            // What was pending is no whole element: the end is among the new bytes.
            let rest = bytes.slice(bytes.len() - left..);
            return self.finish(builder, rest);
        }
        if was_pending {
            pending.drain(..taken);
        } else {
            pending.extend_from_slice(&bytes[taken..]);
        }
        (self.pending, self.builder) = (pending, Some(builder));
        Ok(SnapshotProgress::More)
    }

    fn finish(&self, builder: TreeBuilder, rest: Bytes) -> Result<SnapshotProgress, SnapshotError> {
        let tree = builder.finish(self.at);
        let mut tree =
            tree.map_err(|error| SnapshotError { position: self.position, fault: error.into() })?;
        // What of them comes from after `at` is applied again, and created again.
        kill_orphans(&mut tree);
        tree.expect_fuzzy();
        Ok(SnapshotProgress::Done { tree: Box::new(tree), rest })
    }

    /// Takes all whole elements.
    fn parse(&mut self, builder: &mut TreeBuilder, input: &[u8]) -> Result<(), SnapshotFault> {
        let mut rest = input;
        while let Some(size) = self.element(builder, rest)? {
            rest = &rest[size..];
            self.position += size as u64;
        }
        Ok(())
    }

    /// Takes the element that `input` begins with and gives its size; `None` if it is not all
    /// there, or the stream has ended.
    fn element(
        &mut self,
        builder: &mut TreeBuilder,
        input: &[u8],
    ) -> Result<Option<usize>, SnapshotFault> {
        match &mut self.section {
            Section::SessionCount => {
                let Some(count) = count(input)? else { return Ok(None) };
                self.section = Section::Sessions(count);
                Ok(Some(COUNT_SIZE))
            }
            Section::Sessions(0) => {
                self.section = Section::AclCount;
                Ok(Some(0))
            }
            Section::Sessions(left) => {
                let mut reader = Reader::new(input);
                let (Ok(id), Ok(timeout_ms)) = (reader.long(), reader.int()) else {
                    return Ok(None);
                };
                builder.session(SessionId(id), timeout_ms);
                *left -= 1;
                Ok(Some(SESSION_SIZE))
            }
            Section::AclCount => {
                let Some(count) = count(input)? else { return Ok(None) };
                self.section = Section::Acls(count);
                Ok(Some(COUNT_SIZE))
            }
            Section::Acls(0) => {
                self.section = Section::Nodes;
                Ok(Some(0))
            }
            Section::Acls(left) => {
                let lists_left = *left - 1;
                self.begin_acl(input, lists_left)
            }
            Section::Acl(parts) if parts.entries_left == 0 => {
                builder.acl(parts.id, std::mem::take(&mut parts.list));
                self.section = Section::Acls(parts.lists_left);
                Ok(Some(0))
            }
            Section::Acl(parts) => acl_entry(parts, input, self.length_max),
            Section::Nodes => self.node(builder, input),
            Section::Signature => self.signature(input),
            Section::Complete => Ok(None),
        }
    }

    fn begin_acl(
        &mut self,
        input: &[u8],
        lists_left: usize,
    ) -> Result<Option<usize>, SnapshotFault> {
        let mut reader = Reader::new(input);
        let (Ok(id), Ok(entries)) = (reader.long(), reader.int()) else { return Ok(None) };
        if entries == -1 {
            return Err(SnapshotFault::NullAcl);
        }
        let entries_left = usize::try_from(entries).map_err(|_| SnapshotFault::Length(entries))?;
        self.section = Section::Acl(AclParts { id, list: Vec::new(), entries_left, lists_left });
        Ok(Some(ACL_HEAD_SIZE))
    }

    fn node(
        &mut self,
        builder: &mut TreeBuilder,
        input: &[u8],
    ) -> Result<Option<usize>, SnapshotFault> {
        let max = self.length_max;
        let Some(path_end) = field_end(input, 0, max)? else { return Ok(None) };
        if input.get(COUNT_SIZE..path_end) == Some(END_MARK.as_bytes()) {
            self.section = Section::Signature;
            return Ok(Some(path_end));
        }
        let Some(data_end) = field_end(input, path_end, max)? else { return Ok(None) };
        let size = data_end + NODE_FIXED_SIZE;
        let Some(element) = input.get(..size) else { return Ok(None) };
        let mut reader = Reader::with_length_max(element, max);
        let node = decode_node(&mut reader).map_err(|_| SnapshotFault::Length(size as i32))?;
        builder.node(&node)?;
        Ok(Some(size))
    }

    fn signature(&mut self, input: &[u8]) -> Result<Option<usize>, SnapshotFault> {
        let (len, text) = input.split_at(input.len().min(COUNT_SIZE));
        let expected = (SIGNATURE.len() as i32).to_be_bytes();
        let is_prefix = expected.starts_with(len)
            && SIGNATURE.as_bytes().starts_with(&text[..text.len().min(SIGNATURE.len())]);
        if !is_prefix {
            return Err(SnapshotFault::Signature);
        }
        if text.len() < SIGNATURE.len() {
            return Ok(None);
        }
        self.section = Section::Complete;
        Ok(Some(COUNT_SIZE + SIGNATURE.len()))
    }
}

fn acl_entry(
    parts: &mut AclParts,
    input: &[u8],
    length_max: usize,
) -> Result<Option<usize>, SnapshotFault> {
    let Some(scheme_end) = field_end(input, PERMS_SIZE, length_max)? else { return Ok(None) };
    let Some(size) = field_end(input, scheme_end, length_max)? else { return Ok(None) };
    let mut reader = Reader::with_length_max(&input[..size], length_max);
    let entry = AclRef::decode(&mut reader).map_err(|_| SnapshotFault::Length(size as i32))?;
    parts.list.push(entry.to_owned());
    parts.entries_left -= 1;
    Ok(Some(size))
}

/// Where the string or buffer ends whose length is `at` bytes from the start; null counts as
/// empty. `None` if it is not all there.
fn field_end(input: &[u8], at: usize, max: usize) -> Result<Option<usize>, SnapshotFault> {
    let Some(len) = input.get(at..at + COUNT_SIZE) else { return Ok(None) };
    let len = i32::from_be_bytes(len.try_into().expect("four bytes"));
    let size = if len == -1 { Ok(0) } else { usize::try_from(len) };
    let len = size.map_err(|_| SnapshotFault::Length(len))?;
    if len > max {
        return Err(SnapshotFault::TooLong { len, max });
    }
    let end = at + COUNT_SIZE + len;
    Ok((end <= input.len()).then_some(end))
}

fn count(input: &[u8]) -> Result<Option<usize>, SnapshotFault> {
    let Ok(count) = Reader::new(input).int() else { return Ok(None) };
    usize::try_from(count).map(Some).map_err(|_| SnapshotFault::Length(count))
}

fn decode_node<'a>(reader: &mut Reader<'a>) -> Result<NodeRecord<'a>, jute::Error> {
    Ok(NodeRecord {
        path: reader.string()?.unwrap_or_default(),
        data: reader.buffer()?,
        acl_id: reader.long()?,
        stat: StatPersisted::decode(reader)?,
    })
}

const COUNT_SIZE: usize = 4;
const PERMS_SIZE: usize = 4;
const SESSION_SIZE: usize = 12;
/// An id and a count.
const ACL_HEAD_SIZE: usize = 12;
/// A node's id of an access list, and its stat.
const NODE_FIXED_SIZE: usize = 68;
/// Longest path, data, scheme or id by default, in bytes: the reference's.
const LENGTH_MAX: usize = 2 * 0xf_ffff;
