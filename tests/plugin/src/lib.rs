//! Exporters that follow the script of a test: a file with one word, which each call reads
//! again.

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
    RowFailureKind, export_plugin, log,
};
use row_lines::RowLines;
use serde::Deserialize;

export_plugin! {
    "PerformanceExporterScripted" => ScriptedExporter<PerformanceBatch>: "Follows the script of a test",
    "PerformanceExporterConcurrent" => concurrent::ConcurrentExporter: "Follows the script of a test, in several instances",
    "PerformanceExporterSum" => boundary::SumExporter: "Reads every point",
    "PerformanceExporterSaboteur" => saboteur::Saboteur: "Sabotages its process once",
    "AlertExporterScripted" => ScriptedExporter<AlertBatch>: "Follows the script of a test",
    "AlertExporterResend" => resend::ResendExporter: "Asks for active alerts at an interval",
    driver "scripted" "patient" => driver::ScriptedDriver<300>: "Follows its options",
    driver "scripted" "hasty" => driver::ScriptedDriver<1>: "Follows its options",
}

mod boundary;
mod concurrent;
mod driver;
mod resend;
mod row_lines;
mod sabotage;
mod saboteur;
pub mod sum;

/// The bytes that a call with the script `leak` leaks.
const LEAK: usize = 64 << 10;

struct ScriptedExporter<B> {
    config: Config,
    kind: PhantomData<B>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The file with the script. Without it, each call delivers.
    script: PathBuf,
    /// The file that gets a line `BATCH_IDS ITEMS ATTEMPT` for each delivered call.
    received: PathBuf,
    /// The file that gets a line `STORAGE_ID NAME ITEMS` for each delivered row.
    #[serde(default)]
    rows: Option<PathBuf>,
    /// The file that gets a line for each instance that is created.
    #[serde(default)]
    created: Option<PathBuf>,
    /// A secret that messages contain, so that a test can look for it.
    #[serde(default)]
    password: String,
}

impl<B: RowLines> Exporter for ScriptedExporter<B> {
    type Batch = B;
    type Config = Config;

    fn create(config: Config, _: &Host) -> Result<Self, Failure> {
        let exporter = Self {
            config,
            kind: PhantomData,
        };
        let is_elsewhere = exporter.config.received.ends_with("elsewhere");
        match &*exporter.script() {
            "refuse-elsewhere" if is_elsewhere => Err(Failure::misconfigured("not there")),
            "refuse" => Err(Failure::misconfigured(format!(
                "the password `{}` is too short",
                exporter.config.password
            ))),
            "unreachable" => Err(Failure::retry("the receiver is not available")),
            _ => {
                if let Some(created) = &exporter.config.created {
                    append(created, "created\n")?;
                }
                Ok(exporter)
            }
        }
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        match &*self.script() {
            "retry" => Err(Failure::retry(format!(
                "not available, with password {}",
                self.config.password
            ))),
            "reject" => Err(Failure::rejected("not wanted")),
            "unauthorized" => Err(Failure::Unauthorized {
                message: "the credentials are wrong".to_owned(),
            }),
            "uncertain" => Err(Failure::Uncertain {
                message: "no response".to_owned(),
            }),
            "uncertain-row" => Err(Failure::Partial {
                rows: vec![RowFailure {
                    rows: 1..2,
                    kind: RowFailureKind::Uncertain,
                    reason: "no response".to_owned(),
                }],
                after: None,
            }),
            "retry-rows" => Err(Failure::Partial {
                rows: vec![RowFailure {
                    rows: 0..batch.rows(),
                    kind: RowFailureKind::Retry,
                    reason: "busy".to_owned(),
                }],
                after: None,
            }),
            // Time for one row only.
            "slow" if batch.rows() > 1 => {
                thread::sleep(context.remaining());
                Err(Failure::retry("no time left"))
            }
            "fatal" => Err(Failure::fatal("the instance is broken")),
            "panic" => panic!("the script requests a panic"),
            "invalid-rows" => Err(invalid_rows(batch.rows(), context.attempt())),
            "leak" => {
                Box::leak(vec![1_u8; LEAK].into_boxed_slice());
                self.receive(batch, context)
            }
            "hang" => {
                log::warn!("hanging");
                while self.script() == "hang" {
                    thread::sleep(Duration::from_millis(10));
                }
                self.receive(batch, context)
            }
            "until-cancelled" => {
                while !context.cancelled() {
                    thread::sleep(Duration::from_millis(10));
                }
                Err(Failure::retry("the call was cancelled"))
            }
            "log" => {
                log_in_every_way();
                self.receive(batch, context)
            }
            "log-much" => {
                for line in 0..5_000 {
                    log::info!("line {line}");
                }
                self.receive(batch, context)
            }
            word => {
                sabotage::run_script(word, &batch.lines());
                self.receive(batch, context)
            }
        }
    }
}

impl<B: RowLines> ScriptedExporter<B> {
    fn script(&self) -> String {
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

/// An outcome with invalid rows: a row twice, rows past the end of the batch, or rows near
/// the largest number.
fn invalid_rows(rows: usize, attempt: u32) -> Failure {
    let refused = |rows| RowFailure {
        rows,
        kind: RowFailureKind::Rejected,
        reason: "invalid".to_owned(),
    };
    let rows = match attempt % 3 {
        0 => vec![refused(0..1), refused(0..rows)],
        1 => vec![refused(rows..rows + 7)],
        _ => vec![refused(0..1), refused(usize::MAX - 1..usize::MAX)],
    };
    Failure::Partial { rows, after: None }
}

/// Logs with `log` and `tracing`, also in a thread of its own, and panics there.
fn log_in_every_way() {
    log::info!(answer = 42, colour = "light blue"; "logged with log");
    log::debug!("logged at debug");
    tracing::debug!("traced at debug");
    tracing::warn!(answer = 43, colour = "dark blue", "logged with tracing");
    // As a library that logs its traffic, with a level at which it shows none.
    let library = "async_nats::client";
    log::logger().log(
        &log::Record::builder()
            .level(log::Level::Error)
            .target(library)
            .module_path(Some(library))
            .args(format_args!("logged by a library"))
            .build(),
    );
    let thread = thread::spawn(|| {
        log::info!(answer = 44; "logged with log in a thread");
        tracing::info!(answer = 45, "logged with tracing in a thread");
        panic!("panic in a thread");
    });
    // The thread has panicked, as intended.
    let _ = thread.join();
}
