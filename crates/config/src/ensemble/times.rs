//! How long things between servers may take: limits in ticks, and times of their own.

use std::sync::Arc;
use std::time::Duration;

use crate::assemble::missing;
use crate::model::Times;
use crate::settings::Settings;

pub(super) fn times(settings: &mut Settings, file: Option<&Arc<str>>) -> Times {
    let init_ticks = ticks(settings, file, "initLimit", INIT_TICKS_DEFAULT);
    let sync_ticks = ticks(settings, file, "syncLimit", SYNC_TICKS_DEFAULT);
    let opening = settings.int_if_set("quorumCnxnTimeoutMs").and_then(|ms| u64::try_from(ms).ok());
    let opening = opening.filter(|ms| *ms > 0).map(Duration::from_millis);
    check_notifications(settings);
    Times {
        init_ticks,
        sync_ticks,
        disloyal_wait: u64::try_from(settings.int("leader.maxTimeToWaitForEpoch"))
            .ok()
            .map(Duration::from_millis),
        learner_connect_retry: settings.millis("leaderConnectDelayDuringRetryMs"),
        election_connect: settings.millis("cnxTimeout"),
        election_opening: opening.unwrap_or(settings.millis("tickTime") * sync_ticks),
        notify_min: settings.millis(NOTIFY_MIN),
        notify_max: settings.millis(NOTIFY_MAX),
    }
}

/// The times between rounds of votes must not cross.
fn check_notifications(settings: &mut Settings) {
    let (min_ms, max_ms) = (settings.int(NOTIFY_MIN), settings.int(NOTIFY_MAX));
    if min_ms <= max_ms {
        return;
    }
    if let Some(setting) = settings.setting(NOTIFY_MAX).cloned() {
        let wrong = format!("below {NOTIFY_MIN}, which is {min_ms} milliseconds");
        settings.reject(setting.key, &setting.entry, wrong, format!("{min_ms} or more"));
    } else if let Some(setting) = settings.setting(NOTIFY_MIN).cloned() {
        let wrong = format!("above {NOTIFY_MAX}, which is {max_ms} milliseconds");
        settings.reject(setting.key, &setting.entry, wrong, format!("{max_ms} or less"));
    }
}

/// A limit that an ensemble's file must have.
fn ticks(
    settings: &mut Settings,
    file: Option<&Arc<str>>,
    name: &'static str,
    default: u32,
) -> u32 {
    let allowed = format!("a number of ticks, as {name}={default}");
    match settings.int_if_set(name).map(u32::try_from) {
        Some(Ok(ticks)) if ticks > 0 => return ticks,
        Some(_) => {
            if let Some(setting) = settings.setting(name).cloned() {
                let wrong = "an ensemble needs some time for it".to_owned();
                settings.reject(setting.key, &setting.entry, wrong, allowed);
            }
        }
        None => {
            if let Some(file) = file
                && !settings.mentions(name)
            {
                missing(settings, file, name, allowed);
            }
        }
    }
    default
}

const NOTIFY_MIN: &str = "fastleader.minNotificationInterval";
const NOTIFY_MAX: &str = "fastleader.maxNotificationInterval";
/// Ticks to join a leader without a file.
const INIT_TICKS_DEFAULT: u32 = 10;
/// Ticks without a sign of life without a file.
const SYNC_TICKS_DEFAULT: u32 = 5;
