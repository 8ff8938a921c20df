//! Connects an author's [`Exporter`] with the trait objects of the plugin interface.
//!
//! Promises: every function is guarded against panics; an instance that has panicked
//! is not called again, only dropped; a batch crosses by reference, without a copy.

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RSlice, RStr, RString, RVec},
};
use arrow_array::{
    RecordBatch, StructArray,
    ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi},
};
use arrow_data::ArrayData;
use arrow_schema::DataType;
use delfin_plugin_abi::{self as abi, OutcomeCode};

use crate::{
    Batch, Context, Exporter, Failure, Host, Kind, Outcome, bridge,
    guard::{self, EntryPoint, guarded},
    outcome::encode_outcome,
    setting::with_suggestions,
};

/// The id of the extension that makes a plugin panic, for the test kit. The request is
/// the name of a function of the exporter: `create`, `export`, …
pub const PANIC_EXTENSION: &str = "delfin.panic/1";

/// The id of the extension that checks settings without an instance. The request is
/// `{"exporter": NAME, "config": SETTINGS}`; an error is why they are refused.
pub use delfin_plugin_c::CHECK_EXTENSION;

/// Makes an instance of `T`: `Plugin::create_exporter` of one exporter. `module` is one of the
/// plugin.
pub fn create<T: Exporter>(
    config: RStr<'_>,
    host: abi::HostBox,
    module: &'static str,
) -> RResult<abi::ExporterBox, abi::Outcome> {
    let host = Host::new(host);
    bridge::install(&host, module);
    guard::report_panics();
    // An outcome is encoded inside the guard: it has values of the author.
    let create = || create_from_json::<T>(&config, &host).map_err(|f| encode_outcome(Err(f)));
    let created = host.scope(|| guarded(EntryPoint::Create, create));
    match created {
        Ok(Ok(exporter)) => {
            let instance = GuardedExporter {
                exporter: Some(exporter),
                panicked: None,
                host,
            };
            RResult::ROk(abi::Exporter_TO::from_value(instance, TD_Opaque))
        }
        Ok(Err(outcome)) => RResult::RErr(outcome),
        Err(panic) => RResult::RErr(abi::Outcome::new(OutcomeCode::RESTART_PANICKED, panic)),
    }
}

/// The kind of an exporter, for the manifest.
#[must_use]
pub const fn kind<T: Exporter>() -> &'static str {
    T::Batch::KIND.as_str()
}

/// [`Exporter::EXCLUSIVE`], for the manifest.
#[must_use]
pub const fn exclusive<T: Exporter>() -> &'static str {
    if T::EXCLUSIVE { "true" } else { "false" }
}

/// [`Exporter::MAX_POINTS`], for the manifest.
#[must_use]
pub const fn max_points<T: Exporter>() -> Option<u64> {
    assert!(
        !matches!(T::MAX_POINTS, Some(0)),
        "`MAX_POINTS` must be more than 0, or `None`"
    );
    T::MAX_POINTS
}

/// [`Exporter::RESEND`] in seconds, for the manifest.
#[must_use]
pub const fn resend_seconds<T: Exporter>() -> Option<u64> {
    let Some(every) = T::RESEND else {
        return None;
    };
    assert!(
        matches!(T::Batch::KIND, Kind::Alert),
        "`RESEND` is for exporters of alerts"
    );
    assert!(
        every.as_secs() > 0 && every.subsec_nanos() == 0,
        "`RESEND` must be a whole number of seconds, at least 1"
    );
    Some(every.as_secs())
}

/// The error for a name that the plugin does not export.
#[must_use]
pub fn no_such_exporter(name: RStr<'_>) -> RResult<abi::ExporterBox, abi::Outcome> {
    RResult::RErr(encode_outcome(Err(no_exporter(&name))))
}

/// The failure for a name that the plugin does not export.
#[must_use]
pub fn no_exporter(name: &str) -> Failure {
    Failure::misconfigured(format!("the plugin has no exporter `{name}`"))
}

/// Whether settings can be read as those of an exporter.
pub type ConfigCheck = Result<(), Failure>;

/// Reads settings as those of `T`, without an instance.
///
/// # Errors
///
/// What `T` would refuse before it creates an instance.
pub fn check_config<T: Exporter>(config: &str) -> ConfigCheck {
    guarded(EntryPoint::Create, || {
        read_config::<T>(config).and_then(T::check)
    })
    .unwrap_or_else(|panic| Err(Failure::fatal(panic)))
}

