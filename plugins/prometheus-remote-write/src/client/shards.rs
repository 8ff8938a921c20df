//! Distributes the rows of a call to requests that are sent at the same time.
//!
//! Promises: rows of one series are in one request, in their order; a call ends after its last
//! request, so that the next call cannot overtake it.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use delfin_plugin_api::{
    Failure, Outcome, PerformanceBatch, Series,
    prometheus::series_hash,
    workers::{BufferPool, WorkItem, send_all},
};

use super::{RemoteWriteClient, RequestBuffers};
use crate::{
    outcome::{self, WriteResult},
    state::{RowKey, UnconfirmedRows},
};

/// A request of fewer points is not worth a connection of its own.
const MIN_POINTS: u64 = 2000;

pub(crate) struct Shards {
    workers: usize,
    buffers: BufferPool<RequestBuffers>,
    unconfirmed: UnconfirmedRows,
}

/// Points of a call that the receiver does not have, although their rows are delivered.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct SkippedPoints {
    pub(crate) repeated_times: u64,
    /// The receiver may have these points from an earlier attempt.
    pub(crate) refused_points: u64,
}

/// The rows of one request.
#[derive(Default)]
struct ShardRows<'a> {
    keys: Vec<RowKey>,
    series: Vec<Series<'a>>,
}

struct ShardResult {
    outcome: Outcome,
    skipped: SkippedPoints,
    /// Whether the receiver may have rows although the outcome says that they are not delivered.
    is_unconfirmed: bool,
}

impl Shards {
    /// At most this many requests at the same time.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            buffers: BufferPool::new(RequestBuffers::default),
            unconfirmed: UnconfirmedRows::default(),
        }
    }

    /// Sends a batch.
    pub(crate) fn send(
        &mut self,
        batch: &PerformanceBatch,
        client: &RemoteWriteClient,
        deadline: Instant,
    ) -> (Outcome, SkippedPoints) {
        let shards = distribute(batch, self.workers);
        let results = Mutex::new(Vec::with_capacity(shards.len()));
        let send = |shard: &WorkItem<ShardRows<'_>>| {
            let send = |buffers: &mut _| {
                let rows = &shard.content;
                rows.send(client, buffers, &self.unconfirmed, deadline)
            };
            let result = self.buffers.with(send);
            let outcome = result.outcome.clone();
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((shard.key, result));
            outcome
        };
        let outcome = send_all(&shards, self.workers, send);
        let mut skipped = SkippedPoints::default();
        for (shard, result) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let keys = shards[shard as usize].content.keys.iter().copied();
            if result.is_unconfirmed {
                self.unconfirmed.add(keys);
            } else if result.outcome.is_ok() || is_partial(&result.outcome) {
                self.unconfirmed.remove(keys);
                skipped.repeated_times += result.skipped.repeated_times;
                skipped.refused_points += result.skipped.refused_points;
            }
        }
        (outcome, skipped)
    }
}

/// The rows with points, by their series. The key of a request is its place. Empty requests are left
/// out.
fn distribute(batch: &PerformanceBatch, workers: usize) -> Vec<WorkItem<ShardRows<'_>>> {
    let points: usize = batch.series().map(|series| series.timestamps().len()).sum();
    let count = (points as u64)
        .div_ceil(MIN_POINTS)
        .clamp(1, workers as u64);
    let mut shards = Vec::new();
    shards.resize_with(count as usize, || WorkItem {
        rows: Vec::new(),
        key: 0,
        content: ShardRows::default(),
    });
    for (number, series) in batch.series().enumerate() {
        let Some(&newest) = series.timestamps().iter().max() else {
            continue;
        };
        let key = series_hash(&series);
        let shard = &mut shards[(key % count) as usize];
        shard.rows.push(number);
        shard.content.keys.push((key, newest));
        shard.content.series.push(series);
    }
    shards.retain(|shard| !shard.rows.is_empty());
    for (place, shard) in shards.iter_mut().enumerate() {
        shard.key = place as u64;
    }
    shards
}

impl ShardRows<'_> {
    fn send(
        &self,
        client: &RemoteWriteClient,
        buffers: &mut RequestBuffers,
        unconfirmed: &UnconfirmedRows,
        deadline: Instant,
    ) -> ShardResult {
        let result = client.send(&self.series, buffers, deadline);
        let is_unconfirmed = matches!(
            result,
            Err(Failure::Retry { .. })
                | Ok(WriteResult::Part(_) | WriteResult::All(Err(Failure::Retry { .. })))
        );
        let mut skipped = SkippedPoints {
            repeated_times: buffers.request.repeated_times(),
            refused_points: 0,
        };
        let outcome = match result {
            Err(failure) | Ok(WriteResult::Part(failure)) => Err(failure),
            Ok(WriteResult::All(outcome)) => outcome,
            Ok(WriteResult::Refused(rows)) => {
                let was_unconfirmed = |row: usize| unconfirmed.contains(self.keys[row]);
                let (outcome, delivered) =
                    outcome::of_refused(&rows, &buffers.request, was_unconfirmed);
                skipped.refused_points = delivered;
                outcome
            }
        };
        ShardResult {
            outcome,
            skipped,
            is_unconfirmed,
        }
    }
}

fn is_partial(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Failure::Partial { .. }))
}
