use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use delfin_plugin_api::{AlertBatch, Batch, PerformanceBatch};
use tempfile::TempDir;

use super::{
    facts::{FilesystemUsage, Role},
    *,
};
use crate::collect::builder::StorageLabels;
use crate::collect::storage_info::Capacity;

const WINDOW: TimeWindow = TimeWindow {
    start_ms: 10_000,
    end_ms: 20_000,
};
const STAT: &str = "cpu  100 0 50 800 50 0 0 0 0 0\nctxt 1\nbtime 1\nprocesses 1\n";
const ROOT_MOUNT: &str = "27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n";

/// A machine made of files in a folder. The test sets its clocks.
struct Fixture {
    root: TempDir,
    clocks: Arc<Mutex<Clocks>>,
}

#[derive(Default)]
struct Clocks {
    awake: Duration,
    now_ms: i64,
    used: BTreeMap<String, f64>,
    stopped: bool,
}

struct FakeMachine(Arc<Mutex<Clocks>>);

impl FakeMachine {
    fn with<T>(&self, f: impl FnOnce(&mut Clocks) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Machine for FakeMachine {
    fn awake(&self) -> Duration {
        self.with(|clocks| clocks.awake)
    }

    fn now_ms(&self) -> i64 {
        self.with(|clocks| clocks.now_ms)
    }

    fn wait(&self, time: Duration) {
        self.with(|clocks| {
            if !clocks.stopped {
                clocks.awake += time;
            }
        });
    }

    fn usage(&self, mount_point: &Path) -> io::Result<FilesystemUsage> {
        let used = self.with(|clocks| clocks.used.get(mount_point.to_str().unwrap()).copied());
        let used = used.ok_or(io::ErrorKind::PermissionDenied)?;
        let used = (used * 1_000.0) as u64;
        Ok(FilesystemUsage {
            total: 100_000,
            used,
            free: 100_000 - used,
        })
    }
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self {
            root: tempfile::tempdir().unwrap(),
            clocks: Arc::default(),
        };
        fixture.write("proc/stat", STAT);
        fixture.write("proc/diskstats", "");
        fixture.write("proc/self/mountinfo", "");
        fixture.write("proc/sys/kernel/hostname", "box\n");
        fixture
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn disk(&self, name: &str) {
        self.write(&format!("sys/block/{name}/size"), "1000\n");
    }

    fn stats(&self, lines: &[(&str, &str, [u64; 6])]) {
        let line = |&(number, name, [r, rs, rt, w, ws, wt]): &(&str, &str, [u64; 6])| {
            let number = number.replace(':', " ");
            format!(" {number} {name} {r} 9 {rs} {rt} {w} 9 {ws} {wt} 0 9 9 0 0 0 0\n")
        };
        self.write(
            "proc/diskstats",
            &lines.iter().map(line).collect::<String>(),
        );
    }

    fn pass(&self, time: Duration) {
        let mut clocks = self.clocks.lock().unwrap();
        clocks.awake += time;
        clocks.now_ms += time.as_millis() as i64;
    }

    fn used(&self, mount_point: &str, percent: Option<f64>) {
        let mut clocks = self.clocks.lock().unwrap();
        match percent {
            Some(percent) => clocks.used.insert(mount_point.to_owned(), percent),
            None => clocks.used.remove(mount_point),
        };
    }

    fn driver(&self) -> MachineDriver {
        self.driver_with(&DriverOptions::new()).unwrap()
    }

    fn driver_with(&self, options: &DriverOptions) -> Result<MachineDriver, DriverError> {
        let machine = Box::new(FakeMachine(Arc::clone(&self.clocks)));
        MachineDriver::with_machine(Kernel::new(self.root.path().to_owned()), machine, options)
    }
}

fn labels(driver: &mut MachineDriver) -> StorageLabels {
    StorageLabels {
        id: "here".to_owned(),
        info: driver.storage().unwrap(),
        names: Default::default(),
        fixed: Default::default(),
    }
}

fn collect(driver: &mut MachineDriver) -> PerformanceBatch {
    try_collect(driver).unwrap()
}

fn try_collect(driver: &mut MachineDriver) -> Result<PerformanceBatch, DriverError> {
    let labels = labels(driver);
    let mut series = SeriesBuilder::new(&labels);
    driver.collect(WINDOW, &mut series)?;
    Ok(series.build())
}

fn alerts(driver: &mut MachineDriver) -> AlertBatch {
    let labels = labels(driver);
    let mut alerts = AlertBuilder::new(&labels, &[]);
    driver.list_alerts(None, &mut alerts).unwrap();
    alerts.build()
}

/// The values of a resource, by metric.
fn values(batch: &PerformanceBatch, resource: (&str, &str)) -> BTreeMap<String, f64> {
    let of_resource = batch.series().filter(|series| {
        let labels = series.labels();
        let found = (labels.get("resource_type"), labels.get("resource_id"));
        found == (Some(resource.0), Some(resource.1))
    });
    of_resource
        .map(|series| {
            assert_eq!(series.timestamps(), [WINDOW.end_ms]);
            (series.name().to_owned(), series.values()[0])
        })
        .collect()
}

fn expected(values: &[(&str, f64)]) -> BTreeMap<String, f64> {
    let owned = values.iter().map(|&(name, value)| (name.to_owned(), value));
    owned.collect()
}

#[test]
fn two_readings_make_exact_rates_of_a_disk_and_of_its_file_system() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.write("proc/self/mountinfo", ROOT_MOUNT);
    let part = [10, 80, 7, 0, 0, 0];
    fixture.stats(&[
        ("8:0", "sda", [100, 800, 70, 200, 1600, 90]),
        ("8:1", "sda1", part),
    ]);
    let mut driver = fixture.driver();
    fixture.pass(Duration::from_secs(10));
    // 40 reads of 512 KB in 200 ms, 10 writes of 1024 KB in 300 ms.
    fixture.stats(&[
        ("8:0", "sda", [140, 40_800, 270, 210, 21_600, 390]),
        ("8:1", "sda1", [20, 80 + 20_000, 27, 0, 0, 0]),
    ]);
    let batch = collect(&mut driver);
    let disk = expected(&[
        ("iops", 5.0),
        ("readIops", 4.0),
        ("writeIops", 1.0),
        ("throughput", 3.072),
        ("readThroughput", 2.048),
        ("writeThroughput", 1.024),
        ("responseTime", 10.0),
        ("readResponseTime", 5.0),
        ("writeResponseTime", 30.0),
        ("ioSize", 614.4),
        ("readIoSize", 512.0),
        ("writeIoSize", 1024.0),
    ]);
    assert_eq!(values(&batch, ("disk", "sda")), disk);
    assert_eq!(values(&batch, ("storage", "here")), disk);
    assert_eq!(values(&batch, ("disk", "sda1")), BTreeMap::new());
    let filesystem = values(&batch, ("filesystem", "/"));
    assert_eq!(filesystem.len(), 11);
    assert_eq!(filesystem["readIoSize"], 1024.0);
    assert_eq!(filesystem["writeResponseTime"], 0.0);
    assert!(!filesystem.contains_key("responseTime"));
}

#[test]
fn the_driver_produces_what_its_capabilities_say() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.write("proc/self/mountinfo", ROOT_MOUNT);
    fixture.stats(&[("8:0", "sda", [0; 6]), ("8:1", "sda1", [0; 6])]);
    let mut driver = fixture.driver();
    fixture.write("proc/stat", &STAT.replace("100", "150"));
    let batch = collect(&mut driver);
    let mut produced: Vec<_> = batch
        .series()
        .map(|series| {
            let labels = series.labels();
            let resource = labels.get("resource_type").unwrap().to_owned();
            let unit = labels.get("unit").unwrap().to_owned();
            (resource, series.name().to_owned(), unit)
        })
        .collect();
    let capabilities = driver.capabilities().unwrap();
    let metrics = capabilities.resource_metrics.iter();
    let mut expected: Vec<_> = metrics
        .flat_map(|(resource, metrics)| {
            metrics.iter().map(move |metric| {
                (
                    resource.as_str().to_owned(),
                    metric.name.clone(),
                    metric.unit.clone(),
                )
            })
        })
        .collect();
    produced.sort();
    expected.sort();
    assert_eq!(produced, expected);
}

