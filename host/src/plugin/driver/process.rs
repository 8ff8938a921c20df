//! The process of one driver, and the thread of the host that supervises it.
//!
//! Promises: each call is answered, at its deadline or soon after it at the latest; when a
//! process has ended, its process group is gone; nothing here waits for the process without a
//! limit.

use std::{
    fmt::Display,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    time::{Duration, Instant},
};

use delfin_plugin_protocol::{DriverRequest, FrameError, FrameReader, FrameWriter, Progress};
use rustix::{
    event::{PollFd, PollFlags, poll},
    net::Shutdown,
    process::{Signal, kill_process_group},
};

use super::{
    answer::{Answer, DriverEnd, DriverEvent, read},
    requests,
};
use crate::plugin::{
    RestartReason,
    death::DeathCause,
    host::InstanceHost,
    process::{
        ProcessSource, Wake,
        ending::{Ending, KILL_AFTER},
        output::ProcessOutput,
        registry::{RegisteredProcess, end_orphans},
        spawn::{Spawned, spawn},
    },
};

/// How long a process may take to log out.
const CLOSE_TIME: Duration = Duration::from_secs(3);

/// How many messages are read before the other things are looked at.
const MESSAGES_AT_ONCE: usize = 64;

/// How often messages and output of a process that has ended are read.
const LAST_ROUNDS: usize = 64;

/// Makes the message of a call from its number and from the milliseconds until its deadline.
pub(super) type MakeRequest = Box<dyn FnOnce(u64, u64) -> DriverRequest + Send>;

/// A call, and where its answer goes.
struct DriverCall {
    make: MakeRequest,
    timeout: Duration,
    reply: Sender<Answer>,
}

/// Dropping it logs out, and ends the process.
pub(super) struct DriverProcess {
    calls: Sender<DriverCall>,
    /// Tells the supervisor that there is a call, or that there will be no more.
    wake: Wake,
}

impl DriverProcess {
    /// Starts a process. `max_payload` limits the bytes of a payload.
    pub(super) fn start(
        source: &Arc<ProcessSource>,
        host: InstanceHost,
        max_payload: usize,
    ) -> io::Result<Self> {
        let (calls, received) = mpsc::channel();
        let wake = Wake::new()?;
        let (source, woken) = (Arc::clone(source), wake.descriptor());
        let thread = std::thread::Builder::new().name(format!("driver {}", host.exporter));
        // The kernel ends the process when the thread that has started it ends: the
        // supervisor starts it itself.
        thread.spawn(move || supervise(&source, host, &received, woken, max_payload))?;
        Ok(Self { calls, wake })
    }

    /// Makes a call, and waits for the answer.
    pub(super) fn call(&self, timeout: Duration, make: MakeRequest) -> Answer {
        let (reply, answer) = mpsc::channel();
        let call = DriverCall {
            make,
            timeout,
            reply,
        };
        // The supervisor ends only after its process handle.
        let _ = self.calls.send(call);
        self.wake.wake();
        let gone = || Answer::Ended(unusable("the thread that supervises it has ended"));
        answer.recv().unwrap_or_else(|_| gone())
    }
}

fn supervise(
    source: &ProcessSource,
    host: InstanceHost,
    calls: &Receiver<DriverCall>,
    woken: Arc<OwnedFd>,
    max_payload: usize,
) {
    let end = match spawn(source, &host.exporter) {
        Ok((process, output)) => {
            host.process.set(process.pid);
            DriverSupervisor::new(process, output, host, woken, max_payload).run(calls)
        }
        Err(error) => unusable(format!("cannot be started: {error}")),
    };
    for call in calls {
        // The receiver is gone if the call was abandoned.
        let _ = call.reply.send(Answer::Ended(end.clone()));
    }
}

/// The text continues after "the driver process".
fn unusable(text: impl Display) -> DriverEnd {
    DriverEnd {
        reason: RestartReason::Unusable,
        text: format!("the driver process {text}"),
    }
}

struct DriverSupervisor {
    host: InstanceHost,
    woken: Arc<OwnedFd>,
    process: Spawned,
    /// Until the process is reaped.
    registration: Option<RegisteredProcess>,
    reader: FrameReader,
    writer: FrameWriter,
    output: ProcessOutput,
    last_id: u64,
    in_progress: Option<DriverCallInProgress>,
    /// Whether the connection and the output are still open.
    is_connected: bool,
    has_output: bool,
    /// Whether the driver was dropped, so that the process should exit.
    is_released: bool,
    ending: Ending,
}

struct DriverCallInProgress {
    id: u64,
    deadline: Instant,
    /// `None`: no one waits for the answer.
    reply: Option<Sender<Answer>>,
}

impl DriverSupervisor {
    fn new(
        process: Spawned,
        output: OwnedFd,
        host: InstanceHost,
        woken: Arc<OwnedFd>,
        max_payload: usize,
    ) -> Self {
        Self {
            host,
            woken,
            registration: Some(RegisteredProcess::new(process.pid, &process.pidfd)),
            reader: FrameReader::new(Arc::clone(&process.socket), max_payload),
            writer: FrameWriter::new(Arc::clone(&process.socket)),
            output: ProcessOutput::new(output),
            process,
            last_id: 0,
            in_progress: None,
            is_connected: true,
            has_output: true,
            is_released: false,
            ending: Ending::default(),
        }
    }

