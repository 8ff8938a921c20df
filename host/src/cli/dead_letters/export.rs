//! `dead-letters export`: the content of letters as JSON lines, to the standard
//! output or to a new file.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    path::Path,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{Api, Error, Global, Output, settings},
    ExportArgs, Letters, PATH, counted,
};

/// As many as the host lists at a time.
const MOST: u64 = 100_000;

#[derive(Deserialize)]
pub(super) struct Content {
    pub(super) id: String,
    pub(super) exporter: String,
    pub(super) reason: String,
    pub(super) content: Vec<Value>,
    pub(super) content_error: Option<String>,
}

/// Where an export goes.
struct Sink<'a, 'o> {
    file: Option<(File, &'a Path)>,
    output: &'a mut Output<'o>,
}

pub(super) fn export(
    global: &Global,
    args: &ExportArgs,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let api = Api::new(&settings::api_url(global, &args.host)?);
    let mut which = args.which.path();
    if args.which.limit.is_none() {
        let _ = write!(which, "limit={MOST}");
    }
    let Letters { dead_letters } = api.parse(PATH, &api.get(&which)?)?;
    let mut rows = 0;
    let mut write = Sink::open(args.output.as_deref(), output)?;
    for letter in &dead_letters {
        let path = format!("{PATH}/{}", letter.id);
        let letter: Content = api.parse(&path, &api.get(&path)?)?;
        rows += letter.content.len() as u64;
        write.letter(&letter)?;
    }
    write.end(dead_letters.len() as u64, rows)
}

impl<'a, 'o> Sink<'a, 'o> {
    fn open(path: Option<&'a Path>, output: &'a mut Output<'o>) -> Result<Self, Error> {
        let file = path
            .map(|path| match File::create_new(path) {
                Ok(file) => Ok((file, path)),
                Err(error) => Err(unwritten(path, &error)),
            })
            .transpose()?;
        Ok(Self { file, output })
    }

    fn letter(&mut self, letter: &Content) -> Result<(), Error> {
        if let Some(reason) = &letter.content_error {
            let id = &letter.id;
            self.output.warn(&format!("{id} cannot be read: {reason}"));
        }
        let lines = lines(letter);
        match &mut self.file {
            Some((file, path)) => file
                .write_all(lines.as_bytes())
                .map_err(|error| unwritten(path, &error)),
            None => self.output.text(&lines),
        }
    }

    fn end(self, letters: u64, rows: u64) -> Result<(), Error> {
        let Some((file, path)) = self.file else {
            return Ok(());
        };
        file.sync_all().map_err(|error| unwritten(path, &error))?;
        let (letters, rows) = (counted(letters, "dead letter"), counted(rows, "line"));
        let path = path.display();
        self.output.line(&format!("{path}: {rows} from {letters}"))
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Error {
    Error::Failed(format!("cannot write `{}`: {error}", path.display()).into())
}

/// A line for each series or alert: what the letter says of it, and itself.
pub(super) fn lines(letter: &Content) -> String {
    let mut lines = String::new();
    for item in &letter.content {
        let line = json!({
            "dead_letter": letter.id,
            "exporter": letter.exporter,
            "reason": letter.reason,
            "item": item,
        });
        let _ = writeln!(lines, "{line}");
    }
    lines
}
