//! `dead-letters`: what receivers will never take, seen, saved, sent once more or
//! forgotten, in the running host.

mod args;
mod export;

use serde::Deserialize;
use serde_json::Value;

use super::{Api, Cell, Error, Global, Output, Table, settings, table::grouped};

pub use self::args::DeadLettersCommand;
use self::args::{ExportArgs, ListArgs, ShowArgs, TakeArgs};

const PATH: &str = "/v1/dead-letters";

#[derive(Deserialize)]
struct Letters {
    dead_letters: Vec<Letter>,
}

#[derive(Deserialize)]
struct Letter {
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
struct Taken {
    letters: u64,
    items: u64,
}

pub(super) fn run(
    global: &Global,
    command: &DeadLettersCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    match command {
        DeadLettersCommand::List(args) => list(global, args, output),
        DeadLettersCommand::Show(args) => show(global, args, output),
        DeadLettersCommand::Export(args) => export::export(global, args, output),
        DeadLettersCommand::Replay(args) => take(global, args, "replay", output),
        DeadLettersCommand::Purge(args) => take(global, args, "purge", output),
    }
}

fn list(global: &Global, args: &ListArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let answer = api.get(&args.which.path())?;
    if output.json() {
        return output.line(&answer);
    }
    let Letters { dead_letters } = api.parse(PATH, &answer)?;
    if !dead_letters.is_empty() {
        output.table(&table(&dead_letters))?;
        output.line("")?;
    }
    let items = dead_letters.iter().map(|letter| letter.items).sum();
    output.line(&match dead_letters.len() {
        0 => "no dead letters".to_owned(),
        letters => said(letters as u64, items),
    })
}

fn show(global: &Global, args: &ShowArgs, output: &mut Output<'_>) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let path = format!("{PATH}/{}", args.id);
    let answer = api.get(&path)?;
    if output.json() {
        return output.line(&answer);
    }
    let letter: Value = api.parse(&path, &answer)?;
    output.value(&letter)
}

fn take(
    global: &Global,
    args: &TakeArgs,
    action: &str,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let path = format!("{PATH}/{action}");
    let body = args.body().to_string();
    let answer = api.post_json(&path, &body)?;
    if output.json() {
        return output.line(&answer);
    }
    let taken: Taken = api.parse(&path, &answer)?;
    let done = match (args.dry_run, action) {
        (true, _) => format!("would {action}"),
        (false, "purge") => "purged".to_owned(),
        (false, _) => "replaying".to_owned(),
    };
    output.line(&format!("{done} {}", said(taken.letters, taken.items)))
}

fn table(letters: &[Letter]) -> Table {
    let mut table = Table::new(&[
        "dead letter",
        "exporter",
        "items",
        "outcome",
        "attempts",
        "last tried",
        "reason",
    ]);
    for letter in letters {
        let reason = match &letter.replayed_at {
            Some(_) => format!("(is being replayed) {}", letter.reason),
            None => letter.reason.clone(),
        };
        table.row([
            Cell::text(&letter.id),
            Cell::text(&letter.exporter),
            Cell::number(letter.items),
            Cell::text(&letter.outcome),
            Cell::number(letter.attempts),
            Cell::text(&letter.last_tried_at),
            Cell::text(&reason),
        ]);
    }
    table
}

/// `3 dead letters with 1 200 items`
fn said(letters: u64, items: u64) -> String {
    let (letters, items) = (counted(letters, "dead letter"), counted(items, "item"));
    format!("{letters} with {items}")
}

fn counted(count: u64, name: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {name}{plural}", grouped(count))
}

#[cfg(test)]
mod tests;
