//! The host, as an instance sees it.

use std::{ffi::c_void, sync::Arc};

use abi_stable::std_types::{RSlice, RStr};
use delfin_plugin_abi::{Field, HostBox, Level, LogRecord};
use delfin_plugin_c::{CField, CHost, CLogRecord, CReply, CText, read_prefix};

use super::{extension, read_text, text};

/// The host, and the table that points to it. Both have an address that does not change.
pub(super) struct LentHost {
    /// From a `Box`.
    table: *mut CHost,
    _host: Arc<HostBox>,
}

impl LentHost {
    pub(super) fn new(host: HostBox) -> Self {
        let host = Arc::new(host);
        let table = CHost {
            instance: host.instance(),
            exporter: text(host.exporter().as_str()),
            state_dir: text(host.state_dir().as_str()),
            max_level: host.max_level().0,
            context: Arc::as_ptr(&host).cast_mut().cast::<c_void>(),
            log: Some(log),
            count: Some(count),
            has_extension: Some(has_extension),
            call_extension: Some(call_extension),
            ..CHost::EMPTY
        };
        Self {
            table: Box::into_raw(Box::new(table)),
            _host: host,
        }
    }

    pub(super) fn lend(&self) -> *const CHost {
        self.table
    }
}

impl Drop for LentHost {
    fn drop(&mut self) {
        // SAFETY: `new` has made it of a `Box`, and the plugin does not use it any more.
        drop(unsafe { Box::from_raw(self.table) });
    }
}

/// The host that a function is about.
///
/// # Safety
///
/// `host` is the table of a [`LentHost`] whose instance exists.
unsafe fn host_of<'a>(host: *const CHost) -> &'a HostBox {
    // SAFETY: the plugin passes the table that it got.
    let context = unsafe { (*host).context };
    // SAFETY: `LentHost` has set it, and lives as long as the instance.
    unsafe { &*context.cast::<HostBox>() }
}

unsafe extern "C" fn log(host: *const CHost, record: *const CLogRecord) {
    // SAFETY: the plugin passes a record with its size.
    let Some(record) = (unsafe { read_prefix(record) }) else {
        return;
    };
    // SAFETY: the plugin calls it while the instance exists.
    let host = unsafe { host_of(host) };
    if Level(record.level) > host.max_level() {
        return;
    }
    // SAFETY: all texts live until this function returns.
    let target = unsafe { read_text(record.target) };
    // SAFETY: as above.
    let message = unsafe { read_text(record.message) };
    let fields = match record.fields.is_null() {
        true => &[],
        // SAFETY: the plugin passes as many fields as it says.
        false => unsafe { std::slice::from_raw_parts(record.fields, record.field_count) },
    };
    let read = |field: &CField| {
        // SAFETY: as above.
        let key = unsafe { read_text(field.key) };
        // SAFETY: as above.
        (key, unsafe { read_text(field.value) })
    };
    let fields: Vec<(String, String)> = fields.iter().map(read).collect();
    let fields: Vec<Field<'_>> = fields
        .iter()
        .map(|(key, value)| Field {
            key: RStr::from(&**key),
            value: RStr::from(&**value),
        })
        .collect();
    host.log(LogRecord {
        level: Level(record.level),
        target: RStr::from(&*target),
        message: RStr::from(&*message),
        fields: RSlice::from_slice(&fields),
        instance_unknown: record.instance_unknown != 0,
    });
}

unsafe extern "C" fn count(host: *const CHost, counter: CText, by: u64) {
    // SAFETY: the text lives until this function returns.
    let counter = unsafe { read_text(counter) };
    // SAFETY: as above.
    let host = unsafe { host_of(host) };
    host.count(RStr::from(&*counter), by);
}

unsafe extern "C" fn has_extension(host: *const CHost, id: CText) -> u32 {
    // SAFETY: the text lives until this function returns.
    let id = unsafe { read_text(id) };
    // SAFETY: as above.
    let host = unsafe { host_of(host) };
    host.get_extension(RStr::from(&*id)).is_some().into()
}

unsafe extern "C" fn call_extension(
    host: *const CHost,
    id: CText,
    request: CText,
    reply: CReply,
    data: *mut c_void,
) -> u32 {
    // SAFETY: the text lives until this function returns.
    let id = unsafe { read_text(id) };
    // SAFETY: as above.
    let host = unsafe { host_of(host) };
    let found = host.get_extension(RStr::from(&*id)).into_option();
    // SAFETY: the request lives until this function returns, and the plugin passes a function
    // with its data.
    unsafe { extension::answer(found, request, reply, data) }
}
