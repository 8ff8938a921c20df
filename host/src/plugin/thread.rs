//! An exporter instance in a thread of the host.
//!
//! Calls are made one at a time, in order. Nothing here blocks: a result comes
//! through a [`Reply`], and the caller decides how long to wait for it.

use std::{
    sync::{
        Arc,
        atomic::AtomicBool,
        mpsc::{Sender, channel},
    },
    time::Instant,
};

use abi_stable::{RRef, sabi_trait::TD_Opaque};
use delfin_plugin_abi::{
    self as abi, ArrowBatch, Context_TO, ContextRef, ExporterBox, Host_TO, OutcomeCode,
};
use delfin_plugin_api::{__glue::export_arrow, decode_outcome, encode_outcome};
use delfin_plugin_loader::PluginModule;
use tokio::sync::oneshot;

use super::{
    bounds::bounded,
    call::{Call, CallContext, CallResult, CancelSource, InstanceSettings, Reply},
    death::{Ended, ProcessDeath},
    host::InstanceHost,
    settings::SettingsCheck,
};

/// Dropping an instance ends its thread after the call in progress.
pub(super) struct ThreadInstance {
    requests: Sender<Request>,
    cancelled: Arc<AtomicBool>,
    ended: Ended,
}

struct Request {
    call: Call,
    deadline: Instant,
    reply: oneshot::Sender<CallResult>,
}

impl ThreadInstance {
    /// Starts a thread, without an instance.
    ///
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub(super) fn start(plugin: PluginModule, host: InstanceHost) -> std::io::Result<Self> {
        let (requests, received) = channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let (end, ended) = oneshot::channel();
        let instance = Self {
            requests,
            cancelled: Arc::clone(&cancelled),
            ended,
        };
        let thread = std::thread::Builder::new().name(thread_name(&host.exporter));
        thread.spawn(move || {
            let _end: oneshot::Sender<ProcessDeath> = end;
            let mut caller = PluginCaller {
                plugin,
                host,
                exporter: None,
                cancelled,
            };
            for request in received {
                let result = caller.make(&request);
                // The receiver is gone if the call was abandoned.
                let _ = request.reply.send(result);
            }
        })?;
        Ok(instance)
    }

    /// Starts a call that should return by the deadline.
    pub(super) fn call(&self, call: Call, deadline: Instant) -> Reply {
        let (reply, result) = Reply::channel();
        // If the thread has ended the request is dropped, and the reply with it.
        let _ = self.requests.send(Request {
            call,
            deadline,
            reply,
        });
        result
    }

    /// Ends the thread after the call in progress. The sender of the returned channel
    /// is dropped once the plugin has dropped the instance.
    pub(super) fn ended(self) -> Ended {
        self.ended
    }

    /// Tells the call in progress that its result is not waited for any more.
    pub(super) fn cancel(&self) {
        self.cancelled
            .store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl std::fmt::Debug for ThreadInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadInstance").finish_non_exhaustive()
    }
}

/// Makes the calls, on the thread of the instance.
struct PluginCaller {
    plugin: PluginModule,
    host: InstanceHost,
    exporter: Option<ExporterBox>,
    cancelled: Arc<AtomicBool>,
}

impl PluginCaller {
    fn make(&mut self, request: &Request) -> CallResult {
        let context = self.context(request);
        let outcome = match &request.call {
            Call::Check(settings) => match SettingsCheck::of(self.plugin) {
                Some(check) => encode_outcome(check.run(settings)),
                None => return CallResult::unsupported(),
            },
            Call::Create(settings) => self.create(settings),
            Call::Export(batch, _) => {
                let (array, schema) = export_arrow(&batch.arrow);
                let schema = schema.lend();
                let rows = ArrowBatch { array, schema };
                self.call(|exporter| exporter.export(rows, lend(&context)))
            }
            Call::Health => self.call(|exporter| exporter.health(lend(&context))),
            Call::Flush => self.call(|exporter| exporter.flush(lend(&context))),
            Call::Tick => self.call(|exporter| exporter.tick(lend(&context))),
            Call::Close => self.call(|exporter| exporter.close(lend(&context))),
        };
        let outcome = bounded(outcome, request.call.rows(), &self.host.redactor);
        CallResult {
            panicked: outcome.code == OutcomeCode::RESTART_PANICKED,
            ..CallResult::new(decode_outcome(outcome))
        }
    }

    fn create(&mut self, settings: &InstanceSettings) -> abi::Outcome {
        let config = serde_json::Value::Object(settings.config.clone()).to_string();
        let host = Host_TO::from_value(self.host.clone(), TD_Opaque);
        match self
            .plugin
            .create_exporter(&settings.exporter, &config, host)
        {
            Ok(exporter) => {
                self.exporter = Some(exporter);
                abi::Outcome::delivered()
            }
            Err(outcome) => outcome,
        }
    }

    fn call(&mut self, make: impl FnOnce(&mut ExporterBox) -> abi::Outcome) -> abi::Outcome {
        match &mut self.exporter {
            Some(exporter) => make(exporter),
            None => abi::Outcome::new(OutcomeCode::RESTART, "there is no instance"),
        }
    }

    fn context<'a>(&self, request: &'a Request) -> CallContext<'a> {
        let (attempt, origin, parts) = match &request.call {
            Call::Export(batch, attempt) => (*attempt, batch.origin.into(), batch.parts()),
            Call::Check(_)
            | Call::Create(_)
            | Call::Health
            | Call::Flush
            | Call::Tick
            | Call::Close => (1, abi::Origin(0), Vec::new()),
        };
        CallContext {
            deadline: request.deadline,
            cancelled: CancelSource::Flag(Arc::clone(&self.cancelled)),
            attempt,
            origin,
            parts,
        }
    }
}

fn lend<'a>(context: &'a CallContext<'_>) -> ContextRef<'a> {
    Context_TO::from_ptr(RRef::new(context), TD_Opaque)
}

/// Linux shows 15 bytes of a thread's name: the end of an exporter's name tells
/// more than its beginning.
fn thread_name(exporter: &str) -> String {
    let start = exporter.len().saturating_sub(15);
    exporter.get(start..).unwrap_or(exporter).to_owned()
}
