//! `webhooks test`: shows what becomes of the body of a webhook, without a running host.

use std::{iter, path::PathBuf};

use super::{
    error::Error,
    mapping_report::{MappingReport, read_input},
    options::GlobalOptions,
    output::Output,
};
use crate::{
    clock::now_ms,
    config,
    webhooks::{WebhookMappings, webhook_alerts},
};

#[derive(Debug, clap::Subcommand)]
pub enum WebhooksCommand {
    /// Show which alerts become of a body, and why
    Test(TestWebhookArgs),
}

#[derive(Debug, clap::Args)]
pub struct TestWebhookArgs {
    /// File with the body, or `-` for standard input
    pub file: String,

    /// Folder with mapping files [default: `inputs.webhook.mapping_dir` of the configuration]
    #[arg(long, value_name = "FOLDER")]
    pub mapping_dir: Option<PathBuf>,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &WebhooksCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let WebhooksCommand::Test(args) = command;
    let folder = match &args.mapping_dir {
        Some(folder) => folder.clone(),
        None => {
            let inputs = config::load_inputs(options.config.as_deref());
            inputs.map_err(Error::configuration)?.webhook.mapping_dir
        }
    };
    let mappings = WebhookMappings::load(&folder).map_err(Error::configuration)?;
    let content = read_input(&args.file)?;
    let body = serde_json::from_slice(&content)
        .map_err(|error| Error::failed(format!("`{}` is not JSON: {error}", args.file)))?;
    let alerts = webhook_alerts(&body, &mappings, now_ms());
    if alerts.is_empty() {
        output.note("no alert: the body has no items");
    }
    for alert in alerts {
        let report = MappingReport::new(&alert, iter::empty());
        if output.is_json() {
            output.json(&report)?;
        } else {
            report.print("item", output)?;
        }
    }
    Ok(())
}
