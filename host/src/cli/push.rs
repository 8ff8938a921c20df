//! `push`: a file of performance or of alerts goes to the running host.
//!
//! The file is sent as it is, compressed or not, and never held in memory. What
//! it is shows in its first bytes; only for JSON lines does the name count too.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::Deserialize;

use self::{format::Format, source::Source};
use super::{Api, Error, Global, HostArgs, Output, api::Upload, settings, table::grouped};
use crate::ingest::{self, IngestError};

mod format;
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

/// Why a file cannot be pushed.
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
}

#[derive(Deserialize)]
struct Receipt {
    batch_id: String,
    items: u64,
    state: String,
}

pub(super) fn run(global: &Global, args: &PushArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let path = match args.kind {
        IngestKind::Performance => "/v1/ingest/performance",
        IngestKind::Alerts => "/v1/ingest/alerts",
    };
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let answer = send(&api, path, args)?;
    if output.json() {
        return output.line(&answer);
    }
    let receipt: Receipt = api.parse(path, &answer)?;
    let (items, state) = (grouped(receipt.items), receipt.state);
    output.line(&format!("{}: {items} items, {state}", receipt.batch_id))
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
