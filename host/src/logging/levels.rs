//! The levels of the log, which can be changed while the host runs.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use log::LevelFilter;

#[derive(Debug)]
pub(super) struct LogLevels(RwLock<Levels>);

#[derive(Debug)]
struct Levels {
    host: LevelFilter,
    /// Of single exporters, by name. The others have the level of the host.
    exporters: BTreeMap<String, LevelFilter>,
}

impl LogLevels {
    pub(super) fn new(host: LevelFilter, exporters: BTreeMap<String, LevelFilter>) -> Self {
        Self(RwLock::new(Levels { host, exporters }))
    }

    pub(super) fn host(&self) -> LevelFilter {
        self.read(|levels| levels.host)
    }

    pub(super) fn exporter(&self, name: &str) -> LevelFilter {
        self.read(|levels| levels.exporters.get(name).copied().unwrap_or(levels.host))
    }

    /// Changes the level of an exporter, or that of the host.
    pub(super) fn set(&self, exporter: Option<&str>, level: LevelFilter) {
        let mut levels = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match exporter {
            Some(name) => {
                levels.exporters.insert(name.to_owned(), level);
            }
            None => levels.host = level,
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Levels) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exporter_without_a_level_follows_the_host() {
        let configured = BTreeMap::from([("kafka".to_owned(), LevelFilter::Debug)]);
        let levels = LogLevels::new(LevelFilter::Info, configured);
        let seen = || ["kafka", "splunk"].map(|name| levels.exporter(name));
        assert_eq!(seen(), [LevelFilter::Debug, LevelFilter::Info]);
        levels.set(None, LevelFilter::Warn);
        assert_eq!(seen(), [LevelFilter::Debug, LevelFilter::Warn]);
        levels.set(Some("splunk"), LevelFilter::Trace);
        levels.set(Some("kafka"), LevelFilter::Off);
        assert_eq!(seen(), [LevelFilter::Off, LevelFilter::Trace]);
        assert_eq!(levels.host(), LevelFilter::Warn);
    }
}
