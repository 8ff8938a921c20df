//! An exporter that counts rows, written against `delfin-plugin-abi` only. Every plugin of
//! `tests/abi` is compiled from this file; features select the version.

use abi_stable::{
    library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult},
    prefix_type::PrefixTypeTrait,
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RStr},
};
use delfin_plugin_abi::{
    self as abi, ArrowBatch, ContextRef, Exporter, Exporter_TO, ExporterBox, ExtensionBox, HostBox,
    Outcome, OutcomeCode, Plugin, PluginRef,
    manifest::{FORMAT_VERSION, MAGIC},
};

struct Counter {
    rows: i64,
    host: HostBox,
}

impl Counter {
    fn report(&self, event: &str, context: &ContextRef<'_>) -> Outcome {
        let message = format!(
            "{event} {} for {}{}",
            self.rows,
            self.host.exporter(),
            machine(context)
        );
        Outcome::new(OutcomeCode::DELIVERED, message)
    }
}

#[cfg(feature = "v1_1")]
fn machine(context: &ContextRef<'_>) -> String {
    format!(" on {}", context.machine())
}

#[cfg(not(feature = "v1_1"))]
fn machine(_: &ContextRef<'_>) -> String {
    String::new()
}

impl Exporter for Counter {
    fn export(&mut self, batch: ArrowBatch<'_>, context: ContextRef<'_>) -> Outcome {
        self.rows += batch.array.length;
        self.report("exported", &context)
    }

    fn flush(&mut self, context: ContextRef<'_>) -> Outcome {
        self.report("flushed", &context)
    }

    fn health(&mut self, context: ContextRef<'_>) -> Outcome {
        self.report("healthy", &context)
    }

    #[cfg(not(feature = "changed_method"))]
    fn tick(&mut self, context: ContextRef<'_>) -> Outcome {
        self.report("ticked", &context)
    }

    #[cfg(feature = "changed_method")]
    fn tick(&mut self, context: ContextRef<'_>, _late_ms: u64) -> Outcome {
        self.report("ticked", &context)
    }

    fn close(&mut self, context: ContextRef<'_>) -> Outcome {
        self.report("closed", &context)
    }

    #[cfg(feature = "v1_1")]
    fn describe(&self) -> abi_stable::std_types::RString {
        "counting".into()
    }
}

extern "C" fn create_exporter(
    name: RStr<'_>,
    config: RStr<'_>,
    host: HostBox,
) -> RResult<ExporterBox, Outcome> {
    if name != "Counter" || config != "{}" {
        return RResult::RErr(Outcome::new(OutcomeCode::PAUSE_MISCONFIGURED, "refused"));
    }
    RResult::ROk(Exporter_TO::from_value(
        Counter { rows: 0, host },
        TD_Opaque,
    ))
}

extern "C" fn get_extension(_: RStr<'_>) -> ROption<ExtensionBox> {
    ROption::RNone
}

#[cfg(feature = "v1_1")]
extern "C" fn greeting() -> abi_stable::std_types::RString {
    "hello".into()
}

extern "C" fn root_module() -> RootModuleResult {
    __call_root_module_loader(|| {
        assert!(!cfg!(feature = "failing_root"), "the root module fails");
        Plugin {
            create_exporter,
            get_extension,
            #[cfg(feature = "v1_1")]
            greeting,
        }
        .leak_into_prefix()
    })
}

// The name is `abi_stable::library::ROOT_MODULE_LOADER_NAME`.
#[unsafe(no_mangle)]
pub static _1as_0lib_1header_0root_bmodule_bloader: LibHeader = {
    // SAFETY: `root_module` returns a `PluginRef`.
    unsafe { LibHeader::from_constructor::<PluginRef>(root_module, CheckTypeLayout::Yes) }
};

const JSON: [&str; 5] = [
    "{\"abi\":\"",
    abi::VERSION,
    "\",\"target\":\"",
    env!("TARGET"),
    "\",\"panic\":\"unwind\",\"plugin\":\"compat\",\"version\":\"0.1.0\",\"exporters\":\
     [{\"name\":\"Counter\",\"kind\":\"performance\"}]}",
];

const HEADER: usize = 16;

const fn json_len() -> usize {
    let (mut length, mut i) = (0, 0);
    while i < JSON.len() {
        length += JSON[i].len();
        i += 1;
    }
    length
}

const fn record() -> [u8; HEADER + json_len()] {
    let mut record = [0; HEADER + json_len()];
    let mut end = put(&mut record, 0, &MAGIC);
    end = put(&mut record, end, &FORMAT_VERSION.to_le_bytes());
    end = put(&mut record, end, &(json_len() as u32).to_le_bytes());
    let mut i = 0;
    while i < JSON.len() {
        end = put(&mut record, end, JSON[i].as_bytes());
        i += 1;
    }
    record
}

const fn put(record: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    let mut i = 0;
    while i < bytes.len() {
        record[at + i] = bytes[i];
        i += 1;
    }
    at + bytes.len()
}

#[unsafe(no_mangle)]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__delfin_plugin"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".delfin_plugin"))]
pub static DELFIN_PLUGIN_MANIFEST: [u8; HEADER + json_len()] = record();
