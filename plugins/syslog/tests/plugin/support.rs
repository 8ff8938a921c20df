//! Shared by the tests: instances, and receivers.

use std::{
    io,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::LazyLock,
    thread,
};

use delfin_plugin_api::testkit::{Harness, TestInstance, build_library};
use serde_json::Value;
use tempfile::TempDir;

static LIBRARY: LazyLock<PathBuf> = LazyLock::new(build_library);

/// The library under test, and a folder.
pub(crate) struct Lab {
    harness: Harness,
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            harness: Harness::open(&LIBRARY),
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn alerts(&self, settings: &Value) -> TestInstance {
        let created = self
            .harness
            .create("AlertExporterSyslog", settings, self.folder.path());
        created.unwrap_or_else(|outcome| panic!("{}", outcome.message))
    }
}

/// The port of a receiver that reads each connection to its end.
pub(crate) fn reader() -> u16 {
    receiver(|mut stream| drop(io::copy(&mut stream, &mut io::sink())))
}

/// The port of a receiver that does this with each connection.
pub(crate) fn receiver(serve: impl Fn(TcpStream) + Copy + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    port
}
