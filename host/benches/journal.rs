//! How many batches of 8 KiB a lane makes durable in a second, by the number of
//! callers and by the number of exporters that settle them at the same time.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails may say so in a panic"
)]

use std::sync::Arc;
use std::time::Duration;

use delfin_host::journal::{
    self, Journal, Journals, Limits, Position, Record, Seq, Settlement, StartFrom,
};
use delfin_plugin_api::Origin;
use divan::counter::ItemsCount;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use uuid::Uuid;

const APPENDS: u64 = 512;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 8, 32], sample_count = 10, sample_size = 1)]
fn durable_appends(bencher: divan::Bencher<'_, '_>, callers: u64) {
    bench(bencher, callers, 0);
}

#[divan::bench(args = [1, 8], sample_count = 10, sample_size = 1)]
fn durable_appends_of_8_callers_with_exporters(bencher: divan::Bencher<'_, '_>, exporters: u64) {
    bench(bencher, 8, exporters);
}

fn bench(bencher: divan::Bencher<'_, '_>, callers: u64, exporters: u64) {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let limits = Limits {
        min_free_bytes: 0,
        retention: Duration::ZERO,
        max_bytes: 1 << 30,
        ..Limits::default()
    };
    let journals: Journals = journal::open(folder.path(), &limits).unwrap();
    let runtime = Runtime::new().unwrap();
    let mut settling = JoinSet::new();
    for exporter in 0..exporters {
        settling.spawn_on(
            settle_all(journals.performance.clone(), format!("exporter-{exporter}")),
            runtime.handle(),
        );
    }
    bencher.counter(ItemsCount::new(APPENDS)).bench(|| {
        runtime.block_on(async {
            let mut appending = JoinSet::new();
            for _ in 0..callers {
                appending.spawn(append(journals.performance.clone(), APPENDS / callers));
            }
            appending.join_all().await;
        });
    });
    runtime.block_on(settling.shutdown());
}

async fn append(journal: Arc<dyn Journal>, times: u64) {
    for _ in 0..times {
        let record = Record {
            batch_id: Uuid::now_v7(),
            origin: Origin::Ingest,
            storage_id: None,
            complete: false,
            accepted_ms: 0,
            rows: 1,
            items: 1,
            payload: vec![7; 8192],
        };
        journal.append(record, None).await.unwrap();
    }
}

/// Reads and settles what comes, record by record, as an exporter does that has nothing to wait for.
async fn settle_all(journal: Arc<dyn Journal>, exporter: String) {
    let mut next = journal
        .open_cursor(&exporter, StartFrom::Now)
        .await
        .unwrap()
        .next
        .seq;
    let mut head = journal.head();
    loop {
        let mut settled = None;
        while let Some(entry) = read(&journal, next).await {
            next = entry.next();
            let delivered = Settlement::delivered(Position::at(next), 1);
            settled = Some(journal.settle(&exporter, delivered));
        }
        if let Some(settled) = settled {
            settled.await.unwrap();
        }
        if head.changed().await.is_err() {
            return;
        }
    }
}

async fn read(journal: &Arc<dyn Journal>, from: Seq) -> Option<Seq> {
    let journal = journal.clone();
    let read = tokio::task::spawn_blocking(move || journal.read(from));
    read.await.unwrap().unwrap().map(|entry| entry.seq)
}
