//! The programs that are compared, and how each is configured: requests over HTTP, kept on disk if the
//! program can, and sent on to each sink by a queue of its own.

use std::{
    fmt::Write,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use delfin_bench::{load::Target, payload::Form};
use tempfile::TempDir;

use crate::cell::Cell;

/// How long a program may take to start.
const START: Duration = Duration::from_secs(30);

pub(crate) enum System {
    DelfinHost { program: PathBuf, plugins: PathBuf },
    FluentBit(PathBuf),
    Collector { program: PathBuf, is_durable: bool },
}

/// A program that takes requests; stopped when it is dropped.
pub(crate) struct Running {
    pub(crate) target: Target,
    pub(crate) form: Form,
    pub(crate) pid: u32,
    child: Child,
    _folder: TempDir,
}

/// The host, and the other programs that are in a folder.
#[expect(clippy::print_stderr, reason = "what is left out")]
pub(crate) fn installed(host: System, peers: &Path) -> Vec<System> {
    let mut systems = vec![host];
    let fluent_bit = peers.join("fluent-bit");
    let collector = peers.join("otelcol");
    for program in [&fluent_bit, &collector] {
        if !program.exists() {
            eprintln!(
                "not compared: {} is missing; `bench/peers` installs it",
                program.display()
            );
        }
    }
    if fluent_bit.exists() {
        systems.push(System::FluentBit(fluent_bit));
    }
    if collector.exists() {
        let program = |is_durable| System::Collector {
            program: collector.clone(),
            is_durable,
        };
        systems.extend([true, false].map(program));
    }
    systems
}

impl System {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::DelfinHost { .. } => "delfin-host",
            Self::FluentBit(_) => "Fluent Bit, file system without fsync",
            Self::Collector {
                is_durable: true, ..
            } => "OpenTelemetry Collector, disk with fsync",
            Self::Collector {
                is_durable: false, ..
            } => "OpenTelemetry Collector, memory",
        }
    }

    pub(crate) fn takes(&self, cell: &Cell) -> bool {
        !cell.is_arrow || matches!(self, Self::DelfinHost { .. })
    }

    pub(crate) fn start(&self, cell: &Cell, sinks: &[SocketAddr]) -> Running {
        let (port, folder) = place();
        let path = folder.path();
        let (program, argument, config, form, target) = match self {
            Self::DelfinHost { program, plugins } => {
                let form = if cell.is_arrow {
                    Form::Arrow
                } else {
                    Form::DelfinJson
                };
                let config = host_config(port, path, plugins, sinks);
                (
                    program,
                    "run --config",
                    config,
                    form,
                    "/v1/ingest/performance",
                )
            }
            Self::FluentBit(program) => {
                let config = fluent_bit_config(port, path, sinks);
                (program, "--config", config, Form::Records, "/bench")
            }
            Self::Collector {
                program,
                is_durable,
            } => {
                let config = collector_config(port, path, *is_durable, sinks);
                (program, "--config", config, Form::Otlp, "/v1/metrics")
            }
        };
        // Fluent Bit reads YAML only from files with this name.
        let file = path.join("config.yaml");
        fs::write(&file, config).expect("the configuration is written");
        let mut command = Command::new(program);
        command
            .args(argument.split(' '))
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = command.spawn().expect("the program starts");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                begin.elapsed() < START,
                "{command:?} does not open its port"
            );
            thread::sleep(Duration::from_millis(20));
        }
        Running {
            target: Target {
                address,
                path: target,
                content_type: form.content_type(),
            },
            form,
            pid: child.id(),
            child,
            _folder: folder,
        }
    }
}

fn host_config(port: u16, folder: &Path, plugins: &Path, sinks: &[SocketAddr]) -> String {
    let names: Vec<_> = (0..sinks.len())
        .map(|number| format!("sink-{number}"))
        .collect();
    let mut config = format!(
        "performance_exporters = \"{}\"\nplugin_dirs = [\"{}\"]\nstate_dir = \"{}\"\n\
         [api]\nlisten = \"127.0.0.1:{port}\"\nsocket = \"off\"\n[log]\nlevel = \"error\"\n",
        names.join(","),
        plugins.display(),
        folder.join("state").display(),
    );
    for (name, sink) in names.iter().zip(sinks) {
        let plugin = "PerformanceExporterWebhook";
        let _ = write!(
            config,
            "[exporter.{name}]\nplugin = \"{plugin}\"\n[exporter.{name}.config]\nurl = \"http://{sink}/\"\n"
        );
    }
    config
}

/// A free port, and an empty folder.
fn place() -> (u16, TempDir) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("the port").port();
    (port, tempfile::tempdir().expect("a folder"))
}

fn fluent_bit_config(port: u16, folder: &Path, sinks: &[SocketAddr]) -> String {
    let mut config = format!(
        "service:\n  flush: 1\n  log_level: error\n  storage.path: {}\n  storage.sync: normal\n\
         pipeline:\n  inputs:\n    - name: http\n      listen: 127.0.0.1\n      port: {port}\n      \
         buffer_max_size: 16M\n      storage.type: filesystem\n  outputs:\n",
        folder.join("storage").display(),
    );
    for sink in sinks {
        let _ = write!(
            config,
            "    - name: http\n      match: '*'\n      host: {}\n      port: {}\n      format: json\n      \
             retry_limit: no_limits\n",
            sink.ip(),
            sink.port(),
        );
    }
    config
}

fn collector_config(port: u16, folder: &Path, is_durable: bool, sinks: &[SocketAddr]) -> String {
    let state = folder.join("state");
    fs::create_dir(&state).expect("a folder for the queue");
    let (extensions, storage) = match is_durable {
        true => (
            format!(
                "extensions:\n  file_storage:\n    directory: {}\n    fsync: true\n",
                state.display()
            ),
            "      storage: file_storage\n",
        ),
        false => (String::new(), ""),
    };
    let mut exporters = String::new();
    for (number, sink) in sinks.iter().enumerate() {
        let _ = write!(
            exporters,
            "  otlp_http/{number}:\n    metrics_endpoint: http://{sink}/\n    compression: none\n    \
             sending_queue:\n      queue_size: 10000\n{storage}    retry_on_failure:\n      \
             initial_interval: 1s\n      max_elapsed_time: 0\n",
        );
    }
    let names: Vec<_> = (0..sinks.len())
        .map(|number| format!("otlp_http/{number}"))
        .collect();
    let service = if is_durable {
        "  extensions: [file_storage]\n"
    } else {
        ""
    };
    format!(
        "receivers:\n  otlp:\n    protocols:\n      http:\n        endpoint: 127.0.0.1:{port}\n{extensions}\
         exporters:\n{exporters}service:\n{service}  telemetry:\n    metrics:\n      level: none\n    logs:\n      \
         level: fatal\n  pipelines:\n    metrics:\n      receivers: [otlp]\n      exporters: [{}]\n",
        names.join(", "),
    )
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
