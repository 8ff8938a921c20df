//! What services show, and the outcomes that their responses become.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use delfin_plugin_api::{
    AlertBatch, AlertBatchBuilder, Failure, NewAlert, Outcome, RowFailureKind, sample,
    testkit::{CallOptions, Harness, TestReceiver, TestResponse, build_library, check_outcome},
};
use delfin_tests::{AWKWARD_TEXTS, deliver_in_spite_of_outages};
use serde_json::{Value, json};

use crate::services::{JIRA, PAGERDUTY, SERVICENOW, SERVICES, SLACK, Service, TEAMS};

fn alerts(rows: &[[&str; 3]]) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for [name, severity, category] in rows {
        batch.alert(NewAlert {
            occur_time: 1_700_000_000_000,
            texts: &[
                ("storage_id", "s"),
                ("storage_name", "array-1"),
                ("alert_name", name),
                ("severity", severity),
                ("category", category),
                ("location", "port 3"),
                ("description", "say \"no\" <now>"),
            ],
        });
    }
    batch.build()
}

#[test]
fn an_alert_is_triggered_updated_and_resolved_by_its_key() {
    for exporter in [PAGERDUTY, SERVICENOW, JIRA] {
        let service = Service::start(exporter);
        let mut instance = Harness::of_crate().start(exporter, &service.settings());
        let first = alerts(&[["fan", "Major", "Fault"], ["disk", "Fatal", "Fault"]]);
        assert_eq!(instance.send(&first), Ok(()));
        assert_eq!(
            service.open().into_values().collect::<Vec<_>>(),
            [true, true]
        );
        // Sent again, changed, and ended in one batch: the last counts.
        let next = alerts(&[
            ["fan", "Major", "Fault"],
            ["fan", "Minor", "Fault"],
            ["fan", "Minor", "Recovery"],
        ]);
        assert_eq!(instance.send(&next), Ok(()));
        let open = service.open();
        assert_eq!(
            (open.len(), open.values().filter(|open| **open).count()),
            (2, 1),
            "{exporter}"
        );
        assert_eq!(instance.outcome_of("health"), Ok(()));
    }
}

#[test]
fn the_health_of_a_service_is_not_that_of_a_web_page() {
    for exporter in SERVICES {
        let service = Service::start(exporter);
        let mut settings = service.settings();
        let mut instance = Harness::of_crate().start(exporter, &settings);
        assert_eq!(instance.outcome_of("health"), Ok(()), "{exporter}");
        assert_eq!(service.accepted(), [] as [Value; 0]);
        let page = TestReceiver::start(|_| TestResponse::new(200).body("<html>Welcome"));
        settings["url"] = page.url("/").into();
        let mut instance = Harness::of_crate().start(exporter, &settings);
        let text = instance.outcome_of("health").unwrap_err().to_string();
        assert!(text.contains("a web page, not a response of "), "{text}");
    }
}

#[test]
fn each_service_gets_the_fields_that_the_readme_names() {
    let batch = alerts(&[["fan", "Major", "Fault"], ["fan", "Major", "Recovery"]]);
    let accepted = |exporter: &'static str| {
        let service = Service::start(exporter);
        let mut instance = Harness::of_crate().start(exporter, &service.settings());
        assert_eq!(instance.send(&batch), Ok(()));
        service.accepted()
    };
    let payload = &accepted(PAGERDUTY)[0]["payload"];
    assert_eq!(payload["summary"], "Major: fan on array-1");
    assert_eq!(payload["severity"], "error");
    assert_eq!(payload["timestamp"], "2023-11-14T22:13:20.000Z");
    assert_eq!(payload["component"], "port 3");
    assert_eq!(payload["custom_details"]["description"], "say \"no\" <now>");
    let events = accepted(SERVICENOW);
    assert_eq!(
        (&events[0]["severity"], &events[1]["severity"]),
        (&json!("2"), &json!("0"))
    );
    assert_eq!(events[0]["time_of_event"], "2023-11-14 22:13:20");
    assert_eq!(events[0]["node"], "array-1");
    let issue = &accepted(JIRA)[0];
    assert_eq!(issue["summary"], "Major: fan on array-1");
    let text = "{noformat}\nMajor: fan on array-1\nStorage: array-1\nLocation: port 3\nSeverity: Major\n\
                Time: 2023-11-14T22:13:20.000Z\nDescription: say \"no\" <now>\n{noformat}";
    assert_eq!(issue["description"], text);
    assert_eq!(issue["comments"], json!([format!("Ended.\n{text}")]));
    let message = accepted(SLACK)[0]["text"].as_str().unwrap().to_owned();
    assert_eq!(
        message,
        ":red_circle: *Major: fan on array-1*\nsay \"no\" &lt;now&gt;\n\
         :white_check_mark: Ended: *Major: fan on array-1*\nsay \"no\" &lt;now&gt;"
    );
    let card = &accepted(TEAMS)[0];
    assert_eq!(card[0]["text"], "Major: fan on array-1");
    assert_eq!(card[0]["color"], "Attention");
    assert_eq!(card[3]["text"], "Ended: Major: fan on array-1");
}

