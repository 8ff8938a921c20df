//! systemd: tells it, or another manager of services with the same protocol, how the host is
//! doing (`sd_notify(3)`), and sends records to its journal.
//!
//! Without the environment variables of such a manager, nothing is sent.

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::AsFd,
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// How much longer than announced the manager should wait.
const SLACK: Duration = Duration::from_secs(30);

/// Where the journal of the system listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// By this variable, systemd says which stream of a service goes to the journal: device and inode.
const STREAM: &str = "JOURNAL_STREAM";

/// Where the manager listens.
#[derive(Debug, Default)]
pub(crate) struct ServiceManager {
    address: Option<OsString>,
    /// How long the manager waits for a sign of life before it ends the host.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The manager that has started this process, if any.
    pub(crate) fn of_process() -> Self {
        let address = env::var_os("NOTIFY_SOCKET");
        let watchdog = address.as_ref().and_then(|_| watchdog());
        Self { address, watchdog }
    }

    /// Whether someone gets what this process writes to standard error.
    #[expect(
        clippy::unused_self,
        reason = "as on systems whose manager does not keep it"
    )]
    pub(crate) const fn has_stderr(&self) -> bool {
        true
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

    /// The process ends now, with this exit code. Nothing: the manager sees that.
    #[expect(clippy::unused_self, reason = "as on systems that want to know")]
    pub(crate) const fn stopped(&self, _: u8) {}

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
        let Some(address) = &self.address else { return };
        if let Err(error) = notify(address, state) {
            log::warn!(address:?, state; "cannot notify the service manager: {error}");
        }
    }
}

fn notify(address: &OsStr, state: &str) -> io::Result<()> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// The timeout of the watchdog, if it is meant for this process.
fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse().ok();
    let own = u64::from(std::process::id());
    let is_other = number("WATCHDOG_PID").is_some_and(|pid: u64| pid != own);
    let timeout = number("WATCHDOG_USEC").filter(|timeout| *timeout > 0);
    timeout.filter(|_| !is_other).map(Duration::from_micros)
}

/// # Errors
///
/// Always: the service is a unit of systemd.
pub(crate) fn install_service(_: &Path) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no services that a command installs (install a package, or use `make install`)",
    ))
}

/// As [`install_service`].
pub(crate) fn uninstall_service() -> io::Result<()> {
    install_service(Path::new(""))
}

/// The journal of the system.
pub(crate) struct JournalSocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl JournalSocket {
    /// The journal, if standard error goes to it.
    pub(crate) fn of_stderr() -> Option<Self> {
        let stream = env::var_os(STREAM)?;
        if !is_stream(&stream, io::stderr()) || !Path::new(SOCKET).exists() {
            return None;
        }
        Self::open(Path::new(SOCKET)).ok()
    }

    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            socket: UnixDatagram::unbound()?,
            path: path.to_owned(),
        })
    }

    /// Sends an encoded record. The journal may have been restarted since the last one.
    pub(crate) fn send(&self, record: &str) -> io::Result<()> {
        let sent = self.socket.send_to(record.as_bytes(), &self.path);
        sent.map(drop)
    }
}

/// Whether a stream is the one that the variable names.
fn is_stream(variable: &OsStr, stream: impl AsFd) -> bool {
    let Ok(stat) = rustix::fs::fstat(stream) else {
        return false;
    };
    variable.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::MetadataExt};

    use super::*;

    #[test]
    fn a_record_arrives_also_after_the_journal_was_restarted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = JournalSocket::open(&path).unwrap();
        assert!(journal.send("record").is_err(), "nothing listens");
        for _ in 0..2 {
            let _ = std::fs::remove_file(&path);
            let receiver = UnixDatagram::bind(&path).unwrap();
            journal.send("record").unwrap();
            let mut buffer = [0; 1024];
            let read = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..read], b"record");
        }
    }

    #[test]
    fn the_stream_is_known_by_device_and_inode() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        let of = |inode| format!("{}:{inode}", metadata.dev());
        let open = || File::open(file.path()).unwrap();
        assert!(is_stream(OsStr::new(&of(metadata.ino())), open()));
        assert!(!is_stream(OsStr::new(&of(metadata.ino() + 1)), open()));
        assert!(!is_stream(OsStr::new(""), open()));
    }
}
