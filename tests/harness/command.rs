//! A command that is run to its end: its exit code and its output.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::Instant,
};

use serde_json::Value;

use crate::PATIENCE;

#[derive(Debug)]
pub struct CommandOutput {
    /// `None` if a signal ended the command.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl CommandOutput {
    /// Runs a command.
    #[must_use]
    pub fn run(command: &mut Command) -> Self {
        Self::run_with_input(command, b"")
    }

    /// Runs a command with this standard input.
    #[must_use]
    pub fn run_with_input(command: &mut Command, input: &[u8]) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
        if let Some(mut stdin) = child.stdin.take() {
            // A command that fails early does not read its input; its output says why.
            let _ = stdin.write_all(input);
        }
        let code = end(&mut child);
        let output = Self {
            code: code.flatten(),
            stdout: text(stdout),
            stderr: text(stderr),
        };
        assert!(code.is_some(), "{command:?} does not end: {output:?}");
        output
    }

    /// Checks the exit code.
    #[must_use]
    pub fn expect_exit(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "\n--- stdout ---\n{}\n--- stderr ---\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let value = serde_json::from_str(&self.stdout);
        value.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Waits for the exit code; `None` if the command had to be killed.
fn end(child: &mut Child) -> Option<Option<i32>> {
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.code());
        }
        if start.elapsed() > PATIENCE {
            // The command may have ended by now.
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
            // The output before an error is still worth showing.
            let _ = from.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn text(bytes: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.join().unwrap_or_default()).into_owned()
}
