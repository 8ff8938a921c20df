//! The terminal while `top` has it: raw mode and the alternate screen, given back on every way out.

use std::{
    fs::File,
    io,
    panic::{set_hook, take_hook},
};

use ratatui::{
    Frame, Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use crate::platform::copy_of_stdout;

/// A terminal that is given back when this is dropped.
pub(super) struct CommandTerminal(Terminal<CrosstermBackend<File>>);

impl CommandTerminal {
    /// Takes the terminal. A panic of any thread gives it back before its message.
    pub(super) fn take() -> io::Result<Self> {
        let report = take_hook();
        set_hook(Box::new(move |panic| {
            give_back();
            report(panic);
        }));
        enable_raw_mode()?;
        let taken = copy_of_stdout().and_then(|mut file| {
            execute!(file, EnterAlternateScreen)?;
            Terminal::new(CrosstermBackend::new(file))
        });
        taken.map(Self).inspect_err(|_| give_back())
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw).map(drop)
    }
}

impl Drop for CommandTerminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// A terminal that is gone cannot be given back.
fn give_back() {
    let _ = disable_raw_mode();
    // Standard output without the lock that the command holds, which a thread that panics would wait
    // for.
    if let Ok(mut file) = copy_of_stdout() {
        let _ = execute!(file, LeaveAlternateScreen, Show);
    }
}

#[cfg(test)]
mod tests {
    use std::{env, process, thread};

    use delfin_tests::TerminalCommand;

    use super::*;

    /// Set in the process that panics.
    const PANICS: &str = "DELFIN_TEST_PANIC_IN_TERMINAL";

    #[test]
    fn a_panic_of_any_thread_gives_the_terminal_back_before_its_message() {
        if env::var_os(PANICS).is_some() {
            let _terminal = CommandTerminal::take().unwrap();
            let panicked = thread::spawn(|| panic!("the screen is broken")).join();
            // Ends without destructors, so that the panic alone gives the terminal back.
            process::exit(if panicked.is_err() { 7 } else { 0 });
        }
        let name = "cli::top::terminal::tests::a_panic_of_any_thread_gives_the_terminal_back_before_its_message";
        let mut command = process::Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", name, "--nocapture"])
            .env(PANICS, "");
        let mut command = TerminalCommand::start(command);
        assert_eq!(command.wait(), Some(7), "{}", command.written());
        command.wait_for(&["the screen is broken"]);
        let written = command.written();
        let at = |text: &str| written.find(text).unwrap_or_else(|| panic!("{written:?}"));
        let [taken, given, message] =
            ["\u{1b}[?1049h", "\u{1b}[?1049l", "the screen is broken"].map(at);
        assert!(taken < given && given < message, "{written:?}");
        assert!(command.is_cooked());
    }
}
