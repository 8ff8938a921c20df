//! Passes the plugin's records of `log` and `tracing` to the host's log.
//!
//! Both crates keep their logger in a static of the library that they are linked
//! into, so each plugin needs its own bridge. All exporters of a plugin share it.
//!
//! Promises: a record of a library that the plugin uses has at most the level DEBUG. What a
//! library finds worth a warning, such as a connection that has ended, the plugin handles, and
//! reports by its outcomes where it matters.

use std::{
    fmt::Write,
    sync::{
        Mutex, Once, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use abi_stable::std_types::{RSlice, RStr};
use delfin_plugin_abi::{Field, HostBox, Level, LogRecord};
use log::kv::{Key, Value, VisitSource};
use tracing_core::{
    Dispatch, Event, Interest, Metadata, Subscriber, callsite::rebuild_interest_cache, dispatcher,
    field::Visit, span,
};

use crate::{context::Host, redact::logs_traffic};

/// Installs the bridge once per library, and registers an instance. `module` is one of the plugin.
pub(crate) fn install(host: &Host, module: &'static str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let bridge = Bridge {
            plugin: crate_of(module),
        };
        // An error means that the author has installed a logger, which stays.
        let _ = log::set_boxed_logger(Box::new(bridge));
        let _ = dispatcher::set_global_default(Dispatch::new(bridge));
    });
    raise_level(host);
    let mut instances = lock_instances();
    instances.retain(|instance| instance.strong_count() > 0);
    instances.push(host.downgrade());
}

/// Lets records of an instance's level through to [`enabled`], which compares them with the level
/// of their own instance. Before each call, because the host can change the level.
pub(crate) fn raise_level(host: &Host) {
    let level = host.raw().max_level().0;
    if MAX_LEVEL.load(Ordering::Relaxed) < level
        && MAX_LEVEL.fetch_max(level, Ordering::Relaxed) < level
    {
        log::set_max_level(level_filter(level));
        rebuild_interest_cache();
    }
}

static MAX_LEVEL: AtomicU32 = AtomicU32::new(0);
static INSTANCES: Mutex<Vec<Weak<HostBox>>> = Mutex::new(Vec::new());

#[derive(Clone, Copy)]
struct Bridge {
    /// The crate of the plugin.
    plugin: &'static str,
}

/// Where a record comes from.
#[derive(Clone, Copy)]
struct RecordSource<'a> {
    level: Level,
    target: &'a str,
    /// The module, or the target if it is not known.
    module: &'a str,
}

impl Bridge {
    fn is_library(self, module: &str) -> bool {
        let name = crate_of(module);
        name != self.plugin && name != crate_of(module_path!())
    }

    /// The level that the host gets.
    fn level(self, record: RecordSource<'_>) -> Level {
        if self.is_library(record.module) {
            return record.level.max(Level::DEBUG);
        }
        record.level
    }

    /// Records of libraries that log their traffic are dropped here, so that their texts are not
    /// even made.
    fn enabled(self, record: RecordSource<'_>) -> bool {
        if record.level > Level::INFO && logs_traffic(record.target) {
            return false;
        }
        source().is_some_and(|(host, _)| self.level(record) <= host.raw().max_level())
    }

    /// A record of a library is one of the plugin, with the library as a field.
    fn send(self, record: RecordSource<'_>, message: &str, mut fields: Vec<(String, String)>) {
        let mut target = record.target;
        if self.is_library(record.module) {
            fields.push(("library".to_owned(), target.to_owned()));
            target = self.plugin;
        }
        send(self.level(record), target, message, &fields);
    }
}

/// The crate of a module.
fn crate_of(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

/// The instance to log for, and whether it is a guess: the instance whose call runs
/// on this thread, else any living instance of the library.
fn source() -> Option<(Host, bool)> {
    if let Some(host) = Host::current() {
        return Some((host, false));
    }
    let instances = lock_instances();
    let mut alive = instances.iter().filter_map(Weak::upgrade);
    let host = Host::from(alive.next()?);
    Some((host, alive.next().is_some()))
}

fn lock_instances() -> std::sync::MutexGuard<'static, Vec<Weak<HostBox>>> {
    INSTANCES
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn send(level: Level, target: &str, message: &str, fields: &[(String, String)]) {
    let Some((host, instance_unknown)) = source() else {
        return;
    };
    let fields: Vec<Field<'_>> = fields
        .iter()
        .map(|(key, value)| Field {
            key: RStr::from(&**key),
            value: RStr::from(&**value),
        })
        .collect();
    host.raw().log(LogRecord {
        level,
        target: RStr::from(target),
        message: RStr::from(message),
        fields: RSlice::from_slice(&fields),
        instance_unknown,
    });
}

impl log::Log for Bridge {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        Bridge::enabled(
            *self,
            RecordSource {
                level: Level(metadata.level() as u32),
                target: metadata.target(),
                module: metadata.target(),
            },
        )
    }

    fn log(&self, record: &log::Record<'_>) {
        let source = RecordSource {
            level: Level(record.level() as u32),
            target: record.target(),
            module: record.module_path().unwrap_or(record.target()),
        };
        if !Bridge::enabled(*self, source) {
            return;
        }
        let mut fields = FieldCollector::default();
        // The visitor never fails.
        let _ = record.key_values().visit(&mut fields);
        self.send(source, &record.args().to_string(), fields.pairs);
    }

    fn flush(&self) {}
}

impl Subscriber for Bridge {
    /// Asked for each record of a level that an instance has: levels differ, and can change.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let level = self.level(source_of(metadata));
        let is_possible = level.0 <= MAX_LEVEL.load(Ordering::Relaxed);
        if metadata.is_event() && is_possible {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && Bridge::enabled(*self, source_of(metadata))
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = FieldCollector::default();
        event.record(&mut fields);
        self.send(source_of(event.metadata()), &fields.message, fields.pairs);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Collects the message, the keys and the values of one record.
#[derive(Default)]
struct FieldCollector {
    message: String,
    pairs: Vec<(String, String)>,
}

impl<'kvs> VisitSource<'kvs> for FieldCollector {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        self.pairs.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

impl Visit for FieldCollector {
    fn record_str(&mut self, field: &tracing_core::Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &tracing_core::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.pairs
                .push((field.name().to_owned(), format!("{value:?}")));
        }
    }
}

fn source_of<'a>(metadata: &'a Metadata<'_>) -> RecordSource<'a> {
    let level = match *metadata.level() {
        tracing_core::Level::ERROR => Level::ERROR,
        tracing_core::Level::WARN => Level::WARN,
        tracing_core::Level::INFO => Level::INFO,
        tracing_core::Level::DEBUG => Level::DEBUG,
        tracing_core::Level::TRACE => Level::TRACE,
    };
    RecordSource {
        level,
        target: metadata.target(),
        module: metadata.module_path().unwrap_or(metadata.target()),
    }
}

fn level_filter(level: u32) -> log::LevelFilter {
    log::LevelFilter::iter()
        .nth(level as usize)
        .unwrap_or(log::LevelFilter::Trace)
}
