//! The thread of the host that supervises one process.
//!
//! It waits for four things at once: requests of the host, messages of the process, its
//! output, and its end. One wait, so that nothing that the process does or omits can keep
//! the thread from ending it.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

use delfin_plugin_abi::OutcomeCode;
use delfin_plugin_api::{Failure, decode_outcome};
use delfin_plugin_protocol::{
    ExporterMessage, FrameError, FrameReader, Incoming, OutcomeMessage, Progress, VERSION,
    WireFrame, decode,
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    net::Shutdown,
    process::{Signal, kill_process_group},
};
use tokio::sync::oneshot;

use super::{
    ProcessSource,
    calls::Calls,
    ending::Ending,
    output::ProcessOutput,
    registry::{RegisteredProcess, end_orphans},
    spawn::{Spawned, spawn},
    wire,
};
use crate::{
    logging::LogLine,
    plugin::{
        bounds::bounded,
        call::{Call, CallResult},
        death::{DeathCause, ProcessDeath},
        host::InstanceHost,
    },
};

/// How many messages are read before the other things are looked at.
const MESSAGES_AT_ONCE: usize = 64;

/// How often messages and output of a process that has ended are read.
const LAST_ROUNDS: usize = 64;

pub(super) enum SupervisorRequest {
    Call {
        call: Call,
        deadline: Instant,
        reply: oneshot::Sender<CallResult>,
    },
    /// Give up the call in progress: end the process, unless the call returns soon.
    Cancel,
}

/// What has happened during a wait.
struct Ready {
    has_ended: bool,
    has_requests: bool,
    has_messages: bool,
    has_output: bool,
}

pub(super) struct Supervisor<'a> {
    host: InstanceHost,
    requests: &'a Receiver<SupervisorRequest>,
    woken: Arc<OwnedFd>,
    timeout: Duration,
    process: Spawned,
    /// Until the process is reaped.
    registration: Option<RegisteredProcess>,
    reader: FrameReader,
    output: ProcessOutput,
    calls: Calls,
    /// Whether the connection and the output are still open.
    is_connected: bool,
    has_output: bool,
    /// Whether the instance was dropped, so that the process should exit.
    is_released: bool,
    ending: Ending,
}

impl<'a> Supervisor<'a> {
    /// Starts the process and supervises it until it has ended and the instance was
    /// dropped. Returns how the process ended, unless it exited cleanly when it was told to.
    pub(super) fn run(
        source: &ProcessSource,
        host: InstanceHost,
        requests: &'a Receiver<SupervisorRequest>,
        woken: Arc<OwnedFd>,
    ) -> Option<ProcessDeath> {
        let (process, output) = match spawn(source, &host.exporter) {
            Ok(spawned) => spawned,
            Err(error) => {
                let failure = Failure::retry(format!("cannot start a process: {error}"));
                refuse(requests, || CallResult::new(Err(failure.clone())));
                return None;
            }
        };
        host.process.set(process.pid);
        let mut supervisor = Self {
            reader: FrameReader::new(Arc::clone(&process.socket), 0),
            calls: Calls::new(Arc::clone(&process.socket), &host, source.is_inline()),
            output: ProcessOutput::new(output),
            host,
            requests,
            woken,
            timeout: source.timeout,
            registration: Some(RegisteredProcess::new(process.pid, &process.pidfd)),
            process,
            is_connected: true,
            has_output: true,
            is_released: false,
            ending: Ending::default(),
        };
        let cause = supervisor.supervise();
        supervisor.on_death(cause)
    }

    /// Supervises the process until it has ended.
    fn supervise(&mut self) -> DeathCause {
        loop {
            let ready = self.wait();
            if ready.has_ended {
                return self.reap();
            }
            if ready.has_requests {
                self.receive_requests();
            }
            if ready.has_messages {
                self.receive_messages();
            }
            if ready.has_output {
                self.has_output = self.output.read(&self.host);
            }
            let is_closed = !self.is_connected && !self.is_released;
            self.ending.signal_when_due(&self.process, is_closed);
        }
    }

    /// Waits until something happens.
    fn wait(&self) -> Ready {
        let timeout = self.ending.timeout(None);
        // What is closed would be ready all the time.
        let sources = [
            Some(&*self.process.pidfd),
            Some(&*self.woken),
            self.is_connected.then_some(&*self.process.socket),
            self.has_output.then_some(self.output.pipe()),
        ];
        let waited = sources.iter().flatten();
        let mut waited: Vec<_> = waited.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        // After an error, which is an interruption, nothing is ready.
        let _ = poll(&mut waited, timeout.as_ref());
        let mut events = waited.iter().map(PollFd::revents);
        let [has_ended, has_requests, has_messages, has_output] = sources
            .map(|source| source.is_some() && events.next().is_some_and(|found| !found.is_empty()));
        if has_requests {
            let _ = rustix::io::read(&self.woken, &mut [0; 8]);
        }
        Ready {
            has_ended,
            has_requests,
            has_messages,
            has_output,
        }
    }

