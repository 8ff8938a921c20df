//! The task of the host that supervises one process.
//!
//! It waits for several things at once: requests of the owner, messages of the process, its
//! output, its end, and the time to end it. One wait, so that nothing that the process does or
//! omits can keep the task from ending it.
//!
//! What the two say to each other is the matter of a [`Dialogue`].

use std::{future::pending, io, sync::Arc};

use tokio::{sync::mpsc::UnboundedReceiver, task::yield_now, time::sleep_until};

use super::{
    ProcessSource,
    connection::{ProcessConnection, ReadProgress},
    dialogue::{Dialogue, ProcessEnd},
    output::ProcessOutput,
    spawn::spawn,
};
use crate::{
    logging::LogLine,
    panics,
    platform::{ChildProcess, StartedProcess, end_orphans},
    plugin::{death::DeathCause, host::InstanceHost},
};

/// Starts a process, and supervises it until it has ended and its owner is gone. `max_payload`
/// limits the payloads of its messages, in bytes. Returns how it ended.
pub(in crate::plugin) async fn supervise<D: Dialogue>(
    source: &Arc<ProcessSource>,
    host: Arc<InstanceHost>,
    mut dialogue: D,
    mut requests: UnboundedReceiver<D::Request>,
    max_payload: usize,
) -> ProcessEnd {
    let started = spawn(source, &host.exporter).await;
    let started = started.and_then(|process| Supervisor::new(process, host, max_payload));
    let end = match started {
        Ok(supervisor) => supervisor.run(&mut dialogue, &mut requests).await,
        Err(error) => ProcessEnd::NotStarted(error.to_string()),
    };
    dialogue.on_end(&end);
    while let Some(request) = requests.recv().await {
        dialogue.refuse(request, &end);
    }
    end
}

struct Supervisor {
    host: Arc<InstanceHost>,
    process: ChildProcess,
    connection: ProcessConnection,
    output: ProcessOutput,
    /// Whether the owner is gone.
    is_released: bool,
}

/// What has happened.
enum SupervisorEvent<R> {
    Ended,
    /// `None`: the owner is gone.
    Request(Option<R>),
    Readable,
    Writable,
    Output,
    /// A signal is due.
    Due,
}

impl Supervisor {
    fn new(
        started: StartedProcess,
        host: Arc<InstanceHost>,
        max_payload: usize,
    ) -> io::Result<Self> {
        let StartedProcess {
            process,
            socket,
            output,
        } = started;
        host.process.set(process.number());
        Ok(Self {
            host,
            connection: ProcessConnection::new(socket, max_payload)?,
            output: ProcessOutput::new(output),
            process,
            is_released: false,
        })
    }

    async fn run<D: Dialogue>(
        mut self,
        dialogue: &mut D,
        requests: &mut UnboundedReceiver<D::Request>,
    ) -> ProcessEnd {
        dialogue.on_start(&mut self.connection.link);
        loop {
            let mut read = ReadProgress::All;
            match self.next(requests).await {
                SupervisorEvent::Ended => {
                    let cause = self.reap(dialogue).await;
                    let is_released = self.is_released;
                    return ProcessEnd::Ended { cause, is_released };
                }
                SupervisorEvent::Request(Some(request)) => {
                    dialogue
                        .on_request(request, &mut self.connection.link)
                        .await;
                }
                SupervisorEvent::Request(None) => {
                    self.is_released = true;
                    dialogue.on_release(&mut self.connection.link);
                }
                SupervisorEvent::Readable => read = self.connection.receive(dialogue).await,
                SupervisorEvent::Writable => self.connection.send_rest(),
                SupervisorEvent::Output => read = self.output.read(&self.host),
                SupervisorEvent::Due => {}
            }
            self.connection.watch_unsent();
            let is_closed = !self.connection.is_open && !self.is_released;
            let ending = &mut self.connection.link.ending;
            ending.signal_when_due(&self.process, is_closed);
            if read == ReadProgress::Part {
                // Other tasks come first.
                yield_now().await;
            }
        }
    }

    /// Waits until something happens.
    async fn next<R>(&self, requests: &mut UnboundedReceiver<R>) -> SupervisorEvent<R> {
        let ProcessConnection { link, is_open, .. } = &self.connection;
        let due = async {
            match link.ending.due() {
                Some(due) => sleep_until(due.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.process.ended() => SupervisorEvent::Ended,
            request = requests.recv(), if !self.is_released => SupervisorEvent::Request(request),
            () = self.connection.readable(), if *is_open => SupervisorEvent::Readable,
            () = self.connection.writable() => SupervisorEvent::Writable,
            () = self.output.readable(), if self.output.is_open() => SupervisorEvent::Output,
            () = due => SupervisorEvent::Due,
        }
    }

    /// What is left of a process that has ended.
    async fn reap<D: Dialogue>(&mut self, dialogue: &mut D) -> DeathCause {
        self.process.kill_group();
        self.host.process.forget(self.process.number());
        self.connection.drain(dialogue).await;
        self.output.drain(&self.host);
        let status = self.process.reap();
        let orphans = panics::spawn_blocking(end_orphans).await.unwrap_or(0);
        // At the stop of the host, all processes are ended at once.
        if orphans > 0 && !self.is_released {
            self.host.write(&LogLine {
                level: log::Level::Warn,
                target: module_path!(),
                message: "killed processes that the process had started and left behind",
                fields: &[("processes".to_owned(), orphans.to_string())],
            });
        }
        self.connection.link.ending.cause_of(status)
    }
}
