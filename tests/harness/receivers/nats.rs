//! NATS with JetStream.

use std::{fs, path::Path};

use super::{Server, binary, free_port, is_open, must};
use crate::wait_for;

/// A running NATS server, until it is dropped.
pub struct Nats {
    server: Server,
    port: u16,
}

restartable!(Nats);

impl Nats {
    /// Starts a server on a free port with its data in a folder, and these lines in its
    /// configuration; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, settings: &str) -> Option<Self> {
        let binary = binary("nats-server")?;
        let port = free_port();
        let config = format!(
            "listen: 127.0.0.1:{port}\njetstream: {{store_dir: \"{}\"}}\n{settings}\n",
            folder.join("jetstream").display(),
        );
        let file = folder.join("nats.conf");
        must(fs::write(&file, config), "write a configuration");
        let config = file.display().to_string();
        let started = Self {
            server: Server::start(
                &binary,
                &["--config".to_owned(), config],
                &folder.join("nats.log"),
            ),
            port,
        };
        started.wait();
        Some(started)
    }

    /// The port on `127.0.0.1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn wait(&self) {
        wait_for("NATS", || is_open(self.port).then_some(()));
    }
}
