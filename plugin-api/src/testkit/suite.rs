//! The conformance suite: one function a promise, its name the promise.

use std::{path::Path, time::Duration};

use delfin_plugin_abi::{self as abi, Class, OutcomeCode};
use delfin_plugin_loader::ManifestExporter;
use serde_json::{Value, json};

use super::{
    batches,
    harness::{Call, Harness, Instance, in_time},
};
use crate::{guard::Entry, kind::Kind};

type Settings<'a> = dyn Fn(&Path) -> Value + 'a;

/// One exporter under test.
struct Subject<'a> {
    harness: &'a Harness,
    name: &'a str,
    kind: Kind,
    settings: &'a Settings<'a>,
}

/// Runs every check. Panics with the first that fails.
pub(super) fn run(harness: &Harness, exporter: &ManifestExporter, settings: &Settings<'_>) {
    let kind = match &*exporter.kind {
        "performance" => Kind::Performance,
        "alert" => Kind::Alert,
        other => panic!("`{}` is of the unknown kind `{other}`", exporter.name),
    };
    let subject = Subject {
        harness,
        name: &exporter.name,
        kind,
        settings,
    };
    subject.delivers_nothing_one_item_and_a_million();
    subject.stands_awkward_texts();
    subject.stands_values_that_are_no_numbers();
    subject.stands_calls_without_a_batch();
    subject.comes_back_when_the_deadline_is_missed();
    subject.refuses_an_unknown_setting();
    subject.refuses_a_setting_of_another_type();
    subject.survives_a_panic_in_each_entry();
    subject.can_be_dropped_while_idle();
    subject.comes_back_when_called_after_close();
}

