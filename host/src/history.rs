//! The last hour of each exporter, in memory and of a fixed size, for charts and rates.
//!
//! Starts empty with the host. An exporter that was removed has no history.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use delfin_plugin_api::Kind;

use crate::{
    batch_journal::BatchJournals,
    clock::now_ms,
    delivery::{ExporterHandle, FillRate},
    exporters::ExporterSet,
    panics,
};

/// Time between two samples.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);

/// An hour, and the sample before it.
const MAX_SAMPLES: usize = 361;

/// Samples that a rate is measured over: a minute.
const RATE_SAMPLES: usize = 6;

/// Counts of an exporter at one time. Cumulative, except for `pending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountSample {
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    pub accepted: u64,
    pub delivered: u64,
    pub pending: u64,
    at: Instant,
}

/// Items per second over the last minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ItemRates {
    pub accepted: f64,
    pub delivered: f64,
}

/// The history of all exporters and journals. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Samples>>);

#[derive(Debug, Default)]
struct Samples {
    exporters: BTreeMap<String, VecDeque<CountSample>>,
    /// How the records fill that exporters have still to commit.
    journals: BTreeMap<&'static str, FillRate>,
}

impl History {
    /// Takes a sample at each interval, for as long as the host runs.
    pub async fn run(self, exporters: ExporterSet, journals: BatchJournals) {
        let mut interval = tokio::time::interval(SAMPLE_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let (history, exporters, journals) =
                (self.clone(), exporters.clone(), journals.clone());
            // A failed sample is a gap in a chart, and the API tells what is wrong with a journal.
            drop(
                panics::spawn_blocking(move || history.sample(&exporters.list(), &journals)).await,
            );
        }
    }

    /// The samples of an exporter, the oldest first.
    #[must_use]
    pub fn of(&self, exporter: &str) -> Vec<CountSample> {
        let samples = self.lock();
        let found = samples.exporters.get(exporter);
        found
            .map(|samples| samples.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The rates of an exporter; `None` in its first seconds.
    #[must_use]
    pub fn rates(&self, exporter: &str) -> Option<ItemRates> {
        rates(self.lock().exporters.get(exporter)?)
    }

    /// How long until so many bytes of a journal are needed; `None` if it is not filling.
    #[must_use]
    pub fn time_to(&self, kind: Kind, max_bytes: u64) -> Option<Duration> {
        self.lock().journals.get(kind.as_str())?.time_to(max_bytes)
    }

    fn sample(&self, exporters: &[ExporterHandle], journals: &BatchJournals) {
        let (at, time_ms) = (Instant::now(), now_ms());
        let read = exporters.iter().filter_map(|exporter| {
            let counts = exporter.counts().ok()?;
            let sample = CountSample {
                time_ms,
                accepted: counts.accepted,
                delivered: counts.delivered,
                pending: counts.pending.max(0).cast_unsigned(),
                at,
            };
            Some((&*exporter.name, sample))
        });
        let read: Vec<_> = read.collect();
        let needed = [&journals.performance, &journals.alerts].map(|journal| {
            let stats = journal.backend().stats();
            (
                journal.kind().as_str(),
                stats.map(|stats| stats.needed_bytes),
            )
        });
        let mut samples = self.lock();
        samples
            .exporters
            .retain(|name, _| exporters.iter().any(|exporter| exporter.name == *name));
        for (name, sample) in read {
            samples.add(name, sample);
        }
        for (kind, bytes) in needed {
            if let Ok(bytes) = bytes {
                samples.journals.entry(kind).or_default().observe(at, bytes);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Samples {
    fn add(&mut self, exporter: &str, sample: CountSample) {
        if !self.exporters.contains_key(exporter) {
            let empty = VecDeque::with_capacity(MAX_SAMPLES);
            self.exporters.insert(exporter.to_owned(), empty);
        }
        if let Some(samples) = self.exporters.get_mut(exporter) {
            if samples.len() == MAX_SAMPLES {
                samples.pop_front();
            }
            samples.push_back(sample);
        }
    }
}

fn rates(samples: &VecDeque<CountSample>) -> Option<ItemRates> {
    let last = samples.back()?;
    let first = samples.get(samples.len().saturating_sub(RATE_SAMPLES + 1))?;
    let seconds = last.at.duration_since(first.at).as_secs_f64();
    if seconds == 0.0 {
        return None;
    }
    // A count is smaller than before when the exporter was forgotten and added again.
    let rate = |last: u64, first: u64| last.saturating_sub(first) as f64 / seconds;
    Some(ItemRates {
        accepted: rate(last.accepted, first.accepted),
        delivered: rate(last.delivered, first.delivered),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(start: Instant, index: u64) -> CountSample {
        let passed = SAMPLE_INTERVAL * u32::try_from(index).unwrap();
        CountSample {
            time_ms: i64::try_from(passed.as_millis()).unwrap(),
            accepted: 50 * index,
            delivered: 20 * index.min(10),
            pending: 30,
            at: start + passed,
        }
    }

    #[test]
    fn the_history_is_an_hour_and_the_rates_are_of_the_last_minute() {
        let (history, start) = (History::default(), Instant::now());
        assert_eq!(history.rates("a"), None);
        history.lock().add("a", sample(start, 0));
        assert_eq!(history.rates("a"), None, "one sample is no rate");
        for index in 1..=400 {
            history.lock().add("a", sample(start, index));
            if index == 10 {
                let wanted = ItemRates {
                    accepted: 5.0,
                    delivered: 2.0,
                };
                assert_eq!(history.rates("a"), Some(wanted));
            }
        }
        let wanted = ItemRates {
            accepted: 5.0,
            delivered: 0.0,
        };
        assert_eq!(history.rates("a"), Some(wanted));
        let samples = history.of("a");
        assert_eq!((samples.len(), samples[0].time_ms), (MAX_SAMPLES, 400_000));
        assert_eq!(samples[360].time_ms - samples[0].time_ms, 3_600_000);
        assert_eq!(history.of("b"), []);
    }
}
