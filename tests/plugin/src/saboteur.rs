//! An exporter that sabotages its process once, and then does its work.
//!
//! It holds a lock from its creation to its end, as exporters hold ports: the next
//! instance cannot start before nothing of the last one is left.

#![cfg_attr(unix, expect(unsafe_code, reason = "a constructor of the library"))]

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use delfin_plugin_api::{Context, Exporter, Failure, Host, Outcome, PerformanceBatch};
use serde::Deserialize;

use crate::{append, row_lines::RowLines, sabotage};

/// Name of the exporter whose process the constructor of the library ends.
#[cfg(unix)]
const CONSTRUCTOR: &str = "constructor";

pub(crate) struct Saboteur {
    config: SaboteurConfig,
    host: Host,
    _lock: File,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaboteurConfig {
    /// The sabotage.
    word: String,
    /// The call that does it: `create`, `export`, `tick`, `close` or `drop`. At none, if it
    /// is another word.
    at: String,
    /// The file that gets a line `STORAGE_ID NAME ITEMS` for each delivered row.
    rows: PathBuf,
}

impl Exporter for Saboteur {
    type Batch = PerformanceBatch;
    type Config = SaboteurConfig;

    fn create(config: SaboteurConfig, host: &Host) -> Result<Self, Failure> {
        let lock = File::create(host.state_dir().join("lock")).map_err(Failure::retry)?;
        lock.try_lock()
            .map_err(|_| Failure::retry("the lock is held"))?;
        let saboteur = Self {
            config,
            host: host.clone(),
            _lock: lock,
        };
        saboteur
            .sabotage("create")
            .map_or(Ok(()), |outcome| outcome)?;
        Ok(saboteur)
    }

    fn export(&mut self, batch: &PerformanceBatch, _: &Context<'_>) -> Outcome {
        if let Some(outcome) = self.sabotage("export") {
            return outcome;
        }
        append(&self.config.rows, &batch.lines())
    }

    fn tick(&mut self, _: &Context<'_>) -> Outcome {
        self.sabotage("tick").unwrap_or(Ok(()))
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.sabotage("close").unwrap_or(Ok(()))
    }
}

impl Drop for Saboteur {
    fn drop(&mut self) {
        self.sabotage("drop");
    }
}

impl Saboteur {
    /// The sabotage, if this is the call for it. It may not return, and may want another
    /// outcome.
    fn sabotage(&self, at: &str) -> Option<Outcome> {
        let word = &*self.config.word;
        if self.config.at != at || !is_first(&self.host.state_dir().join("done")) {
            return None;
        }
        if word == "many-counts" {
            sabotage::count(&self.host);
            return None;
        }
        let outcome = sabotage::outcome(word);
        assert!(
            outcome.is_some() || sabotage::run(word) || word == "none",
            "no sabotage `{word}`"
        );
        outcome
    }
}

/// Whether this is the first time: a file tells it to the next process.
fn is_first(file: &Path) -> bool {
    File::create_new(file).is_ok()
}

#[cfg(unix)]
extern "C" fn construct() {
    let name = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    if name.trim() == CONSTRUCTOR && is_first(&std::env::temp_dir().join(CONSTRUCTOR)) {
        std::process::abort();
    }
}

// SAFETY: the linker runs it when the library is opened, in a process that can run it.
#[cfg(unix)]
#[unsafe(link_section = ".init_array")]
#[used]
static CONSTRUCT: extern "C" fn() = construct;
