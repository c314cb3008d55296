//! What the driver counts of rounds and commits.

use super::commits::Batch;
use crate::counters::{Counters, millis};
use base::Time;
use keeper::Submissions;
use metrics::{Metrics, Summaries};
use node::Role;
use std::time::Duration;

/// Counts a commit: of how many records, how long it took, and how long since the first of them
/// was appended. Records go to the journal as soon as they are prepared, so none waits before it.
pub(super) fn count_commit(
    metrics: &mut Metrics,
    batch: u64,
    took: Duration,
    since_append: Duration,
) {
    metrics.counters.sync_processor_request_queued += batch;
    let Summaries { fsynctime, sync_processor_batch_size, sync_processor_queue_size, .. } =
        &mut metrics.summaries;
    fsynctime.record(millis(took));
    sync_processor_batch_size.record(batch);
    sync_processor_queue_size.record(batch);
    let distributions = &mut metrics.distributions;
    let flush_ms = millis(since_append);
    distributions.sync_processor_queue_time_ms.record_many(0, batch);
    distributions.sync_processor_queue_flush_time_ms.record_many(flush_ms, batch);
    distributions.sync_processor_queue_and_flush_time_ms.record_many(flush_ms, batch);
}

/// Counts what was proposed as leader, or came to a follower.
pub(super) fn count_proposals(counters: &mut Counters, serves: Option<Role>, batch: &Batch) {
    let counts = &mut counters.metrics.counters;
    match serves {
        Some(Role::Leading) => {
            counts.proposal_count += batch.records;
            counters.proposal_sizes.merge(&batch.sizes);
        }
        Some(Role::Following) => counts.learner_proposal_received_count += batch.records,
        Some(Role::Observing | Role::Looking | Role::Silent) | None => {}
    }
}

/// Counts how long requests waited for the member; neighbours mostly came with one read.
pub(super) fn count_waits(submissions: &Submissions, started: Time, metrics: &mut Metrics) {
    let distribution = &mut metrics.distributions.prep_processor_queue_time_ms;
    let mut run = (0, 0);
    for (submission, _) in submissions.iter() {
        let waited = millis(started.since(submission.arrived));
        if run.0 != waited {
            distribution.record_many(run.0, run.1);
            run = (waited, 0);
        }
        run.1 += 1;
    }
    distribution.record_many(run.0, run.1);
}
