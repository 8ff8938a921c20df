//! Makes the exporters those of a new configuration, one after the other.
//!
//! Promises: an exporter that cannot be replaced keeps its old instance, or gets its old
//! settings back, and prevents no change of another one.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{
    ExporterSet, ExporterStartError,
    plan::{AppliedConfig, Factories, Reloaded},
    start::{ExporterStarter, marker},
};
use crate::{
    config::{Config, ExporterConfig, Isolation},
    delivery::{State, clear_suspicion},
    plugin::{Candidate, ExporterFactory},
};

/// Added to the call timeout when an exporter is stopped or replaced.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait for an unchanged exporter that tries again.
const START_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Replacer {
    pub(super) starter: ExporterStarter,
    pub(super) exporters: ExporterSet,
}

/// A new configuration whose new and changed exporters were tried.
pub(super) struct TriedConfig {
    /// Exporters that keep their old instance have their old settings.
    pub(super) config: Config,
    pub(super) factories: Factories,
    pub(super) plan: Reloaded,
    /// What each accepted exporter continues with.
    pub(super) candidates: BTreeMap<String, Candidate>,
    pub(super) refusals: Vec<Refusal>,
}

/// An exporter that could not be started as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub name: String,
    pub reason: String,
    /// What becomes of the exporter, after "exporter" in a sentence.
    pub consequence: String,
    /// Whether the old settings stay in effect.
    pub keeps_old: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            reason,
            consequence,
            ..
        } = self;
        write!(f, "exporter `{name}`: {reason} ({consequence})")
    }
}

/// What a reload could not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

