//! An exporter instance in a thread of the host.
//!
//! Calls are made one at a time, in order. Nothing here blocks: a result comes
//! through a [`Reply`], and the caller decides how long to wait for it.

use std::{
    sync::{
        Arc,
        atomic::AtomicBool,
        mpsc::{Receiver, Sender, channel},
    },
    time::Instant,
};

use abi_stable::{
    RRef,
    sabi_trait::TD_Opaque,
    std_types::{RResult, RStr},
};
use delfin_plugin_abi::{
    self as abi, ArrowBatch, Context_TO, ContextRef, ExporterBox, Host_TO, OutcomeCode, PluginRef,
};
use delfin_plugin_api::{__glue::export_arrow, decode_outcome};
use tokio::sync::oneshot;

use super::{
    bounds::bounded,
    call::{Call, CallContext, CallResult, Reply},
    death::{Ended, ProcessDeath},
    host::InstanceHost,
    redactor::SharedRedactor,
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
    /// Creates an instance of the plugin's exporter of this name, on a new thread.
    /// The reply has the result.
    ///
    /// # Errors
    ///
    /// The system cannot start a thread.
    pub(super) fn create(
        plugin: PluginRef,
        exporter: &str,
        config: &serde_json::Map<String, serde_json::Value>,
        host: InstanceHost,
    ) -> std::io::Result<(Self, Reply)> {
        let (requests, received) = channel();
        let (reply, created) = oneshot::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let (end, ended) = oneshot::channel();
        let instance = Self {
            requests,
            cancelled: Arc::clone(&cancelled),
            ended,
        };
        let exporter = exporter.to_owned();
        let config = serde_json::Value::Object(config.clone()).to_string();
        let thread = std::thread::Builder::new().name(thread_name(&host.exporter));
        thread.spawn(move || {
            let _end: oneshot::Sender<ProcessDeath> = end;
            let (started, redactor) = (Instant::now(), host.redactor.clone());
            let result = |outcome| result(bounded(outcome, 0, &redactor), started);
            let host = Host_TO::from_value(host, TD_Opaque);
            let create = plugin.create_exporter();
            match create(RStr::from(&*exporter), RStr::from(&*config), host) {
                RResult::ROk(exporter) => {
                    // The receiver is gone if the instance was abandoned.
                    let _ = reply.send(result(abi::Outcome::delivered()));
                    serve(exporter, &received, &cancelled, &redactor);
                }
                RResult::RErr(outcome) => drop(reply.send(result(outcome))),
            }
        })?;
        Ok((instance, created))
    }

    /// Starts a call that should return by the deadline.
    pub(super) fn call(&self, call: Call, deadline: Instant) -> Reply {
        let (reply, result) = oneshot::channel();
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

fn serve(
    mut exporter: ExporterBox,
    requests: &Receiver<Request>,
    cancelled: &Arc<AtomicBool>,
    redactor: &SharedRedactor,
) {
    for Request {
        call,
        deadline,
        reply,
    } in requests
    {
        let started = Instant::now();
        let mut context = CallContext {
            deadline,
            cancelled: Arc::clone(cancelled),
            attempt: 1,
            origin: abi::Origin(0),
            parts: Vec::new(),
        };
        let outcome = match &call {
            Call::Export(batch, attempt) => {
                context.attempt = *attempt;
                context.origin = batch.origin.into();
                context.parts = batch.parts();
                let (array, schema) = export_arrow(&batch.arrow);
                exporter.export(
                    ArrowBatch {
                        array,
                        schema: schema.lend(),
                    },
                    lend(&context),
                )
            }
            Call::Flush => exporter.flush(lend(&context)),
            Call::Tick => exporter.tick(lend(&context)),
            Call::Close => exporter.close(lend(&context)),
        };
        let outcome = bounded(outcome, call.rows(), redactor);
        // The receiver is gone if the call was abandoned.
        let _ = reply.send(result(outcome, started));
    }
}

fn lend<'a>(context: &'a CallContext<'_>) -> ContextRef<'a> {
    Context_TO::from_ptr(RRef::new(context), TD_Opaque)
}

fn result(outcome: abi::Outcome, started: Instant) -> CallResult {
    CallResult {
        panicked: outcome.code == OutcomeCode::RESTART_PANICKED,
        outcome: decode_outcome(outcome),
        death: None,
        took: started.elapsed(),
    }
}

/// Linux shows 15 bytes of a thread's name: the end of an exporter's name tells
/// more than its beginning.
pub(super) fn thread_name(exporter: &str) -> String {
    let start = exporter.len().saturating_sub(15);
    exporter.get(start..).unwrap_or(exporter).to_owned()
}