/// `Plugin::get_extension` of every plugin that [`export_plugin!`](crate::export_plugin)
/// makes. `check` checks the settings of the exporter of a name.
pub fn get_extension(
    id: RStr<'_>,
    check: fn(&str, &str) -> ConfigCheck,
) -> ROption<abi::ExtensionBox> {
    match id.as_str() {
        PANIC_EXTENSION => ROption::RSome(abi::Extension_TO::from_value(PanicOnDemand, TD_Opaque)),
        CHECK_EXTENSION => ROption::RSome(abi::Extension_TO::from_value(
            ConfigChecker(check),
            TD_Opaque,
        )),
        _ => ROption::RNone,
    }
}

/// Checks settings: see [`CHECK_EXTENSION`].
struct ConfigChecker(fn(&str, &str) -> ConfigCheck);

impl abi::Extension for ConfigChecker {
    fn call(&self, request: RSlice<'_, u8>) -> RResult<RVec<u8>, RString> {
        let request: Result<ConfigRequest, _> = serde_json::from_slice(&request);
        let checked = request
            .map_err(Failure::fatal)
            .and_then(|request| (self.0)(&request.exporter, request.config.get()));
        match checked {
            Ok(()) => RResult::ROk(RVec::new()),
            Err(Failure::Misconfigured { message }) => RResult::RErr(message.into()),
            Err(failure) => RResult::RErr(failure.to_string().into()),
        }
    }
}

/// A request of [`CHECK_EXTENSION`].
#[derive(serde::Deserialize)]
struct ConfigRequest {
    exporter: String,
    config: Box<serde_json::value::RawValue>,
}

struct PanicOnDemand;

impl abi::Extension for PanicOnDemand {
    fn call(&self, request: RSlice<'_, u8>) -> RResult<RVec<u8>, RString> {
        let entry = EntryPoint::ALL
            .into_iter()
            .find(|entry| entry.name().as_bytes() == request.as_slice());
        let Some(entry) = entry else {
            return RResult::RErr(RString::from("no such entry"));
        };
        guard::arm(entry);
        RResult::ROk(RVec::new())
    }
}

fn create_from_json<T: Exporter>(config: &str, host: &Host) -> Result<T, Failure> {
    T::create(read_config::<T>(config)?, host)
}

fn read_config<T: Exporter>(config: &str) -> Result<T::Config, Failure> {
    serde_json::from_str(config).map_err(|error| {
        // The host has written the JSON from its own configuration, so a line and a
        // column in it mean nothing to the operator.
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ");
        let reason = reason.map_or(&*text, |(reason, _)| reason);
        Failure::misconfigured(with_suggestions(reason))
    })
}

/// An exporter, and the message of its panic if it has panicked.
struct GuardedExporter<T: Exporter> {
    exporter: Option<T>,
    panicked: Option<String>,
    host: Host,
}

impl<T: Exporter> GuardedExporter<T> {
    fn call(&mut self, entry: EntryPoint, f: impl FnOnce(&mut T) -> Outcome) -> abi::Outcome {
        let Self {
            exporter: Some(exporter),
            panicked: panicked @ None,
            host,
        } = self
        else {
            let panic = self.panicked.as_deref().unwrap_or_default();
            return abi::Outcome::new(
                OutcomeCode::RESTART_PANICKED,
                format!("an earlier call {panic}"),
            );
        };
        bridge::raise_level(host);
        match host.scope(|| guarded(entry, || encode_outcome(f(exporter)))) {
            Ok(outcome) => outcome,
            Err(panic) => {
                *panicked = Some(panic.clone());
                abi::Outcome::new(OutcomeCode::RESTART_PANICKED, panic)
            }
        }
    }
}

impl<T: Exporter> abi::Exporter for GuardedExporter<T> {
    fn export(&mut self, batch: abi::ArrowBatch<'_>, context: abi::ContextRef<'_>) -> abi::Outcome {
        self.call(EntryPoint::Export, |exporter| {
            let batch = import::<T::Batch>(batch)?;
            exporter.export(&batch, &Context::new(context))
        })
    }

    fn flush(&mut self, context: abi::ContextRef<'_>) -> abi::Outcome {
        self.call(EntryPoint::Flush, |exporter| {
            exporter.flush(&Context::new(context))
        })
    }

