//! The calls of one exporter's process: sent, and matched with their outcomes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::{Failure, Outcome, decode_outcome};
use delfin_plugin_protocol::{
    CallMessage, CheckMessage, CreateMessage, FramePayload, HostHello, HostMessage, LogLevel,
    VERSION, WireFrame,
};
use tokio::sync::oneshot;

use super::{
    after_end::result_after,
    dialogue::{Dialogue, ProcessEnd},
    incoming::{self, ExporterEvent},
    link::Link,
    payload::{self, EncodedRequest, PayloadForm},
    wire::{self, CallNumber},
};
use crate::{
    batch::BatchPayload,
    plugin::{
        call::{Call, CallResult, ExportRequest, InstanceSettings},
        host::InstanceHost,
    },
};

pub(super) enum ExporterRequest {
    Call {
        call: Call,
        deadline: Instant,
        reply: oneshot::Sender<CallResult>,
    },
    /// Give up the call in progress: end the process, unless the call returns soon.
    Cancel,
}

pub(super) struct Calls {
    host: Arc<InstanceHost>,
    /// Number of the last call.
    last_id: u64,
    in_progress: Option<CallInProcess>,
    form: PayloadForm,
    /// How long the process may take to exit.
    exit_time: Duration,
    /// The level that the process knows, once it has an instance.
    level: Option<log::LevelFilter>,
}

struct CallInProcess {
    id: u64,
    /// How many rows its outcome can name.
    rows: u64,
    /// Whether the process has got it.
    is_sent: bool,
    /// Whether the exporter may leave the call out: then it has done nothing wrong.
    is_optional: bool,
    /// The rows of the call, which the process reads until it answers or ends.
    payload: Option<Arc<BatchPayload>>,
    reply: oneshot::Sender<CallResult>,
}

impl Dialogue for Calls {
    type Request = ExporterRequest;
    type Event = ExporterEvent;

    fn on_start(&mut self, link: &mut Link) {
        let hello = HostMessage::Hello(HostHello {
            protocol: VERSION,
            host: concat!("delfin-host ", env!("CARGO_PKG_VERSION")).to_owned(),
        });
        link.send(&hello, FramePayload::None);
    }

    async fn on_request(&mut self, request: ExporterRequest, link: &mut Link) {
        match request {
            ExporterRequest::Call {
                call,
                deadline,
                reply,
            } => self.call(call, deadline, reply, link).await,
            // Otherwise the call has returned meanwhile.
            ExporterRequest::Cancel if self.in_progress.is_some() => {
                link.cancel(&HostMessage::Cancel);
            }
            ExporterRequest::Cancel => {}
        }
    }

    fn on_release(&mut self, link: &mut Link) {
        link.close();
        link.release(self.exit_time);
    }

    fn decoder(&self) -> impl FnOnce(WireFrame) -> Result<ExporterEvent, String> + Send + 'static {
        let rows = self.in_progress.as_ref().map_or(0, |call| call.rows);
        let host = Arc::clone(&self.host);
        move |frame| incoming::read(&frame, rows, &host)
    }

    fn on_event(&mut self, event: ExporterEvent, link: &mut Link) {
        match event {
            ExporterEvent::Hello { keeps_files: true } if self.form == PayloadForm::Sealed => {
                self.form = PayloadForm::File;
            }
            ExporterEvent::Outcome {
                id,
                outcome,
                keeps_rows,
            } => {
                link.ending.withdraw_cancel();
                let panicked = outcome.code == OutcomeCode::RESTART_PANICKED;
                self.release_rows(id, keeps_rows);
                self.on_outcome(id, decode_outcome(outcome), panicked);
            }
            ExporterEvent::Unsupported { id, message } => {
                self.release_rows(id.unwrap_or_default(), true);
                self.on_unsupported(id, message);
            }
            ExporterEvent::Hello { .. } | ExporterEvent::Other => {}
        }
    }

    fn on_end(&mut self, end: &ProcessEnd) {
        if let Some(call) = self.in_progress.take() {
            // The receiver is gone if the call was abandoned.
            let _ = call.reply.send(result_after(end, call.is_sent));
        }
    }

    fn refuse(&self, request: ExporterRequest, end: &ProcessEnd) {
        match request {
            ExporterRequest::Call { reply, .. } => {
                // As above.
                let _ = reply.send(result_after(end, false));
            }
            ExporterRequest::Cancel => {}
        }
    }
}

impl Calls {
    pub(super) fn new(host: Arc<InstanceHost>, form: PayloadForm, exit_time: Duration) -> Self {
        Self {
            host,
            last_id: 0,
            in_progress: None,
            form,
            exit_time,
            level: None,
        }
    }

