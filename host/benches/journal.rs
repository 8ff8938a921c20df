//! Batches of about 8 KiB that a journal makes durable per second, by the number of callers and by the
//! number of exporters that commit them meanwhile. As a delivery worker does, an exporter reads decoded
//! batches, and merges its commits while one is in progress.
//!
//! Then small requests, as clients send them: requests per second, the backlog that an exporter reads per second, and
//! the bytes that are stored and written for each item.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails may say so in a panic"
)]

use std::{sync::Arc, time::Duration};

use delfin_host::batch::{NewBatch, codec};
use delfin_host::batch_journal::{BatchJournal, JournalReader, ReadForm, ReadResult};
use delfin_host::journal::{self, Commit, JournalLimits, Journals, Position, StartFrom};
use delfin_host::memory::MemoryBudget;
use delfin_plugin_api::{Kind, Origin, sample};
use divan::counter::ItemsCount;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::{sync::mpsc, task::JoinSet};

const APPENDS: u64 = 512;

/// About 8 KiB once encoded.
const SERIES: usize = 64;
const POINTS: usize = 16;

/// One request with this many series.
const REQUEST_SERIES: usize = 100;

fn main() {
    divan::main();
    for points in [1, 15] {
        print_written_bytes(points);
    }
}

#[divan::bench(args = [1, 8, 32], sample_count = 10, sample_size = 1)]
fn durable_appends(bencher: divan::Bencher<'_, '_>, callers: u64) {
    bench(bencher, callers, 0);
}

#[divan::bench(args = [0, 1, 8], sample_count = 10, sample_size = 1)]
fn durable_appends_of_8_callers_with_exporters(bencher: divan::Bencher<'_, '_>, exporters: u64) {
    bench(bencher, 8, exporters);
}

#[divan::bench(args = [1, 15], sample_count = 10, sample_size = 1)]
fn small_requests_of_16_callers_with_an_exporter(bencher: divan::Bencher<'_, '_>, points: usize) {
    let journal = TestJournal::new();
    let exporter = journal.runtime.spawn(deliver_all(
        Arc::clone(&journal.performance),
        "exporter".to_owned(),
    ));
    let batch = new_batch(REQUEST_SERIES, points);
    bencher
        .counter(ItemsCount::new(APPENDS))
        .bench(|| journal.accept(&batch, 16));
    exporter.abort();
}

#[divan::bench(args = [1, 15], sample_count = 10, sample_size = 1)]
fn backlog_of_small_requests(bencher: divan::Bencher<'_, '_>, points: usize) {
    let journal = TestJournal::new();
    let batch = new_batch(REQUEST_SERIES, points);
    let reader =
        |name| JournalReader::new(&journal.performance, name, StartFrom::Now, ReadForm::Rows);
    journal
        .runtime
        .block_on(reader("exporter").reopen())
        .unwrap();
    for _ in 0..4 {
        journal.accept(&batch, 16);
    }
    bencher.counter(ItemsCount::new(4 * APPENDS)).bench(|| {
        let cold = BatchJournal::new(
            Kind::Performance,
            Arc::clone(journal.performance.backend()),
            &MemoryBudget::new(64 << 20),
        );
        journal.runtime.block_on(read_all(Arc::new(cold)));
    });
}

/// Reads every batch once.
async fn read_all(journal: Arc<BatchJournal>) {
    let mut reader = JournalReader::new(&journal, "exporter", StartFrom::Now, ReadForm::Rows);
    let mut next = reader.reopen().await.unwrap().next.seq;
    while let ReadResult::Batch(batch) = reader.read(next).await.unwrap() {
        next = batch.seq.next();
    }
}

