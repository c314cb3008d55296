//! The standard workloads: the table that Quorate's performance is told in.

use crate::load::plan::{DEFAULT, Kind, Load};

/// A workload with a name.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is called on the command line and in reports.
    pub name: &'static str,
    /// What it does.
    pub load: Load,
}

/// All rows; lengths and warm-up are the default's.
#[must_use]
pub fn rows() -> Vec<Row> {
    let row = |name, kind, connections, window| Row {
        name,
        load: Load { kind, connections, window, ..DEFAULT },
    };
    vec![
        row("get-50x1", Kind::Get, 50, 1),
        row("set-50x1", Kind::Set, 50, 1),
        row("create-50x1", Kind::Create, 50, 1),
        row("sequential-50x1", Kind::Sequential, 50, 1),
        row("mixed-50x1", Kind::Mixed, 50, 1),
        row("sync-50x1", Kind::Sync, 50, 1),
        row("get-16x32", Kind::Get, 16, 32),
        row("set-16x32", Kind::Set, 16, 32),
        row("create-16x32", Kind::Create, 16, 32),
        row("mixed-16x32", Kind::Mixed, 16, 32),
        row("multi10-16x8", Kind::Multi, 16, 8),
        row("ping-16x32", Kind::Ping, 16, 32),
        row("list-10000", Kind::Children, 16, 1),
        row("sessions-50", Kind::Churn, 50, 1),
        row("watch-1000", Kind::Watch, 1001, 1),
        row("get-1x1", Kind::Get, 1, 1),
        row("set-1x1", Kind::Set, 1, 1),
        row("storm-1000", Kind::Storm, 1000, 1),
        Row {
            name: "idle-5000",
            load: Load {
                kind: Kind::Idle,
                connections: 5000,
                session_timeout_ms: IDLE_TIMEOUT_MS,
                ..DEFAULT
            },
        },
    ]
}

/// Short enough that every idle session pings within a measurement.
const IDLE_TIMEOUT_MS: u32 = 6000;

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn names_are_unique_and_every_row_can_run() {
        let mut names: Vec<_> = rows().iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows().len());
        for row in rows() {
            assert_eq!(row.load.validate(), Ok(()), "{}", row.name);
        }
    }
}
