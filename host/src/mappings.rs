//! The mapping files of all inputs.

use std::{collections::BTreeMap, time::Instant};

use crate::{
    config::Config,
    inputs::{SeriesInput, SeriesMappings},
    notification::{MappingError, MappingSet},
    syslog::SyslogMappings,
    traps::TrapMappings,
    webhooks::WebhookMappings,
};

/// What the mapping files say.
#[derive(Debug, Default)]
pub struct InputMappings {
    traps: TrapMappings,
    syslog: SyslogMappings,
    webhooks: WebhookMappings,
    /// Of the inputs that are on.
    series: BTreeMap<SeriesInput, SeriesMappings>,
}

/// The mappings in force. Clones share them.
#[derive(Clone, Debug)]
pub struct InputMappingSets {
    pub traps: MappingSet<TrapMappings>,
    pub syslog: MappingSet<SyslogMappings>,
    pub webhooks: MappingSet<WebhookMappings>,
    /// Of the inputs that were on at the start.
    pub series: BTreeMap<SeriesInput, MappingSet<SeriesMappings>>,
}

impl InputMappings {
    /// Reads the mapping files of the inputs that are on. Another input needs none.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a mistake.
    pub fn load(config: &Config) -> Result<Self, MappingError> {
        let folders = config.traps.mib_dirs.len();
        let reads_mibs = config.traps.listen.is_some() && folders > 0;
        let began = Instant::now();
        if reads_mibs {
            log::info!(folders; "reading MIB files");
        }
        let mappings = Self::read(config)?;
        if reads_mibs {
            let names = mappings.traps.names().count();
            log::info!(names = names, took:? = began.elapsed(); "MIB files are read");
        }
        for warning in mappings.traps.warnings() {
            log::warn!("{warning}");
        }
        Ok(mappings)
    }

    /// As [`Self::load`], and logs nothing.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a mistake.
    pub fn read(config: &Config) -> Result<Self, MappingError> {
        let mut mappings = Self::default();
        if config.traps.listen.is_some() {
            let traps = &config.traps;
            mappings.traps = TrapMappings::load(&traps.mapping_dir, &traps.mib_dirs)?;
        }
        if config.syslog.is_on() {
            mappings.syslog = SyslogMappings::load(&config.syslog.mapping_dir)?;
        }
        let webhook = &config.inputs.webhook;
        if webhook.enabled || config.inputs.alertmanager.enabled {
            mappings.webhooks = WebhookMappings::load(&webhook.mapping_dir)?;
        }
        for input in SeriesInput::ALL {
            let series = input.config(&config.inputs);
            if series.enabled {
                let loaded = SeriesMappings::load(input, &series.mapping_dir)?;
                mappings.series.insert(input, loaded);
            }
        }
        Ok(mappings)
    }
}

impl InputMappingSets {
    #[must_use]
    pub fn new(mappings: InputMappings) -> Self {
        Self {
            traps: MappingSet::new(mappings.traps),
            syslog: MappingSet::new(mappings.syslog),
            webhooks: MappingSet::new(mappings.webhooks),
            series: mappings
                .series
                .into_iter()
                .map(|(input, mappings)| (input, MappingSet::new(mappings)))
                .collect(),
        }
    }

    /// Replaces all mappings, effective with the next notification.
    pub fn replace(&self, mappings: InputMappings) {
        self.traps.replace(mappings.traps);
        self.syslog.replace(mappings.syslog);
        self.webhooks.replace(mappings.webhooks);
        for (input, loaded) in mappings.series {
            // An input is turned on by a restart.
            if let Some(set) = self.series.get(&input) {
                set.replace(loaded);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Source, parse};

    #[test]
    fn an_input_that_is_off_reads_no_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.toml"), "[[trap]]\noid = 1").unwrap();
        let load = |table: &str, on: &str| {
            let text = format!("[{table}]\nmapping_dir = {:?}\n{on}", folder.path());
            InputMappings::load(&parse(&text, &Source::Embedded).unwrap())
        };
        for (table, on) in [
            ("traps", "listen = \"127.0.0.1:162\""),
            ("syslog", "listen_udp = \"127.0.0.1:514\""),
            ("inputs.webhook", "enabled = true"),
            ("inputs.remote_write", "enabled = true"),
            ("inputs.otlp", "enabled = true"),
            ("inputs.influxdb", "enabled = true"),
        ] {
            assert!(load(table, on).is_err(), "{table}");
            assert!(load(table, "").is_ok(), "{table}");
        }
    }
}
