//! What message registries say: severity, text, and which messages end which others.
//!
//! Promises: a registry is read once, from the service itself, and one that cannot be read is tried
//! once in each list; without it, the standard messages are known.

use std::collections::{BTreeSet, HashMap, HashSet};

use delfin_plugin_api::log;
use serde_json::Value;

use super::{
    AlertRequest,
    record::{FaultRecord, FaultSeverity},
};
use crate::{
    client::AskError,
    decode::{flag, link, list, normal_path, text},
};

/// The most registries that are read.
const MAX_REGISTRIES: usize = 32;

/// The messages that end others of the same registry, for services without their registries.
const CLEARING: [(&str, &str, &[&str]); 17] = [
    (
        "ResourceEvent",
        "ResourceStatusChangedOK",
        &[
            "ResourceStatusChangedWarning",
            "ResourceStatusChangedCritical",
        ],
    ),
    (
        "ResourceEvent",
        "ResourceStatusChangedWarning",
        &["ResourceStatusChangedCritical"],
    ),
    (
        "ResourceEvent",
        "ResourceStatusChangedCritical",
        &["ResourceStatusChangedWarning"],
    ),
    (
        "ResourceEvent",
        "ResourceErrorsCorrected",
        &["ResourceErrorsDetected"],
    ),
    (
        "ResourceEvent",
        "ResourceErrorThresholdCleared",
        &["ResourceErrorThresholdExceeded"],
    ),
    (
        "ResourceEvent",
        "ResourceWarningThresholdCleared",
        &["ResourceWarningThresholdExceeded"],
    ),
    (
        "StorageDevice",
        "BatteryOK",
        &["BatteryFailure", "BatteryMissing"],
    ),
    (
        "StorageDevice",
        "ControllerOK",
        &["ControllerDegraded", "ControllerFailure"],
    ),
    (
        "StorageDevice",
        "ControllerPortOK",
        &["ControllerPortDegraded", "ControllerPortFailure"],
    ),
    (
        "StorageDevice",
        "DriveOK",
        &[
            "DriveFailure",
            "DriveOffline",
            "DrivePredictiveFailure",
            "DriveMissing",
        ],
    ),
    ("StorageDevice", "DriveFailureCleared", &["DriveFailure"]),
    ("StorageDevice", "DriveOfflineCleared", &["DriveOffline"]),
    (
        "StorageDevice",
        "DrivePredictiveFailureCleared",
        &["DrivePredictiveFailure"],
    ),
    (
        "StorageDevice",
        "DriveInserted",
        &["DriveRemoved", "DriveMissing"],
    ),
    (
        "StorageDevice",
        "VolumeOK",
        &["VolumeDegraded", "VolumeFailure", "VolumeOffline"],
    ),
    ("StorageDevice", "VolumeOfflineCleared", &["VolumeOffline"]),
    (
        "StorageDevice",
        "WriteCacheProtected",
        &[
            "WriteCacheDegraded",
            "WriteCacheTemporarilyDegraded",
            "WriteCacheDataLoss",
        ],
    ),
];

/// A message of a registry.
#[derive(Debug, Clone, Default)]
pub(super) struct RegistryMessage {
    pub(super) severity: Option<FaultSeverity>,
    pub(super) text: Option<String>,
    pub(super) resolution: Option<String>,
    /// The names of the messages of the same registry that it ends at the same origin.
    pub(super) clears: HashSet<String>,
}

/// The registries of a service.
#[derive(Default)]
pub(super) struct MessageRegistries {
    /// The names and the locations of all, once they are known.
    files: Option<Vec<(String, String)>>,
    /// The messages of those that were needed, by their prefix.
    messages: HashMap<String, HashMap<String, RegistryMessage>>,
    /// Those that could not be read in this list.
    broken: HashSet<String>,
}

impl RegistryMessage {
    /// What the standard registries say.
    pub(super) fn standard(record: &FaultRecord) -> Option<Self> {
        let (registry, name) = record.message_key()?;
        let row = CLEARING
            .iter()
            .find(|row| row.0 == registry && row.1 == name)?;
        Some(Self {
            clears: row.2.iter().map(|name| (*name).to_owned()).collect(),
            ..Self::default()
        })
    }

