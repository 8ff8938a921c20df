//! `exporters --watch`: shows the exporters again and again.
//!
//! A host that restarts meanwhile is waited for; only the first request must succeed.

use std::{
    io::{self, IsTerminal},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;

use super::{ExporterList, PATH, show};
use crate::{
    cli::{client::HostClient, error::Error, output::Output},
    clock::{now_ms, rfc3339},
};

/// Clears a terminal, and moves its cursor to the first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

pub(super) fn run(
    client: &HostClient,
    interval: Duration,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let mut response = client.get(PATH)?;
    loop {
        refresh(client, &response, output)?;
        response = loop {
            sleep(interval);
            match client.get(PATH) {
                Ok(response) => break response,
                Err(error) => output.warn(&error.to_string()),
            }
        };
    }
}

fn refresh(client: &HostClient, response: &str, output: &mut Output<'_>) -> Result<(), Error> {
    if output.is_json() {
        let list: Value = client.parse(PATH, response)?;
        return output.line(&list.to_string());
    }
    let list: ExporterList = client.parse(PATH, response)?;
    if io::stdout().is_terminal() {
        output.text(CLEAR)?;
    }
    output.line(&rfc3339(now_ms()))?;
    show(&list, output)?;
    output.line("")
}