#[test]
fn the_first_collection_waits_until_its_reading_is_a_second_old() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.stats(&[("8:0", "sda", [0; 6])]);
    let mut driver = fixture.driver();
    fixture.stats(&[("8:0", "sda", [30, 0, 0, 0, 0, 0])]);
    let batch = collect(&mut driver);
    assert_eq!(values(&batch, ("disk", "sda"))["iops"], 30.0);
    assert_eq!(fixture.clocks.lock().unwrap().awake, Duration::from_secs(1));
}

#[test]
fn a_time_that_wraps_at_32_bits_continues() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    let full = u64::from(u32::MAX);
    fixture.stats(&[("8:0", "sda", [100, 0, full - 9, 0, 0, 0])]);
    let mut driver = fixture.driver();
    fixture.stats(&[("8:0", "sda", [104, 0, 10, 0, 0, 0])]);
    let disk = values(&collect(&mut driver), ("disk", "sda"));
    assert_eq!(disk["readResponseTime"], 5.0);
}

#[test]
fn a_disk_that_was_reset_is_left_out_once_and_the_others_are_not() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.disk("sdb");
    let before = [1000, 0, 0, 0, 0, 0];
    fixture.stats(&[("8:0", "sda", before), ("8:16", "sdb", before)]);
    let mut driver = fixture.driver();
    fixture.stats(&[
        ("8:0", "sda", [3, 0, 0, 0, 0, 0]),
        ("8:16", "sdb", [1007, 0, 0, 0, 0, 0]),
    ]);
    let batch = collect(&mut driver);
    assert!(values(&batch, ("disk", "sda")).is_empty());
    assert_eq!(values(&batch, ("disk", "sdb"))["iops"], 7.0);
    assert_eq!(values(&batch, ("storage", "here"))["iops"], 7.0);
    fixture.stats(&[
        ("8:0", "sda", [5, 0, 0, 0, 0, 0]),
        ("8:16", "sdb", [1007, 0, 0, 0, 0, 0]),
    ]);
    assert_eq!(values(&collect(&mut driver), ("disk", "sda"))["iops"], 2.0);
}

