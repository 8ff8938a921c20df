//! Batches on the page, and the page after a restart.

use std::{fs, io::Read, path::Path};

use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder, sample};
use flate2::read::GzDecoder;
use tempfile::TempDir;

use super::{
    encode::SeriesText,
    server::{
        body::PageBody,
        render::{PageFormat, PageRenderer, RenderOptions},
    },
    state::{CAPACITY, LatestSamples},
};

const EXPIRATION: i64 = 1000;
const NOW: i64 = 1_700_000_000_000;

struct Series(
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(i64, f64)],
);

fn batch(series: &[Series]) -> PerformanceBatch {
    let mut batch = PerformanceBatchBuilder::new();
    for Series(name, labels, points) in series {
        let (labels, points) = (labels.iter().copied(), points.iter().copied());
        batch.series(name, labels, points).unwrap();
    }
    batch.build()
}

fn open(folder: &Path) -> LatestSamples {
    LatestSamples::open(folder, EXPIRATION, NOW)
}

fn options(format: PageFormat, now: i64) -> RenderOptions {
    RenderOptions {
        format,
        send_timestamps: false,
        expiration_ms: EXPIRATION,
        now,
    }
}

fn rendered(latest: &LatestSamples, options: RenderOptions) -> String {
    let mut out = Vec::new();
    assert!(!PageRenderer::new(latest.page(), options).fill(&mut out, usize::MAX));
    String::from_utf8(out).unwrap()
}

fn shown(latest: &LatestSamples, now: i64) -> String {
    rendered(latest, options(PageFormat::Text, now))
}

/// Only the samples, without what every series has.
fn samples(latest: &LatestSamples, now: i64) -> Vec<String> {
    let text = shown(latest, now);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.replace("type=\"RAW\",value_type=\"gauge\"", ""))
        .collect()
}

const SDA: &[(&str, &str)] = &[("resource_type", "disk"), ("resource_id", "sda")];
/// The labels of `SDA` in another order.
const SDA_REORDERED: &[(&str, &str)] = &[("resource_id", "sda"), ("resource_type", "disk")];
const SDB: &[(&str, &str)] = &[("resource_id", "sdb"), ("resource_type", "disk")];

#[test]
fn series_that_get_the_same_name_and_labels_are_counted() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    let one = || Series("read.iops", SDA, &[(0, 1.0)]);
    let two = || Series("read_iops", SDA_REORDERED, &[(0, 2.0)]);
    let three = || Series("read-iops", SDA, &[(0, 3.0)]);
    assert_eq!(latest.add_batch(&batch(&[one(), one()]), NOW), 0);
    assert_eq!(latest.add_batch(&batch(&[one(), two(), three()]), NOW), 2);
    // The last one stays, and nothing replaces it from then on.
    assert_eq!(latest.add_batch(&batch(&[three()]), NOW), 0);
    assert_eq!(samples(&latest, NOW).len(), 1);
    // The series on the page are not known after a restart.
    let mut latest = open(folder.path());
    assert_eq!(latest.add_batch(&batch(&[one()]), NOW), 0);
    assert_eq!(latest.add_batch(&batch(&[two()]), NOW), 1);
    // Labels whose names become the same, and the default of a label.
    let labelled = |labels| batch(&[Series("x", labels, &[(0, 1.0)])]);
    assert_eq!(
        latest.add_batch(&labelled(&[("a.b", "1"), ("a-b", "2")]), NOW),
        0
    );
    assert_eq!(
        latest.add_batch(&labelled(&[("a-b", "2"), ("a.b", "1")]), NOW),
        0
    );
    assert_eq!(latest.add_batch(&labelled(&[("a_b", "1;2")]), NOW), 1);
    assert_eq!(
        latest.add_batch(&labelled(&[("storage_name", "s")]), NOW),
        0
    );
    assert_eq!(
        latest.add_batch(&labelled(&[("exported_storage_name", "s")]), NOW),
        1
    );
    assert_eq!(latest.add_batch(&labelled(&[]), NOW), 0);
    assert_eq!(latest.add_batch(&labelled(&[("type", "RAW")]), NOW), 0);
}

