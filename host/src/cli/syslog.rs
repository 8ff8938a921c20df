//! `syslog test`: shows what becomes of syslog messages, without a running host.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    error::Error,
    mapping_report::{MappingReport, read_input},
    options::GlobalOptions,
    output::Output,
};
use crate::{
    clock::now_ms,
    config,
    syslog::{ParsedMessage, SyslogMappings, syslog_alert},
};

#[derive(Debug, clap::Subcommand)]
pub enum SyslogCommand {
    /// Show which alert becomes of each message in a file, and why
    Test(TestSyslogArgs),
}

#[derive(Debug, clap::Args)]
pub struct TestSyslogArgs {
    /// File with one message per line, or `-` for standard input
    pub file: String,

    /// Folder with mapping files [default: `syslog.mapping_dir` of the configuration]
    #[arg(long, value_name = "FOLDER")]
    pub mapping_dir: Option<PathBuf>,
}

/// A message, and what becomes of it.
#[derive(Debug, Serialize)]
struct MessageReport<'a> {
    /// The fields of the message, and its parameters.
    fields: serde_json::Map<String, serde_json::Value>,
    message: &'a str,
    /// `None`: no mapping is for the message, and it is not severe enough.
    #[serde(flatten)]
    result: Option<MappingReport>,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &SyslogCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let SyslogCommand::Test(args) = command;
    let config = config::load_syslog(options.config.as_deref()).map_err(Error::configuration)?;
    let folder = args.mapping_dir.as_ref().unwrap_or(&config.mapping_dir);
    let mappings = SyslogMappings::load(folder).map_err(Error::configuration)?;
    let content = read_input(&args.file)?;
    let lines = content.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
        let message = ParsedMessage::parse(line);
        let alert = syslog_alert(&message, &mappings, config.min_severity, now_ms());
        let report = MessageReport {
            fields: message
                .fields()
                .map(|(name, text)| (name.to_owned(), text.into()))
                .collect(),
            message: &message.text,
            result: alert.map(|alert| MappingReport::new(&alert, mappings.skipped(&message))),
        };
        print(&report, output)?;
    }
    Ok(())
}

fn print(report: &MessageReport<'_>, output: &mut Output<'_>) -> Result<(), Error> {
    if output.is_json() {
        return output.json(report);
    }
    output.line(&format!("message: {}", report.message))?;
    for (name, text) in &report.fields {
        output.line(&format!("  {name} = {}", text.as_str().unwrap_or_default()))?;
    }
    match &report.result {
        Some(result) => result.print("message", output),
        None => output.line(
            "no alert: no mapping is for this message, and it is less severe than \
             `syslog.min_severity`",
        ),
    }
}
