//! Shared by the tests: a receiver, and what it has got.

use delfin_plugin_api::{AlertBatch, AlertBatchBuilder, NewAlert, sample};
use delfin_tests::receivers::Snmptrapd;
use serde_json::{Value, json};
use tempfile::TempDir;

const AUTH: &str = "auth password";
const PRIVACY: &str = "privacy password";
/// The engine of traps, which the receiver knows.
pub(crate) const ENGINE: &str = "80007ed904c0ffee02";

/// A receiver that knows the community `secret`, and the user `delfin`.
pub(crate) struct Receiver {
    pub(crate) snmptrapd: Snmptrapd,
    _folder: TempDir,
}

impl Receiver {
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let user = format!("delfin SHA-256 \"{AUTH}\" AES \"{PRIVACY}\"");
        let settings = format!(
            "authCommunity log secret\ncreateUser {user}\ncreateUser -e 0x{ENGINE} {user}\n\
             authUser log delfin priv\n"
        );
        Some(Self {
            snmptrapd: Snmptrapd::start(folder.path(), &settings)?,
            _folder: folder,
        })
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.snmptrapd.port())
    }

    pub(crate) fn community(&self) -> Value {
        json!({ "address": self.address(), "version": "2c", "community": "secret" })
    }

    pub(crate) fn user(&self) -> Value {
        json!({
            "address": self.address(),
            "username": "delfin",
            "auth_password": AUTH,
            "privacy_password": PRIVACY,
        })
    }
}

/// Alerts of the storage `s` with these sequence numbers.
pub(crate) fn numbered(numbers: std::ops::Range<usize>) -> AlertBatch {
    let mut batch = AlertBatchBuilder::new();
    for number in numbers {
        let number = number.to_string();
        batch.alert(NewAlert {
            occur_time: sample::START_MS,
            texts: &[("storage_id", "s"), ("sequence_number", number.as_str())],
        });
    }
    batch.build()
}
