//! `alerts`: lists and clears active alerts of the running host.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    client::encode,
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};
use crate::clock::rfc3339;

const PATH: &str = "/v1/alerts/active";

#[derive(Debug, clap::Subcommand)]
pub enum AlertsCommand {
    /// List the active alerts
    List(ListAlertsArgs),

    /// End active alerts: every alert exporter gets their recoveries
    Clear(ClearAlertsArgs),
}

#[derive(Debug, clap::Args)]
pub struct ListAlertsArgs {
    /// Alerts of this storage
    #[arg(long, value_name = "ID")]
    pub storage: Option<String>,

    /// Alerts of this severity
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Option<String>,

    #[command(flatten)]
    pub host: HostArgs,
}

/// Selects the alerts that match every given option.
#[derive(Debug, clap::Args)]
#[group(id = "selection", required = true, multiple = true)]
pub struct ClearAlertsFilter {
    /// Alerts of this storage
    #[arg(long, value_name = "ID")]
    pub storage: Option<String>,

    /// Alerts of this severity
    #[arg(long, value_name = "SEVERITY")]
    pub severity: Option<String>,

    /// Alerts with this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Alerts with this location
    #[arg(long, value_name = "TEXT")]
    pub location: Option<String>,

    /// Alerts with this sequence number
    #[arg(long, value_name = "NUMBER")]
    pub sequence_number: Option<String>,

    /// Alerts with this match key
    #[arg(long, value_name = "KEY")]
    pub match_key: Option<String>,

    /// Every active alert
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, clap::Args)]
pub struct ClearAlertsArgs {
    #[command(flatten)]
    pub filter: ClearAlertsFilter,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct AlertList {
    alerts: Vec<AlertRow>,
}

#[derive(Deserialize)]
struct AlertRow {
    storage_id: Option<String>,
    alert_name: Option<String>,
    alert_id: Option<String>,
    severity: Option<String>,
    category: Option<String>,
    location: Option<String>,
    sequence_number: Option<String>,
    last_seen: i64,
}

#[derive(Deserialize)]
struct ClearedAlerts {
    cleared: u64,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &AlertsCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        AlertsCommand::List(args) => list(options, args, output),
        AlertsCommand::Clear(args) => clear(options, args, output),
    }
}

fn list(
    options: &GlobalOptions,
    args: &ListAlertsArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let filters = [("storage_id", &args.storage), ("severity", &args.severity)];
    let given = filters.into_iter();
    let query: Vec<String> = given
        .filter_map(|(name, text)| Some(format!("{name}={}", encode(text.as_ref()?))))
        .collect();
    let path = format!("{PATH}?{}", query.join("&"));
    let response = client.get(&path)?;
    if output.is_json() {
        return output.line(&response);
    }
    let AlertList { alerts } = client.parse(PATH, &response)?;
    let summary = match alerts.len() {
        0 => "no active alerts".to_owned(),
        many => counted(many as u64, "active alert"),
    };
    output.list(&table(&alerts), &summary)
}

fn clear(
    options: &GlobalOptions,
    args: &ClearAlertsArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let path = format!("{PATH}/clear");
    let body = Value::Object(selection(&args.filter)).to_string();
    let response = client.post_json(&path, &body)?;
    if output.is_json() {
        return output.line(&response);
    }
    let ClearedAlerts { cleared } = client.parse(&path, &response)?;
    output.line(&format!("cleared {}", counted(cleared, "alert")))
}

fn selection(filter: &ClearAlertsFilter) -> Map<String, Value> {
    let texts = [
        ("storage_id", &filter.storage),
        ("severity", &filter.severity),
        ("alert_name", &filter.name),
        ("location", &filter.location),
        ("sequence_number", &filter.sequence_number),
        ("match_key", &filter.match_key),
    ];
    let given = texts.into_iter();
    let mut selection: Map<String, Value> = given
        .filter_map(|(name, text)| Some((name.to_owned(), text.clone()?.into())))
        .collect();
    if filter.all {
        selection.insert("all".to_owned(), true.into());
    }
    selection
}

fn table(alerts: &[AlertRow]) -> TextTable {
    let header = [
        "storage",
        "alert",
        "severity",
        "category",
        "location",
        "sequence",
        "last seen",
    ];
    let mut table = TextTable::new(&header);
    for alert in alerts {
        let name = alert.alert_name.as_deref().or(alert.alert_id.as_deref());
        table.row([
            Cell::optional(alert.storage_id.as_deref()),
            Cell::optional(name),
            Cell::optional(alert.severity.as_deref()),
            Cell::optional(alert.category.as_deref()),
            Cell::optional(alert.location.as_deref()),
            Cell::optional(alert.sequence_number.as_deref()),
            Cell::text(rfc3339(alert.last_seen)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, client};

    const ONE: &str = r#"{"alerts":[{"storage_id":"s1","alert_name":"Fan","alert_id":"1",
        "severity":"Major","category":"Fault","location":null,"sequence_number":"7",
        "last_seen":1700000000000}]}"#;

    fn printed(body: &'static str, typed: &[&str]) -> String {
        client::tests::printed("200 OK", body, &[&["alerts"], typed].concat())
    }

    #[test]
    fn the_list_is_a_table_with_a_summary_or_json() {
        let text = printed(ONE, &["list", "--storage", "s 1"]);
        assert!(
            text.contains("Fan") && text.contains("2023-11-14T22:13:20"),
            "{text}"
        );
        assert!(text.ends_with("\n\n1 active alert\n"), "{text}");
        assert_eq!(printed(ONE, &["list", "--json"]).trim(), ONE);
        assert_eq!(printed(r#"{"alerts":[]}"#, &["list"]), "no active alerts\n");
    }

    #[test]
    fn clear_needs_a_selection_and_prints_how_many() {
        let text = printed(
            r#"{"cleared":2}"#,
            &["clear", "--storage", "s1", "--name", "Fan"],
        );
        assert_eq!(text, "cleared 2 alerts\n");
        assert!(Cli::try_parse_from(["delfin-host", "alerts", "clear"]).is_err());
    }
}
