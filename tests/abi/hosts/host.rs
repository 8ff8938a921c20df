//! A host of one interface version: opens a plugin with the real loader and calls every
//! method of its version.

use std::{path::Path, ptr::null};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RSlice, RStr},
};
use delfin_plugin_abi::{
    ArrowArray, ArrowBatch, ArrowSchema, BatchPart, Context, Context_TO, ContextRef, ExporterBox,
    ExtensionBox, Host, Host_TO, Level, LogRecord, Origin,
};
use loader::{OpenOptions, OpenPlugin, inspect, open};

/// Opens the plugin and calls every method. Returns the messages of the plugin, or why it
/// is refused.
pub fn visit(plugin: &Path, cache: &Path) -> Result<String, String> {
    let plugin = inspect(plugin).map_err(|error| error.to_string())?;
    let plugin = open(&plugin, &OpenOptions::new(cache)).map_err(|error| error.to_string())?;
    let host = Host_TO::from_value(CompatHost, TD_Opaque);
    let created = plugin.create_exporter("Counter", "{}", host);
    let mut exporter = created.map_err(|outcome| outcome.message.into_string())?;
    let mut messages = Vec::new();
    for rows in [3, 4] {
        messages.push(export(&mut exporter, rows));
    }
    messages.push(with_context(|context| {
        exporter.flush(context).message.into()
    }));
    messages.push(with_context(|context| {
        exporter.health(context).message.into()
    }));
    messages.push(with_context(|context| {
        exporter.tick(context).message.into()
    }));
    messages.push(with_context(|context| {
        exporter.close(context).message.into()
    }));
    messages.extend(call_added_methods(&plugin, &exporter));
    Ok(messages.join("; "))
}

fn export(exporter: &mut ExporterBox, rows: i64) -> String {
    let mut array = ArrowArray::released();
    array.length = rows;
    let schema = ArrowSchema {
        format: null(),
        name: null(),
        metadata: null(),
        flags: 0,
        n_children: 0,
        children: std::ptr::null_mut(),
        dictionary: std::ptr::null_mut(),
        release: None,
        private_data: std::ptr::null_mut(),
    };
    let schema = &schema;
    with_context(|context| {
        exporter
            .export(ArrowBatch { array, schema }, context)
            .message
            .into()
    })
}

fn with_context(call: impl FnOnce(ContextRef<'_>) -> String) -> String {
    call(Context_TO::from_ptr(
        abi_stable::RRef::new(&CompatHost),
        TD_Opaque,
    ))
}

/// Calls the methods that 1.1 adds.
#[cfg(feature = "v1_1")]
fn call_added_methods(plugin: &OpenPlugin, exporter: &ExporterBox) -> Vec<String> {
    let Some(module) = plugin.module().root_module() else {
        return Vec::new();
    };
    let greeting = module.greeting().map(|greeting| greeting());
    vec![
        exporter.describe().into(),
        format!("greeting: {greeting:?}"),
    ]
}

#[cfg(not(feature = "v1_1"))]
fn call_added_methods(_: &OpenPlugin, _: &ExporterBox) -> Vec<String> {
    Vec::new()
}

struct CompatHost;

impl Context for CompatHost {
    fn remaining_ns(&self) -> u64 {
        1
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn attempt(&self) -> u32 {
        1
    }

    fn origin(&self) -> Origin {
        Origin::COLLECTION
    }

    fn parts(&self) -> RSlice<'_, BatchPart<'_>> {
        const PART: BatchPart<'_> = BatchPart {
            batch_id: [0; 16],
            first_row: 0,
            rows: 7,
            accepted_ms: 0,
            storage_id: RStr::from_str(""),
            complete: false,
        };
        RSlice::from_slice(&[PART, PART])
    }

    fn get_extension(&self, _: RStr<'_>) -> ROption<ExtensionBox> {
        ROption::RNone
    }

    #[cfg(feature = "v1_1")]
    fn machine(&self) -> RStr<'_> {
        RStr::from_str("alpha")
    }
}

impl Host for CompatHost {
    fn exporter(&self) -> RStr<'_> {
        RStr::from_str("compat")
    }

    fn instance(&self) -> u32 {
        0
    }

    fn state_dir(&self) -> RStr<'_> {
        RStr::from_str("/nowhere")
    }

    fn max_level(&self) -> Level {
        Level::OFF
    }

    fn log(&self, _: LogRecord<'_>) {}

    fn count(&self, _: RStr<'_>, _: u64) {}

    fn get_extension(&self, _: RStr<'_>) -> ROption<ExtensionBox> {
        ROption::RNone
    }
}
