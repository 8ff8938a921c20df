//! Distributes the rows of a call to requests that are sent at the same time.
//!
//! Promises: rows of one series are in one request, in their order; a call ends after its last
//! request, so that the next call cannot overtake it.

use std::{panic, thread, time::Instant};

use delfin_plugin_api::{
    Failure, Outcome, PerformanceBatch, Series, prometheus::series_hash, workers::combine_outcomes,
};

use super::{RemoteWriteClient, RequestBuffers};
use crate::{
    outcome::{self, WriteResult},
    state::{RowKey, UnconfirmedRows},
};

/// A request of fewer points is not worth a connection of its own.
const MIN_POINTS: u64 = 2000;

pub(crate) struct Shards {
    buffers: Vec<RequestBuffers>,
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
    /// Their numbers in the batch.
    numbers: Vec<usize>,
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
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            buffers: (0..shards).map(|_| RequestBuffers::default()).collect(),
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
        let shards = distribute(batch, self.buffers.len());
        let unconfirmed = &self.unconfirmed;
        let mut work = shards.iter().zip(&mut self.buffers);
        let results: Vec<_> = thread::scope(|scope| {
            let first = work.next();
            let others: Vec<_> = work
                .map(|(rows, buffers)| {
                    scope.spawn(move || rows.send(client, buffers, unconfirmed, deadline))
                })
                .collect();
            let first =
                first.map(|(rows, buffers)| rows.send(client, buffers, unconfirmed, deadline));
            let others = others.into_iter().map(|thread| {
                let result = thread.join();
                result.unwrap_or_else(|panic| panic::resume_unwind(panic))
            });
            first.into_iter().chain(others).collect()
        });
        let mut skipped = SkippedPoints::default();
        for (rows, result) in shards.iter().zip(&results) {
            let keys = rows.keys.iter().copied();
            if result.is_unconfirmed {
                self.unconfirmed.add(keys);
            } else if result.outcome.is_ok() || is_partial(&result.outcome) {
                self.unconfirmed.remove(keys);
                skipped.repeated_times += result.skipped.repeated_times;
                skipped.refused_points += result.skipped.refused_points;
            }
        }
        let outcomes = results.into_iter().map(|result| Some(result.outcome));
        let rows = shards.iter().map(|shard| shard.numbers.as_slice());
        (combine_outcomes(rows.zip(outcomes)), skipped)
    }
}

/// The rows with points, by their series. Empty requests are left out.
fn distribute(batch: &PerformanceBatch, max_shards: usize) -> Vec<ShardRows<'_>> {
    let points: usize = batch.series().map(|series| series.timestamps().len()).sum();
    let count = (points as u64)
        .div_ceil(MIN_POINTS)
        .clamp(1, max_shards as u64);
    let mut shards = Vec::new();
    shards.resize_with(count as usize, ShardRows::default);
    for (number, series) in batch.series().enumerate() {
        let Some(&newest) = series.timestamps().iter().max() else {
            continue;
        };
        let key = series_hash(&series);
        let shard = &mut shards[(key % count) as usize];
        shard.numbers.push(number);
        shard.keys.push((key, newest));
        shard.series.push(series);
    }
    shards.retain(|shard| !shard.numbers.is_empty());
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
