//! A storm of traps: 10,000 traps of version 2c each second for ten seconds, from one sender to the real host, with a file
//! exporter. Prints how many became durable alerts, how many the kernel dropped, and how long the end of the storm took.

#![expect(clippy::expect_used, reason = "a test says by a panic that it failed")]

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use delfin_tests::{Host, Setup};
use serde_json::json;

const PER_SECOND: u32 = 10_000;
const SECONDS: u32 = 10;
/// The traps of a tick are sent at once.
const TICK: Duration = Duration::from_millis(1);
const STORAGE: &str = "5c1d3a52-7b0e-4d8a-9a35-2f6f1d2b8c10";

/// A trap `linkDown` of version 2c for interface 7, with the community `public`.
const TRAP: [u8; 83] = [
    0x30, 0x51, 0x02, 0x01, 0x01, 0x04, 0x06, 0x70, 0x75, 0x62, 0x6c, 0x69, 0x63, 0xa7, 0x44, 0x02,
    0x01, 0x01, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00, 0x30, 0x39, 0x30, 0x0d, 0x06, 0x08, 0x2b, 0x06,
    0x01, 0x02, 0x01, 0x01, 0x03, 0x00, 0x43, 0x01, 0x05, 0x30, 0x17, 0x06, 0x0a, 0x2b, 0x06, 0x01,
    0x06, 0x03, 0x01, 0x01, 0x04, 0x01, 0x00, 0x06, 0x09, 0x2b, 0x06, 0x01, 0x06, 0x03, 0x01, 0x01,
    0x05, 0x03, 0x30, 0x0f, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01, 0x07,
    0x02, 0x01, 0x07,
];

#[expect(clippy::print_stdout, reason = "what was measured")]
fn main() {
    let setup = Setup::new(&["file"], "").with_whole_config(&format!(
        r#"plugin_dirs = ["@/plugins"]
state_dir = "@/state"
alert_exporters = ["AlertExporterFile"]
[exporter.AlertExporterFile.config]
path = "@/alerts.jsonl"
[api]
listen = "127.0.0.1:0"
[traps]
listen = "127.0.0.1:0"
[[storage]]
vendor = "fake_storage"
model = "fake_driver"
name = "array"
id = "{STORAGE}"
"#
    ));
    let host = setup.start();
    let line = host.wait_for_log("receiving traps");
    let address = line
        .split("address=")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let address: SocketAddr = address
        .and_then(|text| text.parse().ok())
        .expect("an address");
    let source = json!({"host": "127.0.0.1", "version": "SNMPv2c", "community_string": "public"});
    let path = format!("/v1/storages/{STORAGE}/snmp-config");
    assert_eq!(host.send("PUT", &path, Some(&source)).0, 200);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut sent = 0_u64;
    host.wait_for("the first trap", || {
        socket.send_to(&TRAP, address).ok()?;
        sent += 1;
        (counter(&host, "delfin_host_traps_total") > 0).then_some(())
    });
    let start = Instant::now();
    for tick in 0..SECONDS * 1_000 {
        for _ in 0..PER_SECOND / 1_000 {
            sent += u64::from(socket.send_to(&TRAP, address).is_ok());
        }
        thread::sleep((TICK * (tick + 1)).saturating_sub(start.elapsed()));
    }
    let storm = start.elapsed();
    let (accepted, dropped) = host.wait_for("the end of the storm", || {
        let accepted = counter(&host, "delfin_host_traps_total");
        let dropped = counter(&host, "delfin_host_traps_kernel_dropped_total");
        let waiting = counter(&host, "delfin_host_traps_waiting");
        (accepted + dropped >= sent && waiting == 0).then_some((accepted, dropped))
    });
    let durable = counter(&host, "delfin_host_traps_alerts_total");
    assert_eq!(durable, accepted, "accepted traps were lost");
    println!(
        "{sent} traps in {storm:.1?}: {durable} durable alerts of {accepted} accepted traps, \
         {dropped} dropped by the kernel; everything was durable {:.1?} after the last trap",
        start.elapsed() - storm
    );
}

fn counter(host: &Host, name: &str) -> u64 {
    let metrics = host.metrics();
    let samples = metrics
        .samples()
        .iter()
        .filter(|sample| sample.name == name);
    samples.map(|sample| sample.value).sum::<f64>() as u64
}
