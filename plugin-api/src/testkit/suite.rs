//! The conformance suite: each check is a function, and its name is the promise.

use std::{
    collections::BTreeSet,
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::Duration,
};

use delfin_plugin_abi::{self as abi, Class, OutcomeCode};
use delfin_plugin_loader::ManifestExporter;
use serde_json::{Value, json};

use super::{
    batches,
    harness::{CallOptions, Harness, TestInstance, in_time},
};
use crate::{guard::EntryPoint, kind::Kind};

type Settings<'a> = dyn Fn(&Path) -> Value + 'a;

/// The exporter that is tested.
struct Subject<'a> {
    harness: &'a Harness,
    name: &'a str,
    kind: Kind,
    max_points: Option<NonZeroU64>,
    settings: &'a Settings<'a>,
}

/// Runs every check. Panics at the first that fails.
pub(super) fn run(harness: &Harness, exporter: &ManifestExporter, settings: &Settings<'_>) {
    let kind = match &*exporter.kind {
        "performance" => Kind::Performance,
        "alert" => Kind::Alert,
        other => panic!(
            "exporter `{}` has the unknown kind `{other}`",
            exporter.name
        ),
    };
    let subject = Subject {
        harness,
        name: &exporter.name,
        kind,
        max_points: exporter.max_points,
        settings,
    };
    subject.delivers_empty_small_and_large_batches();
    subject.delivers_awkward_texts();
    subject.survives_non_finite_values();
    subject.survives_calls_without_a_batch();
    subject.returns_after_a_missed_deadline();
    subject.checks_settings_and_creates_nothing();
    subject.refuses_an_unknown_setting();
    subject.refuses_a_setting_of_another_type();
    if harness.can_panic() {
        subject.survives_a_panic_in_each_entry();
    }
    subject.can_be_dropped_while_idle();
    subject.returns_from_calls_after_close();
}

impl Subject<'_> {
    fn delivers_empty_small_and_large_batches(&self) {
        let mut instance = self.new_instance();
        for batch in [
            batches::empty(self.kind),
            batches::one(self.kind),
            batches::large(self.kind, self.max_points),
        ] {
            let what = format!("a batch of {} rows", batch.num_rows());
            self.expect_delivered(&what, instance.export(&batch));
        }
    }

    fn delivers_awkward_texts(&self) {
        let outcome = self.new_instance().export(&batches::awkward(self.kind));
        self.expect_delivered("awkward names, labels and texts", outcome);
    }

    fn survives_non_finite_values(&self) {
        if self.kind == Kind::Alert {
            return;
        }
        let mut instance = self.new_instance();
        let outcome = instance.export(&batches::non_finite());
        let allowed = [Class::Delivered, Class::Partial, Class::Reject];
        let class = outcome.code.class();
        assert!(
            class.is_some_and(|class| allowed.contains(&class)),
            "{}: NaN and infinite values: neither delivered nor rejected by row: {outcome:?}",
            self.name
        );
        self.expect_delivered(
            "the batch after NaN and infinite values",
            instance.export(&batches::one(self.kind)),
        );
    }

    fn survives_calls_without_a_batch(&self) {
        let mut instance = self.new_instance();
        for entry in ["flush", "health", "tick", "close"] {
            self.expect_delivered(entry, instance.call(entry));
        }
    }

    fn returns_after_a_missed_deadline(&self) {
        let late = CallOptions {
            remaining: Duration::ZERO,
            cancelled: true,
            ..CallOptions::default()
        };
        let (mut instance, batch) = (self.new_instance(), batches::one(self.kind));
        let (mut instance, outcome) = in_time("a call past its deadline", move || {
            let outcome = instance.export_with(&batch, &late);
            (instance, outcome)
        });
        self.expect_no_panic("a call past its deadline", &outcome);
        self.expect_delivered(
            "the call after a missed deadline",
            instance.export(&batches::one(self.kind)),
        );
    }

    fn checks_settings_and_creates_nothing(&self) {
        let folder = self.harness.new_folder();
        let settings = (self.settings)(&folder);
        let before = content(&folder);
        let checked = self.harness.check(self.name, &settings);
        assert_eq!(checked, Ok(()), "{}: refuses its settings", self.name);
        let after = content(&folder);
        assert_eq!(before, after, "{}: `check` creates files", self.name);
    }

    fn refuses_an_unknown_setting(&self) {
        let folder = self.harness.new_folder();
        let mut settings = (self.settings)(&folder);
        settings["no_such_setting"] = json!(1);
        let outcome = self.expect_misconfigured("an unknown setting", &settings, &folder);
        assert!(
            outcome.message.contains("no_such_setting"),
            "{}: the error does not name the unknown setting: {}",
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
            self.expect_misconfigured(&format!("`{key} = [[]]`"), &settings, &folder);
        }
    }

    fn survives_a_panic_in_each_entry(&self) {
        let batch = batches::one(self.kind);
        for entry in EntryPoint::ALL {
            let folder = self.harness.new_folder();
            let settings = (self.settings)(&folder);
            if entry == EntryPoint::Create {
                self.harness.panic_in(entry.name());
                let outcome = self.harness.create(self.name, &settings, &folder).err();
                self.expect_caught(entry, outcome);
                continue;
            }
            let mut instance = self.create(&settings, &folder);
            self.harness.panic_in(entry.name());
            match entry {
                EntryPoint::Drop => {}
                EntryPoint::Export => self.expect_caught(entry, Some(instance.export(&batch))),
                _ => self.expect_caught(entry, Some(instance.call(entry.name()))),
            }
            if entry != EntryPoint::Drop {
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

    fn returns_from_calls_after_close(&self) {
        let mut instance = self.new_instance();
        self.expect_delivered("close", instance.call("close"));
        let batch = batches::one(self.kind);
        in_time("a call after `close`", move || {
            instance.export(&batch);
            instance.call("tick");
            instance.call("close");
        });
    }

    fn new_instance(&self) -> TestInstance {
        let folder = self.harness.new_folder();
        self.create(&(self.settings)(&folder), &folder)
    }

    fn create(&self, settings: &Value, folder: &Path) -> TestInstance {
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

    fn expect_misconfigured(&self, what: &str, settings: &Value, folder: &Path) -> abi::Outcome {
        let Err(outcome) = self.harness.create(self.name, settings, folder) else {
            panic!(
                "{}: accepts {what} (refuse it; in Rust, use `#[serde(deny_unknown_fields)]`)",
                self.name
            )
        };
        assert_eq!(
            outcome.code,
            OutcomeCode::PAUSE_MISCONFIGURED,
            "{}: {what}: the failure is not `Misconfigured`: {}",
            self.name,
            outcome.message
        );
        outcome
    }

    fn expect_caught(&self, entry: EntryPoint, outcome: Option<abi::Outcome>) {
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

/// The names of all files and folders below a folder.
fn content(folder: &Path) -> BTreeSet<PathBuf> {
    let mut content = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            content.insert(path);
        }
    }
    content
}
