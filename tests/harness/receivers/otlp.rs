//! The OTLP receiver of the OpenTelemetry Collector, which writes what it accepts into a file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Server, binary, free_port, is_open, must};
use crate::wait_for;

/// A running receiver, until it is dropped.
pub struct OtlpCollector {
    server: Server,
    /// The scheme and the host.
    origin: &'static str,
    http: u16,
    grpc: u16,
    accepted: PathBuf,
}

restartable!(OtlpCollector);

/// The PEM files of a receiver with TLS, which requires a certificate of its authority from its
/// clients.
pub struct OtlpTls<'a> {
    /// The authority.
    pub authority: &'a Path,
    /// The certificate of the receiver.
    pub certificate: &'a Path,
    /// Its key.
    pub key: &'a Path,
}

impl OtlpCollector {
    /// Starts the receiver on free ports with its file in a folder; `None` where it is missing.
    #[must_use]
    pub fn start(folder: &Path) -> Option<Self> {
        Self::start_with(folder, None)
    }

    /// Starts the receiver with TLS.
    #[must_use]
    pub fn start_with(folder: &Path, tls: Option<&OtlpTls<'_>>) -> Option<Self> {
        let binary = binary("otlp-collector")?;
        let accepted = folder.join("accepted.jsonl");
        let [http, grpc] = [free_port(), free_port()];
        let mut arguments = vec![
            format!("127.0.0.1:{http}"),
            format!("127.0.0.1:{grpc}"),
            accepted.display().to_string(),
        ];
        let files = tls.map(|tls| [tls.certificate, tls.key, tls.authority]);
        let files = files
            .iter()
            .flatten()
            .map(|file| file.display().to_string());
        arguments.extend(files);
        let started = Self {
            server: Server::start(&binary, &arguments, &folder.join("otlp-collector.log")),
            // Certificates are for the name.
            origin: tls.map_or("http://127.0.0.1", |_| "https://localhost"),
            http,
            grpc,
            accepted,
        };
        started.wait();
        Some(started)
    }

    /// The base URL for HTTP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}:{}", self.origin, self.http)
    }

    /// The URL for gRPC.
    #[must_use]
    pub fn grpc_url(&self) -> String {
        format!("{}:{}", self.origin, self.grpc)
    }

    /// The requests that were accepted, in the JSON of OTLP. The end of one whose response was not
    /// sent is left out.
    #[must_use]
    pub fn accepted(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.accepted).unwrap_or_default();
        text.lines().flat_map(serde_json::from_str).collect()
    }

    /// Refuses requests with a code of gRPC, and the seconds of a `RetryInfo` unless they are 0.
    pub fn refuse(&self, code: u32, retry_seconds: u32) {
        let file = self.accepted.with_extension("jsonl.refuse");
        must(fs::write(file, format!("{code} {retry_seconds}")), "refuse");
    }

    fn wait(&self) {
        wait_for("the OTLP receiver", || {
            (is_open(self.http) && is_open(self.grpc)).then_some(())
        });
    }
}
