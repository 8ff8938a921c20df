//! Exporters that do what a test tells them to: the script is a file with one
//! word, read anew at each call.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    marker::PhantomData,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, RowFailure,
    export_plugin, log, serde::Deserialize,
};
use named::Named;

export_plugin! {
    "PerformanceExporterScripted" => Scripted<PerformanceBatch>: "Does what a test says",
    "PerformanceExporterDoubled" => doubled::Doubled: "Does what a test says, in several instances",
    "PerformanceExporterSum" => boundary::Sum: "Looks at every point",
    "AlertExporterScripted" => Scripted<AlertBatch>: "Does what a test says",
    "AlertExporterAgain" => again::Again: "Wants to be sent what is active again",
}

mod again;
mod boundary;
mod doubled;
mod named;
mod sum;

/// How much one call leaks.
const LEAK: usize = 64 << 10;

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
    /// Which rows were delivered: a line `STORAGE_ID NAME ITEMS` each.
    #[serde(default)]
    rows: Option<PathBuf>,
    /// Only there to be named in messages.
    #[serde(default)]
    password: String,
}

impl<B: Named> Exporter for Scripted<B> {
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
            "abort" => std::process::abort(),
            "nonsense" => Err(nonsense(batch.rows(), context.attempt())),
            "leak" => {
                Box::leak(vec![1_u8; LEAK].into_boxed_slice());
                self.receive(batch, context)
            }
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

impl<B: Named> Scripted<B> {
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
        append(&self.config.received, &line)?;
        match &self.config.rows {
            Some(path) => append(path, &batch.lines()),
            None => Ok(()),
        }
    }
}

fn append(path: &Path, text: &str) -> Outcome {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Failure::retry)
}

/// Speaks of rows that are not there, of one twice, or of the wrong way round.
fn nonsense(rows: usize, attempt: u32) -> Failure {
    let refused = |rows| RowFailure {
        rows,
        retry: false,
        reason: "nonsense".to_owned(),
    };
    let rows = match attempt % 3 {
        0 => vec![refused(0..1), refused(0..rows)],
        1 => vec![refused(rows..rows + 7)],
        _ => vec![refused(0..1), refused(usize::MAX - 1..usize::MAX)],
    };
    Failure::Partial { rows }
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
