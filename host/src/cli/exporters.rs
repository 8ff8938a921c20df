//! `exporters`: shows the state of each exporter of the running host, and changes single ones.

mod operate;
mod watch;

pub(super) mod process;

use std::time::Duration;

use clap::builder::styling::AnsiColor;
use serde::Deserialize;

use self::operate::ExportersCommand;
use super::{
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, duration, grouped},
};
use crate::clock::now_ms;
use process::ProcessColumns;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ExportersArgs {
    /// Without a command, the exporters are shown
    #[command(subcommand)]
    pub command: Option<ExportersCommand>,

    /// Show them again every few seconds, until the command is ended
    #[arg(
        long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub watch: Option<u64>,

    #[command(flatten)]
    pub host: HostArgs,
}

const PATH: &str = "/v1/exporters";

/// The order of the states in the last line, best first.
const STATES: [&str; 8] = [
    "running",
    "starting",
    "retrying",
    "paused",
    "stuck",
    "failed",
    "quarantined",
    "stopped",
];

#[derive(Deserialize)]
struct ExporterList {
    exporters: Vec<ExporterRow>,
    #[serde(default)]
    removed: Vec<RemovedExporter>,
}

#[derive(Deserialize)]
struct RemovedExporter {
    name: String,
    kind: String,
    pending: u64,
    pending_bytes: Option<u64>,
    removed_at: String,
}

#[derive(Deserialize)]
struct ExporterRow {
    name: String,
    plugin: Option<String>,
    kind: Option<String>,
    state: String,
    pending: Option<u64>,
    delivered: Option<u64>,
    dead_lettered: Option<u64>,
    dropped: Option<u64>,
    lag_seconds: Option<f64>,
    last_error: Option<String>,
    last_error_ms: Option<i64>,
    next_attempt_ms: Option<i64>,
    #[serde(flatten)]
    process: ProcessColumns,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &ExportersArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    if let Some(command) = &args.command {
        return command.run(options, output);
    }
    let client = options.host_client(&args.host)?;
    if let Some(seconds) = args.watch {
        return watch::run(&client, Duration::from_secs(seconds), output);
    }
    let response = client.get(PATH)?;
    if output.is_json() {
        return output.line(&response);
    }
    show(&client.parse(PATH, &response)?, output)
}

fn show(list: &ExporterList, output: &mut Output<'_>) -> Result<(), Error> {
    output.list(&table(&list.exporters, now_ms()), &summary(&list.exporters))?;
    for RemovedExporter {
        name,
        kind,
        pending,
        pending_bytes,
        removed_at,
    } in &list.removed
    {
        let pending = grouped(*pending);
        let bytes = pending_bytes.map_or_else(String::new, |bytes| {
            format!(" in {} bytes of the journal", grouped(bytes))
        });
        output.line(&format!(
            "no longer configured since {removed_at}: {name} ({kind}), {pending} pending{bytes} \
             (add it again, or use `exporters rename` or `exporters forget`)"
        ))?;
    }
    Ok(())
}

/// The last error, when it occurred and when the next attempt is; after recovery, that
/// it is past.
fn last_error(exporter: &ExporterRow, now_ms: i64) -> Option<String> {
    let error = exporter.last_error.as_deref()?;
    let seconds = |ms: i64| duration(ms.max(0) as f64 / 1000.0);
    let mut notes = Vec::new();
    if exporter.state == "running" {
        notes.push("past".to_owned());
    }
    if let Some(error_ms) = exporter.last_error_ms {
        notes.push(format!("{} ago", seconds(now_ms - error_ms)));
    }
    if let Some(next_ms) = exporter.next_attempt_ms {
        notes.push(format!("next attempt in {}", seconds(next_ms - now_ms)));
    }
    if notes.is_empty() {
        return Some(error.to_owned());
    }
    Some(format!("{error} ({})", notes.join(", ")))
}

