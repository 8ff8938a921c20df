//! The examples of the page are the messages of the code.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::collections::BTreeSet;

use delfin_plugin_protocol::{
    DriverMessage, DriverRequest, ExporterMessage, HostMessage, Incoming, Message, decode,
};
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/src/exporter/protocol.md");

/// The example as the types write it; `None` if it is not a message of this side.
fn rewritten<M: Message>(example: &str) -> Option<Value> {
    match decode::<M>(example.as_bytes()) {
        Ok(Incoming::Message(message)) => Some(serde_json::to_value(message).unwrap()),
        Ok(Incoming::Unknown { .. }) | Err(_) => None,
    }
}

/// The types of the examples under a heading. Every key of an example is a field, and every
/// field that is always written is in the example.
fn examples<M: Message>(heading: &str) -> BTreeSet<String> {
    let (_, section) = PAGE.split_once(&format!("## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let examples = section.split("```json\n").skip(1);
    let types = examples.map(|example| {
        let example = example.split("\n```").next().unwrap();
        let shown: Value = serde_json::from_str(example).unwrap();
        assert_eq!(rewritten::<M>(example), Some(shown.clone()), "{example}");
        shown["type"].as_str().unwrap().to_owned()
    });
    types.collect()
}

fn types<M: Message>() -> BTreeSet<String> {
    M::TYPES.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn the_page_has_an_example_of_every_message_and_the_types_write_it_so() {
    let host = examples::<HostMessage>("Messages of the host");
    assert_eq!(host, types::<HostMessage>());
    let program = examples::<ExporterMessage>("Messages of the program");
    assert_eq!(program, types::<ExporterMessage>());
    // A driver has some messages in common with an exporter.
    let host = examples::<DriverRequest>("Messages of the host to a driver");
    assert_eq!(host, &types::<DriverRequest>() - &types::<HostMessage>());
    let driver = examples::<DriverMessage>("Messages of a driver");
    assert_eq!(
        driver,
        &types::<DriverMessage>() - &types::<ExporterMessage>()
    );
}

#[test]
fn unknown_keys_are_ignored_and_an_unknown_type_is_named() {
    let tick = br#"{"type":"tick","id":6,"deadline_ms":1,"later":{"a":[]}}"#;
    assert!(matches!(
        decode::<HostMessage>(tick),
        Ok(Incoming::Message(HostMessage::Tick(call))) if call.id == 6
    ));
    // The order of the keys does not matter.
    let tick = br#"{ "id":6, "deadline_ms":1, "type":"tick"}"#;
    assert!(matches!(
        decode::<HostMessage>(tick),
        Ok(Incoming::Message(HostMessage::Tick(call))) if call.id == 6
    ));
    let rewind = br#"{"type":"rewind","id":8}"#;
    assert_eq!(
        decode::<HostMessage>(rewind).unwrap(),
        Incoming::Unknown {
            name: "rewind".to_owned(),
            id: Some(8)
        }
    );
    for wrong in [
        &br#"{"type":"tick","id":"six"}"#[..],
        b"{}",
        b"[]",
        b"\xff",
        b"",
    ] {
        let error = decode::<HostMessage>(wrong).unwrap_err();
        assert!(error.to_string().starts_with("a message is not valid: "));
    }
}
