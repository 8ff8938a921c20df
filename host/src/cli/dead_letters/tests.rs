use clap::Parser;
use serde_json::json;

use super::{
    export::{DeadLetterContent, lines},
    *,
};
use crate::cli::{Cli, CliCommand, client};

const DEAD_LETTERS: &str = r#"{"dead_letters": [
    {"id": "performance-7", "exporter": "kafka", "items": 1200, "outcome": "rejected", "attempts": 1,
     "reason": "no such topic", "last_tried_at": "2023-11-14T22:13:20.000Z", "replayed_at": null},
    {"id": "alert-12", "exporter": "alertmanager", "items": 1, "outcome": "too_large", "attempts": 3,
     "reason": "one alert is too large", "last_tried_at": "2023-11-14T22:13:21.000Z",
     "replayed_at": "2023-11-14T22:14:00.000Z"}
]}"#;

fn parsed(typed: &[&str]) -> Cli {
    let typed = ["delfin-host", "dead-letters"].iter().chain(typed);
    Cli::try_parse_from(typed).unwrap()
}

fn printed(typed: &[&str], response: &'static str) -> String {
    client::tests::printed("200 OK", response, &[&["dead-letters"], typed].concat())
}

fn body_of(typed: &[&str]) -> Value {
    match parsed(typed).command {
        CliCommand::DeadLetters(
            DeadLettersCommand::Replay(args) | DeadLettersCommand::Purge(args),
        ) => args.body(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_table_ends_with_a_summary() {
    insta::assert_snapshot!(printed(&["list"], DEAD_LETTERS));
    assert_eq!(
        printed(&["list"], r#"{"dead_letters": [], "total": 0}"#),
        "no dead letters\n"
    );
}

#[test]
fn a_list_that_is_not_complete_says_how_many_there_are() {
    let list = r#"{"total": 1234, "dead_letters": [
        {"id": "alert-1", "exporter": "a", "items": 2, "outcome": "rejected", "attempts": 1, "reason": "r",
         "last_tried_at": "2023-11-14T22:13:20.000Z", "replayed_at": null}
    ]}"#;
    let listed = printed(&["list", "--limit", "1"], list);
    let summary = "1 of 1 234 dead letters, with 2 items (`--limit N` lists more)\n";
    assert!(listed.ends_with(summary), "{listed}");
}

#[test]
fn json_is_the_response_of_the_host_unchanged() {
    assert_eq!(
        printed(&["list", "--json"], DEAD_LETTERS),
        format!("{DEAD_LETTERS}\n")
    );
}

#[test]
fn a_dry_run_says_what_it_would_do() {
    let response = r#"{"letters": 2, "items": 1201, "bytes": 10, "dry_run": true}"#;
    assert_eq!(
        printed(&["purge", "--all", "--dry-run"], response),
        "would purge 2 dead letters with 1 201 items\n"
    );
    let response = r#"{"letters": 1, "items": 1, "bytes": 10, "dry_run": false}"#;
    assert_eq!(
        printed(&["purge", "performance-7"], response),
        "purged 1 dead letter with 1 item\n"
    );
}

#[test]
fn the_options_become_the_request() {
    assert_eq!(
        body_of(&["replay", "alert-1", "alert-2", "--limit", "1"]),
        json!({"ids": ["alert-1", "alert-2"], "limit": 1, "all": false, "dry_run": false})
    );
    assert_eq!(
        body_of(&["purge", "--exporter", "a b", "--since", "2h", "--dry-run"]),
        json!({"exporter": "a b", "since": "2h", "all": false, "dry_run": true})
    );
    let DeadLettersCommand::List(args) =
        (match parsed(&["list", "--reason", "50 % & ä", "--limit", "3"]).command {
            CliCommand::DeadLetters(command) => command,
            other => panic!("{other:?}"),
        })
    else {
        panic!("not list");
    };
    assert_eq!(
        args.filter.path(),
        "/v1/dead-letters?reason=50%20%25%20%26%20%C3%A4&limit=3&"
    );
}

#[test]
fn all_excludes_ids_and_an_id_is_checked() {
    for typed in [
        &["purge", "--all", "alert-1"][..],
        &["show", "../exporters"],
    ] {
        let typed = ["delfin-host", "dead-letters"].iter().chain(typed);
        Cli::try_parse_from(typed).unwrap_err();
    }
}

#[test]
fn an_export_has_one_line_per_item_that_can_be_pushed() {
    let dead_letter = DeadLetterContent {
        id: "performance-7".to_owned(),
        exporter: "kafka".to_owned(),
        reason: "no such topic".to_owned(),
        content: vec![json!({"name": "iops"}), json!({"name": "latency"})],
        content_error: None,
    };
    let lines = lines(&dead_letter);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[1],
        json!({"dead_letter": "performance-7", "exporter": "kafka", "reason": "no such topic",
               "item": {"name": "latency"}})
    );
}
