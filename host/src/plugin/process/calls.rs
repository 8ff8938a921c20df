//! The calls of one process: sent, and matched with their outcomes.

use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Failure, Outcome};
use delfin_plugin_protocol::{
    CallMessage, CheckMessage, CreateMessage, FramePayload, FrameWriter, HostHello, HostMessage,
    SharedForm, VERSION,
};
use tokio::sync::oneshot;

use super::{
    payload::{self, EncodedRequest},
    wire::{self, CallNumber},
};
use crate::plugin::{
    call::{Call, CallResult, ExportRequest, InstanceSettings},
    death::ProcessDeath,
    host::InstanceHost,
};

pub(super) struct Calls {
    writer: FrameWriter,
    /// Number of the last call.
    last_id: u64,
    in_progress: Option<CallInProcess>,
    has_greeted: bool,
    name: String,
    state_dir: String,
    level: log::LevelFilter,
    /// Whether the process cannot receive descriptors.
    is_inline: bool,
}

struct CallInProcess {
    id: u64,
    started: Instant,
    /// How many rows its outcome can name.
    rows: u64,
    /// Whether the process has got it.
    is_sent: bool,
    /// Whether the exporter may leave the call out: then it has done nothing wrong.
    is_optional: bool,
    reply: oneshot::Sender<CallResult>,
}

impl Calls {
    pub(super) fn new(socket: Arc<OwnedFd>, host: &InstanceHost, is_inline: bool) -> Self {
        Self {
            writer: FrameWriter::new(socket),
            last_id: 0,
            in_progress: None,
            has_greeted: false,
            name: host.exporter.clone(),
            state_dir: host.state_dir.clone(),
            level: host.level,
            is_inline,
        }
    }

    /// Sends a call.
    ///
    /// # Errors
    ///
    /// The process does not read, or has ended.
    pub(super) fn call(
        &mut self,
        call: Call,
        deadline: Instant,
        reply: oneshot::Sender<CallResult>,
    ) -> io::Result<()> {
        self.greet()?;
        let is_optional = !matches!(call, Call::Export(..) | Call::Create(_));
        let number = self.start(deadline, is_optional, call.rows(), reply);
        let CallNumber { id, deadline_ms } = number;
        let plain = CallMessage { id, deadline_ms };
        let message = match call {
            Call::Check(settings) => HostMessage::Check(CheckMessage {
                id,
                deadline_ms,
                exporter: settings.exporter,
                config: settings.config,
            }),
            Call::Create(settings) => HostMessage::Create(self.create_message(number, settings)),
            Call::Export(request, attempt) => return self.export(number, &request, attempt),
            Call::Health => HostMessage::Health(plain),
            Call::Flush => HostMessage::Flush(plain),
            Call::Tick => HostMessage::Tick(plain),
            Call::Close => HostMessage::Close(plain),
        };
        self.send(&message, FramePayload::None)
    }

    /// Tells the call in progress that it should return.
    pub(super) fn cancel(&mut self) -> io::Result<()> {
        match self.in_progress {
            Some(_) => self.writer.send(&HostMessage::Cancel, FramePayload::None),
            None => Ok(()),
        }
    }

    /// How many rows the outcome of the call in progress can name.
    pub(super) fn rows_in_progress(&self) -> u64 {
        self.in_progress.as_ref().map_or(0, |call| call.rows)
    }

    pub(super) fn on_outcome(&mut self, id: u64, outcome: Outcome, panicked: bool) {
        let answered = self.in_progress.take_if(|call| call.id == id);
        let Some(call) = answered else { return };
        call.end(CallResult {
            panicked,
            ..CallResult::new(outcome)
        });
    }

    /// The process does not know a message.
    pub(super) fn on_unsupported(&mut self, id: Option<u64>, message: String) {
        let answered = self.in_progress.take_if(|call| Some(call.id) == id);
        let Some(call) = answered else { return };
        let outcome = if call.is_optional {
            Ok(())
        } else {
            Err(Failure::Misconfigured { message })
        };
        call.end(CallResult {
            is_unsupported: true,
            ..CallResult::new(outcome)
        });
    }

    /// The process has ended.
    pub(super) fn on_death(&mut self, death: &ProcessDeath) {
        if let Some(call) = self.in_progress.take() {
            let death = ProcessDeath {
                in_call: call.is_sent,
                ..death.clone()
            };
            call.end(CallResult {
                death: Some(death.clone()),
                ..CallResult::new(Err(Failure::fatal(&death)))
            });
        }
    }

    fn create_message(&self, number: CallNumber, settings: InstanceSettings) -> CreateMessage {
        CreateMessage {
            id: number.id,
            deadline_ms: number.deadline_ms,
            exporter: settings.exporter,
            name: self.name.clone(),
            instance: 0,
            state_dir: self.state_dir.clone(),
            level: self.level.as_str().to_lowercase(),
            config: settings.config,
        }
    }

    fn export(
        &mut self,
        number: CallNumber,
        request: &ExportRequest,
        attempt: u32,
    ) -> io::Result<()> {
        let EncodedRequest { payload, rows } = match payload::encode(request, self.is_inline) {
            Ok(encoded) => encoded,
            Err(error) => {
                let failure = Failure::retry(format!("cannot encode the rows: {error}"));
                self.on_outcome(number.id, Err(failure), false);
                return Ok(());
            }
        };
        let mut message = wire::export_message(number, request, attempt);
        message.rows = rows;
        if let FramePayload::Shared(shared) = payload.as_frame() {
            message.shared = Some(SharedForm { len: shared.size() });
        }
        self.send(&HostMessage::Export(message), payload.as_frame())
    }

    /// Sends the first message, once.
    fn greet(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_greeted, true) {
            return Ok(());
        }
        let hello = HostMessage::Hello(HostHello {
            protocol: VERSION,
            host: concat!("delfin-host ", env!("CARGO_PKG_VERSION")).to_owned(),
        });
        self.send(&hello, FramePayload::None)
    }

    fn send(&mut self, message: &HostMessage, payload: FramePayload<'_>) -> io::Result<()> {
        self.writer.send(message, payload)?;
        if let Some(call) = &mut self.in_progress {
            call.is_sent = true;
        }
        Ok(())
    }

    fn start(
        &mut self,
        deadline: Instant,
        is_optional: bool,
        rows: u64,
        reply: oneshot::Sender<CallResult>,
    ) -> CallNumber {
        self.last_id += 1;
        let started = Instant::now();
        self.in_progress = Some(CallInProcess {
            id: self.last_id,
            started,
            rows,
            is_sent: false,
            is_optional,
            reply,
        });
        let left = deadline.saturating_duration_since(started);
        CallNumber {
            id: self.last_id,
            deadline_ms: millis(left),
        }
    }
}

impl CallInProcess {
    fn end(self, result: CallResult) {
        // The receiver is gone if the call was abandoned.
        let _ = self.reply.send(CallResult {
            took: self.started.elapsed(),
            ..result
        });
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
