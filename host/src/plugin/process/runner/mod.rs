//! The process's side: opens one library, creates one instance, and makes the calls that
//! the host sends.
//!
//! One thread reads the connection and makes the calls. During a call, the host sends one
//! message only, that the call is cancelled: a call that asks looks whether something has come.

mod command;
mod driver;
mod library;
mod mappings;
mod rows;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use abi_stable::{RRef, sabi_trait::TD_Opaque};
use arrow_data::ArrayData;
use delfin_plugin_abi::{self as abi, Context_TO, ContextRef, ExporterBox, Host_TO};
use delfin_plugin_api::{
    __glue::{RemoteHost, RemoteLevel},
    Failure, Origin, encode_outcome,
};
use delfin_plugin_protocol::{
    CAN_SHARE_FILES, CallMessage, CheckMessage, CreateMessage, ExportMessage, ExporterHello,
    ExporterMessage, FrameError, FramePayload, FrameReader, FrameSocket, FrameWriter, HostMessage,
    Incoming, OutcomeMessage, VERSION, WireFrame, decode,
};

use super::wire;
use crate::platform::{
    ConfineArgs, HostConnections, are_descriptors_used_up, confine, take_host_connections,
};
use crate::plugin::{
    bounds::bounded_rows,
    call::{CallContext, CancelSource, InstanceSettings},
    settings::SettingsCheck,
};
pub use command::{CommandArgs, run_command};
pub use driver::run_driver;
use library::RunnerLibrary;
use rows::RowReader;

