//! How fast batches become a page, compared with a copy of the same bytes and with
//! Delfin's own exporter on the same batch. The two take turns.
//!
//! Then a page of a million series, scraped over HTTP: time and memory.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use delfin_exporter_prometheus::page::{
    config::PageConfig,
    server::{
        CurrentPage, PageListener, PageServer,
        render::{PageFormat, PageRenderer, RenderOptions},
    },
    state::LatestSamples,
};
use delfin_plugin_api::{Batch, PerformanceBatch, sample, testkit::quiet_host, time::now_ms};

/// One storage of Delfin's fake driver, at its maxima.
const SERIES: usize = 31_629;
const POINTS: usize = 15;
const ROUNDS: usize = 5;
const MILLION: usize = 1_000_000;
const EXPIRATION_MS: i64 = 3_600_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    one_storage(folder.path())?;
    a_million_series(folder.path())
}

fn one_storage(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let batch = sample::performance(SERIES, POINTS);
    let points = batch.items() as f64;
    let python = delfin();
    let same = folder.join("batch.jsonl");
    write_batch(&batch, &same)?;
    let mut best = [Duration::MAX; 5];
    let mut latest = LatestSamples::open(folder, EXPIRATION_MS, now_ms());
    best[0] = timed(|| latest.add_batch(&batch, now_ms())).0;
    let (mut text, mut copy) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        best[1] = best[1].min(timed(|| latest.add_batch(&batch, now_ms())).0);
        text.clear();
        best[2] = best[2].min(timed(|| render(&latest, &mut text)).0);
        copy.clear();
        best[3] = best[3].min(timed(|| copy.extend_from_slice(&text)).0);
        if let Some(python) = &python {
            best[4] = best[4].min(run_delfin(python, &same)?);
        }
    }
    let megabytes = text.len() as f64 / 1e6;
    say(&format!(
        "one storage: {SERIES} series, {points} points, a page of {megabytes:.1} MB"
    ))?;
    let row = |what: &str, time: Duration, count: f64, unit: &str| {
        let rate = count / time.as_secs_f64();
        say(&format!("{what:44} {time:>12.3?} {rate:>16.0} {unit}/s"))
    };
    row(
        "adding the batch, all series new",
        best[0],
        points,
        "points",
    )?;
    row(
        "adding the batch, all series known",
        best[1],
        points,
        "points",
    )?;
    row("rendering the page", best[2], SERIES as f64, "series")?;
    row("copying the page's bytes", best[3], SERIES as f64, "series")?;
    row(
        "both: batch in, page out",
        best[1] + best[2],
        points,
        "points",
    )?;
    if python.is_none() {
        return say("Delfin 1.5.0: not run, cannot be installed in target/");
    }
    row(
        "Delfin 1.5.0: batch in, file out",
        best[4],
        points,
        "points",
    )?;
    let ratio = best[4].as_secs_f64() / (best[1] + best[2]).as_secs_f64();
    say(&format!("Delfin takes {ratio:.0} times as long"))
}

fn a_million_series(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let folder = folder.join("million");
    fs::create_dir(&folder)?;
    let before = memory("VmRSS")?;
    let batch = sample::performance(MILLION, 1);
    let mut latest = LatestSamples::open(&folder, EXPIRATION_MS, now_ms());
    let (new, _) = timed(|| latest.add_batch(&batch, now_ms()));
    let (known, _) = timed(|| latest.add_batch(&batch, now_ms()));
    drop(batch);
    let held = memory("VmRSS")? - before;
    say(&format!(
        "\na million series: {held:.0} MB in memory, added in {new:.2?}, updated in {known:.2?}"
    ))?;
    drop(latest);
    let (again, latest) = timed(|| LatestSamples::open(&folder, EXPIRATION_MS, now_ms()));
    say(&format!("restored after a restart in {again:.2?}"))?;

    let config: PageConfig = serde_json::from_str("{\"metric_server_port\":0}")?;
    let port = PageListener::open(&config)?;
    let address = port.address()?;
    let shown = Arc::new(CurrentPage::default());
    shown.set(latest.page());
    let host = quiet_host("bench", &folder);
    let _server = PageServer::start(port, &config, shown, latest.clock(), &host)?;
    for (name, header) in [("plain", ""), ("gzip", "accept-encoding: gzip\r\n")] {
        scrape(address, name, header)?;
    }
    let mut text = Vec::new();
    render(&latest, &mut text);
    let (copying, copy) = timed(|| text.clone());
    say(&format!(
        "copying these {} bytes: {copying:.2?}",
        copy.len()
    ))
}

fn scrape(address: SocketAddr, what: &str, header: &str) -> Result<(), Box<dyn std::error::Error>> {
    let before = memory("VmRSS")?;
    // Resets the peak of memory use.
    fs::write("/proc/self/clear_refs", "5")?;
    let (time, bytes) = timed(|| read_page(address, header));
    let peak = memory("VmHWM")? - before;
    let (bytes, speed) = (bytes?, MILLION as f64 / time.as_secs_f64());
    say(&format!(
        "scrape, {what}: {bytes} bytes in {time:.2?}, {speed:.0} series/s, {peak:.1} MB more in memory"
    ))
}

fn read_page(address: SocketAddr, header: &str) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET /metrics HTTP/1.0\r\n{header}\r\n").as_bytes())?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(bytes),
            read => bytes += read as u64,
        }
    }
}

fn render(latest: &LatestSamples, out: &mut Vec<u8>) {
    let options = RenderOptions {
        format: PageFormat::Text,
        send_timestamps: false,
        expiration_ms: EXPIRATION_MS,
        now: now_ms(),
    };
    PageRenderer::new(latest.page(), options).fill(out, usize::MAX);
}

fn timed<T>(f: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = f();
    (start.elapsed(), result)
}

/// A value of `/proc/self/status` in megabytes.
fn memory(what: &str) -> io::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    let kilobytes: f64 = kilobytes.ok_or(io::ErrorKind::InvalidData)?;
    Ok(kilobytes / 1024.0)
}

/// A Python with Delfin, in a virtual environment in `target/`.
fn delfin() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/delfin/venv");
    let python = venv.join("bin/python");
    let runs = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let has =
        || runs(Command::new(&python).args(["-c", "import delfin.exporter.prometheus.prometheus"]));
    if has() {
        return Some(python);
    }
    let pip = |packages: &[&str]| {
        let arguments = ["-m", "pip", "install", "-q"];
        runs(Command::new(&python).args(arguments).args(packages))
    };
    let installed = runs(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        // The exporter needs only these of its dependencies.
        && pip(&["--no-deps", "delfin==1.5.0"])
        && pip(&["oslo.config", "oslo.log", "six"]);
    (installed && has()).then_some(python)
}

/// Writes the batch for Delfin's exporter: name, labels and values, one series per
/// line.
fn write_batch(batch: &PerformanceBatch, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for series in batch.series() {
        let labels: BTreeMap<&str, &str> = series.labels().iter().collect();
        let values: BTreeMap<i64, f64> = series.points().collect();
        serde_json::to_writer(&mut file, &(series.name(), labels, values))?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

fn run_delfin(python: &Path, batch: &Path) -> Result<Duration, Box<dyn std::error::Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/push.py");
    let output = Command::new(python).arg(script).arg(batch).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let seconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(Duration::from_secs_f64(seconds))
}

fn say(line: &str) -> Result<(), Box<dyn std::error::Error>> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
