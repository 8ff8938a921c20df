//! `dead-letters`: lists, shows, exports, replays and purges dead letters of the
//! running host.

mod args;
mod export;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::Error,
    options::GlobalOptions,
    output::Output,
    progress::{ProgressReport, ProgressUnit},
    table::{Cell, TextTable, counted},
};
use crate::state::ProgressListener;

pub use self::args::DeadLettersCommand;
use self::args::{ListDeadLettersArgs, SelectDeadLettersArgs, ShowDeadLetterArgs};

const PATH: &str = "/v1/dead-letters";

#[derive(Deserialize)]
struct DeadLetterList {
    dead_letters: Vec<DeadLetterRow>,
    /// How many match. An older host does not say it.
    #[serde(default)]
    total: u64,
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

/// Dead letters that one request changes.
const PORTION: u64 = 1000;

#[derive(Default, Deserialize, Serialize)]
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
    let list: DeadLetterList = client.parse(PATH, &response)?;
    output.list(&table(&list.dead_letters), &list.summary())
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
    let request = |args: &SelectDeadLettersArgs| -> Result<SelectedDeadLetters, Error> {
        let response = client.post_json(&path, &args.body().to_string())?;
        Ok(client.parse(&path, &response)?)
    };
    let selected = if args.dry_run || !args.ids.is_empty() {
        request(args)?
    } else {
        let progress = ProgressReport::new(output, ProgressUnit::Items);
        in_portions(args, action, request, &progress)?
    };
    if output.is_json() {
        return output.json(&selected);
    }
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

/// Changes dead letters in portions, the oldest first, so that each request is short. Only those
/// that were there at the beginning: what is replayed may come back.
fn in_portions(
    args: &SelectDeadLettersArgs,
    action: &str,
    request: impl Fn(&SelectDeadLettersArgs) -> Result<SelectedDeadLetters, Error>,
    progress: &dyn ProgressListener,
) -> Result<SelectedDeadLetters, Error> {
    let mut portion = args.clone();
    portion.dry_run = true;
    let found = request(&portion)?.letters;
    portion.dry_run = false;
    let mut done = SelectedDeadLetters::default();
    progress.begin(&format!("{action} of dead letters"), found);
    while done.letters < found {
        portion.filter.limit = Some(PORTION.min(found - done.letters));
        let changed = request(&portion)?;
        if changed.letters == 0 {
            break;
        }
        done.letters += changed.letters;
        done.items += changed.items;
        progress.set(done.letters);
    }
    Ok(done)
}

impl DeadLetterList {
    fn summary(&self) -> String {
        let listed = self.dead_letters.len() as u64;
        let items = self.dead_letters.iter().map(|row| row.items).sum();
        if listed < self.total {
            let (all, items) = (counted(self.total, "dead letter"), counted(items, "item"));
            return format!("{listed} of {all}, with {items} (`--limit N` lists more)");
        }
        match listed {
            0 => "no dead letters".to_owned(),
            many => total(many, items),
        }
    }
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
