//! With which labels each alert was last sent.
//!
//! To Alertmanager, other labels are another alert. So when an alert comes with
//! other labels than before, as its severity has changed, the one with the labels
//! of before is ended along with it: of one alert, one fires. Which alert it is
//! is decided as the host decides it.
//!
//! What is known is lost with the instance, and that is no harm: what nobody
//! sends again ends by itself.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use delfin_plugin_api::Alert;

use super::payload::{Labels, Posted};

/// Alerts that fire, as far as this instance has sent them.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Identity, Last>);

/// What is known once everything has been sent.
#[derive(Debug, Default)]
pub(super) struct News(HashMap<Identity, Option<Labels>>);

#[derive(Debug)]
struct Last {
    labels: Labels,
    sent: Instant,
}

/// Which alert of a storage it is: by what the driver matches, or else by its
/// name, its place and its number.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    storage_id: String,
    match_key: Option<String>,
    rest: Option<[String; 3]>,
}

impl Known {
    /// The labels that an alert fires with at the receivers, where those that it
    /// has now are others. The alerts of a batch are asked for in their order.
    pub(super) fn replaced(
        &self,
        alert: &Alert<'_>,
        now: &Posted<'_>,
        news: &mut News,
    ) -> Option<Labels> {
        let identity = Identity::of(alert);
        let last = match news.0.get(&identity) {
            Some(labels) => labels.as_ref(),
            None => self.0.get(&identity).map(|last| &last.labels),
        };
        let replaced = last.filter(|last| *last != now.labels()).cloned();
        let fires = (!now.is_over()).then(|| now.labels().clone());
        news.0.insert(identity, fires);
        replaced
    }

    /// Every receiver has the news. What was sent before `expiry` has ended there.
    pub(super) fn learn(&mut self, news: News, expiry: Duration) {
        let sent = Instant::now();
        self.0
            .retain(|_, last| sent.duration_since(last.sent) < expiry);
        for (identity, fires) in news.0 {
            match fires {
                Some(labels) => drop(self.0.insert(identity, Last { labels, sent })),
                None => drop(self.0.remove(&identity)),
            }
        }
    }
}

impl Identity {
    fn of(alert: &Alert<'_>) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let match_key = filled(alert.match_key()).map(str::to_owned);
        let rest = match_key.is_none().then(|| {
            let name = filled(alert.alert_name()).or(alert.alert_id());
            [name, alert.location(), alert.sequence_number()].map(text)
        });
        Self {
            storage_id: text(alert.storage_id()),
            match_key,
            rest,
        }
    }
}

pub(super) fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
