//! The process of a driver: answers the calls of the host until it closes the connection.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use abi_stable::{
    RRef,
    sabi_trait::TD_Opaque,
    std_types::{ROption, RSlice},
};
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use delfin_plugin_abi::{self as abi, Context_TO, Host_TO};
use delfin_plugin_protocol::{
    CAN_SHARE_FILES, DriverMessage, DriverRequest, ExporterHello, FrameError, FramePayload,
    FrameReader, FrameSocket, FrameWriter, HostHello, Incoming, LogLevel, OpenMessage,
    ResultMessage, SharedForm, SharedPayload, VERSION, decode, is_readable,
};

use super::{
    DriverFailure, RegisteredStorage,
    failure::{outcome, panicked},
    open::{DriverAnswer, DriverCalls, OpenFunction},
    remote_host::{RemoteHost, RemoteLevel},
};
use crate::{Context, Failure, Host, bridge, guard};

/// The largest payload that follows its message; a larger one is shared.
const MAX_INLINE: usize = 32 << 10;

/// Finds the driver of a vendor and a model.
pub(super) type FindDriver = fn(&str, &str) -> Option<OpenFunction>;

/// Answers calls until the host closes the connection. `module` is one of the library.
pub(super) fn serve(
    socket: FrameSocket,
    find: FindDriver,
    module: &'static str,
) -> Result<(), FrameError> {
    let socket = Arc::new(socket);
    let mut reader = FrameReader::new(Arc::clone(&socket), usize::MAX);
    let mut server = DriverServer {
        find,
        module,
        writer: Arc::new(Mutex::new(FrameWriter::new(Arc::clone(&socket)))),
        socket,
        level: RemoteLevel::default(),
        host: None,
        driver: None,
    };
    guard::report_panics();
    server.send(&DriverMessage::Hello(ExporterHello {
        protocol: VERSION,
        program: concat!("delfin-plugin-api ", env!("CARGO_PKG_VERSION")).to_owned(),
        keeps_files: false,
    }))?;
    while let Some(frame) = reader.read()? {
        let at = Instant::now();
        match decode(&frame.header) {
            Ok(Incoming::Message(request)) => server.on_request(request, at, frame.is_followed)?,
            Ok(Incoming::Unknown { name, id }) => server.send(&DriverMessage::Unsupported {
                id,
                message: format!("unknown message `{name}`"),
            })?,
            Err(error) => return Err(io::Error::other(error).into()),
        }
    }
    Ok(())
}

struct DriverServer {
    find: FindDriver,
    module: &'static str,
    writer: Arc<Mutex<FrameWriter>>,
    socket: Arc<FrameSocket>,
    level: RemoteLevel,
    host: Option<Host>,
    driver: Option<DriverCalls>,
}

impl DriverServer {
    fn on_request(
        &mut self,
        mut request: DriverRequest,
        at: Instant,
        is_followed: bool,
    ) -> io::Result<()> {
        self.change_level(request.level_mut().copied().flatten());
        let (id, deadline_ms) = match &request {
            DriverRequest::Hello(HostHello { protocol, .. }) => {
                return check_version(*protocol);
            }
            // A call that was cancelled has returned.
            DriverRequest::Cancel => return Ok(()),
            DriverRequest::Open(open) => (open.id, open.deadline_ms),
            DriverRequest::Collect(collect) => (collect.id, collect.deadline_ms),
            DriverRequest::ListAlerts(list) => (list.id, list.deadline_ms),
            DriverRequest::ClearAlert(clear) => (clear.id, clear.deadline_ms),
            DriverRequest::ParseTrap(trap) => (trap.id, trap.deadline_ms),
            DriverRequest::ListResources(list) => (list.id, list.deadline_ms),
            DriverRequest::Identify(call)
            | DriverRequest::Capabilities(call)
            | DriverRequest::Close(call) => (call.id, call.deadline_ms),
        };
        let call = ServedCall {
            deadline: at + Duration::from_millis(deadline_ms),
            socket: Arc::clone(&self.socket),
            is_followed,
        };
        let context = Context::new(Context_TO::from_ptr(RRef::new(&call), TD_Opaque));
        let answer = match request {
            DriverRequest::Open(open) => self.open(open, &context),
            // What was refused when it was opened has nothing to close.
            DriverRequest::Close(_) if self.driver.is_none() => Ok(DriverAnswer::Done),
            request => self.call(&request, &context),
        };
        self.answer(id, answer)
    }

    fn change_level(&self, level: Option<LogLevel>) {
        self.level.change(level);
        if let Some(host) = &self.host {
            bridge::raise_level(host);
        }
    }

