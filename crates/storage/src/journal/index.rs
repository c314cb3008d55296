//! Where entries are: runs of live entries with a point in every 64 KiB of a segment.
//!
//! Invariants: runs are in the order of places, without a gap between them and without overlap;
//! each lies in one segment; what was truncated is in none.

use base::Zxid;

/// Entries that follow each other in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) segment: u64,
    pub(super) first: Zxid,
    pub(super) last: Zxid,
    /// Some of its entries, the first always.
    points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) at: Zxid,
    /// Where its record begins, in bytes.
    pub(super) offset: u64,
}

/// All runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    runs: Vec<Run>,
    /// Whether the last run ends where the stream does.
    is_open: bool,
}

impl Index {
    /// Adds the entry behind the last one.
    pub(super) fn push(&mut self, segment: u64, at: Zxid, offset: u64) {
        let point = Point { at, offset };
        match self.runs.last_mut().filter(|run| self.is_open && run.segment == segment) {
            Some(run) => {
                run.last = at;
                if run.points.last().is_none_or(|last| offset - last.offset >= POINT_STEP) {
                    run.points.push(point);
                }
            }
            None => self.runs.push(Run { segment, first: at, last: at, points: vec![point] }),
        }
        self.is_open = true;
    }

    /// Everything after `to` is void.
    pub(super) fn truncate(&mut self, to: Zxid) {
        while self.runs.pop_if(|run| run.first > to).is_some() {}
        if let Some(run) = self.runs.last_mut() {
            run.last = run.last.min(to);
            while run.points.pop_if(|point| point.at > to).is_some() {}
        }
        self.is_open = false;
    }

    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.is_open = false;
    }

    /// Forgets what is in segments before that one.
    pub(super) fn forget_before(&mut self, segment: u64) {
        self.runs.retain(|run| run.segment >= segment);
    }

    pub(super) fn first(&self) -> Option<Zxid> {
        self.runs.first().map(|run| run.first)
    }

    /// The last entry in a segment; `None` if it holds none that is live.
    pub(super) fn last_in(&self, segment: u64) -> Option<Zxid> {
        self.runs.iter().rev().find(|run| run.segment == segment).map(|run| run.last)
    }

    /// The run of an entry, and a point at it or before it.
    pub(super) fn find(&self, at: Zxid) -> Option<(&Run, Point)> {
        let run = &self.runs[self.runs.partition_point(|run| run.last < at)..].first()?;
        let behind = run.points.partition_point(|point| point.at <= at);
        Some((run, *run.points.get(behind.checked_sub(1)?)?))
    }
}

/// A point for at least so many bytes of a segment.
const POINT_STEP: u64 = 64 * 1024;
