//! What each shipped mapping turns a page in the form of its exporter into. The pages are in `tests/pages`;
//! of an exporter with counters there are two, 60 seconds apart.

use std::{fmt::Write, fs, path::Path};

use delfin_plugin_api::driver::RegisteredStorage;
use serde_json::{Map, Value, json};

use crate::{
    alerts::alerts,
    config::ScrapeConfig,
    decode::{PageLimits, ScrapeFormat, read_page},
    mapping::{MappedType, PageReader, PageReading, ScrapeMapping},
    resources,
    series::series,
    state::{CounterState, SeenAlerts},
};

/// When the second page was asked for.
const TIME_MS: i64 = 1_700_000_060_000;

fn config(name: &str, select: &str) -> ScrapeConfig {
    let options = json!({"url": "http://exporter/metrics", "mapping": name, "select": select});
    let storage = RegisteredStorage {
        id: "storage-id".to_owned(),
        vendor: "prometheus".to_owned(),
        model: "scrape".to_owned(),
        options: options.as_object().cloned().unwrap(),
        interval: None,
    };
    ScrapeConfig::read(&storage).unwrap_or_else(|error| panic!("{error}"))
}

fn page(file: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages");
    fs::read_to_string(folder.join(file)).ok()
}

/// The reading of the last page of an exporter.
fn reading(name: &str, mapping: &ScrapeMapping, config: &ScrapeConfig) -> PageReading {
    let mut counters = CounterState::default();
    let pages = [format!("{name}.prom"), format!("{name}.next.prom")];
    let mut last = None;
    for (number, text) in pages.iter().filter_map(|file| page(file)).enumerate() {
        counters.begin(60.0 * number as f64);
        let mut reader = PageReader::new(mapping, &config.select, Some(&mut counters));
        let format = match text.ends_with("# EOF\n") {
            true => ScrapeFormat::OpenMetrics,
            false => ScrapeFormat::Text,
        };
        let read = read_page(&text, format, &PageLimits::default(), |sample| {
            reader.read(sample);
        });
        read.unwrap_or_else(|error| panic!("{name}: {error}"));
        last = Some(reader.finish(TIME_MS));
        counters.commit();
    }
    last.unwrap_or_else(|| panic!("`tests/pages/{name}.prom` is missing"))
}

/// Everything that the host gets, as text.
fn shown(name: &str, select: &str) -> String {
    let config = config(name, select);
    let mapping = ScrapeMapping::load(name).unwrap_or_else(|error| panic!("{error}"));
    let reading = reading(name, &mapping, &config);
    let mut text = String::new();
    let info = resources::storage_info(&reading, &mapping, &config);
    let _written = writeln!(text, "{}", serde_json::to_value(&info).unwrap());
    for kind in MappedType::ALL {
        for resource in resources::list(&reading, &mapping, kind) {
            if kind != MappedType::Storage {
                let _written = writeln!(text, "{} {resource}", kind.as_str());
            }
        }
    }
    let declared = mapping.series();
    let series = series(&reading, &mapping, "storage-id").unwrap();
    for one in series.series() {
        let labels = one.labels();
        let label = |name: &str| labels.get(name).unwrap_or("-");
        let kind = label("resource_type");
        assert!(declared[kind].iter().any(|known| known.name == one.name()));
        let _written = writeln!(
            text,
            "{kind} {} {} {:?} {}",
            label("resource_id"),
            one.name(),
            one.values()[0],
            label("unit"),
        );
        assert_eq!(one.timestamps(), [TIME_MS]);
    }
    for alert in alerts(&reading, None, &mut SeenAlerts::default()).alerts() {
        let texts: Map<String, Value> = alert
            .texts()
            .map(|(column, text)| (column.to_string(), text.into()))
            .collect();
        let _written = writeln!(text, "{} {}", alert.occur_time(), Value::Object(texts));
    }
    let unused: Vec<_> = reading.unused.iter().map(|name| &**name).collect();
    let _written = writeln!(text, "unused: {}", unused.join(" "));
    assert_eq!(reading.repeated, 0, "{text}");
    assert!(reading.arrays.len() < 2, "{text}");
    text
}

/// A test for each mapping, with the labels of its storage.
macro_rules! mappings {
    ($($name:ident $select:literal)*) => {
        $(
            #[test]
            fn $name() {
                let shown = shown(stringify!($name), $select);
                insta::with_settings!({
                    snapshot_path => "../tests/pages",
                    prepend_module_to_snapshot => false,
                }, {
                    insta::assert_snapshot!(stringify!($name), shown);
                });
            }
        )*
    };
}

mappings! {
    ceph ""
    dell_powerflex ""
    dell_powermax ""
    dell_powerscale ""
    dell_powerstore "ArrayID=\"PS4f1\""
    hpe_array ""
    netapp_harvest "cluster=\"prod-1\""
    node_exporter ""
    pure_flasharray ""
    pure_flashblade ""
}

#[test]
fn a_page_with_several_arrays_is_noticed() {
    let config = config("netapp_harvest", "");
    let mapping = ScrapeMapping::load("netapp_harvest").unwrap();
    let reading = reading("netapp_harvest", &mapping, &config);
    assert_eq!(reading.arrays, ["prod-1", "test-2"]);
}

#[test]
fn the_first_page_has_no_rates() {
    let config = config("ceph", "");
    let mapping = ScrapeMapping::load("ceph").unwrap();
    let mut counters = CounterState::default();
    counters.begin(0.0);
    let mut reader = PageReader::new(&mapping, &config.select, Some(&mut counters));
    let text = page("ceph.prom").unwrap();
    let limits = PageLimits::default();
    let read = read_page(&text, ScrapeFormat::Text, &limits, |sample| {
        reader.read(sample)
    });
    assert!(read.is_ok());
    let reading = reader.finish(TIME_MS);
    let series = series(&reading, &mapping, "id").unwrap();
    assert_eq!(series.series().count(), 0);
    let disks = resources::list(&reading, &mapping, MappedType::Disk);
    assert_eq!(disks.len(), 2);
}