#[test]
fn a_disk_that_vanished_or_appeared_has_no_point() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.disk("sdb");
    fixture.stats(&[("8:0", "sda", [1, 0, 0, 0, 0, 0])]);
    let mut driver = fixture.driver();
    fixture.stats(&[("8:16", "sdb", [9, 0, 0, 0, 0, 0])]);
    let batch = collect(&mut driver);
    assert!(values(&batch, ("disk", "sda")).is_empty());
    assert!(values(&batch, ("disk", "sdb")).is_empty());
    assert!(values(&batch, ("storage", "here")).is_empty());
}

#[test]
fn another_disk_under_the_same_name_is_not_the_same_disk() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.write("sys/block/sda/diskseq", "4\n");
    fixture.stats(&[("8:0", "sda", [1, 0, 0, 0, 0, 0])]);
    let mut driver = fixture.driver();
    fixture.write("sys/block/sda/diskseq", "5\n");
    fixture.stats(&[("8:0", "sda", [900, 0, 0, 0, 0, 0])]);
    assert!(values(&collect(&mut driver), ("disk", "sda")).is_empty());
}

#[test]
fn only_whole_disks_count_and_stacked_ones_not_in_the_total() {
    let fixture = Fixture::new();
    for name in ["sda", "dm-0", "loop0", "zram0", "ram1", "sr0", "nvme0c0n1"] {
        fixture.disk(name);
    }
    fixture.write("sys/block/dm-0/slaves/sda", "");
    fixture.write("sys/block/sr0/size", "0\n");
    fixture.write("sys/block/nvme0c0n1/hidden", "1\n");
    let names = [
        ("8:0", "sda"),
        ("8:1", "sda1"),
        ("253:0", "dm-0"),
        ("7:0", "loop0"),
        ("252:0", "zram0"),
        ("1:1", "ram1"),
        ("11:0", "sr0"),
        ("259:1", "nvme0c0n1"),
    ];
    let stats = |reads| names.map(|(number, name)| (number, name, [reads, 0, 0, 0, 0, 0]));
    fixture.stats(&stats(0));
    let mut driver = fixture.driver();
    fixture.stats(&stats(6));
    let batch = collect(&mut driver);
    let disks: Vec<_> = batch
        .series()
        .filter(|series| series.name() == "iops")
        .map(|series| series.labels().get("resource_id").unwrap().to_owned())
        .collect();
    assert_eq!(disks, ["here", "dm-0", "sda"]);
    assert_eq!(values(&batch, ("storage", "here"))["iops"], 6.0);
}