impl Subject<'_> {
    fn delivers_nothing_one_item_and_a_million(&self) {
        let mut instance = self.new_instance();
        for batch in [
            batches::empty(self.kind),
            batches::one(self.kind),
            batches::large(self.kind),
        ] {
            let what = format!("a batch of {} rows", batch.num_rows());
            self.expect_delivered(&what, instance.export(&batch));
        }
    }

    fn stands_awkward_texts(&self) {
        let outcome = self.new_instance().export(&batches::awkward(self.kind));
        self.expect_delivered("awkward names, labels and texts", outcome);
    }

    fn stands_values_that_are_no_numbers(&self) {
        if self.kind == Kind::Alert {
            return;
        }
        let mut instance = self.new_instance();
        let outcome = instance.export(&batches::non_finite());
        let allowed = [Class::Delivered, Class::Partial, Class::Reject];
        let class = outcome.code.class();
        assert!(
            class.is_some_and(|class| allowed.contains(&class)),
            "{}: NaN and infinities: neither delivered nor rejected by row: {outcome:?}",
            self.name
        );
        self.expect_delivered(
            "the batch after it",
            instance.export(&batches::one(self.kind)),
        );
    }

    fn stands_calls_without_a_batch(&self) {
        let mut instance = self.new_instance();
        for entry in ["flush", "health", "tick", "close"] {
            self.expect_delivered(entry, instance.call(entry));
        }
    }

    fn comes_back_when_the_deadline_is_missed(&self) {
        let late = Call {
            remaining: Duration::ZERO,
            cancelled: true,
        };
        let (mut instance, batch) = (self.new_instance(), batches::one(self.kind));
        let (mut instance, outcome) = in_time("a call past its deadline", move || {
            let outcome = instance.export_with(&batch, &late);
            (instance, outcome)
        });
        self.expect_no_panic("a call past its deadline", &outcome);
        self.expect_delivered(
            "the call after it",
            instance.export(&batches::one(self.kind)),
        );
    }

    fn refuses_an_unknown_setting(&self) {
        let folder = self.harness.new_folder();
        let mut settings = (self.settings)(&folder);
        settings["no_such_setting"] = json!(1);
        let outcome = self.expect_refusal("an unknown setting", &settings, &folder);
        assert!(
            outcome.message.contains("no_such_setting"),
            "{}: the refusal does not name the setting: {}",
            self.name,
            outcome.message
        );
    }

    fn refuses_a_setting_of_another_type(&self) {
        let folder = self.harness.new_folder();
        let good = (self.settings)(&folder);
        let keys = good
            .as_object()
            .into_iter()
            .flat_map(|settings| settings.keys());
        for key in keys {
            let mut settings = good.clone();
            settings[key] = json!([[]]);
            self.expect_refusal(&format!("`{key} = [[]]`"), &settings, &folder);
        }
    }

    fn survives_a_panic_in_each_entry(&self) {
        let batch = batches::one(self.kind);
        for entry in Entry::ALL {
            let folder = self.harness.new_folder();
            let settings = (self.settings)(&folder);
            if entry == Entry::Create {
                self.harness.panic_in(entry.name());
                let outcome = self.harness.create(self.name, &settings, &folder).err();
                self.expect_caught(entry, outcome);
                continue;
            }
            let mut instance = self.create(&settings, &folder);
            self.harness.panic_in(entry.name());
            match entry {
                Entry::Drop => {}
                Entry::Export => self.expect_caught(entry, Some(instance.export(&batch))),
                _ => self.expect_caught(entry, Some(instance.call(entry.name()))),
            }
            if entry != Entry::Drop {
                self.expect_caught(entry, Some(instance.export(&batch)));
            }
            drop(instance);
            let outcome = self.create(&settings, &folder).export(&batch);
            self.expect_delivered(
                &format!("a new instance after a panic in `{}`", entry.name()),
                outcome,
            );
        }
    }

    fn can_be_dropped_while_idle(&self) {
        drop(self.new_instance());
        let instance = self.new_instance();
        in_time("dropping an instance on another thread", move || {
            drop(instance)
        });
    }

    fn comes_back_when_called_after_close(&self) {
        let mut instance = self.new_instance();
        self.expect_delivered("close", instance.call("close"));
        let batch = batches::one(self.kind);
        in_time("a call after `close`", move || {
            instance.export(&batch);
            instance.call("tick");
            instance.call("close");
        });
    }

    fn new_instance(&self) -> Instance {
        let folder = self.harness.new_folder();
        self.create(&(self.settings)(&folder), &folder)
    }

    fn create(&self, settings: &Value, folder: &Path) -> Instance {
        let created = self.harness.create(self.name, settings, folder);
        created.unwrap_or_else(|outcome| {
            panic!("{}: cannot be created: {}", self.name, outcome.message)
        })
    }

    fn expect_delivered(&self, what: &str, outcome: abi::Outcome) {
        assert_eq!(
            outcome.code.class(),
            Some(Class::Delivered),
            "{}: {what}: {}",
            self.name,
            outcome.message
        );
    }

    fn expect_no_panic(&self, what: &str, outcome: &abi::Outcome) {
        assert_ne!(
            outcome.code,
            OutcomeCode::RESTART_PANICKED,
            "{}: {what}: {}",
            self.name,
            outcome.message
        );
    }

    fn expect_refusal(&self, what: &str, settings: &Value, folder: &Path) -> abi::Outcome {
        let Err(outcome) = self.harness.create(self.name, settings, folder) else {
            panic!(
                "{}: takes {what} (use `#[serde(deny_unknown_fields)]`)",
                self.name
            )
        };
        assert_eq!(
            outcome.code,
            OutcomeCode::PAUSE_MISCONFIGURED,
            "{}: {what}: refused otherwise than as misconfigured: {}",
            self.name,
            outcome.message
        );
        outcome
    }

    fn expect_caught(&self, entry: Entry, outcome: Option<abi::Outcome>) {
        let code = outcome.map(|outcome| outcome.code);
        assert_eq!(
            code,
            Some(OutcomeCode::RESTART_PANICKED),
            "{}: a panic in `{}` did not become an outcome",
            self.name,
            entry.name()
        );
    }
}