/// Prints what the process writes for each item of small requests, until all of it is in the file.
#[expect(clippy::print_stdout, reason = "what was measured")]
fn print_written_bytes(points: usize) {
    const ROUNDS: u64 = 16;
    let journal = TestJournal::new();
    let exporter = journal.runtime.spawn(deliver_all(
        Arc::clone(&journal.performance),
        "exporter".to_owned(),
    ));
    let batch = new_batch(REQUEST_SERIES, points);
    let payload = codec::encode(batch.rows.as_arrow()).unwrap().len();
    let io = || procfs::process::Process::myself().unwrap().io().unwrap();
    let before = io();
    for _ in 0..ROUNDS {
        journal.accept(&batch, 16);
    }
    let stats = journal.performance.backend().stats().unwrap();
    exporter.abort();
    journal.performance.backend().close();
    let after = io();
    let items = (ROUNDS * APPENDS * batch.rows.items()) as f64;
    println!(
        "{REQUEST_SERIES} series of {points} points a request: for each point {:.1} bytes of payload, {:.1} bytes \
         written in calls, {:.1} to the disk; {:.1} requests a transaction",
        payload as f64 / batch.rows.items() as f64,
        (after.wchar - before.wchar) as f64 / items,
        (after.write_bytes - before.write_bytes) as f64 / items,
        stats.appended as f64 / stats.transactions as f64,
    );
}

/// A journal in a folder of its own.
struct TestJournal {
    performance: Arc<BatchJournal>,
    runtime: Runtime,
    _folder: TempDir,
}

impl TestJournal {
    fn new() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let limits = JournalLimits {
            max_commit_delay: JournalLimits::MAX_COMMIT_DELAY,
            max_bytes: 1 << 30,
            retention: Duration::from_hours(2),
            ..JournalLimits::unlimited()
        };
        let journals: Journals = journal::open(folder.path(), &limits).unwrap();
        let journal = BatchJournal::new(
            Kind::Performance,
            journals.performance.clone(),
            &MemoryBudget::new(64 << 20),
        );
        Self {
            performance: Arc::new(journal),
            runtime: Runtime::new().unwrap(),
            _folder: folder,
        }
    }

    /// Accepts a batch repeatedly, from a number of callers.
    fn accept(&self, batch: &NewBatch, callers: u64) {
        self.runtime.block_on(async {
            let mut appending = JoinSet::new();
            for _ in 0..callers {
                let journal = Arc::clone(&self.performance);
                appending.spawn(accept(journal, batch.clone(), APPENDS / callers));
            }
            appending.join_all().await;
        });
    }
}

fn new_batch(series: usize, points: usize) -> NewBatch {
    NewBatch {
        rows: sample::performance(series, points).into(),
        origin: Origin::Ingest,
        storage_id: None,
        complete: false,
    }
}

fn bench(bencher: divan::Bencher<'_, '_>, callers: u64, exporters: u64) {
    let journal = TestJournal::new();
    let mut exporters_running = JoinSet::new();
    for exporter in 0..exporters {
        exporters_running.spawn_on(
            deliver_all(
                Arc::clone(&journal.performance),
                format!("exporter-{exporter}"),
            ),
            journal.runtime.handle(),
        );
    }
    let batch = new_batch(SERIES, POINTS);
    bencher
        .counter(ItemsCount::new(APPENDS))
        .bench(|| journal.accept(&batch, callers));
    journal.runtime.block_on(exporters_running.shutdown());
}

/// Accepts the same rows repeatedly, so that creating them is not measured.
async fn accept(journal: Arc<BatchJournal>, batch: NewBatch, times: u64) {
    for _ in 0..times {
        journal.accept(batch.clone(), None).await.unwrap();
    }
}

/// Reads and commits each batch, as an exporter whose receiver answers at once.
async fn deliver_all(journal: Arc<BatchJournal>, exporter: String) {
    // The journal never becomes full.
    let (releases, _releases) = mpsc::unbounded_channel();
    journal.add_consumer(&exporter, false, releases);
    let mut reader = JournalReader::new(&journal, &exporter, StartFrom::Now, ReadForm::Rows);
    let mut next = reader.reopen().await.unwrap().next.seq;
    let mut head = journal.backend().head();
    loop {
        let mut delivered = 0;
        while let ReadResult::Batch(batch) = reader.read(next).await.unwrap() {
            next = batch.seq.next();
            delivered += batch.header.items;
        }
        if delivered > 0 {
            reader.commit(Commit::delivered(Position::at(next), delivered));
            journal.advance(&exporter, next);
        }
        tokio::select! {
            committed = reader.committed() => committed.unwrap(),
            changed = head.changed() => if changed.is_err() { return },
        }
    }
}
