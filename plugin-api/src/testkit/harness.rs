//! A minimal host: opens a library and calls its exporters.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, mpsc},
    time::{Duration, Instant},
};

use abi_stable::{
    RRef,
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RSlice, RStr},
};
use arrow_array::RecordBatch;
use delfin_plugin_abi::{
    self as abi, ArrowBatch, BatchPart, Context_TO, ContextRef, ExporterBox, Host_TO, Level,
    LogRecord, Origin,
};
use delfin_plugin_loader::{self as loader, ManifestExporter, OpenOptions, PluginModule};

use super::build::build_library;
use crate::{
    Batch, Host, Outcome, Uuid, decode_outcome,
    glue::{CHECK_EXTENSION, PANIC_EXTENSION, export_arrow},
    time,
};

/// The longest time that the suite waits for a call.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A library, opened by the loader of the host.
pub struct Harness {
    plugin: PluginModule,
    exporters: Vec<ManifestExporter>,
    folder: tempfile::TempDir,
    instances: Cell<u32>,
}

/// An instance of an exporter of the library.
pub struct TestInstance {
    exporter: ExporterBox,
}

impl Harness {
    /// Opens the library of the crate that calls it in a test. It is built once for all tests
    /// of a program.
    ///
    /// # Panics
    ///
    /// The library cannot be built, or the loader refuses it.
    #[must_use]
    pub fn of_crate() -> Self {
        static LIBRARY: LazyLock<PathBuf> = LazyLock::new(build_library);
        Self::open(&LIBRARY)
    }

    /// Opens a library.
    ///
    /// # Panics
    ///
    /// The loader refuses the library.
    #[must_use]
    pub fn open(library: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let refused = |error: loader::PluginError| -> ! { panic!("{error}") };
        let inspection = loader::inspect(library).unwrap_or_else(|error| refused(error));
        loader::check(&inspection).unwrap_or_else(|error| refused(error));
        let options = OpenOptions::new(folder.path().join("cache"));
        let plugin = loader::open(&inspection, &options);
        let plugin = plugin.unwrap_or_else(|error| refused(error));
        Self {
            plugin: plugin.module(),
            exporters: inspection.manifest.exporters,
            folder,
            instances: Cell::new(0),
        }
    }

    /// The exporters of the library, from its manifest.
    #[must_use]
    pub fn exporters(&self) -> &[ManifestExporter] {
        &self.exporters
    }

    /// A new, empty folder, which is removed with the harness.
    ///
    /// # Panics
    ///
    /// The folder cannot be created.
    #[must_use]
    pub fn new_folder(&self) -> PathBuf {
        let number = self.instances.replace(self.instances.get() + 1);
        let folder = self.folder.path().join(format!("instance-{number}"));
        std::fs::create_dir(&folder).unwrap_or_else(|error| panic!("no folder: {error}"));
        folder
    }

    /// Makes an instance with these settings and this folder for its state.
    ///
    /// # Errors
    ///
    /// The outcome with which the plugin refuses.
    pub fn create(
        &self,
        exporter: &str,
        settings: &serde_json::Value,
        folder: &Path,
    ) -> Result<TestInstance, abi::Outcome> {
        let host = QuietHost {
            exporter: exporter.to_owned(),
            state_dir: folder.display().to_string(),
        };
        let host = Host_TO::from_value(host, TD_Opaque);
        let created = self
            .plugin
            .create_exporter(exporter, &settings.to_string(), host);
        created.map(|exporter| TestInstance { exporter })
    }

    /// Makes an instance with these settings and a new folder for its state.
    ///
    /// # Panics
    ///
    /// The plugin refuses.
    #[must_use]
    pub fn start(&self, exporter: &str, settings: &serde_json::Value) -> TestInstance {
        let created = self.create(exporter, settings, &self.new_folder());
        created.unwrap_or_else(|outcome| panic!("{}", outcome.message))
    }

    /// Checks settings without an instance.
    ///
    /// # Errors
    ///
    /// Why the exporter refuses them.
    ///
    /// # Panics
    ///
    /// The plugin cannot check settings without an instance.
    pub fn check(&self, exporter: &str, settings: &serde_json::Value) -> Result<(), String> {
        let Some(check) = self.plugin.get_extension(CHECK_EXTENSION) else {
            panic!("the plugin cannot check settings (in C, define `check`)");
        };
        let request = serde_json::json!({ "exporter": exporter, "config": settings }).to_string();
        match check.call(RSlice::from_slice(request.as_bytes())) {
            RResult::ROk(_) => Ok(()),
            RResult::RErr(reason) => Err(reason.into_string()),
        }
    }

    /// Whether the library is one of `export_plugin!`, which can be made to panic. A library in
    /// another language has no panics that could be caught.
    pub(super) fn can_panic(&self) -> bool {
        self.plugin.get_extension(PANIC_EXTENSION).is_some()
    }

    /// Makes the next call of a function (`create`, `export`, `flush`, `health`, `tick`,
    /// `close` or `drop`) panic inside the plugin.
    ///
    /// # Panics
    ///
    /// The plugin was not made with `export_plugin!`, or the function does not exist.
    pub fn panic_in(&self, entry: &str) {
        let Some(panic) = self.plugin.get_extension(PANIC_EXTENSION) else {
            panic!("the plugin offers no `{PANIC_EXTENSION}`");
        };
        let result = panic.call(RSlice::from_slice(entry.as_bytes()));
        assert!(result.is_ok(), "an exporter has no function `{entry}`");
    }
}

