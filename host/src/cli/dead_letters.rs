//! `dead-letters`: lists, shows, exports, replays and purges dead letters of the
//! running host.

mod args;
mod export;

use serde::Deserialize;
use serde_json::Value;

use super::{
    error::Error,
    options::GlobalOptions,
    output::Output,
    table::{Cell, TextTable, counted},
};

pub use self::args::DeadLettersCommand;
use self::args::{ListDeadLettersArgs, SelectDeadLettersArgs, ShowDeadLetterArgs};

const PATH: &str = "/v1/dead-letters";

#[derive(Deserialize)]
struct DeadLetterList {
    dead_letters: Vec<DeadLetterRow>,
}

#[derive(Deserialize)]
struct DeadLetterRow {
    id: String,
    exporter: String,
    items: u64,
    outcome: String,
    reason: String,
    attempts: u64,
    last_tried_at: String,
    replayed_at: Option<String>,
}

#[derive(Deserialize)]
struct SelectedDeadLetters {
    letters: u64,
    items: u64,
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &DeadLettersCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        DeadLettersCommand::List(args) => list(options, args, output),
        DeadLettersCommand::Show(args) => show(options, args, output),
        DeadLettersCommand::Export(args) => export::export(options, args, output),
        DeadLettersCommand::Replay(args) => change(options, args, "replay", output),
        DeadLettersCommand::Purge(args) => change(options, args, "purge", output),
    }
}

fn list(
    options: &GlobalOptions,
    args: &ListDeadLettersArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let response = client.get(&args.filter.path())?;
    if output.is_json() {
        return output.line(&response);
    }
    let DeadLetterList { dead_letters } = client.parse(PATH, &response)?;
    let items = dead_letters
        .iter()
        .map(|dead_letter| dead_letter.items)
        .sum();
    let summary = match dead_letters.len() {
        0 => "no dead letters".to_owned(),
        many => total(many as u64, items),
    };
    output.list(&table(&dead_letters), &summary)
}

fn show(
    options: &GlobalOptions,
    args: &ShowDeadLetterArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let path = format!("{PATH}/{}", args.id);
    let response = client.get(&path)?;
    if output.is_json() {
        return output.line(&response);
    }
    let dead_letter: Value = client.parse(&path, &response)?;
    output.json(&dead_letter)
}

fn change(
    options: &GlobalOptions,
    args: &SelectDeadLettersArgs,
    action: &str,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let path = format!("{PATH}/{action}");
    let body = args.body().to_string();
    let response = client.post_json(&path, &body)?;
    if output.is_json() {
        return output.line(&response);
    }
    let selected: SelectedDeadLetters = client.parse(&path, &response)?;
    let done = match (args.dry_run, action) {
        (true, _) => format!("would {action}"),
        (false, "purge") => "purged".to_owned(),
        (false, _) => "replaying".to_owned(),
    };
    output.line(&format!(
        "{done} {}",
        total(selected.letters, selected.items)
    ))
}

fn table(dead_letters: &[DeadLetterRow]) -> TextTable {
    let mut table = TextTable::new(&[
        "dead letter",
        "exporter",
        "items",
        "outcome",
        "attempts",
        "last tried",
        "reason",
    ]);
    for dead_letter in dead_letters {
        let reason = match &dead_letter.replayed_at {
            Some(_) => format!("(is being replayed) {}", dead_letter.reason),
            None => dead_letter.reason.clone(),
        };
        table.row([
            Cell::text(&dead_letter.id),
            Cell::text(&dead_letter.exporter),
            Cell::number(dead_letter.items),
            Cell::text(&dead_letter.outcome),
            Cell::number(dead_letter.attempts),
            Cell::text(&dead_letter.last_tried_at),
            Cell::text(&reason),
        ]);
    }
    table
}

/// `3 dead letters with 1 200 items`
fn total(dead_letters: u64, items: u64) -> String {
    let dead_letters = counted(dead_letters, "dead letter");
    format!("{dead_letters} with {}", counted(items, "item"))
}

#[cfg(test)]
mod tests;
