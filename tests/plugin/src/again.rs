//! An exporter of alerts that wants to be sent what is active again, and writes
//! down what it was sent.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    time::Duration,
};

use delfin_plugin_api::{
    Alert, AlertBatch, Context, Exporter, Failure, Host, Outcome, serde::Deserialize,
};

pub(crate) struct Again {
    config: Config,
}

#[derive(Deserialize)]
#[serde(crate = "delfin_plugin_api::serde", deny_unknown_fields)]
pub(crate) struct Config {
    /// If it holds `away`, nothing arrives.
    script: PathBuf,
    /// A line a call: the origin, then name and category of each alert.
    received: PathBuf,
}

impl Exporter for Again {
    type Batch = AlertBatch;
    type Config = Config;

    const RESEND: Option<Duration> = Some(Duration::from_mins(1));

    fn create(config: Config, _: &Host) -> Result<Self, Failure> {
        Ok(Self { config })
    }

    fn export(&mut self, batch: &AlertBatch, context: &Context<'_>) -> Outcome {
        let script = fs::read_to_string(&self.config.script).unwrap_or_default();
        if script.trim() == "away" {
            return Err(Failure::retry("the receiver is away"));
        }
        let word = |alert: Alert<'_>| {
            let name = alert.alert_name().unwrap_or_default();
            format!(" {name}:{}", alert.category().unwrap_or_default())
        };
        let words: String = batch.alerts().map(word).collect();
        let line = format!("{}{words}\n", context.origin());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.config.received);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(Failure::retry)
    }
}
