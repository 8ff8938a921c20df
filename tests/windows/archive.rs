//! The archive: installed, run as a service, upgraded, removed.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use delfin_tests::{CommandOutput, json_lines, lines, one_series, root, wait_for, windows_script};

/// Held by the test whose service is installed: there is one of its name.
static SERVICE: Mutex<()> = Mutex::new(());

/// The host of the archive, in the folders of Wine where it is on Windows. What was installed is removed in the end.
struct Installed {
    /// The name of the log.
    log: &'static str,
    _service: MutexGuard<'static, ()>,
    program_files: PathBuf,
    data: PathBuf,
}

impl Installed {
    /// `log` is the name of the log of the service.
    fn new(log: &'static str) -> Self {
        let drive = root().join("target/windows/wine/drive_c");
        let installed = Self {
            log,
            _service: SERVICE.lock().unwrap_or_else(PoisonError::into_inner),
            program_files: drive.join("Program Files"),
            data: drive.join("ProgramData/delfin"),
        };
        installed.unpack();
        // What a test that was killed has left.
        let _ = installed.run(&["service", "uninstall"]);
        let _ = fs::remove_dir_all(&installed.data);
        installed
    }

    /// Unpacks the archive, also over what is there.
    fn unpack(&self) {
        let version = env!("CARGO_PKG_VERSION");
        let archive = format!("target/package/delfin-host-{version}-windows-x86_64.zip");
        let mut unzip = Command::new("unzip");
        unzip.args(["-q", "-o"]).arg(root().join(archive));
        // The plugins of this test, because those in the profile `dev` are large.
        let names = ["delfin-host.exe", "LICENSE", "plugins/*_file.dll"];
        unzip.args(names.map(|name| format!("delfin-host/{name}")));
        unzip.arg("-d").arg(&self.program_files);
        let _ = CommandOutput::run(&mut unzip).expect_exit(0);
    }

    /// Runs a command of the host, with the configuration in its place.
    fn run(&self, args: &[&str]) -> CommandOutput {
        let program = self.program_files.join("delfin-host/delfin-host.exe");
        let mut command = windows_script(&["wine"]);
        command.arg(program).args(args).env_remove("DELFIN_CONF");
        // Where no configuration is.
        command.current_dir(&self.program_files);
        CommandOutput::run(&mut command)
    }

    /// Starts the service: the address of its API.
    fn start(&self) -> String {
        let starts = self.logged("the API listens").len();
        let _ = service(&["net", "start"]);
        wait_for("the API of the service", || {
            let line = self.logged("the API listens").into_iter().nth(starts)?;
            let (_, address) = line.split_once("address=")?;
            Some(format!("http://{}", address.trim_end()))
        })
    }

    /// Stops the service, which drains.
    fn stop(&self) {
        let stops = self.logged("stopped; ").len();
        let _ = service(&["net", "stop"]);
        wait_for("the end of the service", || {
            (self.logged("stopped; ").len() > stops).then_some(())
        });
    }

    /// The lines of the log with a text, also of rotated files.
    fn logged(&self, text: &str) -> Vec<String> {
        let rotated = (1..=5).rev().map(|number| format!("{}.{number}", self.log));
        let files = rotated.chain([self.log.to_owned()]);
        let lines = files.flat_map(|file| lines(&self.data.join(file)));
        lines.filter(|line| line.contains(text)).collect()
    }

    /// Names of the series that were ingested and delivered.
    fn delivered(&self) -> Vec<String> {
        let rows = json_lines(&self.data.join("rows.jsonl")).into_iter();
        let names = rows.filter_map(|row| row["name"].as_str().map(str::to_owned));
        names.filter(|name| name.starts_with("own-")).collect()
    }
}

/// Runs a command of Windows about the service.
fn service(command: &[&str]) -> CommandOutput {
    CommandOutput::run(&mut windows_script(
        &[&["wine"], command, &["delfin-host"]].concat(),
    ))
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = self.run(&["service", "uninstall"]);
        for folder in [&self.program_files.join("delfin-host"), &self.data] {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

#[test]
fn an_archive_is_installed_run_as_a_service_upgraded_and_removed() {
    let installed = Installed::new("own.log");
    let file = installed.data.join("delfin.conf");
    let written = installed.run(&["init"]).expect_exit(0);
    assert!(
        written
            .stdout
            .contains(r"C:\ProgramData\delfin\delfin.conf"),
        "{written:?}"
    );
    let config = fs::read_to_string(&file).expect("the configuration");
    let config = config.replace("PerformanceExporterPrometheus", "PerformanceExporterFile");
    let (config, _) = config
        .split_once("# The page that Prometheus scrapes")
        .expect("the settings of the page");
    let config = format!(
        "{config}[exporter.PerformanceExporterFile.config]\npath = 'C:\\ProgramData\\delfin\\rows.jsonl'\n\
         [api]\nlisten = \"127.0.0.1:0\"\n[journal]\nmin_free_bytes = 0\n\
         [log]\nfile = 'C:\\ProgramData\\delfin\\own.log'\nfile_max_bytes = \"16KiB\"\nlevel = \"debug\"\n"
    );
    fs::write(&file, config).expect("write the configuration");
    let _ = installed.run(&["check"]).expect_exit(0);

    let missing = installed.run(&["service", "uninstall"]).expect_exit(1);
    assert!(missing.stderr.contains("is not installed"), "{missing:?}");
    let _ = installed.run(&["service", "install"]).expect_exit(0);
    let again = installed.run(&["service", "install"]).expect_exit(1);
    assert!(again.stderr.contains("is installed already"), "{again:?}");

    let send = |url: &str, name: &str| {
        let sent = ureq::post(format!("{url}/v1/ingest/performance"));
        let answer = sent.send_json(one_series(name, 1)).expect("an answer");
        assert_eq!(answer.status(), 202);
    };
    let url = installed.start();
    send(&url, "own-1");
    installed.stop();
    assert_eq!(installed.delivered(), ["own-1"]);

    installed.unpack();
    let url = installed.start();
    let mut names = vec!["own-1".to_owned()];
    wait_for("a rotation", || {
        let name = format!("own-{}", names.len() + 1);
        send(&url, &name);
        names.push(name);
        installed.data.join("own.log.1").exists().then_some(())
    });
    installed.stop();
    assert_eq!(installed.delivered(), names);
    let _ = installed.run(&["service", "uninstall"]).expect_exit(0);
    assert!(file.exists() && installed.data.join("state").exists());
}

#[test]
fn a_service_logs_next_to_its_configuration_and_a_mistake_there_is_its_exit_code() {
    let installed = Installed::new("host.log");
    let file = installed.data.join("delfin.conf");
    let _ = installed.run(&["init"]).expect_exit(0);
    let config = "performance_exporters = []\n[api]\nlisten = \"127.0.0.1:0\"\n[journal]\nmin_free_bytes = 0\n";
    fs::write(&file, config).expect("write the configuration");
    let _ = installed.run(&["service", "install"]).expect_exit(0);
    let _ = installed.start();
    installed.stop();

    let wrong = config.replace("listen", "lisen");
    fs::write(file, wrong).expect("write the configuration");
    let _ = service(&["net", "start"]);
    wait_for("the exit code of the service", || {
        let status = service(&["sc", "query"]).stdout;
        let is_code = |line: &str| line.contains("SERVICE_EXIT_CODE") && line.contains(": 3 ");
        (status.contains("STOPPED") && status.lines().any(is_code)).then_some(())
    });
}