#[test]
fn awkward_texts_are_accepted_by_each_service() {
    let markup = "<!channel> *b* [a](http://b)";
    let mut batch = AlertBatchBuilder::new();
    for text in AWKWARD_TEXTS.into_iter().chain([markup]) {
        batch.alert(NewAlert {
            occur_time: -1,
            texts: &[
                ("alert_name", text),
                ("severity", text),
                ("location", text),
                ("description", text),
                ("recovery_advice", text),
                ("fan=1", text),
            ],
        });
    }
    let batch = batch.build();
    for exporter in SERVICES {
        let service = Service::start(exporter);
        let mut instance = Harness::of_crate().start(exporter, &service.settings());
        assert_eq!(instance.send(&batch), Ok(()), "{exporter}");
        let accepted = Value::from(service.accepted()).to_string();
        match exporter {
            SLACK => {
                assert!(accepted.contains("&lt;!channel&gt;") && !accepted.contains("<!channel"));
                assert!(
                    accepted.contains(r"line\nbreak\\r\\ttab\\u{1b}"),
                    "{accepted}"
                );
            }
            TEAMS => {
                assert!(accepted.contains(r"\\[a\\]\\(http://b\\)"), "{accepted}");
                assert!(
                    accepted.contains(r"line\n\nbreak\\\\r\\\\ttab"),
                    "{accepted}"
                );
            }
            _ => assert!(accepted.contains("grüße 🦀")),
        }
    }
}

#[test]
fn nothing_is_missing_after_a_service_was_down() {
    let library = build_library();
    for exporter in SERVICES {
        let service = Service::start(exporter);
        let names: Vec<_> = (0..9).map(|number| format!("alert-{number}")).collect();
        let batches: Vec<_> = names
            .iter()
            .map(|name| json!([{ "storage_id": "s", "alert_name": name, "category": "Fault" }]))
            .collect();
        let settings = service.settings();
        deliver_in_spite_of_outages(&library, exporter, &settings, &batches, |is_down| {
            service.set_down(is_down);
        });
        let accepted = Value::from(service.accepted()).to_string();
        for name in names {
            assert!(accepted.contains(&name), "{exporter}: {name}");
        }
    }
}

#[test]
fn a_new_instance_finds_the_issue_of_an_alert() {
    let service = Service::start(JIRA);
    let harness = Harness::of_crate();
    for category in ["Fault", "Fault", "Recovery", "Recovery", "Fault"] {
        let mut instance = harness.start(JIRA, &service.settings());
        let batch = alerts(&[["fan", "Major", category]]);
        assert_eq!(instance.send(&batch), Ok(()));
    }
    let issues = service.accepted();
    let comments = |issue: &Value| issue["comments"].as_array().unwrap().len();
    assert_eq!(issues.iter().map(comments).collect::<Vec<_>>(), [2, 0]);
    assert_eq!(
        (&issues[0]["is_open"], &issues[1]["is_open"]),
        (&json!(false), &json!(true))
    );
}

#[test]
fn wrong_settings_of_jira_make_no_dead_letter() {
    let service = Service::start(JIRA);
    let mut settings = service.settings();
    settings["issue_type"] = json!("Oops");
    let mut instance = Harness::of_crate().start(JIRA, &settings);
    let outcome = instance.send(&alerts(&[["fan", "Major", "Fault"]]));
    check_outcome(&outcome, "misconfigured", "valid issue type");
}

