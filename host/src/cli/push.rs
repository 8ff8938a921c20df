//! `push`: a file of performance or of alerts goes to the running host.
//!
//! The file is sent as it is, compressed or not, and never held in memory. What
//! it is shows in its first bytes; only for JSON lines does the name count too.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;

use self::{format::Format, receipt::Receipt, source::Source};
use super::{Api, Error, Global, HostArgs, Output, api::Upload, settings};
use crate::ingest::{self, IngestError};

mod format;
mod receipt;
mod source;

/// What `push` understands.
#[derive(Debug, clap::Args)]
pub struct PushArgs {
    /// What the file holds
    pub kind: IngestKind,

    /// JSON, JSON lines or an Arrow stream, also with gzip or zstd; `-` for the standard input
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,

    /// Makes it safe to push again: the host takes one key once
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    pub idempotency_key: Option<String>,

    /// When it is done: once the batch is safe, or once every exporter is done with it
    #[arg(long, value_name = "WHEN", value_enum, default_value = "durable")]
    pub ack: AckArg,

    /// How long to wait for the exporters, up to 50s; implies `--ack delivered` [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,

    /// Hand nothing in unless every item is valid
    #[arg(long)]
    pub strict: bool,

    /// Which host.
    #[command(flatten)]
    pub host: HostArgs,
}

/// What can be handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IngestKind {
    /// Series of measured points
    Performance,
    /// Alerts
    Alerts,
}

/// When a push is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AckArg {
    /// Once the batch is on the host's disk.
    Durable,
    /// Once every exporter is done with it.
    Delivered,
}

impl PushArgs {
    fn ack(&self) -> AckArg {
        self.wait.map_or(self.ack, |_| AckArg::Delivered)
    }
}

/// Why a file cannot be pushed, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file, or `-`.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// It is an Arrow file, which cannot be read from front to back.
    #[error(
        "`{}` is an Arrow file, and the host takes Arrow streams (write it with a stream writer)",
        path.display()
    )]
    ArrowFile {
        /// The file, or `-`.
        path: PathBuf,
    },

    /// Some of what is in it was not taken.
    #[error(
        "{items} of the items were not taken, all others were (correct these, and push them alone)"
    )]
    Rejected {
        /// How many.
        items: u64,
    },

    /// Not every exporter was done with it in time.
    #[error(
        "not delivered in time, pending at {exporters}; the batch is safe \
         (do not push it again: `/v1/batches/{batch_id}` tells what becomes of it)"
    )]
    Pending {
        /// The batch.
        batch_id: String,
        /// Those that are not done with it.
        exporters: String,
    },
}

pub(super) fn run(global: &Global, args: &PushArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let path = match args.kind {
        IngestKind::Performance => "/v1/ingest/performance",
        IngestKind::Alerts => "/v1/ingest/alerts",
    };
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let answer = send(&api, &asked(path, args), args)?;
    let receipt: Receipt = api.parse(path, &answer)?;
    if output.json() {
        output.line(&answer)?;
    } else {
        receipt.print(output)?;
    }
    receipt.check(args.ack())?;
    Ok(())
}

/// The path, with what is asked for.
fn asked(path: &str, args: &PushArgs) -> String {
    let ack = match args.ack() {
        AckArg::Durable => "durable",
        AckArg::Delivered => "delivered",
    };
    format!("{path}?ack={ack}&strict={}", args.strict)
}

fn send(api: &Api, path: &str, args: &PushArgs) -> Result<String, Error> {
    let mut source = Source::open(&args.file)?;
    let head = source.head()?;
    let Some(format) = Format::of(&head, &args.file) else {
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
        // Whole seconds, and rather too long than too short.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.push(("Prefer", format!("wait={seconds}")));
    }
    if let Some(length) = source.length() {
        headers.push(("Content-Length", length.to_string()));
        // A host that does not want that much says so before it is sent.
        headers.push(("Expect", "100-continue".to_owned()));
    }
    let mut body = head.as_slice().chain(&mut source);
    let body = &mut body;
    let answer = api.post(path, Upload { headers, body });
    // A file that cannot be read to its end is the reason for what followed.
    source.check()?;
    Ok(answer?)
}

/// A whole file, or the standard input, with what it is.
pub(super) fn read(path: &Path) -> Result<(ingest::Format, ingest::Encoding, Vec<u8>), Error> {
    let mut source = Source::open(path)?;
    let mut bytes = source.head()?;
    let Some(found) = Format::of(&bytes, path) else {
        let path = path.to_owned();
        return Err(PushError::ArrowFile { path }.into());
    };
    // What went wrong is kept, and said by `check`.
    let _ = source.read_to_end(&mut bytes);
    source.check()?;
    let format = ingest::Format::from_content_type(Some(found.content_type));
    let encoding = ingest::Encoding::from_content_encoding(found.encoding);
    let failed = |error: IngestError| Error::Failed(error.into());
    Ok((format.map_err(failed)?, encoding.map_err(failed)?, bytes))
}

fn parse_key(key: &str) -> Result<String, String> {
    match ureq::http::HeaderValue::from_str(key) {
        Ok(value) if !value.is_empty() => Ok(key.to_owned()),
        _ => Err("a key is printable ASCII text".to_owned()),
    }
}

#[cfg(test)]
mod tests;