#[test]
fn each_family_has_one_header_and_each_series_is_shown_once() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    let both = batch(&[
        Series("readIops", SDA, &[(1, 1.0)]),
        Series("iops", SDA, &[(1, 2.5)]),
        Series("readIops", SDB, &[(1, 3.0)]),
    ]);
    latest.add_batch(&both, NOW);
    latest.add_batch(&both, NOW);
    let expected = "\
# HELP disk_iops The latest disk_iops that was collected.
# TYPE disk_iops gauge
disk_iops{resource_type=\"disk\",resource_id=\"sda\",type=\"RAW\",value_type=\"gauge\"} 2.5
# HELP disk_readIops The latest disk_readIops that was collected.
# TYPE disk_readIops gauge
disk_readIops{resource_type=\"disk\",resource_id=\"sda\",type=\"RAW\",value_type=\"gauge\"} 1.0
disk_readIops{resource_type=\"disk\",resource_id=\"sdb\",type=\"RAW\",value_type=\"gauge\"} 3.0
";
    assert_eq!(shown(&latest, NOW), expected);
    assert_eq!(
        rendered(&latest, options(PageFormat::OpenMetrics, NOW)),
        format!("{expected}# EOF\n")
    );
}

#[test]
fn the_sample_that_was_measured_last_is_shown_when_others_arrive_late() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    let unsorted = Series("iops", &[], &[(5, 5.0), (9, 9.0), (7, 7.0), (9, 9.5)]);
    latest.add_batch(&batch(&[unsorted]), NOW);
    assert_eq!(samples(&latest, NOW), ["iops{} 9.5"]);
    latest.add_batch(&batch(&[Series("iops", &[], &[(8, 8.0)])]), NOW);
    assert_eq!(samples(&latest, NOW), ["iops{} 9.5"]);
    latest.add_batch(&batch(&[Series("iops", &[], &[])]), NOW);
    assert_eq!(samples(&latest, NOW), ["iops{} 9.5"]);
    latest.add_batch(&batch(&[Series("iops", &[], &[(10, 1.0)])]), NOW);
    assert_eq!(samples(&latest, NOW), ["iops{} 1.0"]);
}

#[test]
fn a_series_without_new_samples_expires_with_its_family() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    latest.add_batch(&batch(&[Series("iops", SDA, &[(1, 1.0)])]), NOW);
    latest.add_batch(&batch(&[Series("iops", SDB, &[(1, 2.0)])]), NOW + 500);
    assert_eq!(samples(&latest, NOW + EXPIRATION).len(), 2);
    assert_eq!(samples(&latest, NOW + EXPIRATION + 1).len(), 1);
    assert_eq!(shown(&latest, NOW + EXPIRATION + 501), "");
    latest.add_batch(&batch(&[Series("iops", SDA, &[(2, 4.0)])]), NOW + 9000);
    assert_eq!(samples(&latest, NOW + 9000).len(), 1);
}

#[test]
fn a_device_clock_that_was_ahead_does_not_freeze_a_series() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    latest.add_batch(&batch(&[Series("iops", &[], &[(i64::MAX, 1.0)])]), NOW);
    let right = batch(&[Series("iops", &[], &[(NOW, 2.0)])]);
    latest.add_batch(&right, NOW + 1);
    assert_eq!(samples(&latest, NOW + 1), ["iops{} 1.0"]);
    latest.add_batch(&right, NOW + EXPIRATION + 1);
    assert_eq!(samples(&latest, NOW + EXPIRATION + 1), ["iops{} 2.0"]);
}

#[test]
fn times_and_values_are_written_as_each_format_requires() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    latest.add_batch(
        &batch(&[
            Series("a", &[], &[(1_700_000_000_007, f64::NAN)]),
            Series("b", &[], &[(-1500, f64::INFINITY)]),
            Series("c", &[], &[(2000, f64::NEG_INFINITY)]),
            Series("d", &[], &[(0, 1e-9)]),
        ]),
        NOW,
    );
    let endings = |format| {
        let options = RenderOptions {
            send_timestamps: true,
            ..options(format, NOW)
        };
        let text = rendered(&latest, options);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let endings = lines.map(|line| line.rsplit_once("} ").unwrap().1.to_owned());
        endings.collect::<Vec<_>>()
    };
    assert_eq!(
        endings(PageFormat::Text),
        ["NaN 1700000000007", "+Inf -1500", "-Inf 2000", "1e-9 0"]
    );
    assert_eq!(
        endings(PageFormat::OpenMetrics),
        ["NaN 1700000000.007", "+Inf -1.500", "-Inf 2", "1e-9 0"]
    );
}

#[test]
fn a_page_does_not_change_while_batches_arrive() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    latest.add_batch(&sample::performance(3000, 1), NOW);
    let before = shown(&latest, NOW);
    let page = latest.page();
    latest.add_batch(&sample::performance(5000, 2), NOW);
    let mut out = Vec::new();
    PageRenderer::new(page, options(PageFormat::Text, NOW)).fill(&mut out, usize::MAX);
    assert_eq!(String::from_utf8(out).unwrap(), before);
    assert_ne!(shown(&latest, NOW), before);
}

#[test]
fn a_page_in_chunks_or_compressed_is_the_same_page() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    latest.add_batch(&sample::performance(CAPACITY * 20, 1), NOW);
    let whole = shown(&latest, NOW);
    let rendering = || PageRenderer::new(latest.page(), options(PageFormat::Text, NOW));
    let mut body = PageBody::page(rendering(), false);
    let chunks: Vec<_> = std::iter::from_fn(|| body.next()).collect();
    assert!(chunks.iter().all(|chunk| chunk.len() < 80_000));
    assert_eq!(chunks.concat(), whole.as_bytes());
    let mut body = PageBody::page(rendering(), true);
    let compressed: Vec<_> = std::iter::from_fn(|| body.next()).collect();
    let mut unpacked = String::new();
    let packed = compressed.concat();
    GzDecoder::new(&*packed)
        .read_to_string(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, whole);
}