#[test]
fn a_token_of_oauth2_is_sent() {
    let receiver = TestReceiver::start(|request| {
        if request.path == "/token" {
            let token = r#"{"access_token":"t1","token_type":"Bearer","expires_in":60}"#;
            return TestResponse::new(200).body(token);
        }
        assert_eq!(request.header("authorization"), "Bearer t1");
        TestResponse::new(200).body(r#"{"result":{}}"#)
    });
    let oauth2 =
        json!({ "token_url": receiver.url("/token"), "client_id": "c", "client_secret": "s" });
    let settings = json!({ "url": receiver.url("/"), "oauth2": oauth2, "max_per_minute": 6000 });
    let mut instance = Harness::of_crate().start(SERVICENOW, &settings);
    for _ in 0..2 {
        assert_eq!(instance.send(&sample::alerts(2)), Ok(()));
    }
    assert_eq!(receiver.requests().len(), 3);
}

#[test]
fn only_the_refused_alert_becomes_a_dead_letter() {
    let receiver = TestReceiver::start(|request| {
        let event: Value = serde_json::from_slice(&request.body).unwrap();
        match event["payload"]["custom_details"]["alert_name"].as_str() {
            Some("bad") => TestResponse::new(400).body("invalid event"),
            _ => TestResponse::new(202).body(r#"{"status":"success"}"#),
        }
    });
    let settings = json!({ "url": receiver.url("/"), "routing_key": "k", "max_per_minute": 6000 });
    let mut instance = Harness::of_crate().start(PAGERDUTY, &settings);
    let batch = alerts(&[
        ["a", "Major", "Fault"],
        ["bad", "Major", "Fault"],
        ["c", "Major", "Fault"],
    ]);
    let Err(Failure::Partial { rows, .. }) = instance.send(&batch) else {
        panic!("not partial")
    };
    assert_eq!(
        (rows.len(), rows[0].rows.clone(), rows[0].kind),
        (1, 1..2, RowFailureKind::Rejected)
    );
    assert!(rows[0].reason.contains("invalid event"));
}

#[test]
fn each_response_becomes_its_outcome() {
    let of = |exporter: &str, response: TestResponse| -> Outcome {
        let receiver = TestReceiver::start(move |_| response.clone());
        let mut settings = json!({ "url": receiver.url("/s3cret"), "max_per_minute": 6000 });
        match exporter {
            PAGERDUTY => settings["routing_key"] = json!("k"),
            SERVICENOW => settings["bearer_token"] = json!("t"),
            JIRA => {
                settings["bearer_token"] = json!("t");
                settings["project"] = json!("STOR");
            }
            _ => {}
        }
        let outcome = Harness::of_crate()
            .start(exporter, &settings)
            .send(&sample::alerts(2));
        assert!(!format!("{outcome:?}").contains("s3cret"));
        outcome
    };
    for exporter in SERVICES {
        let check = |response, name: &str| check_outcome(&of(exporter, response), name, "");
        check(TestResponse::new(401), "unauthorized");
        check(TestResponse::new(404), "misconfigured");
        check(TestResponse::new(410), "misconfigured");
        check(
            TestResponse::new(429).header("retry-after", "7"),
            "throttled",
        );
        check(TestResponse::new(500), "retry");
        // A sign-in page, or an instance that hibernates.
        check(
            TestResponse::new(200).body("<html>Sign in</html>"),
            "misconfigured",
        );
        check(
            TestResponse::new(200).body("{\"error\":\"x\"}"),
            "misconfigured",
        );
    }
    check_outcome(&of(PAGERDUTY, TestResponse::closed()), "retry", "");
    check_outcome(&of(SLACK, TestResponse::closed()), "uncertain", "");
    check_outcome(
        &of(SLACK, TestResponse::new(400).body("msg_too_long")),
        "rejected",
        "msg_too_long",
    );
}

#[test]
fn only_the_alerts_of_a_message_without_a_response_are_uncertain() {
    for (exporter, alerts_in_message) in [(SLACK, 10), (TEAMS, 2)] {
        let messages = AtomicUsize::new(0);
        let receiver =
            TestReceiver::start(move |_| match messages.fetch_add(1, Ordering::Relaxed) {
                0 => TestResponse::new(200).body(if exporter == SLACK { "ok" } else { "" }),
                _ => TestResponse::closed(),
            });
        let settings = json!({ "url": receiver.url("/"), "max_per_minute": 6000 });
        let mut instance = Harness::of_crate().start(exporter, &settings);
        let outcome = instance.send(&sample::alerts(3 * alerts_in_message));
        let Err(Failure::Partial { rows, .. }) = outcome else {
            panic!("{outcome:?}")
        };
        let kinds: Vec<_> = rows
            .iter()
            .map(|row| (row.rows.clone(), row.kind))
            .collect();
        let (sent, unsent) = (alerts_in_message, 2 * alerts_in_message);
        let expected = [
            (sent..unsent, RowFailureKind::Uncertain),
            (unsent..3 * alerts_in_message, RowFailureKind::Retry),
        ];
        assert_eq!(kinds, expected, "{exporter}");
    }
}

#[test]
fn the_limit_of_requests_is_kept() {
    let service = Service::start(SLACK);
    let mut settings = service.settings();
    settings["max_per_minute"] = json!(1);
    let mut instance = Harness::of_crate().start(SLACK, &settings);
    let call = CallOptions {
        remaining: Duration::from_secs(5),
        ..CallOptions::default()
    };
    // Two messages: the second has to wait.
    let Err(Failure::Partial { rows, .. }) = instance.send_with(&sample::alerts(15), &call) else {
        panic!("not partial")
    };
    assert_eq!(
        (rows[0].rows.clone(), rows[0].kind),
        (10..15, RowFailureKind::Retry)
    );
    let outcome = instance.send_with(&sample::alerts(1), &call);
    check_outcome(&outcome, "throttled", "limit");
    assert_eq!(service.accepted().len(), 1);
}
