//! Versity's gateway: a server of S3 that keeps objects as files in a folder.

use std::path::{Path, PathBuf};

use super::{Server, binary, free_port, is_open, must};
use crate::wait_for;

/// A running server with one bucket, until it is dropped.
pub struct S3Server {
    server: Server,
    objects: PathBuf,
    port: u16,
}

restartable!(S3Server);

impl S3Server {
    /// The name of the bucket.
    pub const BUCKET: &'static str = "arrays";
    /// The key of the account that can do everything.
    pub const ACCESS_KEY: &'static str = "delfin";
    /// The secret of the key.
    pub const SECRET_KEY: &'static str = "delfin-secret";

    /// Starts a server on a free port with its objects in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        let binary = binary("versitygw")?;
        let objects = folder.join("objects");
        let bucket = objects.join(Self::BUCKET);
        must(std::fs::create_dir_all(bucket), "make a folder");
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let objects_argument = objects.display().to_string();
        let arguments = [
            "--access",
            Self::ACCESS_KEY,
            "--secret",
            Self::SECRET_KEY,
            "--port",
            &address,
            "posix",
            &objects_argument,
        ];
        let arguments = arguments.map(str::to_owned);
        let started = Self {
            server: Server::start(&binary, &arguments, &folder.join("versitygw.log")),
            objects,
            port,
        };
        started.wait();
        Some(started)
    }

    /// The base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder with the objects of the bucket.
    #[must_use]
    pub fn bucket(&self) -> PathBuf {
        self.objects.join(Self::BUCKET)
    }

    fn wait(&self) {
        wait_for("the S3 server", || is_open(self.port).then_some(()));
    }
}
