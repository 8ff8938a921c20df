//! The cursors of exporters in all journals of the database, for those who do not own these.

use delfin_plugin_api::Kind;
use delfin_plugin_api::postgres::{
    PostgresError,
    tokio_postgres::{Client, Row},
};

use super::number;
use crate::journal::{ALERTS, PERFORMANCE};

/// The longest text of an error, in characters.
const MAX_ERROR_CHARS: i32 = 1000;

/// The cursor of an exporter and its counts, as the database has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CursorSummary {
    /// The name of the cluster.
    pub(crate) cluster: String,
    pub(crate) kind: Kind,
    pub(crate) exporter: String,
    /// `None` until the owner has noted it.
    pub(crate) pending: Option<u64>,
    pub(crate) delivered: u64,
    pub(crate) dead_lettered: u64,
    /// By any limit.
    pub(crate) dropped: u64,
    pub(crate) filtered: u64,
    pub(crate) unused_since_ms: Option<i64>,
    pub(crate) last_success_ms: Option<i64>,
    /// Its beginning.
    pub(crate) last_error: Option<String>,
    pub(crate) last_error_ms: Option<i64>,
}

/// The cursors of the exporters of clusters, by cluster, kind and name.
pub(crate) async fn summarize_cursors(
    client: &Client,
    clusters: &[String],
) -> Result<Vec<CursorSummary>, PostgresError> {
    // What is accepted, and has no disposition yet. Cursors of the host's own begin with `:`.
    const LIST: &str = "SELECT c.journal, c.exporter, c.delivered, c.dead_lettered, d.dropped, c.filtered,
           j.head_items - c.start_items + c.replayed_items - c.delivered - c.dead_lettered - d.dropped - c.filtered,
           c.unused_since_ms, c.last_success_ms, left(c.last_error, $2), c.last_error_ms
         FROM delfin_cursors c JOIN delfin_journals j ON j.name = c.journal,
           LATERAL (SELECT coalesce(sum(items), 0)::bigint AS dropped FROM unnest(c.dropped_items) AS items) d
         WHERE c.journal = ANY($1) AND c.exporter NOT LIKE ':%'
         ORDER BY c.journal DESC, c.exporter";
    let kinds = [PERFORMANCE, ALERTS];
    let journals = clusters
        .iter()
        .flat_map(|cluster| kinds.map(|kind| format!("{cluster}.{kind}")));
    let journals: Vec<String> = journals.collect();
    let rows = client.query(LIST, &[&journals, &MAX_ERROR_CHARS]).await?;
    Ok(rows.iter().filter_map(summary).collect())
}

fn summary(row: &Row) -> Option<CursorSummary> {
    let (cluster, journal) = row.get::<_, &str>(0).rsplit_once('.')?;
    let pending: Option<i64> = row.get(6);
    Some(CursorSummary {
        cluster: cluster.to_owned(),
        kind: if journal == ALERTS {
            Kind::Alert
        } else {
            Kind::Performance
        },
        exporter: row.get(1),
        pending: pending.map(|items| u64::try_from(items).unwrap_or(0)),
        delivered: number(row, 2),
        dead_lettered: number(row, 3),
        dropped: number(row, 4),
        filtered: number(row, 5),
        unused_since_ms: row.get(7),
        last_success_ms: row.get(8),
        last_error: row.get(9),
        last_error_ms: row.get(10),
    })
}
