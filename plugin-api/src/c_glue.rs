//! Exports the exporters of a plugin as the table of the C interface, next to the root module.
//!
//! Promises: a host that knows the C interface only gets the same exporters, with the same guards
//! against panics; a batch is not copied.

use std::ffi::c_void;

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RSlice, RStr, RString},
};
use delfin_plugin_abi::{self as abi, OutcomeCode};
use delfin_plugin_c::{
    CCall, CField, CHost, CLogRecord, CPlugin, CReply, CText, EXTENSION_FAILED, EXTENSION_OK,
    EXTENSION_UNKNOWN, VERSION, read_prefix,
};

use crate::{Failure, glue::ConfigCheck, outcome::encode_outcome};

/// The functions of one plugin, which [`export_plugin!`](crate::export_plugin) writes.
pub trait PluginFunctions {
    /// `Plugin::create_exporter`.
    fn create_exporter(
        name: RStr<'_>,
        config: RStr<'_>,
        host: abi::HostBox,
    ) -> RResult<abi::ExporterBox, abi::Outcome>;

    /// Checks the settings of the exporter of a name.
    ///
    /// # Errors
    ///
    /// Why they are refused.
    fn check_config(name: &str, config: &str) -> ConfigCheck;

    /// `Plugin::get_extension`.
    fn get_extension(id: RStr<'_>) -> ROption<abi::ExtensionBox>;
}

/// The table of the functions.
#[must_use]
pub const fn c_plugin<F: PluginFunctions>() -> CPlugin {
    CPlugin {
        struct_size: size_of::<CPlugin>() as u32,
        version: VERSION,
        create: Some(create::<F>),
        export_batch: Some(export_batch),
        flush: Some(flush),
        health: Some(health),
        tick: Some(tick),
        close: Some(close),
        destroy: Some(destroy),
        check: Some(check::<F>),
        has_extension: Some(has_extension::<F>),
        call_extension: Some(call_extension::<F>),
    }
}

unsafe extern "C" fn create<F: PluginFunctions>(
    exporter: CText,
    config: CText,
    host: *const CHost,
    call: *mut CCall,
    instance: *mut *mut c_void,
) -> u32 {
    // SAFETY: the host passes a table with its size, which lives as long as the instance.
    let Some(functions) = (unsafe { read_prefix(host) }) else {
        return OutcomeCode::PAUSE_MISCONFIGURED.0;
    };
    let host = abi::Host_TO::from_value(ForeignHost { host, functions }, TD_Opaque);
    // SAFETY: the texts live until this function returns.
    let exporter = unsafe { read_text(exporter) };
    // SAFETY: as above.
    let config = unsafe { read_text(config) };
    match F::create_exporter(exporter, config, host) {
        RResult::ROk(created) => {
            let created = Box::into_raw(Box::new(created)).cast::<c_void>();
            // SAFETY: the host passes the place for the instance.
            unsafe { instance.write(created) };
            OutcomeCode::DELIVERED.0
        }
        // SAFETY: the call has not returned.
        RResult::RErr(outcome) => unsafe { report(call, outcome) },
    }
}

unsafe extern "C" fn export_batch(
    instance: *mut c_void,
    schema: *const c_void,
    array: *mut c_void,
    call: *mut CCall,
) -> u32 {
    // SAFETY: the array is that of the C Data Interface, and lives until this function returns.
    let array = unsafe { &mut *array.cast::<abi::ArrowArray>() }.take();
    // SAFETY: as the array.
    let schema = unsafe { &*schema.cast::<abi::ArrowSchema>() };
    // SAFETY: the host passes an instance of `create`, and one call at a time.
    unsafe {
        call_instance(instance, call, |exporter, context| {
            exporter.export(abi::ArrowBatch { array, schema }, context)
        })
    }
}

unsafe extern "C" fn flush(instance: *mut c_void, call: *mut CCall) -> u32 {
    // SAFETY: as in `export_batch`.
    unsafe { call_instance(instance, call, |exporter, context| exporter.flush(context)) }
}

unsafe extern "C" fn health(instance: *mut c_void, call: *mut CCall) -> u32 {
    // SAFETY: as in `export_batch`.
    unsafe { call_instance(instance, call, |exporter, context| exporter.health(context)) }
}

unsafe extern "C" fn tick(instance: *mut c_void, call: *mut CCall) -> u32 {
    // SAFETY: as in `export_batch`.
    unsafe { call_instance(instance, call, |exporter, context| exporter.tick(context)) }
}

unsafe extern "C" fn close(instance: *mut c_void, call: *mut CCall) -> u32 {
    // SAFETY: as in `export_batch`.
    unsafe { call_instance(instance, call, |exporter, context| exporter.close(context)) }
}

unsafe extern "C" fn destroy(instance: *mut c_void) {
    // SAFETY: the host passes an instance of `create` once, after its last call.
    drop(unsafe { Box::from_raw(instance.cast::<abi::ExporterBox>()) });
}

unsafe extern "C" fn check<F: PluginFunctions>(
    exporter: CText,
    config: CText,
    call: *mut CCall,
) -> u32 {
    // SAFETY: the texts live until this function returns.
    let exporter = unsafe { read_text(exporter) };
    // SAFETY: as above.
    let config = unsafe { read_text(config) };
    match F::check_config(&exporter, &config) {
        Ok(()) => OutcomeCode::DELIVERED.0,
        // SAFETY: the call has not returned.
        Err(failure) => unsafe { report(call, encode_outcome(Err(failure))) },
    }
}

unsafe extern "C" fn has_extension<F: PluginFunctions>(id: CText) -> u32 {
    // SAFETY: the text lives until this function returns.
    F::get_extension(unsafe { read_text(id) }).is_some().into()
}

unsafe extern "C" fn call_extension<F: PluginFunctions>(
    id: CText,
    request: CText,
    reply: CReply,
    data: *mut c_void,
) -> u32 {
    // SAFETY: the text lives until this function returns.
    let ROption::RSome(extension) = F::get_extension(unsafe { read_text(id) }) else {
        return EXTENSION_UNKNOWN;
    };
    // SAFETY: as the id.
    let request = unsafe { request.bytes() };
    let (status, bytes) = match extension.call(RSlice::from_slice(request)) {
        RResult::ROk(bytes) => (EXTENSION_OK, bytes),
        RResult::RErr(reason) => (EXTENSION_FAILED, reason.into_bytes()),
    };
    // SAFETY: the host passes a function that takes its data and copies the bytes.
    unsafe { reply(data, CText::new(&bytes)) };
    status
}

/// Makes a call of an instance.
///
/// # Safety
///
/// `instance` comes from [`create`], no other call of it is in progress, and `call` has not
/// returned.
unsafe fn call_instance(
    instance: *mut c_void,
    call: *mut CCall,
    make: impl FnOnce(&mut abi::ExporterBox, abi::ContextRef<'_>) -> abi::Outcome,
) -> u32 {
    // SAFETY: the host passes a call with its size.
    let Some(functions) = (unsafe { read_prefix(call) }) else {
        return encode_outcome(Err(Failure::fatal("the host passes no call")))
            .code
            .0;
    };
    // Most calls have one part, and need no memory for a list.
    let (one, several);
    let parts: &[abi::BatchPart<'_>] = if functions.part_count == 1 {
        // SAFETY: the host passes as many parts as it says, each of the size that it says.
        one = unsafe { read_part(&functions, 0) };
        std::slice::from_ref(&one)
    } else {
        // SAFETY: as above.
        let read = |number| unsafe { read_part(&functions, number) };
        several = (0..functions.part_count).map(read).collect::<Vec<_>>();
        &several
    };
    let context = ForeignContext {
        call,
        functions: &functions,
        parts,
    };
    // SAFETY: the caller says so.
    let exporter = unsafe { &mut *instance.cast::<abi::ExporterBox>() };
    let context = abi::Context_TO::from_ptr(abi_stable::RRef::new(&context), TD_Opaque);
    let outcome = make(exporter, context);
    // SAFETY: the call has not returned.
    unsafe { report(call, outcome) }
}

/// Reports an outcome, and returns its code.
///
/// # Safety
///
/// `call` has not returned.
unsafe fn report(call: *mut CCall, outcome: abi::Outcome) -> u32 {
    // SAFETY: the host passes a call with its size.
    let Some(functions) = (unsafe { read_prefix(call) }) else {
        return outcome.code.0;
    };
    if let Some(set_message) = functions
        .set_message
        .filter(|_| !outcome.message.is_empty())
    {
        // SAFETY: the call has not returned, and the host copies texts.
        unsafe { set_message(call, lend(&outcome.message)) };
    }
    if let Some(set_retry_after) = functions.set_retry_after.filter(|_| outcome.after_ms > 0) {
        // SAFETY: as above.
        unsafe { set_retry_after(call, outcome.after_ms) };
    }
    if let Some(add_rows) = functions.add_rows {
        for range in &outcome.rows {
            // SAFETY: as above.
            unsafe {
                add_rows(
                    call,
                    range.first,
                    range.len,
                    range.code.0,
                    lend(&range.reason),
                )
            };
        }
    }
    if let Some(add_extra) = functions.add_extra {
        for pair in &outcome.extra {
            // SAFETY: as above.
            unsafe { add_extra(call, lend(&pair.0), lend(&pair.1)) };
        }
    }
    outcome.code.0
}

/// A part of a call.
///
/// # Safety
///
/// The host has filled in the call, which has not returned and has more than `number` parts.
unsafe fn read_part<'a>(call: &CCall, number: usize) -> abi::BatchPart<'a> {
    // SAFETY: the caller says so.
    let part = unsafe { call.parts.byte_add(number * call.part_size as usize) };
    // SAFETY: a larger part of a newer host begins with the same fields.
    let part = unsafe { part.read() };
    abi::BatchPart {
        batch_id: part.batch_id,
        first_row: part.first_row,
        rows: part.rows,
        accepted_ms: part.accepted_ms,
        // SAFETY: the text lives as long as the call.
        storage_id: unsafe { read_text(part.storage_id) },
        complete: part.complete != 0,
    }
}

/// A text of the host, which is UTF-8.
///
/// # Safety
///
/// The text lives as long as the caller uses it.
unsafe fn read_text<'a>(text: CText) -> RStr<'a> {
    // SAFETY: the caller says so.
    let bytes = unsafe { text.bytes() };
    RStr::from(str::from_utf8(bytes).unwrap_or_default())
}

fn lend(text: &RString) -> CText {
    CText::new(text.as_bytes())
}

/// The host that created an instance over the C interface.
struct ForeignHost {
    host: *const CHost,
    functions: CHost,
}

// SAFETY: the interface lets any thread call the functions of the host.
unsafe impl Send for ForeignHost {}

// SAFETY: as for `Send`.
unsafe impl Sync for ForeignHost {}

impl abi::Host for ForeignHost {
    fn exporter(&self) -> RStr<'_> {
        // SAFETY: the host lives as long as the instance.
        unsafe { read_text(self.functions.exporter) }
    }

    fn instance(&self) -> u32 {
        self.functions.instance
    }

    fn state_dir(&self) -> RStr<'_> {
        // SAFETY: as above.
        unsafe { read_text(self.functions.state_dir) }
    }

