//! Shared by the tests: instances and requests.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
};

use delfin_plugin_api::testkit::{Harness, TestInstance, build_library};
use delfin_tests::PATIENCE;
use serde_json::Value;
use tempfile::TempDir;
use ureq::{Agent, tls::TlsConfig};

/// The library under test, and a folder.
pub(crate) struct Lab {
    harness: Harness,
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self {
            harness: Harness::open(&build_library()),
            folder: TempDir::new().unwrap(),
        }
    }

    /// A page with these settings on this port.
    pub(crate) fn page(&self, mut settings: Value, port: u16) -> TestInstance {
        settings["metric_server_port"] = port.into();
        self.create("PerformanceExporterPrometheus", &settings)
            .unwrap_or_else(|message| panic!("{message}"))
    }

    pub(crate) fn alerts(&self, settings: &Value) -> TestInstance {
        self.create("AlertExporterPrometheus", settings)
            .unwrap_or_else(|message| panic!("{message}"))
    }

    /// An instance, or the class and message of the outcome.
    pub(crate) fn create(&self, exporter: &str, settings: &Value) -> Result<TestInstance, String> {
        let state = self.folder.path().join("state");
        fs::create_dir_all(&state).unwrap();
        let created = self.harness.create(exporter, settings, &state);
        created.map_err(|outcome| format!("{:?} {}", outcome.code.class(), outcome.message))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReceivedResponse {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl ReceivedResponse {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) fn get(url: &str, headers: &[(&str, &str)]) -> Result<ReceivedResponse, ureq::Error> {
    get_over(TlsConfig::default(), url, headers)
}

pub(crate) fn get_over(
    tls: TlsConfig,
    url: &str,
    headers: &[(&str, &str)],
) -> Result<ReceivedResponse, ureq::Error> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .tls_config(tls);
    let agent = config.build().new_agent();
    let mut request = agent.get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.call()?;
    let header = |name| {
        let value = response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let content_type = header("content-type");
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(1 << 30);
    Ok(ReceivedResponse {
        status,
        content_type,
        body: body.read_to_vec()?,
    })
}

/// Sends a request, and returns the raw head and body of the response.
pub(crate) fn get_raw(port: u16, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}
