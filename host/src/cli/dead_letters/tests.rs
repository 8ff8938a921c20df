use clap::Parser;
use serde_json::json;

use super::{
    export::{Content, lines},
    *,
};
use crate::cli::{Cli, api};

const LETTERS: &str = r#"{"dead_letters": [
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

fn printed(typed: &[&str], answer: &'static str) -> String {
    let url = api::tests::serve("200 OK", answer);
    let cli = parsed(&[typed, &["--host", &url]].concat());
    let mut data = Vec::new();
    cli.run(&mut Output::new(&mut data, &cli.global)).unwrap();
    String::from_utf8(data).unwrap()
}

fn taken(typed: &[&str]) -> Value {
    match parsed(typed).command {
        crate::cli::Command::DeadLetters(
            DeadLettersCommand::Replay(args) | DeadLettersCommand::Purge(args),
        ) => args.body(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_table_ends_with_the_sum() {
    insta::assert_snapshot!(printed(&["list"], LETTERS));
    assert_eq!(
        printed(&["list"], r#"{"dead_letters": []}"#),
        "no dead letters\n"
    );
}

#[test]
fn for_machines_the_answer_stays_as_the_host_wrote_it() {
    assert_eq!(
        printed(&["list", "--json"], LETTERS),
        format!("{LETTERS}\n")
    );
}

#[test]
fn what_would_be_done_is_not_said_to_be_done() {
    let answer = r#"{"letters": 2, "items": 1201, "bytes": 10, "dry_run": true}"#;
    assert_eq!(
        printed(&["purge", "--all", "--dry-run"], answer),
        "would purge 2 dead letters with 1 201 items\n"
    );
    let answer = r#"{"letters": 1, "items": 1, "bytes": 10, "dry_run": false}"#;
    assert_eq!(
        printed(&["purge", "performance-7"], answer),
        "purged 1 dead letter with 1 item\n"
    );
}

#[test]
fn what_was_typed_is_what_the_host_is_asked_for() {
    assert_eq!(
        taken(&["replay", "alert-1", "alert-2", "--limit", "1"]),
        json!({"ids": ["alert-1", "alert-2"], "limit": 1, "all": false, "dry_run": false})
    );
    assert_eq!(
        taken(&["purge", "--exporter", "a b", "--since", "2h", "--dry-run"]),
        json!({"exporter": "a b", "since": "2h", "all": false, "dry_run": true})
    );
    let DeadLettersCommand::List(args) =
        (match parsed(&["list", "--reason", "50 % & ä", "--limit", "3"]).command {
            crate::cli::Command::DeadLetters(command) => command,
            other => panic!("{other:?}"),
        })
    else {
        panic!("it is a list");
    };
    assert_eq!(
        args.which.path(),
        "/v1/dead-letters?reason=50%20%25%20%26%20%C3%A4&limit=3&"
    );
}

#[test]
fn all_is_all_and_an_id_is_an_id() {
    for typed in [
        &["purge", "--all", "alert-1"][..],
        &["show", "../exporters"],
    ] {
        let typed = ["delfin-host", "dead-letters"].iter().chain(typed);
        Cli::try_parse_from(typed).unwrap_err();
    }
}

#[test]
fn an_export_has_a_line_for_each_item_that_can_be_pushed_again() {
    let letter = Content {
        id: "performance-7".to_owned(),
        exporter: "kafka".to_owned(),
        reason: "no such topic".to_owned(),
        content: vec![json!({"name": "iops"}), json!({"name": "latency"})],
        content_error: None,
    };
    let lines = lines(&letter);
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
