//! The process of one driver, and what the host says to it.
//!
//! Promises: each call is answered, at its deadline or soon after it at the latest; when a
//! process has ended, its process group is gone; nothing here waits for the process without a
//! limit.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use delfin_plugin_protocol::{DriverRequest, FramePayload, WireFrame};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{
    answer::{Answer, DriverEnd, DriverEvent, read},
    requests,
};
use crate::plugin::{
    RestartReason,
    host::InstanceHost,
    process::{Dialogue, Link, ProcessEnd, ProcessSource, log_level, runtime, supervise},
};

/// How long a process may take to log out.
const CLOSE_TIME: Duration = Duration::from_secs(3);

/// How long a process may take to exit afterwards.
const EXIT_TIME: Duration = Duration::from_secs(1);

/// Makes the message of a call from its number and from the milliseconds until its deadline.
pub(super) type MakeRequest = Box<dyn FnOnce(u64, u64) -> DriverRequest + Send>;

enum ProcessRequest {
    Call {
        make: MakeRequest,
        timeout: Duration,
        reply: Sender<Answer>,
    },
    /// The call in progress is past its deadline.
    Cancel,
}

/// Dropping it logs out, and ends the process.
pub(super) struct DriverProcess {
    requests: UnboundedSender<ProcessRequest>,
}

impl DriverProcess {
    /// Starts a process. `max_payload` limits the bytes of a payload.
    pub(super) fn start(
        source: &Arc<ProcessSource>,
        host: InstanceHost,
        max_payload: usize,
    ) -> io::Result<Self> {
        let (requests, received) = unbounded_channel();
        let (source, host) = (Arc::clone(source), Arc::new(host));
        // Before the caller makes the message that opens the driver: its level is no older.
        let calls = DriverDialogue::new(Arc::clone(&host));
        runtime()?.spawn(async move {
            supervise(&source, host, calls, received, max_payload).await;
        });
        Ok(Self { requests })
    }

    /// Makes a call, and waits for the answer.
    pub(super) fn call(&self, timeout: Duration, make: MakeRequest) -> Answer {
        let (reply, answer) = mpsc::channel();
        // The supervisor ends only after its process handle, or with its runtime.
        let _ = self.requests.send(ProcessRequest::Call {
            make,
            timeout,
            reply,
        });
        match answer.recv_timeout(timeout) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) => {
                // As above. The process answers or is ended soon.
                let _ = self.requests.send(ProcessRequest::Cancel);
            }
            Err(RecvTimeoutError::Disconnected) => {}
        }
        let gone = || unusable("is supervised no more: the host stops".to_owned());
        answer.recv().unwrap_or_else(|_| Answer::Ended(gone()))
    }
}

/// The calls of one process: sent, and matched with their answers.
struct DriverDialogue {
    host: Arc<InstanceHost>,
    last_id: u64,
    in_progress: Option<DriverCallInProgress>,
    /// The level that the process knows.
    level: log::LevelFilter,
}

struct DriverCallInProgress {
    id: u64,
    /// `None`: no one waits for the answer.
    reply: Option<Sender<Answer>>,
}

impl Dialogue for DriverDialogue {
    type Request = ProcessRequest;
    type Event = DriverEvent;

    fn on_start(&mut self, link: &mut Link) {
        link.send(&requests::hello(), FramePayload::None);
    }

    async fn on_request(&mut self, request: ProcessRequest, link: &mut Link) {
        match request {
            ProcessRequest::Call {
                make,
                timeout,
                reply,
            } => self.call(make, timeout, Some(reply), link),
            // Otherwise the call was answered meanwhile.
            ProcessRequest::Cancel if self.in_progress.is_some() => {
                link.cancel(&DriverRequest::Cancel);
            }
            ProcessRequest::Cancel => {}
        }
    }

    fn on_release(&mut self, link: &mut Link) {
        self.call(Box::new(requests::close), CLOSE_TIME, None, link);
        link.release(CLOSE_TIME);
    }

    fn decoder(&self) -> impl FnOnce(WireFrame) -> Result<DriverEvent, String> + Send + 'static {
        let host = Arc::clone(&self.host);
        move |frame| read(frame, &host)
    }

    fn on_event(&mut self, event: DriverEvent, link: &mut Link) {
        let DriverEvent::Answer(id, answer) = event else {
            return;
        };
        if self.in_progress.as_ref().is_none_or(|call| call.id != id) {
            return;
        }
        self.answer(answer);
        if link.ending.is_released() {
            // The process exits at the end of its connection.
            link.close();
            link.release(EXIT_TIME);
        } else {
            link.ending.withdraw_cancel();
        }
    }

    fn on_end(&mut self, end: &ProcessEnd) {
        let ended = ended(end);
        match end {
            ProcessEnd::Ended {
                is_released: false, ..
            } => log::warn!(storage = self.host.exporter; "{}", ended.text),
            ProcessEnd::NotStarted(_) | ProcessEnd::Ended { .. } => {}
        }
        self.answer(Answer::Ended(ended));
    }

    fn refuse(&self, request: ProcessRequest, end: &ProcessEnd) {
        match request {
            ProcessRequest::Call { reply, .. } => {
                // The receiver is gone if the call was abandoned.
                let _ = reply.send(Answer::Ended(ended(end)));
            }
            ProcessRequest::Cancel => {}
        }
    }
}

impl DriverDialogue {
    fn new(host: Arc<InstanceHost>) -> Self {
        Self {
            level: host.level(),
            host,
            last_id: 0,
            in_progress: None,
        }
    }

    fn call(
        &mut self,
        make: MakeRequest,
        timeout: Duration,
        reply: Option<Sender<Answer>>,
        link: &mut Link,
    ) {
        self.last_id += 1;
        self.in_progress = Some(DriverCallInProgress {
            id: self.last_id,
            reply,
        });
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let mut request = make(self.last_id, millis);
        self.add_level(&mut request);
        link.send(&request, FramePayload::None);
    }

    /// Tells the process the level of the log, if it knows another one.
    fn add_level(&mut self, request: &mut DriverRequest) {
        let level = self.host.level();
        if level != self.level
            && let Some(sent) = request.level_mut()
        {
            *sent = Some(log_level(level));
            self.level = level;
        }
    }

    fn answer(&mut self, answer: Answer) {
        let reply = self.in_progress.take().and_then(|call| call.reply);
        if let Some(reply) = reply {
            // The receiver is gone if the call was abandoned.
            let _ = reply.send(answer);
        }
    }
}

fn ended(end: &ProcessEnd) -> DriverEnd {
    match end {
        ProcessEnd::NotStarted(error) => unusable(format!("cannot be started: {error}")),
        ProcessEnd::Ended { cause, .. } => DriverEnd {
            reason: RestartReason::from(cause),
            text: format!("the driver process {cause}"),
        },
    }
}

/// The text continues after "the driver process".
fn unusable(text: String) -> DriverEnd {
    DriverEnd {
        reason: RestartReason::Unusable,
        text: format!("the driver process {text}"),
    }
}
