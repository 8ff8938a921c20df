//! A command in a terminal, and what the terminal shows.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::wait_for;

/// A command in a terminal of its own, which is killed when this is dropped.
pub struct TerminalCommand {
    child: Child,
    terminal: OwnedFd,
    shown: Arc<Mutex<Shown>>,
}

struct Shown {
    screen: vt100::Parser,
    /// Everything that was written to the terminal.
    written: Vec<u8>,
}

impl TerminalCommand {
    /// Starts a command in a terminal with 100 columns and 24 rows.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("access to the terminal");
        unlockpt(&terminal).expect("an open terminal");
        let name = ptsname(&terminal, Vec::new()).expect("a name of the terminal");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let user = rustix::fs::open(&name, flags, Mode::empty()).expect("the user's side");
        let other = || Stdio::from(user.try_clone().expect("a copy"));
        set_size(&terminal, 100, 24);
        command.stdin(other()).stdout(other()).stderr(other());
        let child = command.env("TERM", "xterm").spawn().expect("a command");
        let shown = Arc::new(Mutex::new(Shown {
            screen: vt100::Parser::new(24, 100, 0),
            written: Vec::new(),
        }));
        let mut output = File::from(terminal.try_clone().expect("a copy"));
        let read = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                let mut shown = read.lock().expect("no panic");
                shown.screen.process(&bytes[..length]);
                shown.written.extend(&bytes[..length]);
            }
        });
        Self {
            child,
            terminal,
            shown,
        }
    }

    /// Waits until the terminal shows all this.
    pub fn wait_for(&self, texts: &[&str]) {
        wait_for(&format!("{texts:?} on the screen"), || {
            let shown = self.with_screen(vt100::Screen::contents);
            texts.iter().all(|text| shown.contains(text)).then_some(())
        });
    }

    /// Everything that was written to the terminal so far.
    #[must_use]
    pub fn written(&self) -> String {
        let shown = self.shown.lock().expect("no panic");
        String::from_utf8_lossy(&shown.written).into_owned()
    }

    /// Reads what the terminal shows now.
    pub fn with_screen<T>(&self, read: impl FnOnce(&vt100::Screen) -> T) -> T {
        read(self.shown.lock().expect("no panic").screen.screen())
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut shown = self.shown.lock().expect("no panic");
        shown.screen.screen_mut().set_size(rows, columns);
        set_size(&self.terminal, columns, rows);
        drop(shown);
        self.signal(Signal::WINCH);
    }

    /// Types keys.
    pub fn press(&self, keys: &str) {
        let mut input = File::from(self.terminal.try_clone().expect("a copy"));
        input.write_all(keys.as_bytes()).expect("keys");
    }

    /// Sends a signal to the command.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a small number");
        kill_process(Pid::from_raw(pid).expect("a number"), signal).expect("a signal");
    }

    /// Waits for the end of the command. Returns its exit code; `None` if a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("an end").code()
    }

    /// Whether lines are edited and shown as they are typed.
    #[must_use]
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.terminal).expect("the modes").local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits for the end of the command, with this exit code. The terminal is as before. Returns what
    /// it shows.
    pub fn expect_end(mut self, code: i32) -> String {
        assert_eq!(self.wait(), Some(code), "{}", self.written());
        wait_for("the first screen", || {
            (!self.with_screen(vt100::Screen::alternate_screen)).then_some(())
        });
        assert!(!self.with_screen(vt100::Screen::hide_cursor));
        assert!(self.is_cooked());
        self.with_screen(vt100::Screen::contents)
    }
}

impl Drop for TerminalCommand {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: impl AsFd, columns: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("a size");
}
