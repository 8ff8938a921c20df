//! Exporters that write Parquet files to a folder or to S3, one for each request, day and storage.
//!
//! Promises: a row is delivered when all its points are durable; readers see whole files only; rows
//! that are sent again with the same others are stored once.

mod client;
mod config;
pub mod encode;
mod outcome;
mod state;
mod writer;

use std::marker::PhantomData;

use delfin_plugin_api::{
    AlertBatch, Context, Exporter, Failure, Host, Outcome, PerformanceBatch, export_plugin, log,
};

use crate::{
    client::S3Client,
    config::{Config, Target},
    encode::ParquetBatch,
    state::StoredFiles,
    writer::FolderWriter,
};

export_plugin! {
    "PerformanceExporterParquet" => ParquetExporter<PerformanceBatch>: "Writes points to Parquet files in a folder or in S3",
    "AlertExporterParquet" => ParquetExporter<AlertBatch>: "Writes alerts to Parquet files in a folder or in S3",
}

/// The most files of a request. Points of years can be in one batch.
const MAX_FILES: usize = 1000;

struct ParquetExporter<B> {
    store: Store,
    stored: StoredFiles,
    exporter: String,
    batches: PhantomData<fn(B)>,
}

/// Where the files are.
enum Store {
    Folder(FolderWriter),
    S3(Box<S3Client>),
}

impl<B: ParquetBatch> Exporter for ParquetExporter<B> {
    type Batch = B;
    type Config = Config;

    /// Some megabytes of a file. The host sends that many only if it has waited for them.
    const MAX_POINTS: Option<u64> = Some(1_000_000);

    fn check(config: Config) -> Outcome {
        match config.target {
            Target::Folder(folder) => FolderWriter::new(folder).map(drop),
            Target::S3(settings) => client::check(&settings),
        }
    }

    fn create(config: Config, host: &Host) -> Result<Self, Failure> {
        let store = match config.target {
            Target::Folder(folder) => Store::Folder(FolderWriter::new(folder)?),
            Target::S3(settings) => {
                settings.http.warn_of_plain_proxy();
                Store::S3(Box::new(S3Client::new(&settings, host)?))
            }
        };
        Ok(Self {
            store,
            stored: StoredFiles::default(),
            exporter: host.exporter().to_owned(),
            batches: PhantomData,
        })
    }

    fn export(&mut self, batch: &B, context: &Context<'_>) -> Outcome {
        let partitions = batch.partitions();
        if partitions.len() > MAX_FILES {
            let files = partitions.len();
            return Err(Failure::TooLarge {
                message: format!("the rows are of {files} days and storages, not {MAX_FILES}"),
            });
        }
        let key = context.idempotency_key(&self.exporter);
        let name = state::file_name(context.parts().next(), &key);
        self.stored.begin(&key);
        for (partition, rows) in &partitions {
            let path = format!("{}/{partition}/{name}", B::FOLDER);
            if self.stored.contains(&path) {
                continue;
            }
            if context.cancelled() {
                return Err(Failure::retry("the host is stopping"));
            }
            let content = batch.encode(rows).map_err(Failure::rejected)?;
            match &self.store {
                Store::Folder(folder) => folder.write(&path, &content)?,
                Store::S3(s3) => s3.put(&path, content, context.remaining())?,
            }
            self.stored.add(path);
        }
        log::debug!(rows = batch.rows(), files = partitions.len(); "batch written");
        Ok(())
    }

    fn health(&mut self, context: &Context<'_>) -> Outcome {
        match &self.store {
            Store::Folder(folder) => folder.health(),
            Store::S3(s3) => s3.health(context.remaining()),
        }
    }
}