#[test]
fn a_file_system_with_several_mounts_is_one_resource() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.write(
        "proc/self/mountinfo",
        "30 27 8:1 /sub /a rw - ext4 /dev/sda1 rw\n\
         31 27 8:1 / /mnt/my\\040disk rw shared:1 - ext4 /dev/sda1 rw\n\
         32 27 8:1 / /mnt/my\\040disk/again rw - ext4 /dev/sda1 rw\n\
         33 27 0:40 / /pool rw - btrfs /dev/mapper/vg-pool rw\n\
         34 27 7:0 / /snap ro - squashfs /dev/loop0 ro\n\
         35 27 0:22 / /sys rw - sysfs sysfs rw\n\
         a line that makes no sense\n",
    );
    fs::create_dir_all(fixture.root.path().join("dev/mapper")).unwrap();
    std::os::unix::fs::symlink("../dm-3", fixture.root.path().join("dev/mapper/vg-pool")).unwrap();
    let devices = [
        ("8:1", "sda1", [0; 6]),
        ("253:3", "dm-3", [0; 6]),
        ("7:0", "loop0", [0; 6]),
    ];
    fixture.stats(&devices);
    let found = fixture.driver().read_filesystems().unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|f| (f.mount_point.as_str(), f.device.as_str()))
        .collect();
    assert_eq!(found, [("/pool", "dm-3"), ("/mnt/my disk", "sda1")]);
}

#[test]
fn processor_usage_is_the_busy_part_of_all_ticks() {
    let fixture = Fixture::new();
    let mut driver = fixture.driver();
    // 30 ticks busy, 70 idle or waiting.
    fixture.write(
        "proc/stat",
        "cpu  120 0 55 850 70 2 2 1 0 0\nctxt 1\nbtime 1\nprocesses 1\n",
    );
    let batch = collect(&mut driver);
    assert_eq!(
        values(&batch, ("controller", "cpu")),
        expected(&[("cpuUsage", 30.0)])
    );
    assert_eq!(batch.rows(), 1);
}

#[test]
fn the_next_collection_covers_one_that_failed() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.stats(&[("8:0", "sda", [0; 6])]);
    let mut driver = fixture.driver();
    fixture.pass(Duration::from_secs(10));
    fs::remove_file(fixture.root.path().join("proc/stat")).unwrap();
    assert!(try_collect(&mut driver).unwrap_err().may_retry());
    fixture.write("proc/stat", STAT);
    fixture.pass(Duration::from_secs(10));
    fixture.stats(&[("8:0", "sda", [40, 0, 0, 0, 0, 0])]);
    assert_eq!(values(&collect(&mut driver), ("disk", "sda"))["iops"], 2.0);
}

#[test]
fn without_time_between_readings_there_is_an_error_and_no_infinity() {
    let fixture = Fixture::new();
    fixture.clocks.lock().unwrap().stopped = true;
    let error = try_collect(&mut fixture.driver()).unwrap_err();
    assert!(error.may_retry());
}

#[test]
fn the_machine_id_is_not_shown_and_makes_a_stable_serial_number() {
    let fixture = Fixture::new();
    let id = "3d1219c7c4c5404aaa1f6d2a48adfda4";
    fixture.write("etc/machine-id", id);
    let first = fixture.driver().storage().unwrap();
    assert_eq!(first, fixture.driver().storage().unwrap());
    assert_eq!(
        (first.name.as_str(), first.vendor.as_str()),
        ("box", "linux")
    );
    assert!(!first.serial_number.replace('-', "").contains(id));
    fixture.write("etc/machine-id", "another");
    let other = fixture.driver().storage().unwrap();
    assert_ne!(first.serial_number, other.serial_number);
}

