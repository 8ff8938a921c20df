//! Distributes the rows of a call to requests that are sent at the same time.
//!
//! Promises: rows of one storage are in requests that are sent one after the other, in the order of
//! the rows; a storage keeps its worker, so that the rows of a request make the same request again
//! if only they are sent again, unless there are so few that they are one request anyway.

use std::{collections::HashMap, ops::Range};

use arrow_array::{RecordBatch, make_array};
use arrow_data::transform::MutableArrayData;
use arrow_schema::ArrowError;

use super::{WorkItem, send_all};
use crate::{Batch, BatchPart, Context, Failure, Outcome, context::idempotency_key};

/// Storages beyond this number are assigned to workers again.
const MAX_STORAGES: usize = 100_000;

/// How the rows of a call are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardLimits {
    /// The most requests at the same time.
    pub workers: usize,
    /// A call with at most this many items is one request. 0 if a receiver recognises requests that
    /// it gets twice: they must have the same rows.
    pub min_items: u64,
    /// The most items of a request. A row that has more is alone.
    pub max_items: u64,
}

/// Sends the rows of calls, each storage by the same worker.
#[derive(Debug)]
pub struct StorageShards {
    limits: ShardLimits,
    /// Rows without a storage have the empty text.
    workers: HashMap<String, u64>,
}

/// The rows of one request.
#[derive(Debug)]
pub struct Shard<'a, B> {
    /// The rows, in the order of the call.
    pub batch: B,
    /// The accepted batches to which these rows belong, in the order of the rows.
    pub parts: Vec<BatchPart<'a>>,
}

impl<B> Shard<'_, B> {
    /// A text that names the exporter, the accepted batches and their rows; see
    /// [`Context::idempotency_key`].
    #[must_use]
    pub fn idempotency_key(&self, exporter: &str) -> String {
        idempotency_key(exporter, self.parts.iter().copied())
    }
}

impl StorageShards {
    /// No storage has a worker yet.
    #[must_use]
    pub fn new(limits: ShardLimits) -> Self {
        Self {
            limits,
            workers: HashMap::new(),
        }
    }

    /// Sends the rows of a call in one request or more. The outcome of `send` counts the rows of its
    /// shard from 0.
    ///
    /// # Errors
    ///
    /// At least one row is not delivered; see [`combine_outcomes`](super::combine_outcomes).
    pub fn send<B: Batch>(
        &mut self,
        batch: &B,
        context: &Context<'_>,
        send: impl Fn(&Shard<'_, B>) -> Outcome + Sync,
    ) -> Outcome {
        let parts: Vec<_> = context.parts().collect();
        let items = self.distribute(batch, &parts)?;
        // Without a thread, and with the outcome as it is.
        if let [item] = items.as_slice() {
            return send(&item.content);
        }
        send_all(&items, self.limits.workers, |item| send(&item.content))
    }

    /// The requests, with the number of their worker as the key.
    fn distribute<'a, B: Batch>(
        &mut self,
        batch: &B,
        parts: &[BatchPart<'a>],
    ) -> Result<Vec<WorkItem<Shard<'a, B>>>, Failure> {
        let mut items = Vec::new();
        for (key, rows) in (0..).zip(self.rows_of_workers(batch)) {
            for rows in cut(batch, &rows, self.limits.max_items) {
                let runs = runs_of(rows);
                items.push(WorkItem {
                    rows: rows.to_vec(),
                    key,
                    content: Shard {
                        batch: select(batch, &runs)?,
                        parts: parts_of(parts, &runs),
                    },
                });
            }
        }
        Ok(items)
    }

    fn rows_of_workers<B: Batch>(&mut self, batch: &B) -> Vec<Vec<usize>> {
        let workers = self.limits.workers.max(1);
        if workers == 1 || batch.items() <= self.limits.min_items {
            return vec![(0..batch.rows()).collect()];
        }
        // Between calls nothing is sent, so a storage can get another worker.
        if self.workers.len() > MAX_STORAGES {
            self.workers.clear();
        }
        let mut rows = vec![Vec::new(); workers];
        for row in 0..batch.rows() {
            let worker = self.worker_of(batch.storage_id(row).unwrap_or_default());
            rows[worker as usize % workers].push(row);
        }
        rows
    }

    /// The storages are assigned in turn.
    fn worker_of(&mut self, storage_id: &str) -> u64 {
        if let Some(&worker) = self.workers.get(storage_id) {
            return worker;
        }
        let worker = self.workers.len() as u64;
        self.workers.insert(storage_id.to_owned(), worker);
        worker
    }
}