    fn read(message: &Value, names: &BTreeSet<&str>) -> Self {
        let resolution = text(message, "/Resolution").filter(|text| !text.starts_with("None"));
        let clears = list(message, "/ClearingLogic/ClearsMessage").iter();
        let clears = clears.filter_map(Value::as_str);
        let clears = clears.map(|id| id.rsplit('.').next().unwrap_or(id));
        let all = flag(message, "/ClearingLogic/ClearsAll") == Some(true);
        let all = names.iter().copied().filter(|_| all);
        Self {
            severity: FaultSeverity::read(message, &["/MessageSeverity", "/Severity"]),
            text: text(message, "/Message").map(str::to_owned),
            resolution: resolution.map(str::to_owned),
            clears: clears.chain(all).map(str::to_owned).collect(),
        }
    }
}

impl MessageRegistries {
    /// Begins the next list.
    pub(super) fn retry(&mut self) {
        self.broken.clear();
    }

    /// What the registry of a record says about its message.
    pub(super) fn message(
        &mut self,
        record: &FaultRecord,
        request: &AlertRequest<'_>,
    ) -> Option<RegistryMessage> {
        let (registry, name) = record.message_key()?;
        let is_known = self.messages.contains_key(registry) || self.broken.contains(registry);
        if !is_known && self.messages.len() + self.broken.len() < MAX_REGISTRIES {
            let id = record.message_id.as_deref().unwrap_or_default();
            match self.load(registry, id, request) {
                Ok(messages) => {
                    self.messages.insert(registry.to_owned(), messages);
                }
                Err(AskError::Absent(reason)) => {
                    log::debug!(registry, reason; "the service does not have a message registry");
                    self.messages.insert(registry.to_owned(), HashMap::new());
                }
                Err(error) => {
                    log::debug!(registry, error:%; "a message registry cannot be read");
                    self.broken.insert(registry.to_owned());
                }
            }
        }
        let own = self
            .messages
            .get(registry)
            .and_then(|known| known.get(name));
        let standard = RegistryMessage::standard(record);
        match (own.cloned(), standard) {
            // Registries from before `ClearingLogic` do not say what ends what.
            (Some(own), Some(standard)) if own.clears.is_empty() => Some(RegistryMessage {
                clears: standard.clears,
                ..own
            }),
            (own, standard) => own.or(standard),
        }
    }

    fn load(
        &mut self,
        registry: &str,
        message_id: &str,
        request: &AlertRequest<'_>,
    ) -> Result<HashMap<String, RegistryMessage>, AskError> {
        let (client, budget) = (request.client, request.budget);
        if self.files.is_none() {
            let path = link(&request.tree.root, "/Registries");
            let members = match path {
                Some(path) => client.members(&path, &HashSet::new(), budget)?,
                None => Vec::new(),
            };
            let files = members.iter().filter_map(|member| {
                let file = &member.document;
                let name = text(file, "/Registry").or(text(file, "/Id"))?;
                Some((name.to_owned(), location(file)?))
            });
            self.files = Some(files.collect());
        }
        let files = self.files.as_deref().unwrap_or_default();
        let version = message_id
            .rsplit_once('.')
            .map_or("", |(version, _)| version);
        let start = format!("{registry}.");
        let exact = |name: &str| name == version || name.starts_with(&format!("{version}."));
        let file = files.iter().find(|(name, _)| exact(name));
        let file = file.or_else(|| files.iter().find(|(name, _)| name.starts_with(&start)));
        let Some((_, path)) = file else {
            return Ok(HashMap::new());
        };
        let document = client.get(path, budget)?;
        let messages = document.get("Messages").and_then(Value::as_object);
        let Some(messages) = messages else {
            return Err(AskError::Broken(format!("`{path}` has no `Messages`")));
        };
        let names: BTreeSet<&str> = messages.keys().map(String::as_str).collect();
        let read = messages
            .iter()
            .map(|(name, message)| (name.clone(), RegistryMessage::read(message, &names)));
        Ok(read.collect())
    }
}

/// The path of a registry in English, or in the first language.
fn location(file: &Value) -> Option<String> {
    let locations = list(file, "/Location");
    let english = locations
        .iter()
        .find(|one| text(one, "/Language").is_some_and(|language| language.starts_with("en")));
    let location = english.or(locations.first())?;
    normal_path(text(location, "/Uri")?)
}