fn table(exporters: &[ExporterRow], now_ms: i64) -> TextTable {
    let mut table = TextTable::new(&[
        "exporter",
        "plugin",
        "kind",
        "state",
        "pending",
        "delivered",
        "dead-lettered",
        "dropped",
        "lag",
        "process",
        "memory",
        "cpu",
        "restarts",
        "last error",
    ]);
    for exporter in exporters {
        let [process, memory, cpu, restarts] = exporter.process.cells();
        table.row([
            Cell::text(&exporter.name),
            Cell::optional(exporter.plugin.as_deref()),
            Cell::optional(exporter.kind.as_deref()),
            Cell::text(&exporter.state).colored(color(&exporter.state)),
            count(exporter.pending),
            count(exporter.delivered),
            count(exporter.dead_lettered),
            count(exporter.dropped),
            exporter
                .lag_seconds
                .map_or_else(Cell::none, |lag| Cell::amount(duration(lag))),
            process,
            memory,
            cpu,
            restarts,
            Cell::optional(last_error(exporter, now_ms).as_deref()),
        ]);
    }
    table
}

/// `3 exporters: 1 running, 1 retrying, 1 failed`
fn summary(exporters: &[ExporterRow]) -> String {
    let mut states = STATES.to_vec();
    for exporter in exporters {
        // A newer host may have more states.
        if !states.contains(&exporter.state.as_str()) {
            states.push(&exporter.state);
        }
    }
    let counts: Vec<String> = states
        .into_iter()
        .filter_map(|state| {
            let count = exporters.iter().filter(|e| e.state == state).count();
            (count > 0).then(|| format!("{count} {state}"))
        })
        .collect();
    match exporters.len() {
        0 => "no exporters (add names to `performance_exporters` or `alert_exporters`)".to_owned(),
        1 => format!("1 exporter: {}", counts.join(", ")),
        many => format!("{many} exporters: {}", counts.join(", ")),
    }
}

fn color(state: &str) -> AnsiColor {
    match state {
        "running" => AnsiColor::Green,
        "failed" | "stuck" | "quarantined" => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    }
}

fn count(number: Option<u64>) -> Cell {
    number.map_or_else(Cell::none, Cell::number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client;

    fn parse(json: &str) -> Vec<ExporterRow> {
        serde_json::from_str::<ExporterList>(json)
            .unwrap()
            .exporters
    }

    #[test]
    fn the_table_aligns_numbers_right_and_ends_with_a_summary() {
        let exporters = parse(include_str!("exporters/exporters.json"));
        let text = format!(
            "{}\n{}",
            table(&exporters, 0).render(false),
            summary(&exporters)
        );
        insta::assert_snapshot!(text);
    }

    fn printed(more: &[&str]) -> String {
        let body = include_str!("exporters/exporters.json");
        client::tests::printed("200 OK", body, &[&["exporters"], more].concat())
    }

    #[test]
    fn json_is_the_response_of_the_host_unchanged() {
        assert_eq!(
            printed(&["--json"]),
            include_str!("exporters/exporters.json")
        );
    }

    #[test]
    fn the_table_has_color_only_on_request() {
        let text = printed(&[]);
        assert!(
            text.ends_with("\n\n3 exporters: 1 running, 1 retrying, 1 failed\n"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
        assert!(printed(&["--color", "always"]).contains("\u{1b}[32mrunning"));
    }

    #[test]
    fn a_last_error_shows_its_time_and_is_past_after_recovery() {
        let shown = |more: &str| {
            let row =
                format!(r#"{{"exporters": [{{"name": "a", "last_error": "refused", {more}}}]}}"#);
            last_error(&parse(&row)[0], 300_000).unwrap()
        };
        assert_eq!(
            shown(r#""state": "retrying", "last_error_ms": 298000, "next_attempt_ms": 308000"#),
            "refused (2 s ago, next attempt in 8 s)"
        );
        assert_eq!(
            shown(r#""state": "running", "last_error_ms": 0"#),
            "refused (past, 5 min ago)"
        );
        assert_eq!(shown(r#""state": "failed""#), "refused");
    }

    #[test]
    fn an_unknown_state_is_counted() {
        let exporters = parse(
            r#"{"exporters": [{"name": "a", "state": "dreaming"}, {"name": "b", "state": "running"}]}"#,
        );
        assert_eq!(summary(&exporters), "2 exporters: 1 running, 1 dreaming");
    }

    #[test]
    fn without_exporters_no_table_is_shown() {
        let text = summary(&parse(r#"{"exporters": []}"#));
        assert!(text.starts_with("no exporters (add names to"), "{text}");
    }
}
