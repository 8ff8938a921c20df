//! `storages labels`: shows or sets the labels of a storage.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::{parse_attribute, path_of};
use crate::cli::{
    connect::HostArgs,
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};

#[derive(Debug, clap::Args)]
pub struct StorageLabelsArgs {
    /// Id of the storage, as `storages list` shows it
    pub id: String,

    /// Labels that replace those of the storage (repeatable); without any, they are shown
    #[arg(value_name = "NAME=VALUE", value_parser = parse_attribute, conflicts_with = "clear")]
    pub labels: Vec<(String, String)>,

    /// Remove all labels of the storage
    #[arg(long)]
    pub clear: bool,

    #[command(flatten)]
    pub host: HostArgs,
}

#[derive(Deserialize)]
struct LabelsResponse {
    labels: BTreeMap<String, String>,
}

pub(super) fn run(
    options: &GlobalOptions,
    args: &StorageLabelsArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let path = format!("{}/labels", path_of(&args.id)?);
    let response = if args.labels.is_empty() && !args.clear {
        client.get(&path)?
    } else {
        let labels: BTreeMap<_, _> = args.labels.iter().cloned().collect();
        client.put_json(&path, &json!({ "labels": labels }).to_string())?
    };
    if output.is_json() {
        return output.line(&response);
    }
    let LabelsResponse { labels } = client.parse(&path, &response)?;
    let mut table = TextTable::new(&["label", "value"]);
    for (name, value) in &labels {
        table.row([Cell::text(name), Cell::text(value)]);
    }
    output.list(&table, &counted(labels.len() as u64, "label"))
}

#[cfg(test)]
mod tests {
    use crate::cli::client::tests::printed;

    #[test]
    fn labels_are_shown_and_set_as_a_table() {
        let body = r#"{"labels":{"site":"hk"}}"#;
        for typed in [
            &["storages", "labels", "7b1f"][..],
            &["storages", "labels", "7b1f", "site=hk"],
        ] {
            let text = printed("200 OK", body, typed);
            assert!(
                text.contains("site") && text.ends_with("\n\n1 label\n"),
                "{text}"
            );
        }
    }
}
