//! Where a command's words go: data to the standard output, messages to the
//! standard error, each in colour only where a terminal shows it.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use clap::{
    ColorChoice,
    builder::styling::{AnsiColor, Style},
};

use super::{Error, Exit, Global, Table, table::printable};

/// The standard output and the standard error of one command.
pub struct Output<'a> {
    data: &'a mut dyn Write,
    color: ColorChoice,
    json: bool,
}

impl<'a> Output<'a> {
    /// Prints data to `data`, in the form that was asked for.
    pub fn new(data: &'a mut dyn Write, global: &Global) -> Self {
        Self {
            data,
            color: global.color,
            json: global.json,
        }
    }

    /// Whether machines are to read it.
    #[must_use]
    pub fn json(&self) -> bool {
        self.json
    }

    /// Prints text as it is.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn text(&mut self, text: &str) -> Result<(), Error> {
        self.data.write_all(text.as_bytes())?;
        Ok(self.data.flush()?)
    }

    /// Prints text and ends its last line.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        self.text(text)?;
        self.text(if text.ends_with('\n') { "" } else { "\n" })
    }

    /// Prints a value as JSON.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn value(&mut self, value: &impl serde::Serialize) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.line(&text)
    }

    /// Prints a table.
    ///
    /// # Errors
    ///
    /// When nobody takes it.
    pub fn table(&mut self, table: &Table) -> Result<(), Error> {
        let text = table.render(colored(self.color, io::stdout().is_terminal()));
        self.text(&text)
    }

    /// Says in one line what may be wrong.
    pub fn warn(&self, warning: &str) {
        self.say("warning", AnsiColor::Yellow, warning);
    }

    /// Says what went wrong, unless there is nothing to say.
    pub fn complain(&self, error: &Error) {
        if error.exit() == Exit::Ok {
            return;
        }
        let text = chain(error);
        if let Error::Configuration(_) = error {
            // A line a mistake.
            text.lines()
                .for_each(|line| self.say("error", AnsiColor::Red, line));
        } else {
            self.say("error", AnsiColor::Red, &text);
        }
    }

    fn say(&self, word: &str, color: AnsiColor, text: &str) {
        let mut stderr = io::stderr().lock();
        let style = if colored(self.color, stderr.is_terminal()) {
            Style::new().bold().fg_color(Some(color.into()))
        } else {
            Style::new()
        };
        // There is nobody left to tell when this fails.
        let _ = writeln!(stderr, "{style}{word}{style:#}: {}", printable(text));
    }
}

/// An error and all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn colored(choice: ColorChoice, terminal: bool) -> bool {
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
    fn without_a_terminal_colour_has_to_be_asked_for() {
        assert!(!colored(ColorChoice::Auto, false));
        assert!(!colored(ColorChoice::Never, true));
        assert!(colored(ColorChoice::Always, false));
    }

    #[test]
    fn a_complaint_tells_the_causes_once_each() {
        let error = Error::Output(io::Error::other("device is gone"));
        assert_eq!(
            chain(&error),
            "cannot write to the standard output: device is gone"
        );
    }
}