#[test]
fn each_of_many_series_is_shown_once_with_its_value() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    let many = sample::performance(CAPACITY * 40, 2);
    latest.add_batch(&many, NOW);
    latest.add_batch(&many, NOW);
    let lines = samples(&latest, NOW);
    assert_eq!(lines.len(), CAPACITY * 40);
    let mut text = SeriesText::default();
    let mut expected: Vec<_> = many
        .series()
        .map(|series| {
            text.set(&series);
            let labels: Vec<_> = text.labels().collect();
            let value = series.values()[1];
            format!("{}{{{}}} {value}", text.family(), labels.join(","))
        })
        .collect();
    let whole = shown(&latest, NOW);
    let mut shown: Vec<_> = whole
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected);
}

#[test]
fn the_page_is_restored_after_the_process_was_killed() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    latest.add_batch(&sample::performance(3000, 1), NOW);
    latest.add_batch(&sample::performance(4000, 3), NOW + 10);
    let before = shown(&latest, NOW + 10);
    // Dropping writes nothing, so this is the same as a kill.
    drop(latest);
    let again = LatestSamples::open(folder.path(), EXPIRATION, NOW + 20);
    assert_eq!(shown(&again, NOW + 20), before);
    let again = LatestSamples::open(folder.path(), EXPIRATION, NOW + 20);
    assert_eq!(shown(&again, NOW + EXPIRATION + 10), before);
    assert_eq!(shown(&again, NOW + EXPIRATION + 11), "");
}

#[test]
fn a_series_that_expired_while_the_host_was_down_is_not_restored() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).add_batch(&sample::performance(10, 1), NOW);
    let later = NOW + EXPIRATION + 1;
    let again = LatestSamples::open(folder.path(), EXPIRATION, later);
    assert_eq!(shown(&again, later), "");
}

#[test]
fn an_expired_series_does_not_return_when_the_clock_was_set_back() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    latest.add_batch(&sample::performance(10, 1), NOW);
    latest.add_batch(&sample::performance(1, 1), NOW + EXPIRATION + 1);
    let before = shown(&latest, NOW + EXPIRATION + 1);
    assert_eq!(before.matches("\nvolume_").count(), 1, "{before}");
    let again = LatestSamples::open(folder.path(), EXPIRATION, NOW - 10 * EXPIRATION);
    let now = again.clock().now_ms();
    assert_eq!(shown(&again, now), before);
    assert_eq!(shown(&again, now + EXPIRATION + 1), "");
}

#[test]
fn frames_before_a_damaged_one_are_restored() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    latest.add_batch(&batch(&[Series("iops", SDA, &[(1, 1.0)])]), NOW);
    let first = shown(&latest, NOW);
    let path = folder.path().join("page.state");
    let length = fs::read(&path).unwrap().len();
    latest.add_batch(&batch(&[Series("iops", SDB, &[(1, 1.0)])]), NOW);
    drop(latest);
    let whole = fs::read(&path).unwrap();
    for torn in 0..whole.len() {
        fs::write(&path, &whole[..torn]).unwrap();
        let expected = if torn < length { "" } else { &first };
        assert_eq!(shown(&open(folder.path()), NOW), expected, "{torn}");
    }
    for damaged in 8..whole.len() {
        let mut bytes = whole.clone();
        bytes[damaged] ^= 1;
        fs::write(&path, bytes).unwrap();
        let expected = if damaged < length { "" } else { &first };
        assert_eq!(shown(&open(folder.path()), NOW), expected, "{damaged}");
    }
    fs::write(&path, "something else").unwrap();
    assert_eq!(shown(&open(folder.path()), NOW), "");
}

#[test]
fn the_state_file_stays_bounded() {
    let folder = TempDir::new().unwrap();
    let mut latest = open(folder.path());
    let many = sample::performance(20_000, 1);
    let mut longest = 0;
    for round in 0..40 {
        latest.add_batch(&many, NOW + round * 10_000);
        longest = longest.max(
            fs::metadata(folder.path().join("page.state"))
                .unwrap()
                .len(),
        );
    }
    // 22 MB were appended.
    assert!(longest < 15 << 20, "{longest}");
}

#[test]
fn without_a_state_folder_the_page_works_and_the_file_is_written_later() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("state");
    let mut latest = open(&folder);
    let series = batch(&[Series("iops", SDA, &[(1, 1.0)])]);
    latest.add_batch(&series, NOW);
    let before = shown(&latest, NOW);
    assert_eq!(before.lines().count(), 3);
    fs::create_dir(&folder).unwrap();
    latest.add_batch(&series, NOW + 10_000);
    drop(latest);
    let again = LatestSamples::open(&folder, EXPIRATION, NOW + 10_000);
    assert_eq!(shown(&again, NOW + 10_000), before);
}
