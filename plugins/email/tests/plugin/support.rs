//! Shared by the tests: a server, and the mails that it has accepted.

use std::{path::Path, process::Command};

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert, sample};
use delfin_tests::{CommandOutput, receivers::SmtpServer};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Prints a mail as Python's library for mails reads it.
const READ: &str = "
import email, email.policy, json, sys
mail = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
headers = {name: str(value) for name, value in mail.items()}
print(json.dumps({'headers': headers, 'body': mail.get_content()}))
";

/// A server without TLS and login, unless it has options.
pub(crate) struct MailServer {
    pub(crate) smtp: SmtpServer,
    _folder: TempDir,
}

impl MailServer {
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        Some(Self {
            smtp: SmtpServer::start(folder.path(), options)?,
            _folder: folder,
        })
    }

    pub(crate) fn settings(&self) -> Value {
        json!({
            "address": format!("localhost:{}", self.smtp.port()),
            "from": "Delfin <delfin@example.com>",
            "to": ["storage@example.com", "Grüße <oncall@example.com>"],
            "tls": "off",
        })
    }

    pub(crate) fn mails(&self) -> Vec<Value> {
        self.smtp.mails().iter().map(|file| read(file)).collect()
    }
}

fn read(file: &Path) -> Value {
    let mut python = Command::new("python3");
    let output = CommandOutput::run(python.args(["-c", READ]).arg(file)).expect_exit(0);
    serde_json::from_str(&output.stdout).unwrap()
}

pub(crate) fn with(mut settings: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    settings.as_object_mut().unwrap().extend(more);
    settings
}

/// Alerts of the storage `s` with these names.
pub(crate) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for name in names {
        batch.alert(NewAlert {
            occur_time: sample::START_MS,
            texts: &[
                ("storage_id", "s"),
                ("alert_name", name),
                ("severity", "Major"),
            ],
        });
    }
    batch.build()
}
