//! Sends the parts of a call at the same time, and makes one outcome of theirs.
//!
//! Promises: parts with the same key are sent in their order, and after one that fails the later
//! ones of its key are not sent; a call ends after its last part, so that the next call cannot
//! overtake it.

mod buffers;
mod shard;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    panic,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::Value;

pub use self::{
    buffers::BufferPool,
    shard::{Shard, ShardLimits, StorageShards},
};
use crate::{Failure, Host, Outcome, RowFailure, RowFailureKind, RowFailures, setting::Mistakes};

/// The largest number of workers: more connections are a burden for a receiver.
const MAX_WORKERS: u64 = 64;

const WORKERS: &str = "write a number from 1 to 64";

/// What is sent at once.
#[derive(Debug, Clone)]
pub struct WorkItem<T> {
    /// The numbers of the rows in the batch of the call.
    pub rows: Vec<usize>,
    /// Items with the same key are sent in their order.
    pub key: u64,
    /// What to send.
    pub content: T,
}

/// A key for a text, such as the id of a storage.
#[must_use]
pub fn key_of(text: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Reads the setting `key`, a number of workers.
pub fn read_workers(
    key: &str,
    value: Option<Value>,
    default: usize,
    mistakes: &mut Mistakes,
) -> usize {
    let read = |value: &Value| {
        let workers = value
            .as_u64()
            .filter(|workers| (1..=MAX_WORKERS).contains(workers))?;
        usize::try_from(workers).ok()
    };
    mistakes.read(key, value, read, WORKERS).unwrap_or(default)
}

/// Sends the items, at most `workers` at the same time. The outcome of `send` counts the rows of
/// its item from 0.
///
/// After a failure that is not about rows, no further item is sent: the receiver is down, or it
/// refuses the credentials.
///
/// # Errors
///
/// At least one row is not delivered; see [`combine_outcomes`].
pub fn send_all<T: Sync>(
    items: &[WorkItem<T>],
    workers: usize,
    send: impl Fn(&WorkItem<T>) -> Outcome + Sync,
) -> Outcome {
    let groups = group(items);
    let next = Mutex::new(groups.iter());
    let outcomes = Mutex::new(vec![None; items.len()]);
    let is_stopped = AtomicBool::new(false);
    let work = || {
        while let Some(group) = next_group(&next) {
            for &number in group {
                if is_stopped.load(Ordering::Relaxed) {
                    return;
                }
                let item = &items[number];
                let outcome = send(item);
                let is_final = are_final(item.rows.len(), &outcome);
                if matches!(&outcome, Err(failure) if !is_about_rows(failure)) {
                    is_stopped.store(true, Ordering::Relaxed);
                }
                lock(&outcomes)[number] = Some(outcome);
                if !is_final {
                    break;
                }
            }
        }
    };
    let host = Host::current();
    let others = workers.min(groups.len()).saturating_sub(1);
    thread::scope(|scope| {
        let spawn = |_| {
            scope.spawn(|| match &host {
                Some(host) => host.scope(work),
                None => work(),
            })
        };
        let others: Vec<_> = (0..others).map(spawn).collect();
        work();
        for other in others {
            other
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic));
        }
    });
    let outcomes = outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let rows = items.iter().map(|item| item.rows.as_slice());
    combine_outcomes(rows.zip(outcomes))
}

