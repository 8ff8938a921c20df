//! A test of exporters that send several requests at the same time.

use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use super::{Harness, TestReceiver, TestRequest, TestResponse};
use crate::{Failure, PerformanceBatch, PerformanceBatchBuilder, sample};

/// Storages of the batch, and requests at the same time.
const WORKERS: usize = 4;

const POINTS_IN_SERIES: usize = 100;

/// The storage whose rows the receiver refuses.
const REFUSED: usize = 2;

/// Past it, requests that should be there at the same time are missing.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the receiver has seen.
#[derive(Default)]
struct Traffic {
    /// The storages of each request that is not answered yet.
    in_flight: Vec<BTreeSet<usize>>,
    /// Whether as many requests as workers were there at the same time.
    is_concurrent: bool,
    /// The number of the newest series of each storage.
    newest: [Option<usize>; WORKERS],
    requests: usize,
    mistakes: Vec<String>,
}

/// Sends the points of four storages, with this many points each, to a receiver that holds answers
/// back until it has four requests. Checks that the points of a storage are never in two requests
/// at the same time, that they come in their order, and that the rows of a refused request are the
/// only ones that fail. Bodies must be readable, without compression.
///
/// `respond` answers as a receiver does that accepts everything, and `settings` are those of the
/// exporter for the URL of the receiver, without `workers`.
///
/// # Panics
///
/// The exporter fails a check.
pub fn check_workers(
    exporter: &str,
    points: usize,
    respond: impl Fn(&TestRequest) -> TestResponse + Send + Sync + 'static,
    settings: impl Fn(&TestReceiver) -> Value,
) {
    let harness = Harness::of_crate();
    let series_of_storage = points / POINTS_IN_SERIES;
    let batch = batch(series_of_storage);
    let shared = Arc::new((Mutex::new(Traffic::default()), Condvar::new()));
    let respond = Arc::new(respond);
    let send = |is_refused: fn(&BTreeSet<usize>) -> bool| {
        let (shared, respond) = (Arc::clone(&shared), Arc::clone(&respond));
        let receiver = TestReceiver::start(move |request| {
            let series = series_in(&request.body);
            let storages: BTreeSet<_> = series.iter().map(|&(storage, _)| storage).collect();
            if series.is_empty() {
                return respond(request);
            }
            wait_for_others(&shared, &series, &storages);
            if is_refused(&storages) {
                return TestResponse::new(400).body("refused by the test");
            }
            respond(request)
        });
        let mut settings = settings(&receiver);
        settings["workers"] = json!(WORKERS);
        harness.start(exporter, &settings).send(&batch)
    };
    let outcome = send(|_| false);
    let seen = std::mem::take(&mut *lock(&shared.0));
    assert_eq!(outcome, Ok(()), "{:?}", seen.mistakes);
    assert_eq!(seen.mistakes, [""; 0]);
    assert_eq!(seen.newest, [Some(series_of_storage - 1); WORKERS]);
    assert!(seen.requests >= WORKERS, "{} requests", seen.requests);

    let Err(Failure::Partial { rows, .. }) = send(|storages| storages.contains(&REFUSED)) else {
        panic!("the rows of a refused request are not the only ones that fail")
    };
    let failed: Vec<_> = rows.into_iter().flat_map(|failure| failure.rows).collect();
    let refused = (0..batch_rows(series_of_storage)).filter(|row| row % WORKERS == REFUSED);
    assert_eq!(failed, refused.collect::<Vec<_>>());
    assert_eq!(lock(&shared.0).mistakes, [""; 0]);
}

fn batch_rows(series_of_storage: usize) -> usize {
    series_of_storage * WORKERS
}

/// The storages in turn. The name of a series has the numbers of its storage and of the series.
fn batch(series_of_storage: usize) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for row in 0..batch_rows(series_of_storage) {
        let (storage, number) = (row % WORKERS, row / WORKERS);
        let storage_id = format!("storage {storage}");
        let labels = [("storage_id", storage_id.as_str()), ("resource_id", "v")];
        let points = (sample::START_MS..).map(|time| (time, 1.5));
        let name = format!("w{storage}n{number:05}");
        let added = batch.series(&name, labels, points.take(POINTS_IN_SERIES));
        added.unwrap_or_else(|error| panic!("{error}"));
    }
    batch.build()
}

/// The storage and the number of each series in a body, in its order.
fn series_in(body: &[u8]) -> Vec<(usize, usize)> {
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<usize>().ok();
    let name = |window: &[u8]| match window {
        [b'w', storage, b'n', digits @ ..] => Some((number(&[*storage])?, number(digits)?)),
        _ => None,
    };
    let mut series: Vec<_> = body.windows(8).filter_map(name).collect();
    series.dedup();
    series
}

/// Notes a request, and returns when as many as workers were there at the same time.
fn wait_for_others(
    (traffic, changed): &(Mutex<Traffic>, Condvar),
    series: &[(usize, usize)],
    storages: &BTreeSet<usize>,
) {
    let mut seen = lock(traffic);
    seen.requests += 1;
    if seen
        .in_flight
        .iter()
        .any(|other| !other.is_disjoint(storages))
    {
        seen.mistakes.push(format!("{storages:?} at the same time"));
    }
    for &(storage, number) in series {
        let newest = seen.newest[storage].replace(number);
        if newest.is_some_and(|newest| newest > number) {
            seen.mistakes
                .push(format!("storage {storage}: {number} after {newest:?}"));
        }
    }
    seen.in_flight.push(storages.clone());
    if seen.in_flight.len() >= WORKERS {
        seen.is_concurrent = true;
        changed.notify_all();
    }
    let waits = |seen: &mut Traffic| !seen.is_concurrent;
    let waited = changed.wait_timeout_while(seen, LONGEST_WAIT, waits);
    let (mut seen, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
    if timeout.timed_out() {
        let count = seen.in_flight.len();
        seen.mistakes
            .push(format!("{count} requests at the same time"));
    }
    seen.in_flight.retain(|other| other != storages);
}

fn lock(traffic: &Mutex<Traffic>) -> MutexGuard<'_, Traffic> {
    traffic.lock().unwrap_or_else(PoisonError::into_inner)
}
