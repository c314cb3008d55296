//! Why a journal is refused, by what the operator can do about it.

use super::header::FORMAT_VERSION;
use super::recover::segment_name;
use crate::Damage;
use base::Zxid;
use std::path::PathBuf;

/// Why a journal is not recovered.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Damage that no crash of a writer can explain.
    #[error(
        "{}: {damage} at byte {offset}{}; recovery refuses to skip what may have been acknowledged: \
         restore the directory from a backup, or take this member out of its ensemble and let it \
         join anew with an empty directory", path.display(), behind(*after)
    )]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where the damage begins, in bytes.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
        /// The place of the last good entry before it, if one is known.
        after: Option<Zxid>,
    },
    /// A later version has written it.
    #[error(
        "{}: journal format {version}, this version knows {FORMAT_VERSION}: start the version that \
         wrote it, or a later one", path.display()
    )]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Another member's.
    #[error(
        "{}: belongs to member {found} of another directory or cluster, this is member {expected}: \
         correct dataDir or myid, and never give a member the files of another", path.display()
    )]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// The member that it names.
        found: u64,
        /// Who asks.
        expected: u64,
    },
    /// The number in the header is not that of the name.
    #[error("{}: is segment {number} by its header: give it its name back", path.display())]
    Misnamed {
        /// The segment.
        path: PathBuf,
        /// The number in the header.
        number: u64,
    },
    /// Two files have one number.
    #[error(
        "{} and {}: two segments of one number: move the one away that does not belong there",
        first.display(), second.display()
    )]
    Duplicate {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A segment is not there, and what it held is needed.
    #[error(
        "{}: missing ({why}); restore it, or take this member out of its ensemble and let it join \
         anew with an empty directory", dir.join(segment_name(*number)).display()
    )]
    Missing {
        /// The directory.
        dir: PathBuf,
        /// Its number.
        number: u64,
        /// How that is known.
        why: &'static str,
    },
}

fn behind(entry: Option<Zxid>) -> String {
    entry.map_or_else(String::new, |at| format!(" (after entry {})", at.0))
}

/// What a crash left of a write that was not durable: it is cut at recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment: the last one.
    pub path: PathBuf,
    /// Where it was cut, in bytes.
    pub offset: u64,
    /// How much there was behind it, in bytes.
    pub bytes: u64,
    /// What was wrong there.
    pub damage: Damage,
}
