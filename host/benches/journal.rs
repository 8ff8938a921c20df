//! Batches of about 8 KiB that a journal makes durable per second, by the number of callers and by the
//! number of exporters that commit them meanwhile. As a delivery worker does, an exporter reads decoded
//! batches, and merges its commits while one is in progress.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails may say so in a panic"
)]

use std::sync::Arc;

use delfin_host::batch::NewBatch;
use delfin_host::batch_journal::{BatchJournal, JournalReader, ReadResult};
use delfin_host::journal::{self, Commit, JournalLimits, Journals, Position, StartFrom};
use delfin_plugin_api::{Kind, Origin, sample};
use divan::counter::ItemsCount;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const APPENDS: u64 = 512;

/// About 8 KiB once encoded.
const SERIES: usize = 64;
const POINTS: usize = 16;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 8, 32], sample_count = 10, sample_size = 1)]
fn durable_appends(bencher: divan::Bencher<'_, '_>, callers: u64) {
    bench(bencher, callers, 0);
}

#[divan::bench(args = [0, 1, 8], sample_count = 10, sample_size = 1)]
fn durable_appends_of_8_callers_with_exporters(bencher: divan::Bencher<'_, '_>, exporters: u64) {
    bench(bencher, 8, exporters);
}

fn bench(bencher: divan::Bencher<'_, '_>, callers: u64, exporters: u64) {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let limits = JournalLimits {
        max_commit_delay: JournalLimits::MAX_COMMIT_DELAY,
        max_bytes: 1 << 30,
        ..JournalLimits::unlimited()
    };
    let journals: Journals = journal::open(folder.path(), &limits).unwrap();
    let journal = BatchJournal::new(Kind::Performance, journals.performance.clone(), 64 << 20);
    let journal = Arc::new(journal);
    let runtime = Runtime::new().unwrap();
    let mut exporters_running = JoinSet::new();
    for exporter in 0..exporters {
        exporters_running.spawn_on(
            deliver_all(Arc::clone(&journal), format!("exporter-{exporter}")),
            runtime.handle(),
        );
    }
    let batch = NewBatch {
        rows: sample::performance(SERIES, POINTS).into(),
        origin: Origin::Ingest,
        storage_id: None,
        complete: false,
    };
    bencher.counter(ItemsCount::new(APPENDS)).bench(|| {
        runtime.block_on(async {
            let mut appending = JoinSet::new();
            for _ in 0..callers {
                appending.spawn(accept(
                    Arc::clone(&journal),
                    batch.clone(),
                    APPENDS / callers,
                ));
            }
            appending.join_all().await;
        });
    });
    runtime.block_on(exporters_running.shutdown());
}

/// Accepts the same rows repeatedly, so that creating them is not measured.
async fn accept(journal: Arc<BatchJournal>, batch: NewBatch, times: u64) {
    for _ in 0..times {
        journal.accept(batch.clone(), None).await.unwrap();
    }
}

/// Reads and commits each batch, as an exporter whose receiver answers at once.
async fn deliver_all(journal: Arc<BatchJournal>, exporter: String) {
    let mut reader = JournalReader::new(&journal, &exporter, StartFrom::Now);
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
        }
        tokio::select! {
            committed = reader.committed() => committed.unwrap(),
            changed = head.changed() => if changed.is_err() { return },
        }
    }
}
