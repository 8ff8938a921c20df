//! A plugin that exports the C interface, as the exporters and extensions of the Rust interface.
//!
//! Promises: a table of another version of the same major version is read as far as both sides
//! know it; a batch is not copied; nothing of the plugin is freed here, and nothing of the host
//! there. The header `delfin_plugin.h` has the rules that the plugin must follow.

#![expect(
    unsafe_code,
    reason = "the functions of a C library cannot be checked by the compiler"
)]

mod call;
mod extension;
mod host;

use std::{ffi::c_void, ptr};

use abi_stable::sabi_trait::TD_Opaque;
use delfin_plugin_abi::{
    ArrowBatch, Class, ContextRef, Exporter, Exporter_TO, ExporterBox, ExtensionBox, HostBox,
    Outcome,
};
use delfin_plugin_c::{CCall, CHECK_EXTENSION, CInstanceCall, CPlugin, CText, MAJOR, read_prefix};

use crate::error::Reason;
use extension::{LibraryExtension, SettingsExtension};
use host::LentHost;

/// The table of a plugin. The library is never closed.
#[derive(Clone, Copy)]
pub(crate) struct CModule {
    table: &'static CPlugin,
}

impl CModule {
    /// Reads the table.
    ///
    /// # Safety
    ///
    /// `table` is the symbol [`delfin_plugin_c::SYMBOL`] of a library that stays open.
    pub(crate) unsafe fn read(table: *const CPlugin) -> Result<Self, Reason> {
        // SAFETY: the author of the table has written its size.
        let table = unsafe { read_prefix(table) };
        let table = table.ok_or(Reason::IncompleteTable)?;
        if table.version >> 16 != MAJOR {
            return Err(Reason::OtherMajor {
                found: format!("c {}.{}", table.version >> 16, table.version & 0xffff),
                wanted: format!("c {MAJOR}"),
            });
        }
        if table.create.is_none() || table.export_batch.is_none() || table.destroy.is_none() {
            return Err(Reason::IncompleteTable);
        }
        // Once for each library that is opened, and libraries are never closed.
        let table = Box::leak(Box::new(table));
        Ok(Self { table })
    }

    pub(crate) fn create_exporter(
        self,
        name: &str,
        config: &str,
        host: HostBox,
    ) -> Result<ExporterBox, Outcome> {
        let host = LentHost::new(host);
        let mut instance = ptr::null_mut();
        let outcome = call::without_context(|call| {
            // `read` has checked that the function exists.
            self.table.create.map_or(0, |create| {
                // SAFETY: the texts live until the call returns, and the host as long as the
                // instance.
                unsafe {
                    create(
                        text(name),
                        text(config),
                        host.lend(),
                        call,
                        &raw mut instance,
                    )
                }
            })
        });
        if outcome.code.class() != Some(Class::Delivered) {
            return Err(outcome);
        }
        let exporter = LibraryExporter {
            table: self.table,
            instance,
            _host: host,
        };
        Ok(Exporter_TO::from_value(exporter, TD_Opaque))
    }

    pub(crate) fn get_extension(self, id: &str) -> Option<ExtensionBox> {
        if id == CHECK_EXTENSION
            && let Some(check) = self.table.check
        {
            return Some(SettingsExtension::boxed(check));
        }
        LibraryExtension::find(self.table, id)
    }
}

/// An instance in the library.
struct LibraryExporter {
    table: &'static CPlugin,
    instance: *mut c_void,
    /// The plugin may use it until the instance is destroyed.
    _host: LentHost,
}

// SAFETY: the header says that calls come from different threads, one after another.
unsafe impl Send for LibraryExporter {}

impl LibraryExporter {
    fn call(&self, function: Option<CInstanceCall>, context: &ContextRef<'_>) -> Outcome {
        let Some(function) = function else {
            return Outcome::delivered();
        };
        // SAFETY: the instance is not destroyed, and one call is made at a time.
        call::make(context, |call| unsafe { function(self.instance, call) })
    }
}

impl Exporter for LibraryExporter {
    fn export(&mut self, mut batch: ArrowBatch<'_>, context: ContextRef<'_>) -> Outcome {
        let Some(export) = self.table.export_batch else {
            return Outcome::delivered();
        };
        let schema = ptr::from_ref(batch.schema).cast::<c_void>();
        // The plugin moves the content out, or the array is released at the end of this function.
        let array = (&raw mut batch.array).cast::<c_void>();
        call::make(&context, |call| {
            // SAFETY: as for the other calls; both structs are those of the Arrow C Data
            // Interface, and live until the call returns.
            unsafe { export(self.instance, schema, array, call) }
        })
    }

    fn flush(&mut self, context: ContextRef<'_>) -> Outcome {
        self.call(self.table.flush, &context)
    }

    fn health(&mut self, context: ContextRef<'_>) -> Outcome {
        self.call(self.table.health, &context)
    }

    fn tick(&mut self, context: ContextRef<'_>) -> Outcome {
        self.call(self.table.tick, &context)
    }

    fn close(&mut self, context: ContextRef<'_>) -> Outcome {
        self.call(self.table.close, &context)
    }
}

impl Drop for LibraryExporter {
    fn drop(&mut self) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: no call is in progress, and none follows.
            unsafe { destroy(self.instance) }
        }
    }
}

/// A function that checks settings.
type CheckFunction = unsafe extern "C" fn(CText, CText, *mut CCall) -> u32;

fn text(text: &str) -> CText {
    CText::new(text.as_bytes())
}

/// The text of the plugin. What is not UTF-8 is replaced.
///
/// # Safety
///
/// The text lives until this function returns.
unsafe fn read_text(text: CText) -> String {
    // SAFETY: the caller says so.
    let bytes = unsafe { text.bytes() };
    String::from_utf8_lossy(bytes).into_owned()
}
