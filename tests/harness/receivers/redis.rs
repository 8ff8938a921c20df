//! Redis.

use std::{fs, path::Path};

use super::{Server, binary, free_port, is_open, must};
use crate::wait_for;

/// A running Redis server, until it is dropped.
pub struct Redis {
    server: Server,
    port: u16,
}

restartable!(Redis);

impl Redis {
    /// Starts a server on a free port, which writes each command to a file in a folder, with
    /// these lines in its configuration; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, settings: &str) -> Option<Self> {
        let binary = binary("redis-server")?;
        let port = free_port();
        // The system writes to the disk when it likes: the tests do not end the system.
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsave \"\"\nappendonly yes\nappendfsync no\n\
             {settings}\n",
            folder.display(),
        );
        let file = folder.join("redis.conf");
        must(fs::write(&file, config), "write a configuration");
        let config = file.display().to_string();
        let started = Self {
            server: Server::start(&binary, &[config], &folder.join("redis.log")),
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
        wait_for("Redis", || is_open(self.port).then_some(()));
    }
}