/// Cuts rows where a request has enough items.
fn cut<'r, B: Batch>(batch: &B, rows: &'r [usize], max_items: u64) -> Vec<&'r [usize]> {
    let mut requests = Vec::new();
    let (mut start, mut items) = (0, 0);
    for (number, &row) in rows.iter().enumerate() {
        let more = batch.row_items(row);
        if number > start && items + more > max_items {
            requests.push(&rows[start..number]);
            (start, items) = (number, 0);
        }
        items += more;
    }
    if start < rows.len() {
        requests.push(&rows[start..]);
    }
    requests
}

/// Ascending rows as ranges.
fn runs_of(rows: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for &row in rows {
        match runs.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            Some(_) | None => runs.push(row..row + 1),
        }
    }
    runs
}

/// A batch of these rows. Consecutive ones are not copied.
fn select<B: Batch>(batch: &B, runs: &[Range<usize>]) -> Result<B, Failure> {
    let arrow = batch.as_arrow();
    let selected = match runs {
        [run] if run.len() == batch.rows() => return Ok(batch.clone()),
        [run] => arrow.slice(run.start, run.len()),
        _ => copy_rows(arrow, runs)?,
    };
    B::try_from_arrow(selected).map_err(Failure::fatal)
}

fn copy_rows(arrow: &RecordBatch, runs: &[Range<usize>]) -> Result<RecordBatch, Failure> {
    let rows = runs.iter().map(Range::len).sum();
    let columns = arrow.columns().iter().map(|column| {
        let column = column.to_data();
        let mut copied = MutableArrayData::new(vec![&column], false, rows);
        for run in runs {
            copied.try_extend(0, run.start, run.end)?;
        }
        Ok(make_array(copied.freeze()))
    });
    let columns = columns.collect::<Result<_, ArrowError>>();
    let copied = columns.and_then(|columns| RecordBatch::try_new(arrow.schema(), columns));
    copied.map_err(Failure::fatal)
}

