//! The latest samples, on the page and in the state file.
//!
//! Promises: what [`Latest::take`] took in is on the next page and back after a
//! restart, until it expires. A state file that cannot be written takes nothing
//! off the page; it is only reported, and tried again.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use delfin_plugin_api::{PerformanceBatch, Series, log};

use super::{
    chunk::Sample,
    state::{self, Found, Remembered, StateFile},
    store::{Page, Put, Store},
    text::SeriesText,
};

/// How often it is looked for what has expired, and a state file tried again.
const TIDY_MS: i64 = 10_000;

/// All series with their latest samples.
#[derive(Debug)]
pub(crate) struct Latest {
    store: Store,
    state: Option<StateFile>,
    path: PathBuf,
    expiration_ms: i64,
    tidied: i64,
    text: SeriesText,
}

impl Latest {
    /// Reads what the state file in `folder` remembers.
    pub(crate) fn open(folder: &Path, expiration_ms: i64, now: i64) -> Self {
        let path = folder.join("page.state");
        let mut latest = Self {
            store: Store::new(expiration_ms),
            state: None,
            path,
            expiration_ms,
            tidied: now,
            text: SeriesText::default(),
        };
        match latest.read() {
            Ok(Found::Whole) => {}
            Ok(Found::Part) => {
                log::warn!(series = latest.store.len(); "state file is torn or damaged, the rest of it comes back with the next collection");
            }
            Err(error) => {
                log::warn!(error:%; "state file cannot be read, the page begins empty");
            }
        }
        latest.renew(now);
        latest
    }

    /// Takes in the last point of each series of a batch.
    pub(crate) fn take(&mut self, batch: &PerformanceBatch, now: i64) {
        let mut state = self.state.take();
        let mut failed = None;
        for series in batch.series() {
            let Some((time, value)) = last_point(&series) else {
                continue;
            };
            self.text.set(&series);
            let sample = Sample {
                value,
                time,
                seen: now,
            };
            let put = self.store.put(&self.text, sample);
            let Some(file) = &mut state else { continue };
            let remembered = match put {
                Put::Added(_) => file.define(&self.text, sample),
                Put::Replaced { number } => file.update(number, sample),
                Put::Older => Ok(()),
            };
            if let Err(error) = remembered {
                failed = Some(error);
                state = None;
            }
        }
        if let Some(file) = &mut state
            && let Err(error) = file.flush()
        {
            failed = Some(error);
            state = None;
        }
        self.state = state;
        if let Some(error) = failed {
            warn_of_state(&error);
        }
        self.tidy(now);
    }

    /// Forgets, now and then, what has expired, and writes the state file anew
    /// when it has grown long or could not be written. Says whether the page is
    /// another one now.
    pub(crate) fn tidy(&mut self, now: i64) -> bool {
        if (0..TIDY_MS).contains(&now.saturating_sub(self.tidied)) {
            return false;
        }
        self.tidied = now;
        let expired = self.store.expired(now);
        // Writing everything anew is worth it once a quarter is of no use.
        let many = expired > 0 && expired >= self.store.len() / 4;
        let due = many || self.state.as_ref().is_none_or(StateFile::is_long);
        if due {
            self.renew(now);
        }
        due
    }

    /// What is to be shown.
    pub(crate) fn page(&self) -> Arc<Page> {
        Arc::new(self.store.page())
    }

    fn read(&mut self) -> io::Result<Found> {
        let Self { store, path, .. } = self;
        let mut places = Vec::new();
        state::read(path, |remembered| match remembered {
            Remembered::New(text, sample) => match store.put(text, sample) {
                Put::Added(place) => {
                    places.push(place);
                    true
                }
                Put::Replaced { .. } | Put::Older => false,
            },
            Remembered::Known(number, sample) => match places.get(number as usize) {
                Some(&place) => {
                    store.set(place, sample);
                    true
                }
                None => false,
            },
        })
    }

    /// Puts store and state file together anew, from what has not expired: the
    /// numbers of the series in both are the same again.
    fn renew(&mut self, now: i64) {
        let mut store = Store::new(self.expiration_ms);
        let mut state = StateFile::begin(&self.path);
        for (family, chunk, slot, sample) in self.store.page().series(now, self.expiration_ms) {
            self.text.set_parts(&family.name, chunk.labels(slot));
            store.put(&self.text, *sample);
            if let Ok(file) = &mut state
                && let Err(error) = file.define(&self.text, *sample)
            {
                state = Err(error);
            }
        }
        self.store = store;
        let committed = state.and_then(|mut file| file.commit().map(|()| file));
        self.state = committed.inspect_err(warn_of_state).ok();
    }
}

/// The point that was measured last; of two at one time, the second.
fn last_point(series: &Series<'_>) -> Option<(i64, f64)> {
    series.points().max_by_key(|&(time, _)| time)
}

fn warn_of_state(error: &io::Error) {
    log::warn!(error:%; "state file cannot be written, after a restart the page would be older");
}