impl From<Vec<Refusal>> for Refusals {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self(refusals)
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl Replacer {
    /// Applies a configuration. Returns what changed, and what was refused.
    pub(super) async fn apply(
        &self,
        applied: &mut AppliedConfig,
        new: TriedConfig,
    ) -> Result<(Reloaded, Vec<Refusal>), ExporterStartError> {
        let TriedConfig {
            mut config,
            mut factories,
            mut plan,
            mut candidates,
            mut refusals,
        } = new;
        for name in &plan.removed {
            self.stop(applied, name).await;
            applied.factories.remove(name);
        }
        self.starter.open_cursors(&config).await?;
        for name in std::mem::take(&mut plan.unchanged) {
            self.retry(name, &mut plan).await;
        }
        let is_touched = |exporter: &&ExporterConfig| {
            let refusal = refusals
                .iter()
                .find(|refusal| refusal.name == exporter.name);
            match refusal {
                Some(refusal) => !refusal.keeps_old,
                None => candidates.contains_key(&exporter.name),
            }
        };
        let touched: Vec<ExporterConfig> = config
            .exporters
            .iter()
            .filter(is_touched)
            .cloned()
            .collect();
        for exporter in touched {
            let Some(factory) = factories.remove(&exporter.name) else {
                continue;
            };
            let candidate = candidates.remove(&exporter.name);
            let replacement = ExporterReplacement {
                config: &config,
                exporter: &exporter,
                factory,
                candidate,
            };
            let Some(refusal) = self.replace(applied, replacement).await? else {
                continue;
            };
            plan.leave_out(&exporter.name);
            if refusal.keeps_old
                && let Some(old) = applied.exporter(&exporter.name)
            {
                restore(&mut config, old);
                self.starter.open_cursors(&config).await?;
            }
            refusals.push(refusal);
        }
        let names = config.exporters.iter().map(|exporter| &*exporter.name);
        self.exporters.sort(&names.collect::<Vec<_>>());
        applied.config = config;
        Ok((plan, refusals))
    }

    /// Starts an exporter in place of its old instance. Returns why it did not start, unless
    /// the trial has said so.
    pub(super) async fn replace(
        &self,
        applied: &mut AppliedConfig,
        replacement: ExporterReplacement<'_>,
    ) -> Result<Option<Refusal>, ExporterStartError> {
        let ExporterReplacement {
            config,
            exporter,
            factory,
            candidate,
        } = replacement;
        let name = &exporter.name;
        self.stop(applied, name).await;
        if candidate.is_some() && exporter.isolation == Isolation::Thread {
            clear_suspicion(&marker(config, exporter));
        }
        let is_open_question = candidate.as_ref().is_some_and(|tried| !tried.has_started);
        let started = self
            .starter
            .start(config, exporter, factory.clone(), candidate);
        started.await?;
        let old = applied.factories.get(name).cloned();
        let failed = match &factory {
            Ok(factory) if is_open_question => self.failed_start(exporter, factory).await,
            Ok(_) | Err(_) => None,
        };
        let (Some(reason), Some(old)) = (failed.clone(), old) else {
            applied.factories.remove(name);
            let opened = factory.ok().map(|factory| (name.clone(), factory));
            applied.factories.extend(opened);
            return Ok(failed.map(|reason| Refusal::new(name, reason, "it does not run")));
        };
        self.restore(config, applied, exporter, old)
            .await
            .map(|consequence| {
                Some(Refusal {
                    keeps_old: true,
                    ..Refusal::new(name, reason, consequence)
                })
            })
    }

    /// Starts an exporter with its old settings. Returns whether they run.
    async fn restore(
        &self,
        config: &Config,
        applied: &AppliedConfig,
        exporter: &ExporterConfig,
        factory: ExporterFactory,
    ) -> Result<String, ExporterStartError> {
        let patience = exporter.timeout + GRACE;
        self.exporters.stop(&exporter.name, patience).await;
        let Some(old) = applied.exporter(&exporter.name) else {
            return Ok("it does not run".to_owned());
        };
        let started = self.starter.start(config, old, Ok(factory.clone()), None);
        started.await?;
        Ok(match self.failed_start(old, &factory).await {
            None => "the old settings run again".to_owned(),
            Some(reason) => format!("and the old settings cannot be started again: {reason}"),
        })
    }

    async fn stop(&self, applied: &AppliedConfig, name: &str) {
        if let Some(old) = applied.exporter(name) {
            self.exporters.stop(name, old.timeout + GRACE).await;
        }
    }

    /// Lets an unchanged exporter try again, unless it runs or an operator pauses it.
    async fn retry(&self, name: String, reloaded: &mut Reloaded) {
        let Some(exporter) = self.exporters.get(&name) else {
            return reloaded.unchanged.push(name);
        };
        let view = exporter.status.view();
        if view.state == State::Running || view.paused_by_operator {
            return reloaded.unchanged.push(name);
        }
        exporter.resume().await;
        let _ = exporter.wait_for_start(START_PATIENCE).await;
        let view = exporter.status.view();
        if !matches!(view.state, State::Failed | State::Quarantined) {
            return reloaded.resumed.push(name);
        }
        let reason = view.last_error.unwrap_or_default();
        let warning = format!("exporter `{name}`: {reason}");
        if !reloaded.warnings.contains(&warning) {
            reloaded.warnings.push(warning);
        }
        reloaded.failed.push(name);
    }

    /// Why an exporter that was started cannot start.
    async fn failed_start(
        &self,
        exporter: &ExporterConfig,
        factory: &ExporterFactory,
    ) -> Option<String> {
        let started = self.exporters.get(&exporter.name)?;
        let patience = factory.source.start_time() + exporter.timeout + GRACE;
        started.wait_for_start(patience).await.err()
    }
}

/// An exporter that is started.
pub(super) struct ExporterReplacement<'a> {
    pub(super) config: &'a Config,
    pub(super) exporter: &'a ExporterConfig,
    pub(super) factory: Result<ExporterFactory, String>,
    pub(super) candidate: Option<Candidate>,
}

impl Refusal {
    pub(super) fn new(name: &str, reason: String, consequence: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            reason,
            consequence: consequence.into(),
            keeps_old: false,
        }
    }
}

/// Gives an exporter its old settings back.
pub(super) fn restore(config: &mut Config, old: &ExporterConfig) {
    for exporter in &mut config.exporters {
        if exporter.name == old.name {
            *exporter = old.clone();
        }
    }
}