    fn max_level(&self) -> abi::Level {
        abi::Level(self.functions.max_level)
    }

    fn log(&self, record: abi::LogRecord<'_>) {
        let Some(log) = self.functions.log else {
            return;
        };
        let text = |text: RStr<'_>| CText::new(text.as_str().as_bytes());
        let fields = record.fields.iter().map(|field| CField {
            key: text(field.key),
            value: text(field.value),
        });
        let fields: Vec<CField> = fields.collect();
        let record = CLogRecord {
            struct_size: size_of::<CLogRecord>() as u32,
            level: record.level.0,
            target: text(record.target),
            message: text(record.message),
            fields: fields.as_ptr(),
            field_count: fields.len(),
            instance_unknown: record.instance_unknown.into(),
            reserved: 0,
        };
        // SAFETY: the host lives as long as the instance, and copies texts.
        unsafe { log(self.host, &raw const record) }
    }

    fn count(&self, counter: RStr<'_>, by: u64) {
        if let Some(count) = self.functions.count {
            // SAFETY: as above.
            unsafe { count(self.host, CText::new(counter.as_str().as_bytes()), by) }
        }
    }

    /// This crate offers authors no extension of the host.
    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}

/// The circumstances of a call over the C interface.
struct ForeignContext<'a> {
    call: *const CCall,
    functions: &'a CCall,
    parts: &'a [abi::BatchPart<'a>],
}

// SAFETY: the interface lets any thread call the functions of the call.
unsafe impl Send for ForeignContext<'_> {}

// SAFETY: as for `Send`.
unsafe impl Sync for ForeignContext<'_> {}

impl abi::Context for ForeignContext<'_> {
    fn remaining_ns(&self) -> u64 {
        self.functions
            .remaining_ns
            .map_or(u64::MAX, |remaining_ns| {
                // SAFETY: the context lives as long as the call.
                unsafe { remaining_ns(self.call) }
            })
    }

    fn cancelled(&self) -> bool {
        // SAFETY: as above.
        let cancelled = |cancelled: unsafe extern "C" fn(*const CCall) -> u32| unsafe {
            cancelled(self.call) != 0
        };
        self.functions.cancelled.is_some_and(cancelled)
    }

    fn attempt(&self) -> u32 {
        self.functions.attempt
    }

    fn origin(&self) -> abi::Origin {
        abi::Origin(self.functions.origin)
    }

    fn parts(&self) -> RSlice<'_, abi::BatchPart<'_>> {
        RSlice::from_slice(self.parts)
    }

    /// As for the host.
    fn get_extension(&self, _id: RStr<'_>) -> ROption<abi::ExtensionBox> {
        ROption::RNone
    }
}
