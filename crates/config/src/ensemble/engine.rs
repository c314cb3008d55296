//! Which engine orders an ensemble's transactions, and what that engine cannot do.

use wire::quorum::Membership;

use crate::model::Engine;
use crate::settings::Settings;

/// The engine that the keys choose; what it cannot do is an error.
pub(super) fn engine(settings: &mut Settings, committed: &Membership) -> Engine {
    if !is_raft(settings) {
        for key in ["quorate.cluster", "quorate.join", "quorate.leaseDriftPercent"] {
            warn(settings, key, "engine is zab");
        }
        return Engine::Zab;
    }
    for (key, why) in WITHOUT_EFFECT {
        warn(settings, key, why);
    }
    if committed.has_groups() {
        reject(
            settings,
            "Raft decides by majorities, and there are groups",
            "zab, or no group.G and weight.N",
        );
    }
    let lease_drift_percent = settings
        .int_if_set("quorate.leaseDriftPercent")
        .and_then(|percent| percent.try_into().ok());
    let cluster = settings.text("quorate.cluster").unwrap_or_default();
    Engine::Raft { cluster, joins: settings.bool("quorate.join"), lease_drift_percent }
}

/// What only ZAB knows, but for `syncLimit`, which every file of an ensemble has.
const WITHOUT_EFFECT: [(&str, &str); 11] = [
    ("observerMasterPort", "under Raft observers learn from the leader"),
    ("fastleader.minNotificationInterval", ELECTIONS),
    ("fastleader.maxNotificationInterval", ELECTIONS),
    ("leader.maxTimeToWaitForEpoch", ELECTIONS),
    ("leader.maxConcurrentSnapSyncs", LEARNERS),
    ("leader.maxConcurrentDiffSyncs", LEARNERS),
    ("snapshotSizeFactor", LEARNERS),
    ("forceSnapshotSync", LEARNERS),
    ("preAllocSize", JOURNAL),
    ("txnLogSizeLimitInKb", JOURNAL),
    ("forceSync", JOURNAL),
];
const ELECTIONS: &str = "Raft has elections of its own";
const LEARNERS: &str = "a Raft leader sends its log as far as it has it in memory, else the state";
const JOURNAL: &str = "Raft has a journal of its own, in segments of 64 MiB, and always syncs it";

/// A server that runs alone has no engine of an ensemble.
pub(super) fn reject_alone(settings: &mut Settings) {
    if is_raft(settings) {
        let allowed = "zab, or servers of an ensemble (one alone with standaloneEnabled=false)";
        reject(settings, "this server runs alone", allowed);
    }
}

fn is_raft(settings: &Settings) -> bool {
    settings.text("engine").is_some_and(|engine| engine.eq_ignore_ascii_case("raft"))
}

/// A key that this engine does not know.
fn warn(settings: &mut Settings, key: &str, why: &str) {
    if let Some(setting) = settings.setting(key) {
        let at = setting.entry.at.clone();
        settings.warn(&at, format!("{key}: without effect: {why}"));
    }
}

fn reject(settings: &mut Settings, wrong: &str, allowed: &str) {
    if let Some(setting) = settings.setting("engine").cloned() {
        settings.reject(setting.key, &setting.entry, wrong.to_owned(), allowed.to_owned());
    }
}
