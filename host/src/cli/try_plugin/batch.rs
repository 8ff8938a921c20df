//! The batch that `try` sends: of a file, or generated.

use delfin_plugin_api::{Batch, Kind, Origin, sample};
use delfin_plugin_loader::ManifestExporter;
use uuid::Uuid;

use super::{TryArgs, TryError};
use crate::{
    batch::Header,
    cli::{error::Error, push},
    clock::now_ms,
    plugin::{ExportRequest, RequestPart},
};

/// Points of each generated series.
const POINTS: usize = 10;

pub(super) fn request(args: &TryArgs, exporter: &ManifestExporter) -> Result<ExportRequest, Error> {
    let kind = match &*exporter.kind {
        "performance" => Kind::Performance,
        "alert" => Kind::Alert,
        _ => {
            let (exporter, kind) = (exporter.name.clone(), exporter.kind.clone());
            return Err(TryError::Kind { exporter, kind }.into());
        }
    };
    let (arrow, items) = match &args.batch {
        Some(path) => {
            let batch = push::read(kind, path)?;
            (batch.as_arrow().clone(), batch.items())
        }
        None if kind == Kind::Performance => {
            let batch = sample::performance(args.rows, POINTS);
            (batch.as_arrow().clone(), batch.items())
        }
        None => {
            let batch = sample::alerts(args.rows);
            (batch.as_arrow().clone(), batch.items())
        }
    };
    let rows = arrow.num_rows() as u64;
    Ok(ExportRequest {
        arrow,
        items,
        origin: Origin::Ingest,
        parts: vec![RequestPart {
            header: Header {
                batch_id: Uuid::now_v7(),
                origin: Origin::Ingest,
                storage_id: None,
                complete: false,
                accepted_ms: now_ms(),
                items,
            },
            first_row: 0,
            rows,
        }],
        stored: None,
    })
}
