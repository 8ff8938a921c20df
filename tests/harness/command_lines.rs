//! A command that runs on, and its output line by line.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;

/// A command whose output is read line by line while it runs. It is killed when this is dropped.
pub struct CommandLines {
    child: Child,
    lines: Receiver<String>,
}

impl CommandLines {
    /// Reads standard output.
    #[must_use]
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a command");
        let stdout = child.stdout.take().expect("standard output");
        Self::reading(child, stdout)
    }

    /// Reads standard error.
    #[must_use]
    pub fn of_messages(mut command: Command) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a command");
        let stderr = child.stderr.take().expect("standard error");
        Self::reading(child, stderr)
    }

    /// Reads an output of a command.
    pub fn reading(child: Child, output: impl Read + Send + 'static) -> Self {
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// The next line.
    #[must_use]
    pub fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    /// The next line, if it comes within this time.
    #[must_use]
    pub fn next_within(&self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    /// Asks the command to end, and waits until it and those that it has started close the output.
    pub fn stop(self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("send a signal");
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("the command does not end"),
            }
        }
    }
}

impl Drop for CommandLines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
