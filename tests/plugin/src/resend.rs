//! An exporter of alerts with a resend interval. It records each call in a file.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    time::Duration,
};

use delfin_plugin_api::{Alert, AlertBatch, Context, Exporter, Failure, Host, Outcome};
use serde::Deserialize;

pub(crate) struct ResendExporter {
    config: Config,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A file. If it contains `away`, each call fails.
    script: PathBuf,
    /// The file that gets a line for each call: the origin, then the name and the category
    /// of each alert.
    received: PathBuf,
}

impl Exporter for ResendExporter {
    type Batch = AlertBatch;
    type Config = Config;

    const RESEND: Option<Duration> = Some(Duration::from_mins(1));

    fn create(config: Config, _: &Host) -> Result<Self, Failure> {
        Ok(Self { config })
    }

    fn export(&mut self, batch: &AlertBatch, context: &Context<'_>) -> Outcome {
        let script = fs::read_to_string(&self.config.script).unwrap_or_default();
        if script.trim() == "away" {
            return Err(Failure::retry("the receiver is not available"));
        }
        let text = |alert: Alert<'_>| {
            let name = alert.alert_name().unwrap_or_default();
            format!(" {name}:{}", alert.category().unwrap_or_default())
        };
        let texts: String = batch.alerts().map(text).collect();
        let line = format!("{}{texts}\n", context.origin());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.config.received);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(Failure::retry)
    }
}
