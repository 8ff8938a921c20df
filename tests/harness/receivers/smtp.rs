//! A mail server: aiosmtpd, run by `tests/receivers/smtp/server.py`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Server, binary, free_port, is_open, must, unpacked};
use crate::wait_for;

/// A running mail server, until it is dropped.
pub struct SmtpServer {
    server: Server,
    folder: PathBuf,
    port: u16,
}

restartable!(SmtpServer);

impl SmtpServer {
    /// Starts a server on a free port, which writes mails to a folder; `None` where it is
    /// missing. The options are those of the program.
    #[must_use]
    pub fn start(folder: &Path, options: &[&str]) -> Option<Self> {
        binary("aiosmtpd")?;
        binary("python3")?;
        let port = free_port();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers/smtp/server.py");
        let packages = unpacked().join("usr/lib/python3/dist-packages");
        let mut arguments = vec![
            format!("PYTHONPATH={}", packages.display()),
            "PYTHONDONTWRITEBYTECODE=1".to_owned(),
            "python3".to_owned(),
            program.display().to_string(),
            port.to_string(),
            folder.display().to_string(),
        ];
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        let started = Self {
            server: Server::start(Path::new("env"), &arguments, &folder.join("smtp.log")),
            folder: folder.to_owned(),
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

    /// The files of the mails that it has accepted so far.
    #[must_use]
    pub fn mails(&self) -> Vec<PathBuf> {
        let files = must(fs::read_dir(&self.folder), "list mails");
        let mut files: Vec<_> = files
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|ending| ending == "eml"))
            .collect();
        files.sort();
        files
    }

    fn wait(&self) {
        wait_for("a mail server", || is_open(self.port).then_some(()));
    }
}