/// The outcome of a call whose rows were sent in several requests: for each, the numbers of its
/// rows in the batch, and its outcome, or `None` if it was not sent.
///
/// If no request has an answer about single rows, and either all of them or none is
/// [`Failure::Uncertain`], the outcome is the first failure, and rather one that makes the host
/// wait. Otherwise the rows of a failed request are sent again without the others, and then fail
/// alone; those of an uncertain one stay uncertain, and only those.
///
/// # Errors
///
/// At least one row is not delivered.
pub fn combine_outcomes<'a>(
    requests: impl Iterator<Item = (&'a [usize], Option<Outcome>)>,
) -> Outcome {
    let mut failed = Vec::new();
    let mut failures = RowFailures::new();
    let mut whole: Option<Failure> = None;
    let mut is_any_final = false;
    let (mut is_any_uncertain, mut is_any_other) = (false, false);
    for (rows, outcome) in requests {
        let is_uncertain = matches!(&outcome, Some(Err(Failure::Uncertain { .. })));
        if let Some(Err(failure)) = &outcome {
            failures.wait(failure.after());
        }
        is_any_uncertain |= is_uncertain;
        is_any_other |= !is_uncertain;
        is_any_final |= matches!(&outcome, Some(outcome) if are_final(rows.len(), outcome))
            || matches!(&outcome, Some(Err(Failure::Partial { .. })));
        let (kind, reason) = match outcome {
            Some(Ok(())) => continue,
            Some(Err(Failure::Partial { rows: failures, .. })) => {
                for RowFailure {
                    rows: part,
                    kind,
                    reason,
                } in failures
                {
                    let rows = rows.get(part).unwrap_or(rows).iter();
                    failed.extend(rows.map(|&row| (row, kind, reason.clone())));
                }
                continue;
            }
            Some(Err(failure)) => {
                let reason = failure.to_string();
                let kind = if is_uncertain {
                    RowFailureKind::Uncertain
                } else if rows.len() == 1 && is_about_rows(&failure) {
                    RowFailureKind::Rejected
                } else {
                    RowFailureKind::Retry
                };
                if whole
                    .as_ref()
                    .is_none_or(|whole| is_about_rows(whole) && !is_about_rows(&failure))
                {
                    whole = Some(failure);
                }
                (kind, reason)
            }
            None => (
                RowFailureKind::Retry,
                "not sent, because another request failed".to_owned(),
            ),
        };
        failed.extend(rows.iter().map(|&row| (row, kind, reason.clone())));
    }
    let differ = is_any_final || (is_any_uncertain && is_any_other);
    if let Some(failure) = whole.filter(|_| !differ) {
        return Err(failure);
    }
    failed.sort_unstable_by_key(|&(row, _, _)| row);
    for (row, kind, reason) in failed {
        failures.push(row..row + 1, kind, &reason);
    }
    failures.into_outcome()
}

/// Whether each of the rows is delivered or becomes a dead letter, so that later rows can follow.
fn are_final(rows: usize, outcome: &Outcome) -> bool {
    match outcome {
        Ok(()) => true,
        Err(Failure::Partial { rows, .. }) => rows
            .iter()
            .all(|failure| failure.kind == RowFailureKind::Rejected),
        Err(failure) => rows == 1 && is_about_rows(failure),
    }
}

fn is_about_rows(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Partial { .. } | Failure::Rejected { .. } | Failure::TooLarge { .. }
    )
}

/// The numbers of the items of each key, in order.
fn group<T>(items: &[WorkItem<T>]) -> Vec<Vec<usize>> {
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (number, item) in items.iter().enumerate() {
        let place = *places.entry(item.key).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(number);
    }
    groups
}