    /// Supervises the process until it has ended. Returns how it ended.
    fn run(mut self, calls: &Receiver<DriverCall>) -> DriverEnd {
        self.send(&requests::hello());
        while !self.wait() {
            self.receive_calls(calls);
            self.receive_messages();
            if self.has_output {
                self.has_output = self.output.read(&self.host);
            }
            self.end_when_due();
        }
        let cause = self.reap();
        let end = DriverEnd {
            reason: RestartReason::from(&cause),
            text: format!("the driver process {cause}"),
        };
        if !self.is_released {
            log::warn!(storage = self.host.exporter; "{}", end.text);
        }
        self.answer(Answer::Ended(end.clone()));
        end
    }

    /// Waits until something happens. Returns whether the process has ended.
    fn wait(&self) -> bool {
        let deadline = self.in_progress.as_ref().map(|call| call.deadline);
        let deadline = deadline.filter(|_| self.ending.cause.is_none());
        let timeout = self.ending.timeout(deadline);
        let mut waited = vec![
            PollFd::new(&self.process.pidfd, PollFlags::IN),
            PollFd::new(&self.woken, PollFlags::IN),
        ];
        if self.is_connected {
            waited.push(PollFd::new(&self.process.socket, PollFlags::IN));
        }
        if self.has_output {
            waited.push(PollFd::new(self.output.pipe(), PollFlags::IN));
        }
        // An error is an interruption, after which everything is looked at again.
        let _ = poll(&mut waited, timeout.as_ref());
        let has_ended = !waited[0].revents().is_empty();
        // The counter may be 0 already.
        let _ = rustix::io::read(&self.woken, &mut [0; 8]);
        has_ended
    }

    fn receive_calls(&mut self, calls: &Receiver<DriverCall>) {
        while !self.is_released {
            match calls.try_recv() {
                Ok(call) => {
                    self.start(call.timeout, Some(call.reply), call.make);
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.is_released = true;
                    self.start(CLOSE_TIME, None, Box::new(requests::close));
                }
            }
        }
    }

    fn start(&mut self, timeout: Duration, reply: Option<Sender<Answer>>, make: MakeRequest) {
        self.last_id += 1;
        self.in_progress = Some(DriverCallInProgress {
            id: self.last_id,
            deadline: Instant::now() + timeout,
            reply,
        });
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.send(&make(self.last_id, millis));
    }

    fn send(&mut self, request: &DriverRequest) {
        let sent = self
            .writer
            .send(request, delfin_plugin_protocol::FramePayload::None);
        if let Err(error) = sent {
            self.ending.on_unsent(error);
        }
    }

    fn receive_messages(&mut self) {
        for _ in 0..MESSAGES_AT_ONCE {
            if !self.is_connected {
                return;
            }
            let broken = match self.reader.try_read() {
                Ok(Progress::Frame(frame)) => match read(frame, &self.host) {
                    Ok(DriverEvent::Answer(id, answer)) => {
                        self.on_answer(id, answer);
                        continue;
                    }
                    Ok(DriverEvent::Other) => continue,
                    Err(reason) => reason,
                },
                Ok(Progress::Part) => return,
                Ok(Progress::End) | Err(FrameError::Io(_) | FrameError::CutOff) => {
                    self.is_connected = false;
                    self.ending.on_closed();
                    return;
                }
                Err(error) => error.to_string(),
            };
            self.is_connected = false;
            self.ending.on_broken(broken);
        }
    }

    fn on_answer(&mut self, id: u64, answer: Answer) {
        if self.in_progress.as_ref().is_none_or(|call| call.id != id) {
            return;
        }
        self.answer(answer);
        if self.is_released {
            // The process exits at the end of its connection.
            let _ = rustix::net::shutdown(&self.process.socket, Shutdown::Write);
            self.ending.terminate_at = Some(Instant::now() + KILL_AFTER);
        } else {
            self.ending.withdraw_cancel();
        }
    }

    fn answer(&mut self, answer: Answer) {
        let reply = self.in_progress.take().and_then(|call| call.reply);
        if let Some(reply) = reply {
            // The receiver is gone if the call was abandoned.
            let _ = reply.send(answer);
        }
    }

    fn end_when_due(&mut self) {
        let deadline = self.in_progress.as_ref().map(|call| call.deadline);
        let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
        if is_late && self.ending.cause.is_none() {
            self.ending.on_cancel();
            self.send(&DriverRequest::Cancel);
        }
        self.ending
            .signal_when_due(&self.process, !self.is_connected);
    }

    fn reap(&mut self) -> DeathCause {
        // Before the process is reaped, its number cannot be that of another group.
        let _ = kill_process_group(self.process.pid, Signal::KILL);
        self.host.process.forget(self.process.pid);
        // The last messages say why it has ended. Processes that it left behind can hold its
        // connection and write indefinitely.
        for _ in 0..LAST_ROUNDS {
            self.receive_messages();
            self.has_output = self.has_output && self.output.read(&self.host);
        }
        let status = self.process.child.wait();
        self.registration = None;
        let orphans = end_orphans();
        // At the stop of the host, all processes are ended at once.
        if orphans > 0 && !self.is_released {
            log::warn!(storage = self.host.exporter, processes = orphans; "killed processes that the driver process had started and left behind");
        }
        self.ending.cause_of(status)
    }
}
