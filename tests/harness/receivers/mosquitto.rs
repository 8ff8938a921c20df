//! The MQTT broker Mosquitto.

use std::{fs, path::Path};

use super::{Server, binary, command, free_port, is_open, must};
use crate::{CommandOutput, wait_for};

/// A running Mosquitto, until it is dropped.
pub struct Mosquitto {
    server: Server,
    port: u16,
}

impl Mosquitto {
    /// Starts Mosquitto on a free port with its data in a folder, and these lines in its
    /// configuration; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path, settings: &str) -> Option<Self> {
        let binary = binary("mosquitto")?;
        let port = free_port();
        // It would run as another user than root, who may not read the folder.
        let config = format!(
            "user root\npersistence true\npersistence_location {}/\nmax_queued_messages 0\n\
             listener {port} 127.0.0.1\n{settings}\n",
            folder.display(),
        );
        let file = folder.join("mosquitto.conf");
        must(fs::write(&file, config), "write a configuration");
        let config = file.display().to_string();
        let started = Self {
            server: Server::start(
                &binary,
                &["-c".to_owned(), config],
                &folder.join("mosquitto.log"),
            ),
            port,
        };
        started.wait();
        Some(started)
    }

    /// Writes a file with users and their passwords; `None` where Mosquitto is missing.
    #[must_use]
    pub fn write_passwords(file: &Path, users: &[(&str, &str)]) -> Option<()> {
        let lines: String = users
            .iter()
            .map(|(user, password)| format!("{user}:{password}\n"))
            .collect();
        must(fs::write(file, lines), "write passwords");
        let mut hash = command(&binary("mosquitto_passwd")?);
        let _ = CommandOutput::run(hash.arg("-U").arg(file)).expect_exit(0);
        Some(())
    }

    /// The port on `127.0.0.1`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops Mosquitto, which writes its sessions to a file.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts Mosquitto again, after it was stopped.
    pub fn restart(&mut self) {
        self.server.restart();
        self.wait();
    }

    fn wait(&self) {
        wait_for("Mosquitto", || is_open(self.port).then_some(()));
    }
}