    fn open(
        &mut self,
        open: OpenMessage,
        call: &Context<'_>,
    ) -> Result<DriverAnswer, DriverFailure> {
        let Some(function) = (self.find)(&open.vendor, &open.model) else {
            let (vendor, model) = (open.vendor, open.model);
            return Err(Failure::misconfigured(format!(
                "the library has no driver for vendor `{vendor}`, model `{model}`"
            ))
            .into());
        };
        let level = open.level.parse();
        self.level.set(level.unwrap_or(log::LevelFilter::Info));
        let host = RemoteHost {
            name: open.storage_id.clone(),
            instance: 0,
            state_dir: open.state_dir,
            level: self.level.clone(),
            writer: Arc::clone(&self.writer),
        };
        let host = Host::new(Host_TO::from_value(host, TD_Opaque));
        bridge::install(&host, self.module);
        let storage = RegisteredStorage {
            id: open.storage_id,
            vendor: open.vendor,
            model: open.model,
            options: open.options,
            interval: open.interval_ms.map(Duration::from_millis),
        };
        let opened = host.scope(|| function(storage, &host, call));
        self.host = Some(host);
        self.driver = Some(opened.0?);
        Ok(DriverAnswer::Done)
    }

    fn call(
        &mut self,
        request: &DriverRequest,
        call: &Context<'_>,
    ) -> Result<DriverAnswer, DriverFailure> {
        match (&self.host, &mut self.driver) {
            (Some(host), Some(driver)) => host.scope(|| driver(request, call)),
            _ => Err(Failure::fatal("the driver is not open").into()),
        }
    }

    fn answer(&self, id: u64, answer: Result<DriverAnswer, DriverFailure>) -> io::Result<()> {
        let ended = |ended| self.send(&DriverMessage::Outcome(outcome(id, ended)));
        let sent = match answer {
            Ok(DriverAnswer::Done) => ended(Ok(())),
            Ok(DriverAnswer::Value(value)) => self.send(&DriverMessage::Result(ResultMessage {
                id,
                value,
                shared: None,
            })),
            Ok(DriverAnswer::Batch(batch)) => self.send_batch(id, &batch),
            Ok(DriverAnswer::Panicked(panic)) => {
                self.send(&DriverMessage::Outcome(panicked(id, panic)))
            }
            Err(DriverFailure::Failed(failure)) => ended(Err(failure)),
            Err(DriverFailure::Unsupported { message }) => self.send(&DriverMessage::Unsupported {
                id: Some(id),
                message,
            }),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => ended(Err(
                Failure::rejected("the answer is longer than a message can be"),
            )),
            sent => sent,
        }
    }

    fn send_batch(&self, id: u64, batch: &RecordBatch) -> io::Result<()> {
        let stream = encode(batch).map_err(io::Error::other)?;
        let mut result = ResultMessage {
            id,
            value: serde_json::Value::Null,
            shared: None,
        };
        if stream.len() <= MAX_INLINE || !CAN_SHARE_FILES {
            let message = DriverMessage::Result(result);
            return self.send_with(&message, FramePayload::Inline(&stream));
        }
        let shared = SharedPayload::create(|file| io::Write::write_all(file, &stream))?;
        result.shared = Some(SharedForm {
            len: shared.size(),
            file: None,
        });
        self.send_with(
            &DriverMessage::Result(result),
            FramePayload::Shared(shared.file()),
        )
    }

    fn send(&self, message: &DriverMessage) -> io::Result<()> {
        self.send_with(message, FramePayload::None)
    }

    fn send_with(&self, message: &DriverMessage, payload: FramePayload<'_>) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.send(message, payload)
    }
}

fn check_version(host: [u32; 2]) -> io::Result<()> {
    if host[0] == VERSION[0] {
        return Ok(());
    }
    let (found, own) = (host[0], VERSION[0]);
    Err(io::Error::other(format!(
        "the host speaks version {found} of the protocol, the driver speaks version {own}"
    )))
}

fn encode(batch: &RecordBatch) -> Result<Vec<u8>, arrow_schema::ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

/// The circumstances of one call.
struct ServedCall {
    deadline: Instant,
    socket: Arc<FrameSocket>,
    /// Whether the host had sent something more with the call.
    is_followed: bool,
}

impl abi::Context for ServedCall {
    fn remaining_ns(&self) -> u64 {
        let left = self.deadline.saturating_duration_since(Instant::now());
        u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)
    }

    /// During a call, the host sends `cancel` only, or closes the connection.
    fn cancelled(&self) -> bool {
        self.is_followed || is_readable(&self.socket)
    }

    fn attempt(&self) -> u32 {
        1
    }

    fn origin(&self) -> abi::Origin {
        abi::Origin::COLLECTION
    }

    fn parts(&self) -> RSlice<'_, abi::BatchPart<'_>> {
        RSlice::from_slice(&[])
    }

    fn get_extension(&self, _id: abi_stable::std_types::RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}