impl TestInstance {
    /// Exports a batch, and returns the outcome as the exporter reported it.
    pub fn send(&mut self, batch: &impl Batch) -> Outcome {
        self.send_with(batch, &CallOptions::default())
    }

    /// Like [`send`](Self::send), with these options.
    pub fn send_with(&mut self, batch: &impl Batch, options: &CallOptions) -> Outcome {
        decode_outcome(self.export_with(batch.as_arrow(), options))
    }

    /// Calls `flush`, `health`, `tick` or `close`, and returns the outcome as the exporter
    /// reported it.
    ///
    /// # Panics
    ///
    /// `entry` is another name.
    pub fn outcome_of(&mut self, entry: &str) -> Outcome {
        decode_outcome(self.call(entry))
    }

    /// Exports a batch with the default [`CallOptions`].
    pub fn export(&mut self, batch: &RecordBatch) -> abi::Outcome {
        self.export_with(batch, &CallOptions::default())
    }

    /// Exports a batch.
    pub fn export_with(&mut self, batch: &RecordBatch, options: &CallOptions) -> abi::Outcome {
        let (array, schema) = export_arrow(batch);
        let part = BatchPart {
            batch_id: options.batch_id.into_bytes(),
            first_row: 0,
            rows: batch.num_rows() as u64,
            accepted_ms: time::now_ms(),
            storage_id: RStr::from_str(""),
            complete: false,
        };
        let context = TestContext {
            options: *options,
            start: Instant::now(),
            parts: vec![part],
        };
        let context = lend(&context);
        self.exporter.export(
            ArrowBatch {
                array,
                schema: schema.lend(),
            },
            context,
        )
    }

    /// Calls `flush`, `health`, `tick` or `close`.
    ///
    /// # Panics
    ///
    /// `entry` is another name.
    pub fn call(&mut self, entry: &str) -> abi::Outcome {
        let context = TestContext {
            options: CallOptions::default(),
            start: Instant::now(),
            parts: Vec::new(),
        };
        let context = lend(&context);
        match entry {
            "flush" => self.exporter.flush(context),
            "health" => self.exporter.health(context),
            "tick" => self.exporter.tick(context),
            "close" => self.exporter.close(context),
            _ => panic!("an exporter has no function `{entry}`"),
        }
    }
}

/// A host that ignores log records and counters, for tests that call parts of an
/// exporter without its library.
#[must_use]
pub fn quiet_host(exporter: &str, state_dir: &Path) -> Host {
    let host = QuietHost {
        exporter: exporter.to_owned(),
        state_dir: state_dir.display().to_string(),
    };
    Host::from(Arc::new(Host_TO::from_value(host, TD_Opaque)))
}

/// The context of a call.
#[derive(Debug, Clone, Copy)]
pub struct CallOptions {
    /// The time that the call may take; two minutes by default.
    pub remaining: Duration,
    /// Whether the host is about to stop; false by default.
    pub cancelled: bool,
    /// The id of the accepted batch; by default the same for all calls.
    pub batch_id: Uuid,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self {
            remaining: TIMEOUT,
            cancelled: false,
            batch_id: Uuid::from_bytes([7; 16]),
        }
    }
}

/// Runs `f` on a thread of its own and waits for its result.
///
/// # Panics
///
/// `f` does not return in time.
pub(super) fn in_time<R: Send + 'static>(what: &str, f: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(f())));
    let result = receiver.recv_timeout(TIMEOUT);
    result.unwrap_or_else(|_| panic!("{what} does not return"))
}

fn lend<'a>(context: &'a TestContext<'_>) -> ContextRef<'a> {
    Context_TO::from_ptr(RRef::new(context), TD_Opaque)
}

struct TestContext<'a> {
    options: CallOptions,
    start: Instant,
    parts: Vec<BatchPart<'a>>,
}

impl abi::Context for TestContext<'_> {
    fn remaining_ns(&self) -> u64 {
        let remaining = self.options.remaining.saturating_sub(self.start.elapsed());
        u64::try_from(remaining.as_nanos()).unwrap_or(u64::MAX)
    }

    fn cancelled(&self) -> bool {
        self.options.cancelled
    }

    fn attempt(&self) -> u32 {
        1
    }

    fn origin(&self) -> Origin {
        Origin::INGEST
    }

    fn parts(&self) -> RSlice<'_, BatchPart<'_>> {
        RSlice::from_slice(&self.parts)
    }

    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}

struct QuietHost {
    exporter: String,
    state_dir: String,
}

impl abi::Host for QuietHost {
    fn exporter(&self) -> RStr<'_> {
        RStr::from(&*self.exporter)
    }

    fn instance(&self) -> u32 {
        0
    }

    fn state_dir(&self) -> RStr<'_> {
        RStr::from(&*self.state_dir)
    }

    fn max_level(&self) -> Level {
        Level::TRACE
    }

    fn log(&self, _record: LogRecord<'_>) {}

    fn count(&self, _counter: RStr<'_>, _by: u64) {}

    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}