    fn receive_requests(&mut self) {
        while !self.is_released {
            let sent = match self.requests.try_recv() {
                Ok(SupervisorRequest::Call {
                    call,
                    deadline,
                    reply,
                }) => self.calls.call(call, deadline, reply),
                Ok(SupervisorRequest::Cancel) => self.cancel(),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.is_released = true;
                    // The process exits at the end of its connection.
                    let _ = rustix::net::shutdown(&self.process.socket, Shutdown::Write);
                    self.ending
                        .terminate_at
                        .get_or_insert(Instant::now() + self.timeout);
                    Ok(())
                }
            };
            if let Err(error) = sent {
                self.ending.on_unsent(error);
            }
        }
    }

    fn receive_messages(&mut self) {
        for _ in 0..MESSAGES_AT_ONCE {
            if !self.is_connected {
                return;
            }
            let broken = match self.reader.try_read() {
                Ok(Progress::Frame(frame)) => match self.on_message(&frame) {
                    Ok(()) => continue,
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

    /// The error is how the message breaks the protocol.
    fn on_message(&mut self, frame: &WireFrame) -> Result<(), String> {
        let message = decode(&frame.header).map_err(|error| error.to_string())?;
        match message {
            Incoming::Message(ExporterMessage::Hello(hello)) => {
                if hello.protocol[0] != VERSION[0] {
                    return Err(format!(
                        "it speaks version {} of the protocol, this host speaks version {}",
                        hello.protocol[0], VERSION[0]
                    ));
                }
            }
            Incoming::Message(ExporterMessage::Outcome(outcome)) => self.on_outcome(outcome),
            Incoming::Message(ExporterMessage::Log(record)) => {
                if let Ok(level) = record.level.parse() {
                    self.host.write(&LogLine {
                        level,
                        target: &record.target,
                        message: &record.message,
                        fields: &record.fields,
                    });
                }
            }
            Incoming::Message(ExporterMessage::Count { name, by }) => self.host.add(&name, by),
            Incoming::Message(ExporterMessage::Unsupported { id, message }) => {
                self.calls.on_unsupported(id, message);
            }
            // Messages of a newer version need no answer from the host.
            Incoming::Unknown { .. } => {}
        }
        Ok(())
    }

    fn on_outcome(&mut self, message: OutcomeMessage) {
        let id = message.id;
        let rows = self.calls.rows_in_progress();
        let outcome = bounded(wire::outcome(message), rows, &self.host.redactor);
        let panicked = outcome.code == OutcomeCode::RESTART_PANICKED;
        self.calls.on_outcome(id, decode_outcome(outcome), panicked);
        if !self.is_released {
            self.ending.withdraw_cancel();
        }
    }

    /// Asks the call in progress to return. If it does not, the process is ended by
    /// SIGTERM, and a second later by SIGKILL.
    fn cancel(&mut self) -> io::Result<()> {
        if self.ending.cause.is_some() {
            return Ok(());
        }
        self.ending.on_cancel();
        self.calls.cancel()
    }

    /// What is left of a process that has ended.
    fn reap(&mut self) -> DeathCause {
        // Before the process is reaped, its number cannot be that of another group.
        let _ = kill_process_group(self.process.pid, Signal::KILL);
        self.host.process.forget(self.process.pid);
        // The last ones say why it has ended. Processes that it left behind can hold its
        // connection and write indefinitely.
        for _ in 0..LAST_ROUNDS {
            self.receive_messages();
            self.has_output = self.has_output && self.output.read(&self.host);
        }
        let status = self.process.child.wait();
        self.registration = None;
        let orphans = end_orphans();
        if orphans > 0 {
            log::warn!(exporter = self.host.exporter, processes = orphans; "killed processes that the exporter process had started and left behind");
        }
        self.ending.cause_of(status)
    }

    /// Answers every request with the end of the process, until the instance is dropped.
    fn on_death(mut self, cause: DeathCause) -> Option<ProcessDeath> {
        if self.is_released {
            return unclean_exit(&self.host, cause);
        }
        let death = |in_call| ProcessDeath {
            cause: cause.clone(),
            in_call,
        };
        self.calls.on_death(&death(true));
        refuse(self.requests, || {
            let death = death(false);
            CallResult {
                death: Some(death.clone()),
                ..CallResult::new(Err(Failure::fatal(&death)))
            }
        });
        None
    }
}

/// Answers every request with a result, until the instance is dropped.
fn refuse(requests: &Receiver<SupervisorRequest>, result: impl Fn() -> CallResult) {
    for request in requests {
        match request {
            SupervisorRequest::Call { reply, .. } => {
                // The receiver is gone if the call was abandoned.
                let _ = reply.send(result());
            }
            SupervisorRequest::Cancel => {}
        }
    }
}

/// A process that was told to exit, and has not done so cleanly, has done its work.
fn unclean_exit(host: &InstanceHost, cause: DeathCause) -> Option<ProcessDeath> {
    if matches!(cause, DeathCause::Exit(0) | DeathCause::Deadline) {
        return None;
    }
    let death = ProcessDeath {
        cause,
        in_call: false,
    };
    log::warn!(exporter = host.exporter; "while exiting, {death}");
    Some(death)
}
