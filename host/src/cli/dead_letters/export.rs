//! `dead-letters export`: writes the content of dead letters as JSON lines to
//! standard output or to a new file.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    path::Path,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        error::Error,
        options::GlobalOptions,
        output::Output,
        progress::{ProgressReport, ProgressUnit},
        table::counted,
    },
    DeadLetterList, PATH,
    args::ExportDeadLettersArgs,
};
use crate::state::ProgressListener;

/// The most that the host lists in one response.
const MAX_LISTED: u64 = 100_000;

#[derive(Deserialize)]
pub(super) struct DeadLetterContent {
    pub(super) id: String,
    pub(super) exporter: String,
    pub(super) reason: String,
    pub(super) content: Vec<Value>,
    pub(super) content_error: Option<String>,
}

/// Where the lines go.
struct ExportTarget<'a, 'o> {
    file: Option<(File, &'a Path)>,
    output: &'a mut Output<'o>,
}

pub(super) fn export(
    options: &GlobalOptions,
    args: &ExportDeadLettersArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let client = options.host_client(&args.host)?;
    let mut path = args.filter.path();
    if args.filter.limit.is_none() {
        let _ = write!(path, "limit={MAX_LISTED}");
    }
    let DeadLetterList {
        dead_letters,
        total,
    } = client.parse(PATH, &client.get(&path)?)?;
    if args.filter.limit.is_none() && total > MAX_LISTED {
        output.warn(&format!(
            "exports the first {MAX_LISTED} of {total} dead letters (select the others with the filters)"
        ));
    }
    let mut rows = 0;
    let progress = ProgressReport::new(output, ProgressUnit::Items);
    progress.begin("exporting dead letters", dead_letters.len() as u64);
    let mut target = ExportTarget::open(args.output.as_deref(), output)?;
    for (listed, done) in dead_letters.iter().zip(1..) {
        let path = format!("{PATH}/{}", listed.id);
        let dead_letter: DeadLetterContent = client.parse(&path, &client.get(&path)?)?;
        rows += dead_letter.content.len() as u64;
        target.write(&dead_letter)?;
        progress.set(done);
    }
    drop(progress);
    target.finish(dead_letters.len() as u64, rows)
}

impl<'a, 'o> ExportTarget<'a, 'o> {
    fn open(path: Option<&'a Path>, output: &'a mut Output<'o>) -> Result<Self, Error> {
        let file = path
            .map(|path| match File::create_new(path) {
                Ok(file) => Ok((file, path)),
                Err(error) => Err(write_error(path, &error)),
            })
            .transpose()?;
        Ok(Self { file, output })
    }

    fn write(&mut self, dead_letter: &DeadLetterContent) -> Result<(), Error> {
        if let Some(reason) = &dead_letter.content_error {
            let id = &dead_letter.id;
            self.output.warn(&format!("{id} cannot be read: {reason}"));
        }
        let lines = lines(dead_letter);
        match &mut self.file {
            Some((file, path)) => file
                .write_all(lines.as_bytes())
                .map_err(|error| write_error(path, &error)),
            None => self.output.text(&lines),
        }
    }

    fn finish(self, dead_letters: u64, rows: u64) -> Result<(), Error> {
        let Some((file, path)) = self.file else {
            return Ok(());
        };
        file.sync_all().map_err(|error| write_error(path, &error))?;
        let (dead_letters, rows) = (counted(dead_letters, "dead letter"), counted(rows, "line"));
        let path = path.display();
        self.output
            .line(&format!("{path}: {rows} from {dead_letters}"))
    }
}

fn write_error(path: &Path, error: &io::Error) -> Error {
    Error::failed(format!("cannot write `{}`: {error}", path.display()))
}

/// One line for each series or alert.
pub(super) fn lines(dead_letter: &DeadLetterContent) -> String {
    let mut lines = String::new();
    for item in &dead_letter.content {
        let line = json!({
            "dead_letter": dead_letter.id,
            "exporter": dead_letter.exporter,
            "reason": dead_letter.reason,
            "item": item,
        });
        let _ = writeln!(lines, "{line}");
    }
    lines
}
