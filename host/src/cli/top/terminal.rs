//! The terminal while `top` has it: raw mode and the alternate screen, given back on every way out.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    panic::{set_hook, take_hook},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// A terminal that is given back when this is dropped.
pub(super) struct CommandTerminal(Terminal<CrosstermBackend<File>>);

/// Signals that end the command.
pub(super) struct Signals(Arc<AtomicBool>);

impl CommandTerminal {
    /// Takes the terminal. A panic of any thread gives it back before its message.
    pub(super) fn take() -> io::Result<Self> {
        let report = take_hook();
        set_hook(Box::new(move |panic| {
            give_back();
            report(panic);
        }));
        enable_raw_mode()?;
        let taken = stdout().and_then(|mut file| {
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

impl Signals {
    pub(super) fn watch() -> io::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&ended))?;
        }
        Ok(Self(ended))
    }

    pub(super) fn ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A terminal that is gone cannot be given back.
fn give_back() {
    let _ = disable_raw_mode();
    if let Ok(mut file) = stdout() {
        let _ = execute!(file, LeaveAlternateScreen, Show);
    }
}

/// Standard output without the lock that the command holds, which a thread that panics would wait
/// for.
fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}
