//! A thousand fake storages, each collected once a minute into a real journal: missed windows and cost.
//!
//! The benchmark takes a little over two minutes. `SCHEDULE_STORAGES`, `SCHEDULE_INTERVAL` (seconds)
//! and `SCHEDULE_VOLUMES` make it smaller.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails may say so in a panic, and prints what it measured"
)]

use std::{env, str::FromStr, sync::Arc, time::Duration};

use delfin_host::{
    batch_journal::BatchJournal,
    collect::{
        CollectConfig, CollectLimits, CollectSchedule, CollectedBatch, Destination,
        DestinationError, DriverRegistry, Scheduler, drivers::fake,
    },
    journal::{self, JournalLimits},
    memory::MemoryBudget,
};
use delfin_plugin_api::Kind;
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::sleep};
use uuid::Uuid;

struct Keeps(Arc<BatchJournal>);

impl Destination for Keeps {
    async fn accept(&self, collected: CollectedBatch) -> Result<(), DestinationError> {
        if collected.batch.rows.kind() == Kind::Performance {
            let CollectedBatch {
                batch_id,
                batch,
                until_ms,
            } = collected;
            self.0.accept_collected(batch_id, batch, until_ms).await?;
        }
        Ok(())
    }

    async fn collected_until(&self, storage_id: &str) -> Result<Option<i64>, DestinationError> {
        Ok(self.0.collected_until(storage_id).await?)
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    let given = env::var(name).ok().and_then(|text| text.parse().ok());
    given.unwrap_or(default)
}

fn storage(number: u128, interval: Duration) -> CollectConfig {
    let volumes = setting("SCHEDULE_VOLUMES", 2_000_u64);
    CollectConfig {
        id: Uuid::from_u128(number).to_string(),
        name: None,
        vendor: fake::VENDOR.to_owned(),
        model: fake::MODEL.to_owned(),
        schedule: CollectSchedule {
            performance: Some(interval),
            alerts: Some(interval),
            backfill: false,
        },
        collected_until_ms: None,
        names: Default::default(),
        labels: Default::default(),
        options: Arc::new(
            [("volumes".to_owned(), volumes.into())]
                .into_iter()
                .collect(),
        ),
    }
}

fn main() {
    let count = setting("SCHEDULE_STORAGES", 1_000_u128);
    let interval = Duration::from_secs(setting("SCHEDULE_INTERVAL", 60));
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let limits = JournalLimits {
        max_commit_delay: JournalLimits::MAX_COMMIT_DELAY,
        max_age: Duration::ZERO,
        ..JournalLimits::unlimited()
    };
    let journals = journal::open(folder.path(), &limits).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let journal = Arc::new(BatchJournal::new(
            Kind::Performance,
            journals.performance.clone(),
            &MemoryBudget::new(0),
        ));
        let storages = (0..count).map(|number| storage(number, interval)).collect();
        let keeps = Arc::new(Keeps(journal));
        let scheduler = Scheduler::start(
            storages,
            &DriverRegistry::default(),
            CollectLimits::default(),
            keeps,
        )
        .unwrap();
        let begun = cpu_seconds();
        let mut most_threads = 0;
        let rounds = interval.mul_f64(2.2).as_secs();
        for _ in 0..rounds {
            sleep(Duration::from_secs(1)).await;
            most_threads = most_threads.max(status("Threads:"));
        }
        let stats = scheduler.monitor().stats();
        let sum = |of: fn(&delfin_host::collect::CollectStats) -> u64| -> u64 {
            stats.values().map(of).sum()
        };
        let (skipped, failed) = (sum(|one| one.skipped), sum(|one| one.failed));
        let slowest = stats.values().filter_map(|one| one.last_duration).max();
        let silent = stats.values().filter(|one| one.points == 0).count();
        println!(
            "storages            {count}, each {} s, for {rounds} s",
            interval.as_secs()
        );
        println!("points              {}", sum(|one| one.points));
        println!("windows missed      {skipped}");
        println!(
            "collections failed  {failed}, rejected {}",
            sum(|one| one.rejected)
        );
        println!("storages without    {silent}");
        println!("slowest last call   {:?}", slowest.unwrap_or_default());
        println!(
            "processors busy     {:.2}",
            (cpu_seconds() - begun) / rounds as f64
        );
        println!("threads at most     {most_threads}");
        println!("memory at most      {} MiB", status("VmHWM:") / 1_024);
        assert_eq!((skipped, failed, silent), (0, 0, 0), "a window was missed");
        scheduler.stop().await;
    });
}

/// A number of `/proc/self/status`.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

fn cpu_seconds() -> f64 {
    let stat = procfs::process::Process::myself().and_then(|process| process.stat());
    let ticks = stat.map_or(0, |stat| stat.utime + stat.stime);
    ticks as f64 / procfs::ticks_per_second() as f64
}
