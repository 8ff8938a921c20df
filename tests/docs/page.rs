//! Parses a page: its fenced blocks, its links and its headings.
//!
//! The first word after the fence is the language of a block. Marks for the tests
//! follow after a comma. The rendered page shows neither.

/// A fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    /// The words after the language.
    pub(crate) marks: Vec<String>,
    pub(crate) text: String,
}

/// The kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Commands that all succeed.
    Commands,
    /// Commands after `$ `, each with its whole output.
    Console,
    /// Lines that the output of the commands before it contains, in this order; with
    /// `log`, the output of the commands in the background.
    Output,
    /// A configuration of the host.
    Configuration,
    /// JSON: one value, or one value a line.
    Json,
    /// Code that is not run.
    Code,
}

/// A command of a console, and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) command: String,
    pub(crate) output: String,
}

impl Block {
    /// Whether the block has this mark: `norun`, `background`, `wait` or `log`.
    pub(crate) fn is(&self, mark: &str) -> bool {
        self.marks.iter().any(|found| found == mark)
    }

    /// The commands of a console.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = Vec::new();
        let mut continues = false;
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                shown.push(Shown {
                    command: command.to_owned(),
                    output: String::new(),
                });
                continues = line.ends_with('\\');
                continue;
            }
            let last = shown.last_mut();
            let last =
                last.unwrap_or_else(|| panic!("line {}: output without a command", self.line));
            let text = if continues {
                &mut last.command
            } else {
                &mut last.output
            };
            if continues {
                text.push('\n');
            }
            text.push_str(line);
            if continues {
                continues = line.ends_with('\\');
            } else {
                text.push('\n');
            }
        }
        shown
    }
}

/// The blocks of a page, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in page.lines().enumerate() {
        let is_hidden = line.starts_with(' ') && line.trim_start().starts_with("```");
        assert!(!is_hidden, "line {}: an indented block is not run", at + 1);
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some(begin(at + 1, info)),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end: {open:?}");
    blocks
}

fn begin(line: usize, info: &str) -> Block {
    let mut words = info.split(',').map(str::to_owned);
    let kind = match words.next().as_deref() {
        Some("sh") => Kind::Commands,
        Some("console") => Kind::Console,
        Some("text") => Kind::Output,
        Some("toml") => Kind::Configuration,
        Some("json") => Kind::Json,
        Some("c" | "ini" | "powershell" | "python" | "rust" | "sql" | "yaml") => Kind::Code,
        other => panic!(
            "line {line}: unknown language {other:?} (write sh, console, text, toml, json, …)"
        ),
    };
    let marks: Vec<String> = words.collect();
    let known = ["norun", "background", "wait", "log", "ignore"];
    for mark in &marks {
        assert!(
            known.contains(&&**mark),
            "line {line}: unknown mark `{mark}`"
        );
    }
    Block {
        line,
        kind,
        marks,
        text: String::new(),
    }
}

/// The targets of the links of a page, without URLs: file and heading.
pub(crate) fn links(page: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        in_block ^= line.starts_with("```");
        if in_block {
            continue;
        }
        for part in line.split("](").skip(1) {
            let Some((target, _)) = part.split_once(')') else {
                continue;
            };
            if !target.contains("://") {
                let (file, heading) = target.split_once('#').unwrap_or((target, ""));
                links.push((file.to_owned(), heading.to_owned()));
            }
        }
    }
    links
}

/// The anchors of the headings of a page.
pub(crate) fn headings(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let called = headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    });
    called.collect()
}
