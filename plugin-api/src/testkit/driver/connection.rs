//! A minimal host of drivers: starts them and speaks the protocol.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use abi_stable::std_types::RSlice;
use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use delfin_plugin_loader::{
    self as loader, Inspection, OpenOptions, PluginError, PluginModule, PluginProgram,
    PreparedCommand, ProgramTransport,
};
use delfin_plugin_protocol::{
    DRIVER_EXTENSION, DriverExtensionRequest, DriverMessage, FramePayload, FrameReader,
    FrameSocket, FrameWriter, Incoming, OutcomeMessage, SharedPayload, VERSION, WireFrame, decode,
    into_number, into_stdio, socket_pair,
};
use serde_json::{Value, json};

use crate::testkit::build_library;

/// The longest time that the suite waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What answers the calls to the drivers of a plugin.
pub struct DriverProgram(DriverCode);

enum DriverCode {
    Library {
        module: PluginModule,
        /// The copy of the library.
        _folder: tempfile::TempDir,
    },
    Command(PreparedCommand),
}

/// The answer to a call.
#[derive(Debug)]
pub enum CallAnswer {
    /// The call has no result, or has failed.
    Outcome(OutcomeMessage),
    /// A result that is no batch.
    Value(Value),
    /// A performance batch or an alert batch.
    Batch(RecordBatch),
    /// The driver cannot do this.
    Unsupported,
}

/// A connection to a driver. Dropping it ends the process of a program.
pub struct DriverConnection {
    reader: FrameReader,
    writer: FrameWriter,
    last: u64,
    other_side: OtherSide,
}

enum OtherSide {
    Thread(JoinHandle<Result<(), String>>),
    Process(Child),
}

impl DriverProgram {
    /// Builds the library of the crate that calls it in a test, and opens it.
    ///
    /// # Panics
    ///
    /// Cargo fails, or the library cannot be opened.
    #[must_use]
    pub fn build() -> Self {
        let opened = loader::inspect(&build_library()).and_then(|plugin| Self::new(&plugin));
        must(opened)
    }

    pub(super) fn new(plugin: &Inspection) -> Result<Self, PluginError> {
        let folder = must(tempfile::tempdir());
        let options = OpenOptions::new(folder.path().join("cache"));
        let prepared = loader::prepare(plugin, &options)?;
        Ok(Self(match prepared.program() {
            PluginProgram::Command(command) => DriverCode::Command(command.clone()),
            PluginProgram::Library(_) => DriverCode::Library {
                module: prepared.open()?.module(),
                _folder: folder,
            },
        }))
    }

    /// Starts the plugin, and exchanges `hello`.
    ///
    /// # Panics
    ///
    /// The plugin does not answer.
    #[must_use]
    pub fn connect(&self) -> DriverConnection {
        let (ours, theirs) = must(socket_pair());
        let socket = Arc::new(ours);
        let mut connection = DriverConnection {
            reader: FrameReader::new(Arc::clone(&socket), usize::MAX),
            writer: FrameWriter::new(socket),
            last: 0,
            other_side: self.start(theirs),
        };
        let hello = json!({"type": "hello", "protocol": VERSION, "host": "testkit"});
        connection.write("hello", &hello);
        match connection.read("hello") {
            (DriverMessage::Hello(hello), _) if hello.protocol[0] == VERSION[0] => connection,
            (other, _) => panic!(
                "the first message is not `hello` of protocol {}: {other:?}",
                VERSION[0]
            ),
        }
    }

    fn start(&self, theirs: FrameSocket) -> OtherSide {
        match &self.0 {
            DriverCode::Library { module, .. } => {
                let drivers = module.get_extension(DRIVER_EXTENSION);
                let drivers = drivers.unwrap_or_else(|| {
                    panic!("the manifest declares drivers, and the library has none")
                });
                let descriptor = into_number(theirs);
                let request = must(serde_json::to_vec(&DriverExtensionRequest { descriptor }));
                OtherSide::Thread(std::thread::spawn(move || {
                    let served = drivers.call(RSlice::from_slice(&request)).into_result();
                    served.map(drop).map_err(Into::into)
                }))
            }
            DriverCode::Command(command) => OtherSide::Process(start_command(command, theirs)),
        }
    }
}

fn start_command(prepared: &PreparedCommand, theirs: FrameSocket) -> Child {
    let stdout = match prepared.command.transport {
        ProgramTransport::Socket => Stdio::null(),
        ProgramTransport::Stdio => must(theirs.try_clone().and_then(into_stdio)),
    };
    must(
        Command::new(&prepared.program)
            .args(prepared.command.words.iter().skip(1))
            .current_dir(prepared.folder())
            // As the host does: the folder stays as it is.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(must(into_stdio(theirs)))
            .stdout(stdout)
            .spawn(),
    )
}

