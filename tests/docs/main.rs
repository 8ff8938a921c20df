//! Runs every command of the README and the guides, in the order of its page, and
//! compares the output with the page.
//!
//! The commands of a page run in one shell, in their own folder, with the real
//! binary and plugins. Readers do not see the marks after the language of a block:
//!
//! - `sh,norun`, `toml,norun`: not run. The test lists them and limits their number.
//! - `sh,background`: runs in the background during the commands that follow.
//! - `console,wait`: is repeated until the output matches.
//! - `text,log`: the output of the commands in the background. `text` without the
//!   mark is the output of the `sh` block directly before it.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

mod cli;
mod expected;
mod page;
mod session;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Component, Path, PathBuf},
    sync::Mutex,
    thread,
};

use delfin_tests::{Setup, receivers, root, wait_for};
use page::{Block, Kind, Shown, blocks, headings, links};
use serde_json::Value;
use session::{Outcome, Session};

/// Pages that need a running host.
const RUNNING: [&str; 6] = [
    "docs/src/operator/backup.md",
    "docs/src/operator/dead-letters.md",
    "docs/src/operator/delivery.md",
    "docs/src/operator/ingest.md",
    "docs/src/operator/scrape.md",
    "docs/src/operator/storages.md",
];

/// Exporters in the pages that no plugin of this test offers.
const NOT_INSTALLED: [&str; 3] = ["Acme", "Kafka", "acme"];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("`{path}`: {error}"))
}

/// The files below a folder with this ending, without what was built.
fn below(folder: &str, ending: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() && !path.ends_with("/target") {
            below(&path, ending, found);
        } else if path.ends_with(ending) {
            found.push(path);
        }
    }
}

/// The pages of the book.
fn book() -> Vec<String> {
    let mut pages = Vec::new();
    below("docs/src", ".md", &mut pages);
    pages.sort();
    pages
}

/// All pages with commands for users.
fn pages() -> Vec<String> {
    let mut pages = book();
    pages.push("README.md".to_owned());
    pages
}

/// Runs the commands of a page.
fn run(page: &str) {
    let blocks = blocks(&read(page));
    if !blocks.iter().any(is_run) {
        return;
    }
    let mut session = Session::new(page);
    if RUNNING.contains(&page) {
        session.start("delfin-host run");
    }
    run_blocks(&mut session, &blocks, page);
}

fn run_blocks(session: &mut Session, blocks: &[Block], page: &str) {
    let mut last_output = None;
    for block in blocks {
        let place = format!("{page}:{}", block.line);
        let before = last_output.take();
        match block.kind {
            Kind::Commands | Kind::Console if !is_run(block) => {}
            Kind::Commands if block.is("background") => session.start(&block.text),
            Kind::Commands => last_output = Some(run_all(session, &block.text, &place)),
            Kind::Console => {
                for shown in block.shown() {
                    run_shown(session, block, &shown, &place);
                }
            }
            Kind::Output if block.is("log") => wait_for_log(session, &block.text, &place),
            Kind::Output => {
                if let Some(output) = before {
                    let found = expected::contains(&block.text, &output);
                    assert!(found, "{place}: the output is\n{output}");
                    session.learn_ids(&block.text, &output);
                }
            }
            Kind::Configuration | Kind::Json | Kind::Code => {}
        }
    }
}

fn wait_for_log(session: &Session, text: &str, place: &str) {
    let found = catch_unwind(AssertUnwindSafe(|| {
        wait_for("the shown output", || {
            expected::contains(text, &session.log()).then_some(())
        })
    }));
    assert!(found.is_ok(), "{place}: the log is\n{}", session.log());
}

fn is_command(block: &Block) -> bool {
    matches!(block.kind, Kind::Commands | Kind::Console)
}

fn is_run(block: &Block) -> bool {
    is_command(block) && !block.is("norun")
}

/// Runs commands, and returns their output.
fn run_all(session: &mut Session, commands: &str, place: &str) -> String {
    let Outcome { code, output } = session.run(commands);
    let log = session.last_log();
    assert_eq!(
        code, 0,
        "{place}: the output is\n{output}\n--- in the background ---\n{log}"
    );
    output
}

