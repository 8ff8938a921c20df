//! The latest samples, in memory and in the state file.
//!
//! Promises: samples that [`LatestSamples::add_batch`] added are on the next page,
//! and on the page after a restart, until they expire. If the state file cannot be
//! written, the page stays complete; the error is logged and writing is retried.

mod chunk;
mod clock;
mod file;
mod store;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use delfin_plugin_api::{PerformanceBatch, Series, log};

pub use self::{
    chunk::{CAPACITY, LatestSample, SeriesChunk},
    clock::PageClock,
    store::{MetricFamily, PageSnapshot, has_expired},
};
use self::{
    file::{ReadState, StateFile, StateRecord},
    store::{PutResult, SampleStore},
};
use super::encode::{SeriesIdentity, SeriesText};

/// Interval for removing expired series and for retrying the state file.
const MAINTENANCE_MS: i64 = 10_000;

#[derive(Debug)]
pub struct LatestSamples {
    store: SampleStore,
    /// `None` while the state file cannot be written.
    file: Option<StateFile>,
    path: PathBuf,
    expiration_ms: i64,
    clock: PageClock,
    /// When [`maintain`](Self::maintain) last ran.
    maintained_ms: i64,
    /// A buffer.
    text: SeriesText,
    /// Whether a collision of names was reported.
    is_collision_reported: bool,
}

impl LatestSamples {
    /// Reads the state file in `folder`; `now` is in milliseconds since the Unix epoch.
    /// If the file has later samples, the system clock was set back since: the time of
    /// the page continues at the latest one.
    pub fn open(folder: &Path, expiration_ms: i64, now: i64) -> Self {
        let path = folder.join("page.state");
        let mut samples = Self {
            store: SampleStore::new(expiration_ms),
            file: None,
            path,
            expiration_ms,
            clock: PageClock::starting_at(now),
            maintained_ms: now,
            text: SeriesText::default(),
            is_collision_reported: false,
        };
        match samples.read() {
            Ok(ReadState::Complete) => {}
            Ok(ReadState::Partial) => {
                log::warn!(series = samples.store.len(); "state file is damaged, the other series are back after the next collection");
            }
            Err(error) => {
                log::warn!(error:%; "cannot read the state file, the page starts empty");
            }
        }
        let now = samples
            .store
            .latest_arrival()
            .map_or(now, |seen| seen.max(now));
        samples.clock = PageClock::starting_at(now);
        samples.maintained_ms = now;
        samples.rebuild(now);
        samples
    }

    /// Adds the last point of each series. A sample is appended to the state file in
    /// the same pass; after an error only the page is updated.
    ///
    /// Returns how many samples took the place of another series that has the same name
    /// and labels on the page.
    pub fn add_batch(&mut self, batch: &PerformanceBatch, now: i64) -> u64 {
        let mut collisions = 0;
        let mut file = self.file.take();
        let mut failed = None;
        for series in batch.series() {
            let Some((time, value)) = last_point(&series) else {
                continue;
            };
            self.text.set(&series);
            let sample = LatestSample {
                value,
                time,
                seen: now,
            };
            let (put, other) = self.store.put(&self.text, sample);
            if let Some(other) = other {
                collisions += 1;
                self.report_collision(batch, &series, other);
            }
            let Some(open) = &mut file else { continue };
            let appended = match put {
                PutResult::Added(_) => open.define(&self.text, sample),
                PutResult::Replaced { number } => open.update(number, sample),
                PutResult::Older => Ok(()),
            };
            if let Err(error) = appended {
                failed = Some(error);
                file = None;
            }
        }
        if let Some(open) = &mut file
            && let Err(error) = open.flush()
        {
            failed = Some(error);
            file = None;
        }
        self.file = file;
        if let Some(error) = failed {
            warn_of_write_error(&error);
        }
        self.maintain(now);
        collisions
    }

    /// Names both series once; the counter has the others.
    fn report_collision(
        &mut self,
        batch: &PerformanceBatch,
        series: &Series<'_>,
        other: SeriesIdentity,
    ) {
        if std::mem::replace(&mut self.is_collision_reported, true) {
            return;
        }
        let family = self.text.family().to_owned();
        let mut text = SeriesText::default();
        let other = batch.series().find(|candidate| {
            text.set(candidate);
            text.identity() == other
                && text.family() == family
                && text.joined_labels() == self.text.joined_labels()
        });
        let other = other.map_or_else(|| "a series of another batch".to_owned(), |s| describe(&s));
        log::warn!(
            family, series = describe(series), other;
            "two series have the same name and labels on the page, only the latest sample of both is \
             shown (rename one; `name_collisions` counts them)"
        );
    }

    /// Removes expired series, and rewrites the state file when it has grown long or
    /// could not be written. Does nothing until `MAINTENANCE_MS` have passed since
    /// the last time. Returns whether the page has changed.
    pub fn maintain(&mut self, now: i64) -> bool {
        if now.saturating_sub(self.maintained_ms) < MAINTENANCE_MS {
            return false;
        }
        self.maintained_ms = now;
        let expired = self.store.count_expired(now);
        // A rebuild copies every series. It is worth it once a quarter has expired:
        // until then expired series only take memory, since no scrape shows them.
        let many = expired > 0 && expired >= self.store.len() / 4;
        let due = many || self.file.as_ref().is_none_or(StateFile::is_long);
        if due {
            self.rebuild(now);
        }
        due
    }

    /// The clock that gives samples their time of arrival.
    pub fn clock(&self) -> PageClock {
        self.clock
    }

    pub fn page(&self) -> Arc<PageSnapshot> {
        Arc::new(self.store.page())
    }

    fn read(&mut self) -> io::Result<ReadState> {
        let Self { store, path, .. } = self;
        // Records name a series by its number in the order of definition.
        let mut slots = Vec::new();
        file::read(path, |record| match record {
            StateRecord::Defined(text, sample) => match store.put(text, sample).0 {
                PutResult::Added(slot) => {
                    slots.push(slot);
                    true
                }
                PutResult::Replaced { .. } | PutResult::Older => false,
            },
            StateRecord::Updated(number, sample) => match slots.get(number as usize) {
                Some(&slot) => {
                    store.set(slot, sample);
                    true
                }
                None => false,
            },
        })
    }

    /// Builds a new store and a new state file from the series that have not expired.
    /// Both number the series in the same order, which updates in the file rely on.
    fn rebuild(&mut self, now: i64) {
        let mut store = SampleStore::new(self.expiration_ms);
        let mut file = StateFile::create(&self.path);
        for (family, chunk, slot, sample) in self.store.page().series(now, self.expiration_ms) {
            self.text.set_parts(&family.name, chunk.labels(slot));
            store.put(&self.text, *sample);
            if let Ok(open) = &mut file
                && let Err(error) = open.define(&self.text, *sample)
            {
                file = Err(error);
            }
        }
        self.store = store;
        let committed = file.and_then(|mut file| file.commit().map(|()| file));
        self.file = committed.inspect_err(warn_of_write_error).ok();
    }
}

/// The name and the labels as the batch has them.
fn describe(series: &Series<'_>) -> String {
    let labels = series.labels().into_iter();
    let labels: Vec<_> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("{}{{{}}}", series.name(), labels.join(","))
}

/// The point with the latest time; of several with the same time, the last one.
fn last_point(series: &Series<'_>) -> Option<(i64, f64)> {
    series.points().max_by_key(|&(time, _)| time)
}

fn warn_of_write_error(error: &io::Error) {
    log::warn!(error:%; "cannot write the state file, after a restart the page would be older");
}