impl DriverConnection {
    /// Makes a call with these fields of its message, and waits for the answer.
    ///
    /// # Panics
    ///
    /// There is no answer, or one that does not belong to the call.
    pub fn call(&mut self, kind: &str, fields: Value) -> CallAnswer {
        self.call_within(kind, fields, TIMEOUT)
    }

    /// Makes a call that has this time until its deadline.
    ///
    /// # Panics
    ///
    /// As for [`call`](Self::call).
    pub fn call_within(&mut self, kind: &str, fields: Value, time: Duration) -> CallAnswer {
        self.last += 1;
        let deadline_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut message = json!({"type": kind, "id": self.last, "deadline_ms": deadline_ms});
        if let (Value::Object(message), Value::Object(fields)) = (&mut message, fields) {
            message.extend(fields);
        }
        self.write(kind, &message);
        loop {
            let (answer, frame) = self.read(kind);
            let last = self.last;
            match answer {
                DriverMessage::Outcome(outcome) if outcome.id == last => {
                    return CallAnswer::Outcome(outcome);
                }
                DriverMessage::Result(result) if result.id == last => {
                    let shared = result.shared.map(|shared| shared.len);
                    return payload(frame, shared)
                        .map_or(CallAnswer::Value(result.value), |bytes| {
                            CallAnswer::Batch(batch(kind, &bytes))
                        });
                }
                DriverMessage::Unsupported { id, .. } if id == Some(last) => {
                    return CallAnswer::Unsupported;
                }
                DriverMessage::Log(_)
                | DriverMessage::Count { .. }
                | DriverMessage::Unsupported { .. } => {}
                other => panic!("the message in `{kind}` does not belong there: {other:?}"),
            }
        }
    }

    /// Opens the driver of a storage with these options. `folder` is for its files.
    ///
    /// # Panics
    ///
    /// As for [`call`](Self::call).
    pub fn open(
        &mut self,
        [vendor, model]: [&str; 2],
        folder: &Path,
        options: &Value,
    ) -> CallAnswer {
        let fields = json!({
            "vendor": vendor,
            "model": model,
            "storage_id": "test",
            "state_dir": folder,
            "level": "trace",
            "options": options,
        });
        self.call("open", fields)
    }

    pub(super) fn cancel(&mut self) {
        self.write("cancel", &json!({"type": "cancel"}));
    }

    /// Closes the connection, and waits for the other side. The error says how it ended.
    pub(super) fn end(self) -> Result<(), String> {
        let Self {
            reader,
            writer,
            other_side,
            ..
        } = self;
        drop((reader, writer));
        match other_side {
            OtherSide::Thread(thread) => {
                let served = thread.join();
                served.unwrap_or_else(|_| Err("it has panicked".to_owned()))
            }
            OtherSide::Process(mut process) => {
                let status = must(process.wait());
                status
                    .success()
                    .then_some(())
                    .ok_or_else(|| status.to_string())
            }
        }
    }

    fn write(&mut self, kind: &str, message: &Value) {
        let sent = self.writer.send(message, FramePayload::None);
        sent.unwrap_or_else(|error| panic!("the connection ended before `{kind}`: {error}"));
    }

    fn read(&mut self, kind: &str) -> (DriverMessage, WireFrame) {
        let frame = self.reader.read();
        let frame = frame.unwrap_or_else(|error| panic!("`{kind}` is not answered: {error}"));
        let frame = frame.unwrap_or_else(|| panic!("the connection ended in `{kind}`"));
        match decode(&frame.header) {
            Ok(Incoming::Message(message)) => (message, frame),
            Ok(Incoming::Unknown { name, .. }) => panic!("`{name}` is not a message of a driver"),
            Err(error) => panic!("in `{kind}`: {error}"),
        }
    }
}

/// The payload of a result, if it has one.
fn payload(frame: WireFrame, shared: Option<u64>) -> Option<Vec<u8>> {
    if let (Some(len), Some(descriptor)) = (shared, frame.descriptor) {
        let payload = must(SharedPayload::receive(descriptor, len));
        return Some(must(payload.map()).as_ref().to_vec());
    }
    assert!(shared.is_none(), "the descriptor of a payload is missing");
    (!frame.payload.is_empty()).then(|| frame.payload.into())
}

fn batch(kind: &str, bytes: &[u8]) -> RecordBatch {
    let bad = |error: &dyn std::fmt::Display| -> ! { panic!("the result of `{kind}`: {error}") };
    let stream = StreamReader::try_new(bytes, None);
    let stream = stream.unwrap_or_else(|error| bad(&error));
    let batches: Result<Vec<_>, _> = stream.collect();
    let mut batches = batches.unwrap_or_else(|error| bad(&error));
    match (batches.pop(), batches.pop()) {
        (Some(batch), None) => batch,
        _ => bad(&"it must have exactly one record batch"),
    }
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
