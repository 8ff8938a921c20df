//! Tries the new and changed exporters of a configuration, before anything is stopped.

use std::{collections::BTreeMap, path::Path};

use super::{
    plan::{AppliedConfig, Factories, Reloaded},
    replace::{Refusal, restore},
    start::state_folder,
};
use crate::{
    config::{Config, ExporterConfig},
    plugin::{Candidate, ExporterFactory, InstanceHost, Trial},
};

/// Exporters on trial.
pub(super) struct Trials<'a> {
    pub(super) applied: &'a AppliedConfig,
    pub(super) factories: &'a Factories,
    /// Where test instances have their state, if they are not used afterwards.
    pub(super) scratch: Option<&'a Path>,
}

impl Trials<'_> {
    /// Tries each exporter of the plan. Takes the refused ones out of the plan; those of
    /// them that run keep their settings.
    pub(super) fn run(
        &self,
        config: &mut Config,
        plan: &mut Reloaded,
    ) -> (BTreeMap<String, Candidate>, Vec<Refusal>) {
        let mut candidates = BTreeMap::new();
        let mut refusals = Vec::new();
        for exporter in config.exporters.clone() {
            let name = &exporter.name;
            let is_planned = plan.added.contains(name) || plan.changed.contains(name);
            let Some(factory) = self.factories.get(name).filter(|_| is_planned) else {
                continue;
            };
            let tried = factory.as_ref().map_err(String::clone);
            let reason = match tried.and_then(|factory| self.try_one(config, &exporter, factory)) {
                Ok(candidate) => {
                    candidates.insert(name.clone(), candidate);
                    continue;
                }
                Err(reason) => config.redactor.redact(&reason).into_owned(),
            };
            plan.leave_out(name);
            refusals.push(self.refuse(config, name, reason));
        }
        (candidates, refusals)
    }

    /// Of an exporter that allows one instance only, the settings are checked: a second
    /// instance would disturb the first.
    fn try_one(
        &self,
        config: &Config,
        exporter: &ExporterConfig,
        factory: &ExporterFactory,
    ) -> Result<Candidate, String> {
        let folder = match self.scratch {
            Some(folder) => folder.display().to_string(),
            None => state_folder(config, exporter).map_err(|error| error.to_string())?,
        };
        let host = InstanceHost::new(&exporter.name, &config.redactor, folder);
        let mut trial = Trial::start(factory, exporter, host)?;
        if factory.exclusive {
            trial.check()?;
        } else {
            trial.create()?;
        }
        Ok(trial.into_candidate())
    }

    fn refuse(&self, config: &mut Config, name: &str, reason: String) -> Refusal {
        let is_dry_run = self.scratch.is_some();
        let runs = self.applied.factories.contains_key(name);
        let old = self.applied.exporter(name).filter(|_| runs);
        let Some(old) = old else {
            let consequence = if is_dry_run {
                "it would not run"
            } else {
                "it does not run"
            };
            return Refusal::new(name, reason, consequence);
        };
        restore(config, old);
        let consequence = if is_dry_run {
            "its old instance would be kept"
        } else {
            "its old instance is kept"
        };
        Refusal {
            keeps_old: true,
            ..Refusal::new(name, reason, consequence)
        }
    }
}