    fn health(&mut self, context: abi::ContextRef<'_>) -> abi::Outcome {
        self.call(EntryPoint::Health, |exporter| {
            exporter.health(&Context::new(context))
        })
    }

    fn tick(&mut self, context: abi::ContextRef<'_>) -> abi::Outcome {
        self.call(EntryPoint::Tick, |exporter| {
            exporter.tick(&Context::new(context))
        })
    }

    fn close(&mut self, context: abi::ContextRef<'_>) -> abi::Outcome {
        if self.panicked.is_some() {
            // The call that panicked has reported the panic.
            return encode_outcome(Ok(()));
        }
        self.call(EntryPoint::Close, |exporter| {
            exporter.close(&Context::new(context))
        })
    }
}

impl<T: Exporter> Drop for GuardedExporter<T> {
    fn drop(&mut self) {
        let Self { exporter, host, .. } = self;
        if let Err(panic) = host.scope(|| guarded(EntryPoint::Drop, || drop(exporter.take()))) {
            host.scope(|| log::error!("the exporter {panic}"));
        }
    }
}

/// Imports a batch that crossed the plugin interface, without a copy.
fn import<B: Batch>(batch: abi::ArrowBatch<'_>) -> Result<B, Failure> {
    let reject =
        |reason: &dyn std::fmt::Display| Failure::rejected(format!("not a batch: {reason}"));
    let array = import_array(batch.array);
    // SAFETY: the array belongs to the schema that came with it: a host exported both
    // together, and the loader has checked that its interface is that of this library.
    let data = unsafe { from_ffi(array, as_arrow_schema(batch.schema)) };
    let data = data.map_err(|error| reject(&error))?;
    let arrow = RecordBatch::from(StructArray::from(data));
    B::try_from_arrow(arrow).map_err(|error| reject(&error))
}

/// Exports a batch for the plugin interface, by reference.
#[must_use]
pub fn export_arrow(batch: &RecordBatch) -> (abi::ArrowArray, OwnedSchema) {
    use arrow_array::Array;
    let data = StructArray::from(batch.clone()).into_data();
    (export_rows(&data), OwnedSchema::new(data.data_type()))
}

/// Exports a struct of columns for the plugin interface, by reference.
#[must_use]
pub fn export_rows(rows: &ArrayData) -> abi::ArrowArray {
    into_abi_array(FFI_ArrowArray::new(rows))
}

/// The schema of a batch, in the form of the C Data Interface.
pub struct OwnedSchema(FFI_ArrowSchema);

impl OwnedSchema {
    /// The schema of rows, as a struct of their columns.
    #[must_use]
    pub fn new(data_type: &DataType) -> Self {
        let schema = FFI_ArrowSchema::try_from(data_type);
        Self(schema.unwrap_or_else(|error| unreachable!("the column types are frozen: {error}")))
    }

    /// The schema, for any number of calls.
    #[must_use]
    pub fn lend(&self) -> &abi::ArrowSchema {
        // SAFETY: both are `struct ArrowSchema` of the C Data Interface, laid
        // out by `repr(C)` field by field; `same_layout` compares what can be.
        unsafe { &*(&raw const self.0).cast::<abi::ArrowSchema>() }
    }
}

const _: () = same_layout::<FFI_ArrowArray, abi::ArrowArray>();
const _: () = same_layout::<FFI_ArrowSchema, abi::ArrowSchema>();

const fn same_layout<A, B>() {
    assert!(size_of::<A>() == size_of::<B>() && align_of::<A>() == align_of::<B>());
}

fn as_arrow_schema(schema: &abi::ArrowSchema) -> &FFI_ArrowSchema {
    // SAFETY: as in `OwnedSchema::lend`.
    unsafe { &*(&raw const *schema).cast::<FFI_ArrowSchema>() }
}

fn import_array(array: abi::ArrowArray) -> FFI_ArrowArray {
    let mut array = std::mem::ManuallyDrop::new(array);
    let from = (&raw mut *array).cast::<FFI_ArrowArray>();
    // SAFETY: both are `struct ArrowArray`. `ManuallyDrop` makes the copy the only
    // owner, which is a move as the specification describes it.
    unsafe { FFI_ArrowArray::from_raw(from) }
}

fn into_abi_array(array: FFI_ArrowArray) -> abi::ArrowArray {
    let array = std::mem::ManuallyDrop::new(array);
    // SAFETY: as in `import_array`, in the other direction.
    unsafe { (&raw const *array).cast::<abi::ArrowArray>().read() }
}
