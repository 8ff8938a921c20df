//! Exporters that append JSON lines to a file.
//!
//! Promises: a batch that is reported as delivered is on the disk, as whole
//! lines of one file; a batch that failed has left nothing behind.

mod config;
mod encode;
mod file;

use std::{marker::PhantomData, time::SystemTime};

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{
    config::Config,
    encode::{Encode, Lines},
    file::{FileError, LinesFile},
};

export_plugin! {
    "PerformanceExporterFile" => FileExporter<PerformanceBatch>: "Appends each series to a file, as a line of JSON",
    "AlertExporterFile" => FileExporter<AlertBatch>: "Appends each alert to a file, as a line of JSON",
}

struct FileExporter<B> {
    file: LinesFile,
    buffer: Vec<u8>,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: Encode> Exporter for FileExporter<B> {
    type Batch = B;
    type Config = Config;

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            file: LinesFile::open(config)?,
            buffer: Vec::new(),
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, _: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        let skipped = self.file.append(SystemTime::now(), |file| {
            let mut lines = Lines::new(&mut self.buffer, file);
            let skipped = batch.encode(&mut lines)?;
            lines.finish()?;
            Ok(skipped)
        })?;
        skipped.count(&self.host);
        log::debug!(rows = batch.rows(), items = batch.items(); "batch appended");
        Ok(())
    }

    fn tick(&mut self, _: &Context<'_>) -> Outcome {
        Ok(self.file.tick(SystemTime::now())?)
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.file.close();
        Ok(())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotAFile { .. }
            | FileError::Shared { .. }
            | FileError::Foreign { .. }
            | FileError::Refused { .. } => Self::misconfigured(error),
            FileError::Io { .. } => Self::retry(error),
        }
    }
}

// Not in `encode`: the benchmark includes that file as it is.
#[cfg(test)]
#[path = "encode/tests.rs"]
mod encode_tests;
