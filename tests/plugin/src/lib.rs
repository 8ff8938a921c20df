//! Exporters that do what a test tells them to: the script is a file with one
//! word, read anew at each call.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    marker::PhantomData,
    path::PathBuf,
    thread,
    time::Duration,
};

use delfin_plugin_api::{
    AlertBatch, Batch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin,
    log, serde::Deserialize,
};

export_plugin! {
    "PerformanceExporterScripted" => Scripted<PerformanceBatch>: "Does what a test says",
    "PerformanceExporterSum" => boundary::Sum: "Looks at every point",
    "AlertExporterScripted" => Scripted<AlertBatch>: "Does what a test says",
    "AlertExporterAgain" => again::Again: "Wants to be sent what is active again",
}

mod again;
mod boundary;
mod sum;

struct Scripted<B> {
    config: Config,
    kind: PhantomData<B>,
}

#[derive(Deserialize)]
#[serde(crate = "delfin_plugin_api::serde", deny_unknown_fields)]
struct Config {
    /// What to do; without the file, deliver.
    script: PathBuf,
    /// What was delivered: a line `BATCH_ID ITEMS ATTEMPT` each.
    received: PathBuf,
    /// Only there to be named in messages.
    #[serde(default)]
    password: String,
}

impl<B: Batch> Exporter for Scripted<B> {
    type Batch = B;
    type Config = Config;

    fn create(config: Config, _: &Host) -> Result<Self, Failure> {
        let exporter = Self {
            config,
            kind: PhantomData,
        };
        match &*exporter.word() {
            "refuse" => Err(Failure::misconfigured(format!(
                "the password `{}` is too short",
                exporter.config.password
            ))),
            "unreachable" => Err(Failure::retry("the receiver is away")),
            _ => Ok(exporter),
        }
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        match &*self.word() {
            "retry" => Err(Failure::retry(format!(
                "away, says {}",
                self.config.password
            ))),
            "reject" => Err(Failure::rejected("not wanted")),
            "unauthorized" => Err(Failure::Unauthorized {
                message: "who are you".to_owned(),
            }),
            "uncertain" => Err(Failure::Uncertain {
                message: "no answer".to_owned(),
            }),
            "fatal" => Err(Failure::fatal("worn out")),
            "panic" => panic!("told to panic"),
            "hang" => {
                log::warn!("hanging");
                while self.word() == "hang" {
                    thread::sleep(Duration::from_millis(10));
                }
                self.receive(batch, context)
            }
            "speak" => {
                speak();
                self.receive(batch, context)
            }
            _ => self.receive(batch, context),
        }
    }
}

impl<B: Batch> Scripted<B> {
    fn word(&self) -> String {
        fs::read_to_string(&self.config.script)
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    fn receive(&self, batch: &B, context: &Context<'_>) -> Outcome {
        let ids: Vec<String> = context
            .parts()
            .map(|part| part.batch_id.to_string())
            .collect();
        let line = format!(
            "{} {} {}\n",
            ids.join(","),
            batch.items(),
            context.attempt()
        );
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.config.received);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(Failure::retry)
    }
}

/// Logs in every way in which a plugin can.
fn speak() {
    log::info!(answer = 42, colour = "light blue"; "said with log");
    tracing::warn!(answer = 43, colour = "dark blue", "said with tracing");
    let thread = thread::spawn(|| {
        log::info!(answer = 44; "said with log by a thread");
        tracing::info!(answer = 45, "said with tracing by a thread");
        panic!("said by a panic in a thread");
    });
    // It panicked, as it should.
    let _ = thread.join();
}
