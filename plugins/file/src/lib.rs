//! Exporters that append JSON lines to a file.
//!
//! Promises: a batch that is reported as delivered is on disk, as whole lines of
//! one file; a batch that failed leaves nothing in the file.

mod config;
pub mod encode;
mod outcome;
mod writer;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin,
    json::JsonBatch, log,
};

use crate::{
    config::Config,
    encode::Lines,
    writer::{FileWriter, Now},
};

export_plugin! {
    "PerformanceExporterFile" => FileExporter<PerformanceBatch>: "Appends each series to a file, as a line of JSON",
    "AlertExporterFile" => FileExporter<AlertBatch>: "Appends each alert to a file, as a line of JSON",
}

struct FileExporter<B> {
    writer: FileWriter,
    buffer: Vec<u8>,
    host: Host,
    batches: PhantomData<fn(B)>,
}

impl<B: JsonBatch> Exporter for FileExporter<B> {
    type Batch = B;
    type Config = Config;

    const UNIQUE_SETTINGS: &'static [&'static str] = &["path"];

    fn check(config: Config) -> Outcome {
        Ok(FileWriter::check(&config)?)
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        Ok(Self {
            writer: FileWriter::new(config)?,
            buffer: Vec::new(),
            host: host.clone(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, _: &Context<'_>) -> Outcome {
        if batch.rows() == 0 {
            return Ok(());
        }
        let skipped = self.writer.append(Now::read(), |file| {
            let mut lines = Lines::new(&mut self.buffer, file);
            let skipped = lines.write(batch)?;
            lines.finish()?;
            Ok(skipped)
        })?;
        skipped.count(&self.host);
        log::debug!(rows = batch.rows(), items = batch.items(); "batch appended");
        Ok(())
    }

    fn tick(&mut self, _: &Context<'_>) -> Outcome {
        Ok(self.writer.tick(Now::read())?)
    }

    fn close(&mut self, _: &Context<'_>) -> Outcome {
        self.writer.close();
        Ok(())
    }
}
