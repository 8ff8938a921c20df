//! A host as small as can be: opens a library and calls what is in it.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
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
    LogRecord, Origin, PluginRef,
};
use delfin_plugin_loader::{self as loader, ManifestExporter, OpenOptions};

use crate::{
    Host,
    glue::{PANIC_EXTENSION, export_arrow},
    time,
};

/// How long a call may take that the suite waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A library, opened by the loader that hosts use.
pub struct Harness {
    root: PluginRef,
    exporters: Vec<ManifestExporter>,
    folder: tempfile::TempDir,
    instances: Cell<u32>,
}

/// An exporter of that library.
pub struct Instance {
    exporter: ExporterBox,
}

impl Harness {
    /// Opens a library.
    ///
    /// # Panics
    ///
    /// The loader refuses it.
    #[must_use]
    pub fn open(library: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let refused = |refusal: loader::Refusal| -> ! { panic!("{refusal}") };
        let inspection = loader::inspect(library).unwrap_or_else(|refusal| refused(refusal));
        loader::check(&inspection).unwrap_or_else(|refusal| refused(refusal));
        let options = OpenOptions::new(folder.path().join("cache"));
        let plugin = loader::open(&inspection, &options);
        let plugin = plugin.unwrap_or_else(|refusal| refused(refusal));
        Self {
            root: plugin.module(),
            exporters: inspection.manifest.exporters,
            folder,
            instances: Cell::new(0),
        }
    }

    /// What it exports.
    #[must_use]
    pub fn exporters(&self) -> &[ManifestExporter] {
        &self.exporters
    }

    /// A new and empty folder.
    ///
    /// # Panics
    ///
    /// The system gives none.
    #[must_use]
    pub fn new_folder(&self) -> PathBuf {
        let number = self.instances.replace(self.instances.get() + 1);
        let folder = self.folder.path().join(format!("instance-{number}"));
        std::fs::create_dir(&folder).unwrap_or_else(|error| panic!("no folder: {error}"));
        folder
    }

    /// Makes an exporter with these settings and that folder for its state.
    ///
    /// # Errors
    ///
    /// What the plugin answers.
    pub fn create(
        &self,
        exporter: &str,
        settings: &serde_json::Value,
        folder: &Path,
    ) -> Result<Instance, abi::Outcome> {
        let host = QuietHost {
            exporter: exporter.to_owned(),
            state_dir: folder.display().to_string(),
        };
        let host = Host_TO::from_value(host, TD_Opaque);
        let create = self.root.create_exporter();
        match create(
            RStr::from(exporter),
            RStr::from(&*settings.to_string()),
            host,
        ) {
            RResult::ROk(exporter) => Ok(Instance { exporter }),
            RResult::RErr(outcome) => Err(outcome),
        }
    }

    /// Makes the next call of that entry panic inside the plugin.
    ///
    /// # Panics
    ///
    /// The plugin was not made with `export_plugin!`.
    pub fn panic_in(&self, entry: &str) {
        let get_extension = self.root.get_extension();
        let ROption::RSome(panic) = get_extension(RStr::from(PANIC_EXTENSION)) else {
            panic!("the plugin offers no `{PANIC_EXTENSION}`");
        };
        let armed = panic.call(RSlice::from_slice(entry.as_bytes()));
        assert!(armed.is_ok(), "no entry `{entry}`");
    }
}

impl Instance {
    /// Exports a batch, with plenty of time.
    pub fn export(&mut self, batch: &RecordBatch) -> abi::Outcome {
        self.export_with(batch, &Call::default())
    }

    /// Exports a batch.
    pub fn export_with(&mut self, batch: &RecordBatch, call: &Call) -> abi::Outcome {
        let (array, schema) = export_arrow(batch);
        let part = BatchPart {
            batch_id: [7; 16],
            first_row: 0,
            rows: batch.num_rows() as u64,
            accepted_ms: time::now_ms(),
            storage_id: RStr::from_str(""),
            complete: false,
        };
        let context = OneCall {
            call: *call,
            began: Instant::now(),
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
    /// There is no such entry.
    pub fn call(&mut self, entry: &str) -> abi::Outcome {
        let context = OneCall {
            call: Call::default(),
            began: Instant::now(),
            parts: Vec::new(),
        };
        let context = lend(&context);
        match entry {
            "flush" => self.exporter.flush(context),
            "health" => self.exporter.health(context),
            "tick" => self.exporter.tick(context),
            "close" => self.exporter.close(context),
            _ => panic!("no entry `{entry}`"),
        }
    }
}

/// A host that writes down nothing, for parts of an exporter that are tried
/// without their library.
#[must_use]
pub fn quiet_host(exporter: &str, state_dir: &Path) -> Host {
    let host = QuietHost {
        exporter: exporter.to_owned(),
        state_dir: state_dir.display().to_string(),
    };
    Host::from(Arc::new(Host_TO::from_value(host, TD_Opaque)))
}

/// What a call finds in its context.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// How long it may take, from its beginning on.
    pub remaining: Duration,
    /// Whether the host is about to stop.
    pub cancelled: bool,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            remaining: PATIENCE,
            cancelled: false,
        }
    }
}

/// Runs something on a thread of its own, and gives up on it after a while.
///
/// # Panics
///
/// It does not come back.
pub(super) fn in_time<R: Send + 'static>(what: &str, f: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(f())));
    let result = receiver.recv_timeout(PATIENCE);
    result.unwrap_or_else(|_| panic!("{what} does not come back"))
}

fn lend<'a>(context: &'a OneCall<'_>) -> ContextRef<'a> {
    Context_TO::from_ptr(RRef::new(context), TD_Opaque)
}

struct OneCall<'a> {
    call: Call,
    began: Instant,
    parts: Vec<BatchPart<'a>>,
}

impl abi::Context for OneCall<'_> {
    fn remaining_ns(&self) -> u64 {
        let remaining = self.call.remaining.saturating_sub(self.began.elapsed());
        u64::try_from(remaining.as_nanos()).unwrap_or(u64::MAX)
    }

    fn cancelled(&self) -> bool {
        self.call.cancelled
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
