//! Catches panics inside the plugin.
//!
//! Promises: no panic crosses the plugin interface. Each library has its own copy of
//! the standard library, so the host cannot catch a plugin's panic. Every function
//! that the host calls runs under [`guarded`], which turns a panic into its message.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Once,
        atomic::{AtomicU8, Ordering},
    },
};

/// A function of an exporter that the host calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum EntryPoint {
    Create = 1,
    Export = 2,
    Flush = 3,
    Health = 4,
    Tick = 5,
    Close = 6,
    Drop = 7,
}

impl EntryPoint {
    pub(crate) const ALL: [Self; 7] = [
        Self::Create,
        Self::Export,
        Self::Flush,
        Self::Health,
        Self::Tick,
        Self::Close,
        Self::Drop,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Export => "export",
            Self::Flush => "flush",
            Self::Health => "health",
            Self::Tick => "tick",
            Self::Close => "close",
            Self::Drop => "drop",
        }
    }
}

/// Runs `f`. The error is the message of a panic.
pub(crate) fn guarded<R>(entry: EntryPoint, f: impl FnOnce() -> R) -> Result<R, String> {
    let armed = ARMED.compare_exchange(entry as u8, 0, Ordering::Relaxed, Ordering::Relaxed);
    caught(entry.name(), || {
        assert!(
            armed.is_err(),
            "the test kit requested a panic in `{}`",
            entry.name()
        );
        f()
    })
}

/// Runs `f`, which is the function of this name. The error is the message of a panic.
pub(crate) fn caught<R>(name: &str, f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| message(name, payload))
}

/// Makes the next call of `entry` in this library panic. The conformance suite uses
/// it to prove on the built library that a panic is caught.
pub(crate) fn arm(entry: EntryPoint) {
    ARMED.store(entry as u8, Ordering::Relaxed);
}

/// Sends the text of every panic in this library to the host's log.
pub(crate) fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let at = panic
                .location()
                .map(ToString::to_string)
                .unwrap_or_default();
            let text = panic_text(panic.payload());
            log::error!(target: "panic", at:% = at; "the plugin panicked: {text}");
        }));
    });
}

static ARMED: AtomicU8 = AtomicU8::new(0);

fn message(name: &str, payload: Box<dyn Any + Send>) -> String {
    let text = panic_text(&*payload).to_owned();
    // The payload is a value of the author, and its `drop` may panic as well. The
    // payload of that second panic is leaked: dropping it could panic again.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    format!("panicked in `{name}`: {text}")
}

/// The text of a panic, from its payload.
#[must_use]
pub fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_panic_becomes_its_message() {
        let result = guarded(EntryPoint::Export, || -> () { panic!("boom {}", 1) });
        assert_eq!(result, Err("panicked in `export`: boom 1".to_owned()));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_caught() {
        let result = guarded(EntryPoint::Tick, || -> () { std::panic::panic_any(Bomb) });
        assert_eq!(result, Err("panicked in `tick`: (no message)".to_owned()));
    }
}
