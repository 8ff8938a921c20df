//! Tells systemd, or another manager of services with the same protocol, how the host is
//! doing: `sd_notify(3)`.
//!
//! Without the environment variables of such a manager, nothing is sent.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// How much longer than announced the manager should wait.
const SLACK: Duration = Duration::from_secs(30);

/// The connection to the manager.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// How long the manager waits for a sign of life before it ends the host.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The manager that has started this process, if any.
    pub(crate) fn from_env() -> Self {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else {
            return Self::default();
        };
        match connect(&address) {
            Ok(socket) => Self {
                socket: Some(socket),
                watchdog: watchdog(),
            },
            Err(error) => {
                log::warn!(address:?; "cannot notify the service manager: {error}");
                Self::default()
            }
        }
    }

    /// The host works.
    pub(crate) fn ready(&self) {
        self.send("READY=1");
    }

    /// The host reloads its configuration. [`Self::ready`] follows.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The host stops, and delivers for at most this long what can be delivered.
    pub(crate) fn stopping(&self, drain_timeout: Duration) {
        let micros = (drain_timeout + SLACK).as_micros();
        self.send(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}"));
    }

    /// Tells the watchdog that the host works, each time that `works` completes. Never
    /// returns if there is a watchdog.
    pub(crate) async fn keep_alive<F: Future<Output = ()>>(&self, works: impl Fn() -> F) {
        let Some(timeout) = self.watchdog else { return };
        loop {
            works().await;
            self.send("WATCHDOG=1");
            sleep(timeout / 3).await;
        }
    }

    fn send(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(state.as_bytes()) {
            log::warn!(state; "cannot notify the service manager: {error}");
        }
    }
}

fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// The timeout of the watchdog, if it is meant for this process.
fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse().ok();
    let own = u64::from(std::process::id());
    let is_other = number("WATCHDOG_PID").is_some_and(|pid: u64| pid != own);
    let timeout = number("WATCHDOG_USEC").filter(|timeout| *timeout > 0);
    timeout.filter(|_| !is_other).map(Duration::from_micros)
}
