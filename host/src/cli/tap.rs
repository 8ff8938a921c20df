//! `tap`: shows rows of the running host as they pass, a sample of them.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    client::{ClientError, HostClient, encode},
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{counted, printable},
};
use crate::clock::rfc3339;

#[derive(Debug, clap::Args)]
pub struct TapArgs {
    #[command(flatten)]
    pub source: TapSource,

    /// Only series, or alerts, with such a name; `*` matches any text
    #[arg(long, value_name = "GLOB")]
    pub name: Option<String>,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct TapSource {
    /// Show the rows that this exporter sends, with the outcome
    #[arg(long, value_name = "NAME")]
    pub exporter: Option<String>,

    /// Show the rows of this storage when they are accepted
    #[arg(long, value_name = "ID")]
    pub storage: Option<String>,
}

/// A line of the host: a series, an alert, or how many rows were left out.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    time_ms: i64,
    outcome: Option<String>,
    storage_id: Option<String>,
    name: Option<String>,
    #[serde(default)]
    labels: Map<String, Value>,
    #[serde(default)]
    points: u64,
    value: Option<f64>,
    alert: Option<Map<String, Value>>,
    left_out: Option<u64>,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &TapArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    if let Some(id) = &args.source.storage {
        warn_if_unknown(&client, id, output);
    }
    let source = match (&args.source.exporter, &args.source.storage) {
        (Some(exporter), _) => format!("exporter={}", encode(exporter)),
        (None, storage) => format!(
            "storage_id={}",
            encode(storage.as_deref().unwrap_or_default())
        ),
    };
    let name = args.name.as_deref();
    let name = name.map_or_else(String::new, |name| format!("&name={}", encode(name)));
    let path = format!("/v1/tap?{source}{name}");
    client.get_lines(&path, |text| -> Result<(), Error> {
        let line: Line = client.parse(&path, text)?;
        match (line.left_out, output.is_json()) {
            // A sign of life.
            (Some(0), _) => Ok(()),
            (_, true) => output.line(text),
            (Some(rows), false) => output.line(&format!("({} left out)", counted(rows, "row"))),
            (None, false) => output.line(&line.to_text()),
        }
    })?;
    Err(Error::failed(
        "the host has ended the tap (it stops, or the exporter is no longer configured)",
    ))
}

/// Clients may send rows of a storage that the host does not know, so a wrong id is no error.
fn warn_if_unknown(client: &HostClient, id: &str, output: &Output<'_>) {
    // Another error occurs again when the tap is opened.
    if let Err(ClientError::Refused { code, .. }) =
        client.get(&format!("/v1/storages/{}", encode(id)))
        && code == "StorageNotFound"
    {
        output.warn(&format!(
            "storage `{id}` is not known to the host: only rows that clients send are shown (`delfin-host storages` shows the ids)"
        ));
    }
}

impl Line {
    fn to_text(&self) -> String {
        let time = rfc3339(self.time_ms);
        let mut parts = vec![time.get(11..23).unwrap_or_default().to_owned()];
        parts.extend(self.outcome.clone());
        parts.push(self.storage_id.clone().unwrap_or_else(|| "-".to_owned()));
        let fields = match &self.alert {
            Some(alert) => alert,
            None => &self.labels,
        };
        parts.extend(self.name.clone());
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        let known = |key: &str| ["storage_id", "storage_name"].contains(&key);
        let fields = fields.iter().filter(|(key, _)| !known(key));
        let fields: Vec<String> = fields
            .map(|(key, value)| format!("{key}={}", text(value)))
            .collect();
        parts.push(fields.join(" "));
        if self.alert.is_none() {
            let last = self.value.map(|value| format!(", last {value}"));
            parts.push(counted(self.points, "point") + &last.unwrap_or_default());
        }
        printable(&parts.join("  "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_without_control_characters() {
        let shown = |text: &str| serde_json::from_str::<Line>(text).unwrap().to_text();
        assert_eq!(
            shown(
                r#"{"time_ms": 1767268800123, "outcome": "delivered", "storage_id": "a7", "name": "iops",
                "labels": {"storage_id": "a7", "pool": "p\n1"}, "points": 2, "timestamp": 1, "value": 12.5}"#
            ),
            "12:00:00.123  delivered  a7  iops  pool=p 1  2 points, last 12.5"
        );
        assert_eq!(
            shown(
                r#"{"time_ms": 0, "storage_id": null, "alert": {"alert_name": "Fan", "occur_time": 5}}"#
            ),
            "00:00:00.000  -  alert_name=Fan occur_time=5"
        );
    }
}
