//! One command that ran to its end: its exit code, and both of its outputs.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Instant,
};

use serde_json::Value;

use crate::PATIENCE;

/// What came of a command.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its data.
    pub stdout: String,
    /// Its messages.
    pub stderr: String,
}

impl Ran {
    /// Runs a command.
    ///
    /// # Panics
    ///
    /// It cannot be run, or does not end.
    #[must_use]
    pub fn of(command: &mut Command) -> Self {
        Self::with_input(command, b"")
    }

    /// Runs a command, with something on its standard input.
    ///
    /// # Panics
    ///
    /// It cannot be run, or does not end.
    #[must_use]
    pub fn with_input(command: &mut Command, input: &[u8]) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
        if let Some(mut stdin) = child.stdin.take() {
            // A command that fails early does not read it, and says why.
            let _ = stdin.write_all(input);
        }
        let code = end(&mut child);
        let ran = Self {
            code: code.flatten(),
            stdout: text(stdout),
            stderr: text(stderr),
        };
        assert!(code.is_some(), "{command:?} does not end: {ran:?}");
        ran
    }

    /// Checks the exit code.
    ///
    /// # Panics
    ///
    /// It is another; with all that the command has said.
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "\n--- stdout ---\n{}\n--- stderr ---\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Its data, as JSON.
    ///
    /// # Panics
    ///
    /// It is none.
    #[must_use]
    pub fn json(&self) -> Value {
        let value = serde_json::from_str(&self.stdout);
        value.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Waits for the exit code; nothing if the command had to be ended.
fn end(child: &mut Child) -> Option<Option<i32>> {
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.code());
        }
        if start.elapsed() > PATIENCE {
            // It may have ended just now.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn read(from: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What came before an error is still worth showing.
            let _ = from.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn text(bytes: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.join().unwrap_or_default()).into_owned()
}
