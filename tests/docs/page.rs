//! What a page shows: its fenced blocks, and where its links lead.
//!
//! A block's first word says what it is; what follows a comma says how a test
//! treats it. None of it is seen in the rendered page.

/// A fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Where it begins.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) kind: Kind,
    /// The words after the comma.
    pub(crate) marks: Vec<String>,
    /// What stands in it.
    pub(crate) text: String,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Commands: all of them succeed.
    Commands,
    /// Commands after `$ `, each with all that it says.
    Console,
    /// Lines that the commands before it say, or with `log` what runs beside them,
    /// in this order, among others.
    Output,
    /// A configuration of the host.
    Configuration,
    /// JSON: a value, or one a line.
    Json,
    /// Code that is not run.
    Code,
}

/// A command of a console, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// What is typed.
    pub(crate) command: String,
    /// What comes of it.
    pub(crate) output: String,
}

impl Block {
    /// Whether it has a mark: `norun`, `background`, `wait` or `log`.
    pub(crate) fn is(&self, mark: &str) -> bool {
        self.marks.iter().any(|found| found == mark)
    }

    /// The commands of a console.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = Vec::new();
        let mut goes_on = false;
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                shown.push(Shown {
                    command: command.to_owned(),
                    output: String::new(),
                });
                goes_on = line.ends_with('\\');
                continue;
            }
            let last = shown.last_mut();
            let last = last.unwrap_or_else(|| panic!("line {}: output of nothing", self.line));
            let text = if goes_on {
                &mut last.command
            } else {
                &mut last.output
            };
            if goes_on {
                text.push('\n');
            }
            text.push_str(line);
            if goes_on {
                goes_on = line.ends_with('\\');
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
    assert!(open.is_none(), "a block does not end: {open:?}");
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
        Some("rust" | "yaml") => Kind::Code,
        other => panic!("line {line}: a block of {other:?} (say sh, console, text, toml, json, …)"),
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

/// Where the links of a page lead that stay in the source tree: file and heading.
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

/// What headings are called in links.
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
