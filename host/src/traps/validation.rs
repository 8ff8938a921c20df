//! Asks storages over SNMP whether they still answer, as Delfin does for some models. A storage that
//! does not answer has an alert, which ends when it answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_snmp::{Auth, Client, Retry, UsmConfig, oid, v3::DesSaltState};
use delfin_plugin_api::AlertBatchBuilder;
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use uuid::Uuid;

use super::keys::{auth_protocol, privacy_protocols};
use crate::{
    alert::RECEIVED_BY,
    batch_journal::BatchJournal,
    clock::now_ms,
    inventory::{AlertSource, SnmpConfig, SnmpVersion},
    notification::{AlertAppender, NotificationAlert, StorageNames},
    storages::{AlertSources, Storages},
};

/// How often storages are asked.
const INTERVAL: Duration = Duration::from_mins(30);
/// How many storages are asked at the same time.
const MAX_QUESTIONS: usize = 32;
/// The wait for an answer, and how often a request is repeated, unless the storage has its own.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const RETRIES: u32 = 1;
/// The longest time for one storage.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(60);
/// The usual port of SNMP requests.
const PORT: u16 = 161;
/// The id of the alert, as Delfin has it.
const ALERT_ID: &str = "19660818";

/// Asks the storages of some models.
#[derive(Debug)]
pub struct SourceValidator {
    storages: Arc<Storages>,
    appender: AlertAppender,
    models: Vec<String>,
    /// What each storage answered last.
    answers: BTreeMap<Uuid, bool>,
}

impl SourceValidator {
    /// `models` are those of registrations and declarations, in any case.
    #[must_use]
    pub fn new(storages: Arc<Storages>, journal: Arc<BatchJournal>, models: &[String]) -> Self {
        Self {
            storages,
            appender: AlertAppender {
                journal,
                input: "validation",
            },
            models: models.iter().map(|one| one.to_lowercase()).collect(),
            answers: BTreeMap::new(),
        }
    }

    /// Asks each storage after a change of its alert source, and at the interval.
    pub async fn run(mut self) {
        let mut sources = self.storages.watch_alert_sources();
        let mut known = AlertSources::default();
        loop {
            let now = sources.borrow_and_update().clone();
            let changed = now.values().filter(|source| {
                let is_new = known.get(&source.storage_id) != Some(source);
                is_new && self.is_asked(source.storage_id)
            });
            let changed: Vec<AlertSource> = changed.cloned().collect();
            self.ask_all(changed).await;
            let storages: BTreeSet<_> = now.keys().copied().collect();
            self.answers.retain(|id, _| storages.contains(id));
            known = now;
            match timeout(INTERVAL, sources.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                // All are asked again.
                Err(_) => known = AlertSources::default(),
            }
        }
    }

    fn is_asked(&self, id: Uuid) -> bool {
        let model = self.storages.driver_model(id);
        model.is_some_and(|model| self.models.contains(&model.to_lowercase()))
    }

    async fn ask_all(&mut self, sources: Vec<AlertSource>) {
        let places = Arc::new(Semaphore::new(MAX_QUESTIONS));
        let mut questions = JoinSet::new();
        for source in sources {
            let places = Arc::clone(&places);
            questions.spawn(async move {
                let _place = places.acquire_owned().await;
                let asked = timeout(QUESTION_TIMEOUT, ask(&source.snmp)).await;
                let answer = asked.unwrap_or_else(|_| Err("no answer in time".to_owned()));
                (source.storage_id, answer)
            });
        }
        while let Some(asked) = questions.join_next().await {
            if let Ok((id, answer)) = asked {
                self.on_answer(id, answer).await;
            }
        }
    }

    /// A failure is reported each time, as Delfin does. A recovery is reported after a failure,
    /// and once after the start, because the failure may be older.
    async fn on_answer(&mut self, id: Uuid, answer: Result<(), String>) {
        let is_good = answer.is_ok();
        let earlier = self.answers.insert(id, is_good);
        match answer {
            Ok(()) if earlier == Some(true) => return,
            Ok(()) => {}
            Err(reason) => {
                log::warn!(storage:% = id, reason; "the storage does not answer SNMP requests");
            }
        }
        let mut storages = StorageNames::new(&self.storages);
        let Some(storage) = storages.of(id) else {
            return;
        };
        let mut batch = AlertBatchBuilder::new();
        alert(is_good).add_to(&mut batch, storage);
        self.appender.append(batch.build(), None, 1).await;
    }
}

fn alert(is_recovery: bool) -> NotificationAlert {
    let category = if is_recovery { "Recovery" } else { "Fault" };
    let mut alert = NotificationAlert::raw(now_ms());
    alert.texts.clear();
    for (column, text) in [
        ("alert_id", ALERT_ID),
        ("alert_name", "SNMP connect failed"),
        ("category", category),
        ("severity", "Major"),
        ("type", "CommunicationsAlarm"),
        ("sequence_number", "0"),
        ("description", "The storage does not answer SNMP requests."),
        (
            "recovery_advice",
            "Check the SNMP configuration of the storage, its credentials and the network.",
        ),
        (RECEIVED_BY, "validation"),
    ] {
        alert.add(column, text.to_owned());
    }
    alert.add_defaults();
    alert
}

/// Asks for `sysDescr`.
async fn ask(snmp: &SnmpConfig) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let target = (snmp.host.as_str(), snmp.port.unwrap_or(PORT));
    let seconds = snmp
        .expiration
        .and_then(|seconds| u64::try_from(seconds).ok());
    let wait = seconds.map_or(ANSWER_TIMEOUT, |seconds| {
        Duration::from_secs(seconds.clamp(1, 30))
    });
    let retries = snmp
        .retry_num
        .and_then(|retries| u32::try_from(retries).ok());
    let retries = retries.map_or(RETRIES, |retries| retries.min(5));
    let retry = Retry::fixed(retries, Duration::ZERO).map_err(|error| text(&error))?;
    // A state for each question: nothing is encrypted with these keys before or after.
    let salts = DesSaltState::install(|_| Ok::<(), std::io::Error>(()));
    let client = Client::builder(target, auth(snmp)?)
        .request_timeout(wait)
        .retry(retry)
        .des_salt_state(salts.map_err(|error| text(&error))?)
        .connect()
        .await
        .map_err(|error| text(&error))?;
    let described = client.get(&oid!(1, 3, 6, 1, 2, 1, 1, 1, 0)).await;
    described.map(drop).map_err(|error| text(&error))
}

fn auth(snmp: &SnmpConfig) -> Result<Auth, String> {
    let community = snmp.community.clone().unwrap_or_default();
    let user = || UsmConfig::new(snmp.username.clone().unwrap_or_default());
    let user = match (snmp.version, &snmp.auth, &snmp.privacy) {
        (SnmpVersion::V1, ..) => return Ok(Auth::v1(community)),
        (SnmpVersion::V2c, ..) => return Ok(Auth::v2c(community)),
        (SnmpVersion::V3, None, _) => Ok(user()),
        (SnmpVersion::V3, Some((auth, key)), None) => user().auth(auth_protocol(*auth), key),
        (SnmpVersion::V3, Some((auth, key)), Some((privacy, secret))) => {
            // Of two ways to extend a key, that of net-snmp.
            let [privacy, ..] = privacy_protocols(*privacy) else {
                return Err("the privacy protocol is unknown".to_owned());
            };
            user().auth_priv(auth_protocol(*auth), key, *privacy, secret)
        }
    };
    let user = user.map_err(|error| error.to_string())?;
    let context = snmp.context_name.clone().unwrap_or_default();
    Ok(user.context_name(context).into())
}
