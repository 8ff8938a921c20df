//! `push`: sends a file of performance data or alerts to the running host.
//!
//! The file is sent as it is, compressed or not, and is never held in memory as a
//! whole. Its first bytes show the format. For JSON lines the name counts as well.

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use delfin_plugin_api::Kind;

use self::{error::PushError, format::FileFormat, input::PushInput, receipt::PushReceipt};
use super::{
    client::{HostClient, Upload, encode},
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    progress::{ProgressReport, ProgressUnit},
};
use crate::{
    batch::AnyBatch,
    clock::now_ms,
    ingest::{self, BodyEncoding, BodyFormat, BodyLimits, IngestError, RequestBody},
    state::{CountingReader, ProgressListener},
};

mod error;
mod format;
mod input;
mod receipt;

#[derive(Debug, clap::Args)]
pub struct PushArgs {
    /// Kind of data in the file
    pub kind: PushKind,

    /// File with JSON, JSON lines or an Arrow stream, also with gzip or zstd; `-` for standard input
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,

    /// Key that makes a repeated push safe: the host accepts each key once
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    pub idempotency_key: Option<String>,

    /// When to return: when the batch is durable, or when every exporter has finished it
    #[arg(long, value_name = "WHEN", value_enum, default_value = "durable")]
    pub ack: AckArg,

    /// How long to wait for the exporters, at most 50s; implies `--ack delivered` [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,

    /// Reject the whole file if an item is invalid
    #[arg(long)]
    pub strict: bool,

    /// The file has all active alerts of this storage: its other alerts have ended
    #[arg(long, value_name = "STORAGE_ID")]
    pub complete_for: Option<String>,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PushKind {
    /// Series of data points
    Performance,
    /// Alerts
    Alerts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AckArg {
    /// The batch is on the disk of the host
    Durable,
    /// Every exporter has finished the batch
    Delivered,
}

impl PushArgs {
    fn ack(&self) -> AckArg {
        self.wait.map_or(self.ack, |_| AckArg::Delivered)
    }
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &PushArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let path = match args.kind {
        PushKind::Performance => "/v1/ingest/performance",
        PushKind::Alerts => "/v1/ingest/alerts",
    };
    let client = options.host_client(&args.host)?;
    let progress = ProgressReport::new(output, ProgressUnit::Bytes);
    let response = send(&client, &with_query(path, args), args, &progress);
    drop(progress);
    let response = response?;
    let receipt: PushReceipt = client.parse(path, &response)?;
    if output.is_json() {
        output.line(&response)?;
    } else {
        receipt.print(output)?;
    }
    receipt.check(args.ack())?;
    Ok(())
}

fn with_query(path: &str, args: &PushArgs) -> String {
    let ack = match args.ack() {
        AckArg::Durable => "durable",
        AckArg::Delivered => "delivered",
    };
    let mut path = format!("{path}?ack={ack}&strict={}", args.strict);
    if let Some(storage_id) = &args.complete_for {
        path += &format!("&complete_for={}", encode(storage_id));
    }
    path
}

fn send(
    client: &HostClient,
    path: &str,
    args: &PushArgs,
    progress: &dyn ProgressListener,
) -> Result<String, Error> {
    let mut input = PushInput::open(&args.file)?;
    let head = input.head()?;
    let Some(format) = FileFormat::of(&head, &args.file) else {
        let path = args.file.clone();
        return Err(PushError::ArrowFile { path }.into());
    };
    let mut headers = vec![("Content-Type", format.content_type.to_owned())];
    if let Some(encoding) = format.encoding {
        headers.push(("Content-Encoding", encoding.to_owned()));
    }
    if let Some(key) = &args.idempotency_key {
        headers.push(("Idempotency-Key", key.clone()));
    }
    if let Some(wait) = args.wait {
        // The header takes whole seconds: rounded up.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.push(("Prefer", format!("wait={seconds}")));
    }
    if let Some(length) = input.length() {
        headers.push(("Content-Length", length.to_string()));
        // The host can refuse a body that is too large before it is sent.
        headers.push(("Expect", "100-continue".to_owned()));
    }
    progress.begin("sending", input.length().unwrap_or_default());
    let mut body = CountingReader::new(head.as_slice().chain(&mut input), progress);
    let body = &mut body;
    let response = client.post(path, Upload { headers, body });
    // If reading the file failed, then that is why the request failed.
    input.check()?;
    response.map_err(|error| PushError::of_request(&args.file, error))
}

/// Reads a whole file or standard input as a batch of valid items.
pub(super) fn read(kind: Kind, path: &Path) -> Result<AnyBatch, Error> {
    let mut input = PushInput::open(path)?;
    let mut bytes = input.head()?;
    let Some(found) = FileFormat::of(&bytes, path) else {
        let path = path.to_owned();
        return Err(PushError::ArrowFile { path }.into());
    };
    // The input keeps the error, and `check` returns it.
    let _ = input.read_to_end(&mut bytes);
    input.check()?;
    let batch = parse(kind, found, &bytes).map_err(|error| PushError::Content {
        path: path.to_owned(),
        fault: error.to_string(),
    });
    Ok(batch?)
}

fn parse(kind: Kind, found: FileFormat, bytes: &[u8]) -> Result<AnyBatch, IngestError> {
    let body = RequestBody {
        format: BodyFormat::from_content_type(Some(found.content_type))?,
        encoding: BodyEncoding::from_content_encoding(found.encoding)?,
        bytes: bytes.into(),
    };
    ingest::parse_strict(kind, body, &BodyLimits::default(), now_ms())
}

fn parse_key(key: &str) -> Result<String, String> {
    match ureq::http::HeaderValue::from_str(key) {
        Ok(value) if !value.is_empty() => Ok(key.to_owned()),
        _ => Err("write printable ASCII characters".to_owned()),
    }
}

#[cfg(test)]
mod tests;