#[test]
fn a_file_system_that_fills_up_raises_one_alert_that_grows_and_ends() {
    let fixture = Fixture::new();
    fixture.write("proc/self/mountinfo", ROOT_MOUNT);
    fixture.stats(&[("8:1", "sda1", [0; 6])]);
    let mut driver = fixture.driver();
    fixture.used("/", Some(89.9));
    assert_eq!(alerts(&mut driver).rows(), 0);

    fixture.pass(Duration::from_secs(5));
    fixture.used("/", Some(90.0));
    let batch = alerts(&mut driver);
    let first = batch.alerts().next().unwrap();
    assert_eq!(first.severity(), Some("Major"));
    assert_eq!(first.category(), Some("Fault"));
    assert_eq!(first.alert_id(), Some("filesystem-nearly-full"));
    assert_eq!(first.alert_type(), Some("ProcessingErrorAlarm"));
    assert_eq!(first.resource_type(), Some("Storage"));
    assert_eq!(first.location(), Some("/"));
    assert_eq!(first.description(), Some("file system `/` is 90.0 % full"));
    assert!(first.alert_name().is_some() && first.recovery_advice().is_some());
    assert_eq!(first.occur_time(), 5_000);

    fixture.pass(Duration::from_secs(5));
    fixture.used("/", Some(96.0));
    let batch = alerts(&mut driver);
    let second = batch.alerts().next().unwrap();
    assert_eq!(second.severity(), Some("Critical"));
    assert_eq!(second.occur_time(), 5_000);
    assert_eq!(second.sequence_number(), first.sequence_number());

    fixture.used("/", None);
    assert_eq!(
        alerts(&mut driver).rows(),
        1,
        "an unknown usage ends no alert"
    );
    fixture.used("/", Some(50.0));
    assert_eq!(alerts(&mut driver).rows(), 0);
}

#[test]
fn only_a_file_system_that_is_meant_to_be_writable_turns_read_only() {
    let fixture = Fixture::new();
    fixture.stats(&[
        ("8:1", "sda1", [0; 6]),
        ("8:2", "sda2", [0; 6]),
        ("8:3", "sda3", [0; 6]),
    ]);
    let mounts = |first: &str| {
        format!(
            "1 0 8:1 / /first rw - ext4 /dev/sda1 {first}\n\
             2 0 8:2 / /guarded rw - ext4 /dev/sda2 ro,errors=remount-ro\n\
             3 0 8:3 / /archive ro - ext4 /dev/sda3 ro\n"
        )
    };
    for mount_point in ["/first", "/guarded", "/archive"] {
        fixture.used(
            mount_point,
            Some(if mount_point == "/archive" { 99.0 } else { 1.0 }),
        );
    }
    let mut driver = fixture.driver();
    let read_only = |driver: &mut MachineDriver| -> Vec<_> {
        let batch = alerts(driver);
        batch
            .alerts()
            .map(|alert| {
                assert_eq!(alert.alert_id(), Some("filesystem-read-only"));
                alert.location().unwrap().to_owned()
            })
            .collect()
    };
    fixture.write("proc/self/mountinfo", &mounts("rw"));
    assert_eq!(read_only(&mut driver), ["/guarded"]);
    fixture.write("proc/self/mountinfo", &mounts("ro"));
    assert_eq!(read_only(&mut driver), ["/first", "/guarded"]);
    fixture.write("proc/self/mountinfo", &mounts("rw"));
    assert_eq!(read_only(&mut driver), ["/guarded"]);
}

