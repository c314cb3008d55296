//! What a move of data is about, noted until it is complete: which engine's data counts meanwhile.
//!
//! The note is there before anything of the new data is, and until the old data is out of the way.
//! While it is there the new data counts as soon as its snapshot is there, and the old data
//! before. Without a note there is data of one engine only.

use super::{EngineKind, MigrateError};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use storage::{Dirs, Disk, DiskFile, Error, list_snapshots, write_text};

/// Where the data of both engines is.
#[derive(Clone, Debug)]
pub struct EngineDirs {
    /// ZooKeeper's: `dataDir` and `dataLogDir` themselves.
    pub zab: Dirs,
    /// Raft's.
    pub raft: Dirs,
}

/// A move that is not complete, or was not when its process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Where the data goes.
    pub(super) to: EngineKind,
    /// The number in the name of what is set aside.
    pub(super) number: u32,
}

impl EngineDirs {
    /// Those of one.
    #[must_use]
    pub fn of(&self, engine: EngineKind) -> &Dirs {
        match engine {
            EngineKind::Zab => &self.zab,
            EngineKind::Raft => &self.raft,
        }
    }

    /// Which engine's data counts here; `None` if there is none.
    ///
    /// # Errors
    /// [`MigrateError::TwoData`] if nothing says which; [`MigrateError::Storage`].
    pub fn in_force<D: Disk>(&self, disk: &D) -> Result<Option<EngineKind>, MigrateError> {
        let [zab, raft] =
            [EngineKind::Zab, EngineKind::Raft].map(|engine| has_data(disk, self.of(engine)));
        match (zab?, raft?) {
            (false, false) => Ok(None),
            (true, false) => Ok(Some(EngineKind::Zab)),
            (false, true) => Ok(Some(EngineKind::Raft)),
            (true, true) => match self.note(disk)? {
                Some(note) => Ok(Some(note.to)),
                None => Err(MigrateError::TwoData { dir: self.zab.data.clone() }),
            },
        }
    }

    /// The note, if there is one.
    pub(super) fn note<D: Disk>(&self, disk: &D) -> Result<Option<Note>, Error> {
        let path = self.note_path();
        let failed = |source| Error::Io { path: path.clone(), source };
        if !disk.exists(&path).map_err(failed)? {
            return Ok(None);
        }
        let (file, mut bytes) = (disk.open(&path).map_err(failed)?, [0; NOTE_SIZE_MAX]);
        let mut have = 0;
        while have < bytes.len() {
            match file.read_at(have as u64, &mut bytes[have..]).map_err(failed)? {
                0 => break,
                read => have += read,
            }
        }
        let note = std::str::from_utf8(&bytes[..have]).ok().and_then(Note::parse);
        let what = "is no note of `quorate migrate`: restore it, or remove it if there is the data \
                    of one engine only";
        note.map(Some).ok_or(Error::BadFile { path, what })
    }

    pub(super) fn take_note<D: Disk>(&self, disk: &D, note: Option<Note>) -> Result<(), Error> {
        let text = note.map(|note| format!("{} {}\n", note.to, note.number));
        write_text(disk, &self.note_path(), text.as_deref())
    }

    fn note_path(&self) -> PathBuf {
        self.zab.data.join(NOTE)
    }

    /// A number that no directory of what was set aside has.
    pub(super) fn free_number<D: Disk>(&self, disk: &D) -> Result<u32, Error> {
        for number in 1.. {
            let mut is_taken = false;
            for root in [&self.zab.data, &self.zab.log, &self.raft.data, &self.raft.log] {
                let path = aside(root, number);
                let exists = disk.exists(&path);
                is_taken |= exists.map_err(|source| Error::Io { path, source })?;
            }
            if !is_taken {
                return Ok(number);
            }
        }
        unreachable!("there are not so many directories")
    }
}

impl Note {
    fn parse(text: &str) -> Option<Note> {
        let (to, number) = text.trim_end().split_once(' ')?;
        let to = [EngineKind::Zab, EngineKind::Raft].into_iter().find(|kind| kind.name() == to)?;
        Some(Note { to, number: number.parse().ok()? })
    }
}

/// Where what is in `version-2` of a directory is set aside: no server looks there.
pub(super) fn aside(root: &Path, number: u32) -> PathBuf {
    let mut name = ASIDE.to_owned();
    let _ = write!(name, "{number}"); // a String takes all
    root.join(name)
}

/// Whether there is a snapshot: it comes last, so all else of a whole data directory is there, too.
pub(super) fn has_data<D: Disk>(disk: &D, dirs: &Dirs) -> Result<bool, Error> {
    let dir = dirs.snapshots();
    let failed = |source| Error::Io { path: dir.clone(), source };
    Ok(disk.exists(&dir).map_err(failed)? && !list_snapshots(disk, &dir)?.is_empty())
}

/// In `dataDir`.
const NOTE: &str = "quorate.migration";
/// Beside `version-2`.
const ASIDE: &str = "version-2.moved-";
/// Longer than any note, in bytes.
const NOTE_SIZE_MAX: usize = 64;