/// The parts of these rows.
fn parts_of<'a>(parts: &[BatchPart<'a>], runs: &[Range<usize>]) -> Vec<BatchPart<'a>> {
    let mut found = Vec::new();
    let mut first_row = 0;
    for run in runs {
        let end_of = |part: &BatchPart<'_>| part.first_row + part.rows;
        let first = parts.partition_point(|part| end_of(part) <= run.start);
        for part in parts[first..]
            .iter()
            .take_while(|part| part.first_row < run.end)
        {
            let start = run.start.max(part.first_row);
            let rows = run.end.min(end_of(part)) - start;
            found.push(BatchPart {
                first_row,
                batch_row: part.batch_row + start - part.first_row,
                rows,
                complete: part.complete && rows == part.rows,
                ..*part
            });
            first_row += rows;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        AlertBatch, AlertBatchBuilder, NewAlert, PerformanceBatch, PerformanceBatchBuilder,
    };

    const LIMITS: ShardLimits = ShardLimits {
        workers: 2,
        min_items: 2,
        max_items: 4,
    };

    /// A series of each of these storages, with as many points.
    fn series(rows: &[(&str, i64)]) -> PerformanceBatch {
        let mut batch = PerformanceBatchBuilder::new();
        for (row, &(storage, points)) in rows.iter().enumerate() {
            let points = (0..points).map(|time| (time, row as f64));
            let labels = [("storage_id", storage), ("resource_id", &row.to_string())];
            batch.series("iops", labels, points).unwrap();
        }
        batch.build()
    }

    fn part(batch: u128, first_row: usize, batch_row: usize, rows: usize) -> BatchPart<'static> {
        BatchPart {
            batch_id: Uuid::from_u128(batch),
            first_row,
            batch_row,
            rows,
            accepted_ms: 0,
            storage_id: None,
            complete: true,
        }
    }

    /// For each request its worker, and the values of its series, which are their rows.
    fn distributed(batch: &PerformanceBatch, limits: ShardLimits) -> Vec<(u64, Vec<usize>)> {
        let items = StorageShards::new(limits).distribute(batch, &[]).unwrap();
        let of = |item: &WorkItem<Shard<'_, PerformanceBatch>>| {
            let series = item.content.batch.series();
            let rows: Vec<_> = series.map(|series| series.values()[0] as usize).collect();
            assert_eq!(rows, item.rows);
            (item.key, rows)
        };
        items.iter().map(of).collect()
    }

    #[test]
    fn rows_of_a_storage_have_one_worker_and_stay_in_order() {
        let rows = series(&[("a", 1), ("b", 2), ("a", 1), ("c", 1), ("a", 1), ("b", 1)]);
        assert_eq!(
            distributed(&rows, LIMITS),
            [(0, vec![0, 2, 3, 4]), (1, vec![1, 5])]
        );
        // Cut where a request is full, also for a row that is too large.
        let rows = series(&[("a", 3), ("b", 1), ("a", 1), ("a", 1), ("a", 9), ("a", 1)]);
        let expected = [
            (0, vec![0, 2]),
            (0, vec![3]),
            (0, vec![4]),
            (0, vec![5]),
            (1, vec![1]),
        ];
        assert_eq!(distributed(&rows, LIMITS), expected);
    }

    #[test]
    fn rows_that_are_sent_again_without_others_make_the_same_requests() {
        let limits = ShardLimits {
            min_items: 0,
            ..LIMITS
        };
        let mut shards = StorageShards::new(limits);
        let all = [
            ("c", 1),
            ("a", 2),
            ("b", 2),
            ("a", 1),
            ("c", 2),
            ("d", 1),
            ("b", 2),
        ];
        // For each request its rows among all, and its key.
        let keys = |shards: &mut StorageShards, rows: &[usize]| {
            let batch = series(&rows.iter().map(|&row| all[row]).collect::<Vec<_>>());
            let parts = rows.iter().enumerate();
            let parts: Vec<_> = parts
                .map(|(at, &row)| part(row as u128, at, row, 1))
                .collect();
            let mut keys = Vec::new();
            for item in shards.distribute(&batch, &parts).unwrap() {
                let rows: Vec<_> = item.rows.iter().map(|&at| rows[at]).collect();
                keys.push((rows, item.content.idempotency_key("e")));
            }
            keys
        };
        let first = keys(&mut shards, &[0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(first.len(), 3);
        for request in &first {
            assert_eq!(keys(&mut shards, &request.0), std::slice::from_ref(request));
        }
        assert_eq!(keys(&mut shards, &[1, 3, 4, 5, 6]), first[1..]);
    }

    #[test]
    fn few_items_are_one_request() {
        let rows = series(&[("a", 1), ("b", 1), ("c", 1)]);
        let limits = ShardLimits {
            min_items: 3,
            ..LIMITS
        };
        assert_eq!(distributed(&rows, limits), [(0, vec![0, 1, 2])]);
        let one = ShardLimits {
            workers: 1,
            ..LIMITS
        };
        assert_eq!(distributed(&rows, one), [(0, vec![0, 1, 2])]);
        assert!(distributed(&series(&[]), LIMITS).is_empty());
    }

    #[test]
    fn a_copied_row_has_all_that_it_had() {
        let mut batch = AlertBatchBuilder::new();
        for (time, storage) in [(1, "a"), (2, "b"), (3, "a"), (4, "b")] {
            let texts = [("storage_id", storage), ("rack", "7 🦀"), ("location", "")];
            let texts = &texts[..if time == 3 { 1 } else { 3 }];
            batch.alert(NewAlert {
                occur_time: time,
                texts,
            });
        }
        let batch = batch.build();
        let items = StorageShards::new(LIMITS).distribute(&batch, &[]).unwrap();
        let shown = |batch: &AlertBatch| -> Vec<String> {
            batch.alerts().map(|alert| format!("{alert:?}")).collect()
        };
        let all = shown(&batch);
        assert_eq!(items.len(), 2);
        for item in items {
            let expected: Vec<_> = item.rows.iter().map(|&row| all[row].clone()).collect();
            assert_eq!(shown(&item.content.batch), expected);
        }
    }

    #[test]
    fn each_request_names_the_accepted_batches_of_its_rows() {
        let parts = [part(1, 0, 5, 2), part(2, 2, 0, 3)];
        assert_eq!(parts_of(&parts, &[0..2, 2..5]), parts);
        let partial = |batch, first_row, batch_row| BatchPart {
            complete: false,
            ..part(batch, first_row, batch_row, 1)
        };
        assert_eq!(
            parts_of(&parts, &[1..3, 4..5]),
            [partial(1, 0, 6), partial(2, 1, 0), partial(2, 2, 2)]
        );
    }
}
