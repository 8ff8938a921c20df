//! The page of all commands. Its second part is generated from the help texts
//! of the binary, so that it cannot differ from them.

use std::{fmt::Write as _, process::Command};

use delfin_tests::{CommandOutput, binary};

/// The path of the page.
pub(crate) const PAGE: &str = "docs/src/operator/cli.md";

/// The line after which everything is generated.
pub(crate) const MARKER: &str =
    "<!-- Generated. To update: UPDATE_PAGES=1 cargo test -p delfin-tests --test docs -->";

/// An option of every command. It identifies the section of these options.
const COMMON_OPTION: &str = "--config <FILE>";

/// A help text, split into sections.
struct Help {
    about: String,
    sections: Vec<String>,
}

impl Help {
    fn of(command: &[&str]) -> Self {
        let mut run = Command::new(binary());
        // The width of the lines does not depend on the terminal of the test.
        run.args(command).arg("-h").env("COLUMNS", "100");
        let text = CommandOutput::run(&mut run).expect_exit(0).stdout;
        let mut sections = text.trim_end().split("\n\n").map(str::to_owned);
        let about = sections.next().unwrap_or_default();
        Self {
            about,
            sections: sections.collect(),
        }
    }

    fn section(&self, heading: &str) -> Option<&str> {
        let mut sections = self.sections.iter();
        sections.find_map(|section| section.strip_prefix(heading))
    }

    /// The subcommands with their descriptions.
    fn commands(&self) -> Vec<(&str, &str)> {
        let lines = self.section("Commands:\n").unwrap_or_default().lines();
        lines
            .filter_map(|line| line.trim().split_once("  "))
            .map(|(name, about)| (name, about.trim()))
            .collect()
    }
}

/// The generated part of the page.
pub(crate) fn generated() -> String {
    let root = Help::of(&[]);
    let mut page = String::new();
    page += "\n## Exit codes\n\n| Exit code | Meaning |\n|-----------|---------|\n";
    for line in root.section("Exit codes:\n").unwrap_or_default().lines() {
        let (code, meaning) = line.trim().split_once("  ").unwrap_or((line, ""));
        let _ = writeln!(page, "| {code} | {meaning} |");
    }
    page += "\n## Options of every command\n\n";
    for section in root.sections.iter().filter(|s| s.contains(COMMON_OPTION)) {
        let _ = writeln!(page, "```text\n{section}\n```");
    }
    page += "\n## All commands\n\n| Command | Effect |\n|---------|--------|\n";
    for (name, about) in root.commands() {
        let _ = writeln!(page, "| [`{name}`](#{name}) | {about} |");
    }
    for (name, _) in root.commands() {
        describe(&[name], &mut page);
    }
    page
}

/// Adds a command and its subcommands to the page.
fn describe(command: &[&str], page: &mut String) {
    let help = Help::of(command);
    let level = "#".repeat(command.len() + 1);
    let _ = write!(page, "\n{level} {}\n\n{}.\n", command.join(" "), help.about);
    let own = |section: &&String| !section.contains(COMMON_OPTION);
    let sections: Vec<&str> = { help.sections.iter().filter(own) }
        .map(String::as_str)
        .collect();
    let _ = writeln!(page, "\n```text\n{}\n```", sections.join("\n\n"));
    for (name, _) in help.commands() {
        describe(&[command, &[name]].concat(), page);
    }
}