fn next_group<'a>(groups: &Mutex<std::slice::Iter<'a, Vec<usize>>>) -> Option<&'a Vec<usize>> {
    lock(groups).next()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::Duration};

    use serde_json::json;

    use super::*;

    fn item(row: usize, key: u64) -> WorkItem<usize> {
        WorkItem {
            rows: vec![row],
            key,
            content: row,
        }
    }

    #[test]
    fn rows_of_a_key_stay_in_order_and_wait_for_one_that_is_sent_again() {
        let items: Vec<_> = (0..40).map(|row| item(row, row as u64 % 4)).collect();
        let sent = Mutex::new(Vec::new());
        let outcome = send_all(&items, 3, |item| {
            lock(&sent).push(item.content);
            match item.content {
                4 => Err(Failure::Rejected {
                    message: "no".to_owned(),
                }),
                9 => Err(Failure::Partial {
                    rows: vec![RowFailure {
                        rows: 0..1,
                        kind: RowFailureKind::Retry,
                        reason: "later".to_owned(),
                    }],
                    after: None,
                }),
                _ => Ok(()),
            }
        });
        let sent = sent.into_inner().unwrap();
        for key in 0..4 {
            let of_key: Vec<_> = sent.iter().filter(|&&row| row % 4 == key).collect();
            assert!(of_key.is_sorted(), "{of_key:?}");
            assert_eq!(of_key.len(), if key == 1 { 3 } else { 10 });
        }
        let Err(Failure::Partial { rows, .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(
            (rows[0].rows.clone(), rows[0].kind),
            (4..5, RowFailureKind::Rejected)
        );
        assert_eq!(
            (rows[1].rows.clone(), rows[1].kind),
            (9..10, RowFailureKind::Retry)
        );
        let again: Vec<_> = rows[2..].iter().map(|failure| failure.rows.start).collect();
        assert_eq!(again, [13, 17, 21, 25, 29, 33, 37]);
    }

    #[test]
    fn a_receiver_that_is_down_gets_no_further_request() {
        let items: Vec<_> = (0..100).map(|row| item(row, row as u64)).collect();
        let sent = AtomicUsize::new(0);
        let outcome = send_all(&items, 4, |_| {
            sent.fetch_add(1, Ordering::Relaxed);
            Err(Failure::retry("refused"))
        });
        assert_eq!(outcome, Err(Failure::retry("refused")));
        assert!(sent.into_inner() <= 4);
    }

    #[test]
    fn a_panic_of_a_worker_is_that_of_the_call() {
        let items: Vec<_> = (0..4).map(|row| item(row, row as u64)).collect();
        let panics = || send_all(&items, 4, |_| panic!("no"));
        assert!(panic::catch_unwind(panics).is_err());
    }

    #[test]
    fn without_an_answer_about_rows_the_host_waits() {
        let rejected = || Some(Err(Failure::rejected("no")));
        let down = || Some(Err(Failure::retry("down")));
        let of = |outcomes: &[Option<Outcome>]| {
            let rows: Vec<Vec<usize>> = (0..outcomes.len())
                .map(|n| vec![2 * n, 2 * n + 1])
                .collect();
            combine_outcomes(rows.iter().map(Vec::as_slice).zip(outcomes.iter().cloned()))
        };
        assert_eq!(of(&[]), Ok(()));
        assert_eq!(of(&[Some(Ok(())), Some(Ok(()))]), Ok(()));
        assert_eq!(of(&[rejected(), down(), None]), Err(Failure::retry("down")));
        assert_eq!(of(&[rejected(), rejected()]), Err(Failure::rejected("no")));
        let Err(Failure::Partial { rows, .. }) = of(&[Some(Ok(())), rejected()]) else {
            panic!("not partial")
        };
        // Found by smaller requests.
        assert_eq!(
            (rows[0].rows.clone(), rows[0].kind),
            (2..4, RowFailureKind::Retry)
        );
    }

    #[test]
    fn only_rows_whose_request_has_no_response_are_uncertain() {
        let lost = || {
            Some(Err(Failure::Uncertain {
                message: "no response".to_owned(),
            }))
        };
        let of = |outcomes: &[Option<Outcome>]| {
            let rows: Vec<Vec<usize>> = (0..outcomes.len()).map(|n| vec![n]).collect();
            combine_outcomes(rows.iter().map(Vec::as_slice).zip(outcomes.iter().cloned()))
        };
        assert_eq!(of(&[lost(), lost()]), lost().unwrap());
        let down = Some(Err(Failure::retry("down")));
        let Err(Failure::Partial { rows, .. }) = of(&[Some(Ok(())), lost(), down, lost(), None])
        else {
            panic!("not partial")
        };
        let kinds: Vec<_> = rows.iter().map(|row| (row.rows.start, row.kind)).collect();
        let (retry, uncertain) = (RowFailureKind::Retry, RowFailureKind::Uncertain);
        assert_eq!(
            kinds,
            [(1, uncertain), (2, retry), (3, uncertain), (4, retry)]
        );
        let Err(Failure::Partial { rows, .. }) = of(&[lost(), None]) else {
            panic!("the second request was not sent")
        };
        assert_eq!((rows[0].kind, rows[1].kind), (uncertain, retry));
    }

    #[test]
    fn the_wait_that_a_receiver_asks_for_outlives_the_other_requests() {
        let after = |seconds| Some(Duration::from_secs(seconds));
        let busy = |seconds| {
            Some(Err(Failure::Throttled {
                message: "busy".to_owned(),
                after: after(seconds),
            }))
        };
        let lost = Some(Err(Failure::Uncertain {
            message: "no response".to_owned(),
        }));
        for other in [lost, Some(Ok(()))] {
            let rows = [[0], [1], [2]];
            let outcomes = [other, busy(7), busy(3)];
            let outcome = combine_outcomes(rows.iter().map(|row| &row[..]).zip(outcomes));
            let waits = outcome.as_ref().err().map(Failure::after);
            assert_eq!(waits, Some(after(7)), "{outcome:?}");
        }
    }

    #[test]
    fn the_number_of_workers_is_limited() {
        let read = |value: Option<Value>| {
            let mut mistakes = Mistakes::default();
            let workers = read_workers("workers", value, 4, &mut mistakes);
            mistakes
                .into_result(workers)
                .map_err(|error| error.to_string())
        };
        assert_eq!((read(None), read(Some(json!(64)))), (Ok(4), Ok(64)));
        assert!(read(Some(json!(0))).is_err() && read(Some(json!(65))).is_err());
    }
}