/// Runs a command and compares its output. With the mark `wait` it repeats both.
fn run_shown(session: &mut Session, block: &Block, shown: &Shown, place: &str) {
    let fails = shown.output.lines().any(|line| line.starts_with("error: "));
    let mut last = session.ask(&shown.command);
    let as_shown = |outcome: &Outcome| {
        (outcome.code != 0) == fails && expected::matches(&shown.output, &outcome.output)
    };
    if block.is("wait") {
        // The assertion below reports a failure in detail.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            wait_for("the shown output", || {
                if !as_shown(&last) {
                    last = session.ask(&shown.command);
                }
                as_shown(&last).then_some(())
            })
        }));
    }
    assert!(
        as_shown(&last),
        "{place}: `{}` ends with {}, its output is\n{}--- the page shows ---\n{}--- in the background ---\n{}",
        shown.command,
        last.code,
        last.output,
        shown.output,
        session.last_log()
    );
    session.learn_ids(&shown.output, &last.output);
}

#[test]
fn every_command_works_and_prints_what_its_page_shows() {
    let only = std::env::var("PAGE").unwrap_or_default();
    let without = receivers::binary("prometheus").is_none();
    let without_python = receivers::binary("python3").is_none();
    let without_go = receivers::binary("go").is_none();
    let can_be_run = |page: &String| {
        let text = read(page);
        page.contains(&only)
            && !(without && text.contains("\nprometheus "))
            && !(without_python && text.contains("python3 -m "))
            && !(without_go && text.contains("--lang go"))
    };
    let pages: Vec<String> = pages().into_iter().filter(can_be_run).collect();
    // Pages that build crates share a target folder and run one after the other.
    let (building, others): (Vec<_>, Vec<_>) =
        pages.iter().partition(|page| read(page).contains("cargo "));
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for pages in [building, others] {
            scope.spawn(|| {
                for page in pages {
                    if catch_unwind(|| run(page)).is_err() {
                        failed.lock().expect("no panic").push(page);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    assert!(
        failed.is_empty(),
        "the output differs, see above: {failed:?}"
    );
}

#[test]
fn few_commands_are_not_run_and_these_are_listed() {
    let mut not_run = Vec::new();
    let mut all = 0;
    for page in pages() {
        for block in blocks(&read(&page))
            .iter()
            .filter(|block| is_command(block))
        {
            all += 1;
            if !is_run(block) {
                let first = block.text.lines().next().unwrap_or_default().to_owned();
                not_run.push(format!("{page}:{}: {first}", block.line));
            }
        }
    }
    // The output of `print!` in a passing test is not shown.
    let list = format!(
        "{} of {all} blocks of commands are not run:\n{}\n",
        not_run.len(),
        not_run.join("\n")
    );
    let _ = io::stderr().write_all(list.as_bytes());
    assert!(not_run.len() * 4 <= all, "{list}");
}

#[test]
fn the_host_accepts_every_configuration() {
    for page in pages() {
        let blocks = blocks(&read(&page));
        let configurations = blocks
            .iter()
            .filter(|block| block.kind == Kind::Configuration && !block.is("norun"));
        for block in configurations {
            check_configuration(&block.text, &format!("{page}:{}", block.line));
        }
    }
    // The example at the end of the shipped file.
    let shipped = read("etc/delfin/delfin.conf");
    let example = shipped.lines().filter_map(|line| line.strip_prefix("#   "));
    let example: Vec<&str> = example.collect();
    assert!(example.len() > 5, "{example:?}");
    check_configuration(&example.join("\n"), "etc/delfin/delfin.conf");
}

/// Checks that the host accepts a configuration. Some exporters are not installed.
fn check_configuration(text: &str, place: &str) {
    let setup = Setup::new(&["example", "file", "prometheus", "scrape"], "");
    let setup = with_secrets(setup, text);
    let text = text
        .replace("/var/lib/delfin-host", "@")
        .replace("/etc/delfin", "@");
    let head = "plugin_dirs = [\"@/plugins\"]\nstate_dir = \"@/state\"\n";
    let setup = setup.with_whole_config(&format!("{head}{text}"));
    let ran = setup.run(&["check", "--json"]);
    let findings: Result<Vec<Value>, _> = serde_json::from_str(&ran.stdout);
    let findings = findings.unwrap_or_else(|_| panic!("{place}: {ran:?}"));
    for finding in findings.iter().filter(|finding| finding["ok"] != true) {
        let what = finding.to_string();
        let known = NOT_INSTALLED.iter().any(|name| what.contains(name));
        assert!(
            known && what.contains("no plugin offers"),
            "{place}: {what}"
        );
    }
}

/// Creates the files and variables that the placeholders of a configuration need.
fn with_secrets(mut setup: Setup, text: &str) -> Setup {
    for part in text.split("${").skip(1) {
        let placeholder = part.split('}').next().unwrap_or_default();
        match placeholder.split_once(':') {
            Some(("env", name)) => setup = setup.with_env(name, "secret"),
            Some(("file", path)) => setup.write(&path.replace("/etc/delfin/", ""), "secret"),
            _ => panic!("`{placeholder}`"),
        }
    }
    setup
}

#[test]
fn every_json_block_is_valid() {
    for page in pages() {
        for block in blocks(&read(&page))
            .iter()
            .filter(|block| block.kind == Kind::Json)
        {
            let whole = serde_json::from_str::<Value>(&block.text).is_ok();
            let mut lines = block.text.lines();
            let each = lines.all(|line| serde_json::from_str::<Value>(line).is_ok());
            assert!(whole || each, "{page}:{}", block.line);
        }
    }
}

#[test]
fn every_page_is_in_the_summary() {
    let summary: BTreeSet<String> = links(&read("docs/src/SUMMARY.md"))
        .into_iter()
        .map(|(file, _)| format!("docs/src/{file}"))
        .collect();
    let pages: BTreeSet<String> = book()
        .into_iter()
        .filter(|page| !page.ends_with("SUMMARY.md"))
        .collect();
    assert_eq!(pages, summary);
}

#[test]
fn every_plugin_has_a_page_that_is_its_readme() {
    for entry in fs::read_dir(root().join("plugins")).expect("the plugins") {
        let name = entry.expect("a plugin").file_name();
        let name = name.to_string_lossy();
        let page = format!("docs/src/exporters/{name}.md");
        let wanted = format!("{{{{#include ../../../plugins/{name}/README.md}}}}\n");
        let found = fs::read_to_string(root().join(&page)).unwrap_or_default();
        assert_eq!(found, wanted, "write this line into `{page}`");
    }
}

#[test]
fn every_link_works() {
    let mut pages = book();
    for folder in ["plugins", "tests"] {
        below(folder, ".md", &mut pages);
    }
    let top = ["README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"];
    pages.extend(top.map(|name| format!("{name}.md")));
    for page in pages {
        for (file, heading) in links(&with_includes(&page)) {
            if let Some(mistake) = mistake_in_link(&page, &file, &heading) {
                panic!("{page}: `{file}#{heading}` {mistake}");
            }
        }
    }
}

/// Why a link does not work, in the source tree or in the rendered book.
fn mistake_in_link(page: &str, file: &str, heading: &str) -> Option<&'static str> {
    let target = match file {
        "" => PathBuf::from(page),
        file => normal(&Path::new(page).parent()?.join(file)),
    };
    let in_book = |path: &Path| path.starts_with("docs/src");
    if page.starts_with("plugins/") && !file.is_empty() {
        return Some(
            "is not in the README, which is also a page of the book (link to headings or URLs)",
        );
    }
    if in_book(Path::new(page)) && !in_book(&target) {
        return Some("leads out of the book (add a page that includes the file)");
    }
    if !root().join(&target).exists() {
        return Some("does not exist");
    }
    let has_heading =
        || headings(&with_includes(&target.to_string_lossy())).contains(&heading.to_owned());
    (!heading.is_empty() && !has_heading()).then_some("has no such heading")
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

/// A page with the files that it includes, as mdBook renders it.
fn with_includes(page: &str) -> String {
    let mut text = String::new();
    for line in read(page).lines() {
        let file = line.strip_prefix("{{#include ");
        match file.and_then(|file| file.strip_suffix("}}")) {
            Some(file) => {
                let folder = Path::new(page).parent().expect("a folder");
                text += &read(&normal(&folder.join(file)).to_string_lossy());
            }
            None => text += line,
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_message_in_a_table_is_in_the_code() {
    // A message continues on the next line of the code after a backslash.
    let joined = |text: &str| {
        let lines = text.split("\\\n").enumerate();
        let lines = lines.map(|(at, part)| if at > 0 { part.trim_start() } else { part });
        lines
            .collect::<String>()
            .replace('`', "")
            .replace("\\\"", "\"")
    };
    let code: String = sources().iter().map(|path| joined(&read(path))).collect();
    let mut checked = 0;
    for page in [
        "docs/src/operator/troubleshooting.md",
        "docs/src/operator/plugins.md",
    ] {
        let text = read(page);
        let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
        let cells = rows.map(|row| row.split(" | ").next().unwrap_or_default());
        for message in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
            for part in message.split('…') {
                let part = part.trim_matches(|c: char| " ?:,()".contains(c));
                assert!(code.contains(part), "{page}: no message has `{part}`");
                checked += 1;
            }
        }
    }
    assert!(checked > 50, "{checked}");
}

/// The Rust files of the workspace.
fn sources() -> Vec<String> {
    let mut sources = Vec::new();
    for folder in ["host", "plugin-api", "plugins", "tests"] {
        below(folder, ".rs", &mut sources);
    }
    sources
}

#[test]
fn every_test_and_file_that_the_architecture_names_exists() {
    let code: String = sources().iter().map(|path| read(path)).collect();
    let text = read("ARCHITECTURE.md");
    let (mut tests, mut files) = (0, 0);
    for word in text.split('`').skip(1).step_by(2) {
        let is_name = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || "0123456789_".contains(c));
        if is_name && word.matches('_').count() >= 3 {
            assert!(code.contains(&format!("fn {word}(")), "no test `{word}`");
            tests += 1;
        }
        if word.ends_with(".rs") && word.contains('/') {
            let in_folder = |folder: &&str| root().join(folder).join(word).exists();
            let found = ["", "host/src"].iter().any(in_folder);
            assert!(found, "no file `{word}`");
            files += 1;
        }
    }
    assert!(tests > 20 && files > 20, "{tests} tests, {files} files");
}

#[test]
fn broken_links_are_found() {
    let check = |page: &str, file: &str, heading: &str, mistake: Option<&str>| {
        let found = mistake_in_link(page, file, heading);
        let is_as_expected = match (found, mistake) {
            (Some(found), Some(mistake)) => found.contains(mistake),
            (found, mistake) => found.is_none() && mistake.is_none(),
        };
        assert!(is_as_expected, "{page} {file}#{heading}: {found:?}");
    };
    let page = "docs/src/operator/journal.md";
    check(page, "delivery.md", "replay", None);
    check(page, "", "backup", None);
    check(page, "../changelog.md", "unreleased", None);
    check(page, "delivery.md", "backup", Some("no such heading"));
    check(page, "nothing.md", "", Some("does not exist"));
    check(page, "../../../README.md", "", Some("out of the book"));
    check("README.md", "docs/src/operator/install.md", "", None);
    check("plugins/file/README.md", "", "settings", None);
    check(
        "plugins/file/README.md",
        "../kafka/README.md",
        "",
        Some("is not in the README"),
    );
}

#[test]
fn the_page_of_the_commands_is_their_help() {
    let page = read(cli::PAGE);
    let (head, _) = page.split_once(cli::MARKER).expect("the marker");
    let wanted = format!("{head}{}\n{}", cli::MARKER, cli::generated());
    if page != wanted && std::env::var_os("UPDATE_PAGES").is_some() {
        fs::write(root().join(cli::PAGE), &wanted).expect("write the page");
    } else {
        assert!(
            page == wanted,
            "`{}` differs from the help: {}",
            cli::PAGE,
            cli::MARKER
        );
    }
}

#[test]
fn a_broken_page_fails() {
    let check = |page: &str, expected: &str| {
        let blocks = blocks(page);
        let failed = catch_unwind(|| run_blocks(&mut Session::new("broken"), &blocks, "page"));
        let message = failed.expect_err("no failure");
        let message = message.downcast_ref::<String>().expect("a text");
        assert!(message.contains(expected), "{message}");
    };
    check("```sh\nfalse\ntrue\n```\n", "left: 1");
    check(
        "```sh\ndelfin-host exporter\n```\n",
        "unrecognized subcommand",
    );
    check("```console\n$ echo one\ntwo\n```\n", "the page shows");
    check(
        "```console\n$ echo 'error: one'; false\n```\n",
        "ends with 1",
    );
    check(
        "```console\n$ echo 'error: one'\nerror: one\n```\n",
        "ends with 0",
    );
    check(
        "```sh\ncurl localhost:8190/v1/nothing\n```\n",
        "Failed to connect",
    );
    check(
        "```sh,background\ndelfin-host run\n```\n```sh\ncurl localhost:8190/v1/nothing\n```\n",
        "404",
    );
    check(
        "```sh\necho one\n```\n```text\ntwo\n```\n",
        "the output is\none",
    );
}

#[test]
fn a_shell_keeps_variables_and_folder_after_a_failure() {
    let mut session = Session::new("shell");
    assert_eq!(session.run("mkdir here && cd here\nname=value").code, 0);
    let failed = session.ask("false");
    assert_eq!((failed.code, &*failed.output), (1, ""));
    let outcome = session.run("pwd\necho ~ $name");
    assert!(
        outcome
            .output
            .ends_with("/home/you/here\n/home/you value\n"),
        "{}",
        outcome.output
    );
}
