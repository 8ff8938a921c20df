//! Where a command writes: data to standard output, messages to standard error.
//! Both are in color only on a terminal that shows it.

use std::{
    env,
    io::{self, IsTerminal, Write},
    path::Path,
};

use clap::{
    ColorChoice,
    builder::styling::{AnsiColor, Style},
};

use super::{
    error::Error,
    exit::Exit,
    options::GlobalOptions,
    table::{TextTable, printable},
};
use crate::audit::{AuditLog, AuditRecord};

/// Standard output and standard error of one command.
pub struct Output<'a> {
    data: &'a mut dyn Write,
    color: ColorChoice,
    json: bool,
}

impl<'a> Output<'a> {
    /// An output whose data goes to `data` instead of standard output.
    pub fn new(data: &'a mut dyn Write, options: &GlobalOptions) -> Self {
        Self {
            data,
            color: options.color,
            json: options.json,
        }
    }

    /// Whether the user asked for JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard output gets color.
    pub(super) fn is_colored(&self) -> bool {
        uses_color(self.color, io::stdout().is_terminal())
    }

    /// Prints text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Error> {
        let written = self.data.write_all(text.as_bytes());
        written
            .and_then(|()| self.data.flush())
            .map_err(Error::Output)
    }

    /// Prints text, and a line end if it has none.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Error> {
        self.text(text)?;
        self.text(if text.ends_with('\n') { "" } else { "\n" })
    }

    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from);
        self.line(&text.map_err(Error::Output)?)
    }

    pub(super) fn table(&mut self, table: &TextTable) -> Result<(), Error> {
        let text = table.render(self.is_colored());
        self.text(&text)
    }

    /// Prints a table, unless it is empty, and a summary below it.
    pub(super) fn list(&mut self, table: &TextTable, summary: &str) -> Result<(), Error> {
        if !table.is_empty() {
            self.table(table)?;
            self.line("")?;
        }
        self.line(summary)
    }

    /// Prints a warning to standard error, on one line.
    pub(super) fn warn(&self, warning: &str) {
        self.message("warning", AnsiColor::Yellow, warning);
    }

    /// Adds a change to the audit log of the host, if it has a file. Says so if that fails: the
    /// change stays.
    pub(super) fn audit(&self, file: Option<&Path>, what: String) {
        if let Err(error) = AuditLog::new(file).append(&AuditRecord::of_command(what)) {
            self.warn(&format!("the change is not in the audit log: {error}"));
        }
    }

    /// Prints what a command does now to standard error.
    pub(super) fn note(&self, note: &str) {
        self.message("note", AnsiColor::Cyan, note);
    }

    /// Prints an error and its causes to standard error, unless its exit code is 0.
    pub fn error(&self, error: &Error) {
        if error.exit() == Exit::Ok {
            return;
        }
        let text = with_causes(error);
        if let Error::Configuration(_) = error {
            // One line for each mistake, and behind an empty line a text to copy.
            let (mistakes, example) = text.split_once("\n\n").unwrap_or((&text, ""));
            for line in mistakes.lines() {
                self.message("error", AnsiColor::Red, line);
            }
            for (index, line) in example.lines().enumerate() {
                let gap = if index == 0 { "\n" } else { "" };
                // If standard error is closed, no message can be shown.
                let _ = writeln!(io::stderr(), "{gap}{}", printable(line));
            }
        } else {
            self.message("error", AnsiColor::Red, &text);
        }
    }

    fn message(&self, level: &str, color: AnsiColor, text: &str) {
        let mut stderr = io::stderr().lock();
        let style = if uses_color(self.color, stderr.is_terminal()) {
            Style::new().bold().fg_color(Some(color.into()))
        } else {
            Style::new()
        };
        // If standard error is closed, no message can be shown.
        let _ = writeln!(stderr, "{style}{level}{style:#}: {}", printable(text));
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn uses_color(choice: ColorChoice, terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            terminal
                && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_color_must_be_asked_for() {
        assert!(!uses_color(ColorChoice::Auto, false));
        assert!(!uses_color(ColorChoice::Never, true));
        assert!(uses_color(ColorChoice::Always, false));
    }

    #[test]
    fn an_error_is_shown_with_each_cause_once() {
        let error = Error::Output(io::Error::other("device is gone"));
        assert_eq!(
            with_causes(&error),
            "cannot write to standard output: device is gone"
        );
    }
}
