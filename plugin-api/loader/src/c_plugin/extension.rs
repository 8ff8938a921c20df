//! Extensions in both directions.

use std::{ffi::c_void, ptr};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{RResult, RSlice, RString, RVec},
};
use delfin_plugin_abi::{Class, Extension, Extension_TO, ExtensionBox};
use delfin_plugin_c::{CPlugin, CReply, CText, EXTENSION_FAILED, EXTENSION_OK, EXTENSION_UNKNOWN};

use super::{CheckFunction, call, text};

/// An extension of the library.
pub(super) struct LibraryExtension {
    table: &'static CPlugin,
    id: String,
}

impl LibraryExtension {
    /// The extension of this name, if the library has it.
    pub(super) fn find(table: &'static CPlugin, id: &str) -> Option<ExtensionBox> {
        let has = table.has_extension?;
        // SAFETY: the text lives until the call returns.
        if unsafe { has(text(id)) } == 0 {
            return None;
        }
        let id = id.to_owned();
        Some(Extension_TO::from_value(Self { table, id }, TD_Opaque))
    }
}

impl Extension for LibraryExtension {
    fn call(&self, request: RSlice<'_, u8>) -> RResult<RVec<u8>, RString> {
        let mut reply: Vec<u8> = Vec::new();
        let status = self.table.call_extension.map_or(EXTENSION_UNKNOWN, |call| {
            let data = ptr::from_mut(&mut reply).cast::<c_void>();
            // SAFETY: all live until the call returns, and the library replies before it does.
            unsafe { call(text(&self.id), CText::new(&request), take_reply, data) }
        });
        let failed = |reason: &[u8]| RResult::RErr(String::from_utf8_lossy(reason).into());
        match status {
            EXTENSION_OK => RResult::ROk(reply.into()),
            EXTENSION_UNKNOWN => failed(b"the plugin does not know its own extension"),
            _ => failed(&reply),
        }
    }
}

/// The function that checks settings, as the extension that plugins in Rust have.
pub(super) struct SettingsExtension(CheckFunction);

impl SettingsExtension {
    pub(super) fn boxed(check: CheckFunction) -> ExtensionBox {
        Extension_TO::from_value(Self(check), TD_Opaque)
    }
}

/// A request to check settings.
#[derive(serde::Deserialize)]
struct SettingsRequest {
    exporter: String,
    config: serde_json::Value,
}

impl Extension for SettingsExtension {
    fn call(&self, request: RSlice<'_, u8>) -> RResult<RVec<u8>, RString> {
        let request: SettingsRequest = match serde_json::from_slice(&request) {
            Ok(request) => request,
            Err(error) => return RResult::RErr(error.to_string().into()),
        };
        let config = request.config.to_string();
        let outcome = call::without_context(|call| {
            // SAFETY: the texts live until the call returns.
            unsafe { (self.0)(text(&request.exporter), text(&config), call) }
        });
        if outcome.code.class() == Some(Class::Delivered) {
            RResult::ROk(RVec::new())
        } else {
            RResult::RErr(outcome.message)
        }
    }
}

/// Calls an extension of the host for the plugin.
///
/// # Safety
///
/// The request and what is behind `data` live until this function returns.
pub(super) unsafe fn answer(
    extension: Option<ExtensionBox>,
    request: CText,
    reply: CReply,
    data: *mut c_void,
) -> u32 {
    let Some(extension) = extension else {
        return EXTENSION_UNKNOWN;
    };
    // SAFETY: the caller says so.
    let request = unsafe { request.bytes() };
    let (status, bytes) = match extension.call(RSlice::from_slice(request)) {
        RResult::ROk(bytes) => (EXTENSION_OK, bytes),
        RResult::RErr(reason) => (EXTENSION_FAILED, reason.into_bytes()),
    };
    // SAFETY: the plugin passes a function that takes its data and copies the bytes.
    unsafe { reply(data, CText::new(&bytes)) };
    status
}

/// The function that the library replies to.
unsafe extern "C" fn take_reply(data: *mut c_void, bytes: CText) {
    // SAFETY: `data` is the buffer of the caller, which waits for the reply.
    let buffer = unsafe { &mut *data.cast::<Vec<u8>>() };
    // SAFETY: the bytes live until this function returns.
    buffer.extend_from_slice(unsafe { bytes.bytes() });
}