#[test]
fn options_set_the_thresholds_and_wrong_ones_are_named() {
    let fixture = Fixture::new();
    fixture.write("proc/self/mountinfo", ROOT_MOUNT);
    fixture.stats(&[("8:1", "sda1", [0; 6])]);
    fixture.used("/", Some(60.0));
    let options = |json: &str| serde_json::from_str::<DriverOptions>(json).unwrap();
    let low = options(r#"{"filesystem_full_percent": 50}"#);
    let mut driver = fixture.driver_with(&low).unwrap();
    assert_eq!(alerts(&mut driver).rows(), 1);

    for (json, message) in [
        (
            r#"{"full": 50}"#,
            "driver option `full` is wrong: unknown (the options are filesystem_full_percent, filesystem_critical_percent)",
        ),
        (
            r#"{"filesystem_full_percent": "x"}"#,
            "driver option `filesystem_full_percent` is wrong: `\"x\"` is not a number from 1 to 100",
        ),
        (
            r#"{"filesystem_full_percent": 97}"#,
            "driver option `filesystem_full_percent` is wrong: 97 is more than \
             `filesystem_critical_percent`, which is 95 (make it less)",
        ),
    ] {
        let error = fixture.driver_with(&options(json)).err().unwrap();
        assert_eq!(error.to_string(), message);
        assert!(!error.may_retry());
    }
}

#[test]
fn an_alert_cannot_be_cleared_by_hand() {
    let error = Fixture::new().driver().clear_alert("1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "driver cannot clear an alert: the alert ends when its file system recovers"
    );
}

#[test]
fn this_machine_is_measured() {
    let mut driver = MachineDriver::new(&DriverOptions::new()).unwrap();
    let batch = collect(&mut driver);
    let usage = values(&batch, ("controller", "cpu"));
    assert!((0.0..=100.0).contains(&usage["cpuUsage"]));
    let devices = driver.kernel.devices().unwrap();
    if devices.values().any(|device| device.role == Role::Disk) {
        assert!(values(&batch, ("storage", "here"))["iops"] >= 0.0);
    }
    alerts(&mut driver);
}

#[test]
fn the_machine_lists_its_processors_disks_file_systems_and_ports() {
    let fixture = Fixture::new();
    fixture.disk("sda");
    fixture.write("sys/block/sda/queue/rotational", "0\n");
    fixture.write("sys/block/sda/device/model", "QEMU  \n");
    fixture.stats(&[("8:0", "sda", [0; 6]), ("8:1", "sda1", [0; 6])]);
    fixture.write("proc/self/mountinfo", ROOT_MOUNT);
    fixture.used("/", Some(30.0));
    fixture.write(
        "proc/cpuinfo",
        "processor\t: 0\nmodel name\t: A: b\n\nprocessor\t: 1\n",
    );
    fixture.write("proc/meminfo", "MemTotal:       2048 kB\nMemFree: 1 kB\n");
    fixture.write("sys/class/net/lo/operstate", "unknown\n");
    fixture.write("sys/class/net/eth0/device/vendor", "");
    fixture.write("sys/class/net/eth0/operstate", "up\n");
    fixture.write("sys/class/net/eth0/address", "02:00:00:00:00:01\n");
    fixture.write("sys/class/net/eth0/speed", "-1\n");
    let mut driver = fixture.driver();
    let mut only = |kind| {
        let listed = driver.list_resources(kind).unwrap();
        assert_eq!(listed.len(), 1, "{kind:?}");
        listed.into_iter().next().unwrap()
    };
    let controller = only(ResourceKind::Controllers);
    assert_eq!(controller["cpu_info"], "A: b");
    assert_eq!(controller["cpu_count"], 2);
    assert_eq!(controller["memory_size"], 2 << 20);
    let disk = only(ResourceKind::Disks);
    assert_eq!(
        (&disk["native_disk_id"], &disk["model"]),
        (&"sda".into(), &"QEMU".into())
    );
    assert_eq!(disk["capacity"], 512_000);
    assert_eq!(disk["physical_type"], "ssd");
    let filesystem = only(ResourceKind::Filesystems);
    assert_eq!(filesystem["native_filesystem_id"], "/");
    assert_eq!(filesystem["used_capacity"], 30_000);
    let port = only(ResourceKind::Ports);
    assert_eq!(port["connection_status"], "connected");
    assert!(port["speed"].is_null());
    let details = driver.storage().unwrap().details;
    let Capacity {
        total,
        used,
        free,
        raw,
        ..
    } = details.capacity;
    assert_eq!((total, used, free, raw), (100_000, 30_000, 70_000, 512_000));
    let error = driver.list_resources(ResourceKind::Volumes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "driver cannot list resources: a machine has no volumes"
    );
}