    /// The level, if the process knows another one.
    fn changed_level(&mut self) -> Option<LogLevel> {
        let level = self.host.level();
        let known = self.level.replace(level);
        (known != Some(level)).then(|| wire::log_level(level))
    }

    async fn call(
        &mut self,
        call: Call,
        deadline: Instant,
        reply: oneshot::Sender<CallResult>,
        link: &mut Link,
    ) {
        let is_optional = !matches!(call, Call::Export(..) | Call::Create(_));
        let number = self.start(deadline, is_optional, call.rows(), reply);
        let CallNumber { id, deadline_ms } = number;
        let plain = |level| CallMessage {
            id,
            deadline_ms,
            level,
        };
        let message = match call {
            Call::Check(settings) => HostMessage::Check(CheckMessage {
                id,
                deadline_ms,
                exporter: settings.exporter,
                config: settings.config,
            }),
            Call::Create(settings) => HostMessage::Create(self.create_message(number, settings)),
            Call::Export(request, attempt) => {
                return self.export(number, request, attempt, link).await;
            }
            Call::Health => HostMessage::Health(plain(self.changed_level())),
            Call::Flush => HostMessage::Flush(plain(self.changed_level())),
            Call::Tick => HostMessage::Tick(plain(self.changed_level())),
            Call::Close => HostMessage::Close(plain(self.changed_level())),
        };
        self.send(&message, FramePayload::None, link);
    }

    async fn export(
        &mut self,
        number: CallNumber,
        request: Arc<ExportRequest>,
        attempt: u32,
        link: &mut Link,
    ) {
        let mut message = wire::export_message(number, &request, attempt);
        message.level = self.changed_level();
        let EncodedRequest { payload, rows } = match payload::encode(request, self.form).await {
            Ok(encoded) => encoded,
            Err(error) => {
                let failure = Failure::retry(format!("cannot encode the rows: {error}"));
                return self.on_outcome(number.id, Err(failure), false);
            }
        };
        message.rows = rows;
        let (shared, frame) = self.form.frame(&payload);
        message.shared = shared;
        if let Some(call) = &mut self.in_progress {
            call.payload = Some(Arc::clone(&payload));
        }
        self.send(&HostMessage::Export(message), frame, link);
    }

    /// The process does not read the rows of a call any more, unless it keeps them.
    fn release_rows(&mut self, id: u64, keeps_rows: bool) {
        let answered = self.in_progress.as_mut().filter(|call| call.id == id);
        let payload = answered.and_then(|call| call.payload.take());
        if let Some(payload) = payload.filter(|_| keeps_rows) {
            payload.retain();
        }
    }

    fn send(&mut self, message: &HostMessage, payload: FramePayload<'_>, link: &mut Link) {
        link.send(message, payload);
        if let Some(call) = &mut self.in_progress {
            call.is_sent = true;
        }
    }

    fn on_outcome(&mut self, id: u64, outcome: Outcome, panicked: bool) {
        let answered = self.in_progress.take_if(|call| call.id == id);
        let Some(call) = answered else { return };
        // The receiver is gone if the call was abandoned.
        let _ = call.reply.send(CallResult {
            panicked,
            ..CallResult::new(outcome)
        });
    }

    /// The process does not know a message.
    fn on_unsupported(&mut self, id: Option<u64>, message: String) {
        let answered = self.in_progress.take_if(|call| Some(call.id) == id);
        let Some(call) = answered else { return };
        let outcome = if call.is_optional {
            Ok(())
        } else {
            Err(Failure::Misconfigured { message })
        };
        // As above.
        let _ = call.reply.send(CallResult {
            is_unsupported: true,
            ..CallResult::new(outcome)
        });
    }

    fn create_message(&mut self, number: CallNumber, settings: InstanceSettings) -> CreateMessage {
        let level = self.host.level();
        self.level = Some(level);
        CreateMessage {
            id: number.id,
            deadline_ms: number.deadline_ms,
            exporter: settings.exporter,
            name: self.host.exporter.clone(),
            instance: 0,
            state_dir: self.host.state_dir.clone(),
            level: level.as_str().to_lowercase(),
            config: settings.config,
        }
    }

    fn start(
        &mut self,
        deadline: Instant,
        is_optional: bool,
        rows: u64,
        reply: oneshot::Sender<CallResult>,
    ) -> CallNumber {
        self.last_id += 1;
        self.in_progress = Some(CallInProcess {
            id: self.last_id,
            rows,
            is_sent: false,
            is_optional,
            payload: None,
            reply,
        });
        let left = deadline.saturating_duration_since(Instant::now());
        CallNumber {
            id: self.last_id,
            deadline_ms: millis(left),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