/// What the host passes on the command line.
#[derive(Clone, Debug)]
pub struct RunnerArgs {
    pub confine: ConfineArgs,
    /// The interface version in the manifest of the library.
    pub interface: String,
}

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    #[error("this command is for the host, which starts it with a connection")]
    NotStartedByHost(#[source] io::Error),
    #[error("cannot limit the process")]
    Confine(#[source] io::Error),
    #[error("the connection to the host failed")]
    Connection(#[from] FrameError),
    #[error("cannot answer a call")]
    Answer(#[source] io::Error),
    #[error("cannot answer the calls to the driver: {0}")]
    Driver(String),
    #[error("cannot run `{}`", program.display())]
    Program { program: PathBuf, source: io::Error },
}

/// Runs the process until the host closes the connection.
///
/// # Errors
///
/// The command was not started by the host, or the connection fails.
pub fn run_exporter(args: &RunnerArgs) -> Result<(), RunnerError> {
    let HostConnections { socket, library } = prepare(args)?;
    let socket = Arc::new(socket);
    let writer = Arc::new(Mutex::new(FrameWriter::new(Arc::clone(&socket))));
    let mut runner = Runner {
        library: RunnerLibrary::new(library, args.interface.clone()),
        writer,
        socket: Arc::clone(&socket),
        exporter: None,
        level: RemoteLevel::default(),
        rows: RowReader::default(),
    };
    runner.send(&ExporterMessage::Hello(hello()));
    runner.run(FrameReader::new(socket, usize::MAX))
}

/// Takes what the host has passed, and limits the process.
fn prepare(args: &RunnerArgs) -> Result<HostConnections, RunnerError> {
    let connections = take_host_connections().map_err(RunnerError::NotStartedByHost)?;
    let confined = confine(&args.confine, |warning| log_locally(warning));
    confined.map_err(RunnerError::Confine)?;
    Ok(connections)
}

fn hello() -> ExporterHello {
    ExporterHello {
        protocol: VERSION,
        program: concat!("delfin-host ", env!("CARGO_PKG_VERSION")).to_owned(),
        keeps_files: CAN_SHARE_FILES,
    }
}

/// How a message came.
#[derive(Clone, Copy)]
struct Arrival {
    at: Instant,
    /// Whether the next message came with it.
    is_followed: bool,
}

struct Runner {
    library: RunnerLibrary,
    writer: Arc<Mutex<FrameWriter>>,
    socket: Arc<FrameSocket>,
    exporter: Option<ExporterBox>,
    level: RemoteLevel,
    rows: RowReader,
}

impl Runner {
    /// Makes calls until the host closes the connection.
    fn run(&mut self, mut reader: FrameReader) -> Result<(), RunnerError> {
        while let Some(frame) = reader.read()? {
            let arrival = Arrival {
                at: Instant::now(),
                is_followed: frame.is_followed,
            };
            match decode(&frame.header) {
                Ok(Incoming::Message(message)) => {
                    let answered = self.on_message(message, frame, arrival);
                    answered.map_err(RunnerError::Answer)?;
                }
                Ok(Incoming::Unknown { name, id }) => self.send(&ExporterMessage::Unsupported {
                    id,
                    message: format!("unknown message `{name}`"),
                }),
                // The host is trusted: this is a mistake in one of the two programs.
                Err(error) => log_locally(&error),
            }
        }
        Ok(())
    }

    fn on_message(
        &mut self,
        message: HostMessage,
        frame: WireFrame,
        arrival: Arrival,
    ) -> io::Result<()> {
        let mut rows = None;
        let mut keeps_rows = false;
        let (id, outcome) = match message {
            // A call that was cancelled has returned.
            HostMessage::Hello(_) | HostMessage::Cancel => return Ok(()),
            HostMessage::Create(create) => (create.id, self.create(create)),
            HostMessage::Check(check) => {
                let id = check.id;
                match self.check(check) {
                    Some(outcome) => (id, outcome),
                    None => {
                        self.cannot_check(id);
                        return Ok(());
                    }
                }
            }
            HostMessage::Export(export) => {
                let is_in_file = export.shared.is_some_and(|shared| shared.file.is_some());
                let outcome = self.export(&export, frame, arrival, &mut rows);
                if is_in_file {
                    rows = None;
                    keeps_rows = self.rows.are_kept();
                }
                (export.id, outcome)
            }
            HostMessage::Flush(call) => (call.id, self.call(call, arrival, |e, c| e.flush(c))),
            HostMessage::Health(call) => (call.id, self.call(call, arrival, |e, c| e.health(c))),
            HostMessage::Tick(call) => (call.id, self.call(call, arrival, |e, c| e.tick(c))),
            HostMessage::Close(call) => (call.id, self.call(call, arrival, |e, c| e.close(c))),
        };
        let answered = self.answer(id, outcome, keeps_rows);
        // Another payload is unmapped after the answer, because that takes time.
        drop(rows);
        answered
    }

    /// An error means that the process is of no use any more.
    fn answer(&self, id: u64, outcome: abi::Outcome, keeps_rows: bool) -> io::Result<()> {
        let send = |outcome| {
            let message = ExporterMessage::Outcome(OutcomeMessage {
                keeps_rows,
                ..wire::outcome_message(id, outcome)
            });
            send(&self.writer, &message)
        };
        match send(outcome) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                // An outcome of fewer rows is shorter.
                let message = "the outcome names more rows than a message can hold".to_owned();
                send(failed(Failure::TooLarge { message }))
            }
            sent => sent,
        }
    }

    fn create(&mut self, create: CreateMessage) -> abi::Outcome {
        let plugin = match self.library.open() {
            Ok(plugin) => plugin,
            Err(failure) => return failed(failure),
        };
        let level = create.level.parse();
        self.level.set(level.unwrap_or(log::LevelFilter::Info));
        let config = serde_json::Value::Object(create.config).to_string();
        let host = RemoteHost {
            name: create.name,
            instance: create.instance,
            state_dir: create.state_dir,
            level: self.level.clone(),
            writer: Arc::clone(&self.writer),
        };
        let host = Host_TO::from_value(host, TD_Opaque);
        match plugin.create_exporter(&create.exporter, &config, host) {
            Ok(exporter) => {
                self.exporter = Some(exporter);
                abi::Outcome::delivered()
            }
            Err(outcome) => outcome,
        }
    }

    /// `None` if the plugin cannot check settings.
    fn check(&mut self, check: CheckMessage) -> Option<abi::Outcome> {
        let outcome = match self.library.open() {
            Ok(plugin) => SettingsCheck::of(plugin)?.run(&InstanceSettings {
                exporter: check.exporter,
                config: check.config,
            }),
            Err(failure) => Err(failure),
        };
        Some(encode_outcome(outcome))
    }

    fn cannot_check(&self, id: u64) {
        self.send(&ExporterMessage::Unsupported {
            id: Some(id),
            message: "the plugin cannot check settings without an instance".to_owned(),
        });
    }

    fn export(
        &mut self,
        export: &ExportMessage,
        frame: WireFrame,
        arrival: Arrival,
        rows: &mut Option<ArrayData>,
    ) -> abi::Outcome {
        let rows = match self.rows.read(export, frame) {
            Ok(read) => rows.insert(read),
            Err(reason) => {
                // Another process may be able to.
                return failed(Failure::fatal(format!("cannot read the rows: {reason}")));
            }
        };
        // A plugin that has used up the descriptors fails again and again, and takes its
        // receiver for the reason.
        if export.attempt > 1 && are_descriptors_used_up() {
            return failed(Failure::fatal("the process has no free descriptor"));
        }
        self.level.change(export.level);
        let mut context = self.context(export.deadline_ms, arrival);
        context.attempt = export.attempt;
        context.origin = Origin::from_name(&export.origin).into();
        context.parts = rows::parts(&export.parts);
        let Some(exporter) = &mut self.exporter else {
            return no_instance();
        };
        let outcome = exporter.export(self.rows.lend(rows), lend(&context));
        abi::Outcome {
            rows: bounded_rows(outcome.rows, rows.len() as u64),
            ..outcome
        }
    }

    fn call(
        &mut self,
        call: CallMessage,
        arrival: Arrival,
        make: impl FnOnce(&mut ExporterBox, ContextRef<'_>) -> abi::Outcome,
    ) -> abi::Outcome {
        self.level.change(call.level);
        let context = self.context(call.deadline_ms, arrival);
        match &mut self.exporter {
            Some(exporter) => make(exporter, lend(&context)),
            None => no_instance(),
        }
    }

    fn context(&self, deadline_ms: u64, arrival: Arrival) -> CallContext<'static> {
        CallContext {
            deadline: arrival.at + Duration::from_millis(deadline_ms),
            cancelled: CancelSource::Connection {
                socket: Arc::clone(&self.socket),
                is_followed: arrival.is_followed,
            },
            attempt: 1,
            origin: abi::Origin(0),
            parts: Vec::new(),
        }
    }

    fn send(&self, message: &ExporterMessage) {
        // If it fails, the host has ended, and the process soon ends as well.
        drop(send(&self.writer, message));
    }
}

/// Sends a message.
fn send(writer: &Mutex<FrameWriter>, message: &ExporterMessage) -> io::Result<()> {
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    writer
        .send(message, FramePayload::None)
        .inspect_err(log_locally)
}

fn lend<'a>(context: &'a CallContext<'_>) -> ContextRef<'a> {
    Context_TO::from_ptr(RRef::new(context), TD_Opaque)
}

fn failed(failure: Failure) -> abi::Outcome {
    encode_outcome(Err(failure))
}

fn no_instance() -> abi::Outcome {
    failed(Failure::fatal("there is no instance"))
}

#[expect(clippy::print_stderr, reason = "the host logs what the process prints")]
fn log_locally(error: &impl std::fmt::Display) {
    eprintln!("{error}");
}
