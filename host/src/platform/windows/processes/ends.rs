//! How processes end: the exceptions that end them.

use std::{fmt, process::ExitStatus};

/// From this exit code on, it is the code of an exception.
const FIRST_EXCEPTION: u32 = 0x8000_0000;

/// The end of a console or of a session.
const CONTROL_EXIT: u32 = 0xC000_013A;

/// An exception that ends a process; shown by its name and its code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeathSignal(pub(crate) i32);

/// The code of the exception that has ended a process, if one has.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    status
        .code()
        .filter(|code| code.cast_unsigned() >= FIRST_EXCEPTION)
}

/// Whether a person or the system may have ended the process.
pub(crate) const fn is_from_outside(code: i32) -> bool {
    code.cast_unsigned() == CONTROL_EXIT
}

impl fmt::Display for DeathSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0.cast_unsigned();
        let name = match code {
            0x8000_0003 => "breakpoint",
            0xC000_0005 => "access violation",
            0xC000_0006 => "error of the disk",
            0xC000_0017 => "no memory",
            0xC000_001D => "illegal instruction",
            0xC000_0094 => "division by zero",
            0xC000_00FD => "stack overflow",
            0xC000_0135 => "missing library",
            CONTROL_EXIT => "Ctrl-C",
            0xC000_0374 => "damaged heap",
            0xC000_0409 => "abort",
            _ => "exception",
        };
        write!(f, "{name} (0x{code:08x})")
    }
}
