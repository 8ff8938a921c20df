//! What a server gets.

use std::collections::BTreeSet;

use delfin_plugin_api::{AlertBatchBuilder, NewAlert, sample, testkit::Harness};
use delfin_tests::{LONG_TEXT, wait_for};
use serde_json::json;

use crate::{
    ALERTS,
    support::{MailServer, named, with},
};

#[test]
fn nothing_is_missing_after_the_server_was_killed_and_started() {
    let harness = Harness::of_crate();
    let Some(mut server) = MailServer::start(&[]) else {
        return;
    };
    let mut exporter = harness.start(ALERTS, &server.settings());
    let numbers: Vec<String> = (0..400)
        .map(|number| format!("alert-{number:03}"))
        .collect();
    let sent = numbers.clone();
    let sender = std::thread::spawn(move || {
        for names in sent.chunks(20) {
            let alerts = named(names.iter().map(String::as_str));
            wait_for("a delivered batch", || exporter.send(&alerts).ok());
        }
    });
    for reached in [50, 200] {
        wait_for("mails", || {
            (server.smtp.mails().len() >= reached).then_some(())
        });
        server.smtp.kill();
        server.smtp.restart();
    }
    sender.join().unwrap();
    let subject = |file: &std::path::PathBuf| {
        let mail = std::fs::read_to_string(file).unwrap();
        let line = mail
            .lines()
            .find_map(|line| line.strip_prefix("Subject: [Major] -: "));
        line.unwrap_or_else(|| panic!("{mail}")).to_owned()
    };
    let found: BTreeSet<String> = server.smtp.mails().iter().map(subject).collect();
    assert_eq!(found, numbers.into_iter().collect());
}

#[test]
fn awkward_texts_arrive_as_the_readme_says() {
    let harness = Harness::of_crate();
    let Some(server) = MailServer::start(&[]) else {
        return;
    };
    let texts = [
        (
            "\"quoted\" \\back, <a@b>",
            "\"quoted\" \\back, <a@b>",
            "\"quoted\" \\back, <a@b>",
        ),
        (
            "line\nbreak\r\n\ttab\0",
            "line break   tab ",
            "line\nbreak\n\ttab\u{fffd}",
        ),
        ("grüße 数据 🦀", "grüße 数据 🦀", "grüße 数据 🦀"),
        ("a\n.\nQUIT", "a . QUIT", "a\n.\nQUIT"),
        ("", "-", ""),
        (LONG_TEXT, &*"x".repeat(200), LONG_TEXT),
    ];
    let mut batch = AlertBatchBuilder::new();
    for (text, ..) in texts {
        batch.alert(NewAlert {
            occur_time: sample::START_MS,
            texts: &[
                ("alert_name", text),
                ("description", text),
                ("fan \"1\"", text),
            ],
        });
    }
    let settings = with(server.settings(), json!({ "subject": "{alert_name}" }));
    let mut exporter = harness.start(ALERTS, &settings);
    assert_eq!(exporter.send(&batch.build()), Ok(()));
    let mails = server.mails();
    assert_eq!(mails.len(), texts.len());
    for (mail, (_, subject, body)) in mails.iter().zip(texts) {
        assert_eq!(mail["headers"]["Subject"], subject);
        let found = mail["body"].as_str().unwrap().replace("\r\n", "\n");
        let fields = match body {
            "" => String::new(),
            _ => format!("alert_name: {body}\nfan \"1\": {body}\n"),
        };
        let expected = format!("{body}\n\noccur_time: 2023-11-14T22:13:20.000Z\n{fields}");
        assert_eq!(found.trim_end(), expected.trim_end());
        let to = mail["headers"]["To"].as_str().unwrap();
        assert!(to.contains("Grüße <oncall@example.com>"), "{to}");
    }
}
