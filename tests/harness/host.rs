//! A host process, its folder and its API.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    CommandOutput, Metrics, PATIENCE, build, json_lines, lines, receivers::get_text, wait_for,
};

/// Both exporters of the plugin `file`, which write to the folder of the setup.
pub const FILES: &str = r#"
performance_exporters = ["PerformanceExporterFile"]
alert_exporters = ["AlertExporterFile"]
[exporter.PerformanceExporterFile.config]
path = "@/performance.jsonl"
[exporter.AlertExporterFile.config]
path = "@/alerts.jsonl"
"#;

/// Every input of other monitoring systems.
pub const INPUTS: &str = r#"
[inputs]
alertmanager.enabled = true
remote_write.enabled = true
otlp.enabled = true
influxdb.enabled = true
"#;

/// A folder with plugins and a configuration. Tests run one host after another in it.
pub struct Setup {
    folder: tempfile::TempDir,
    config: String,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
}

/// A running host; killed when it is dropped.
pub struct Host {
    child: Child,
    url: String,
    /// How often it has started. A host that hands the lease of its cluster over starts again in the same process.
    starts: usize,
    log: Arc<Mutex<String>>,
    agent: ureq::Agent,
}

impl Setup {
    /// A folder with these plugins. In `config`, `@` means the folder.
    #[must_use]
    pub fn new(plugins: &[&str], config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let plugin_dir = folder.path().join("plugins");
        must(fs::create_dir(&plugin_dir), "make the plugin folder");
        // The host refuses plugins that other users can write, which an umask may allow.
        let mode = fs::Permissions::from_mode(0o755);
        must(
            fs::set_permissions(&plugin_dir, mode),
            "set the mode of the plugin folder",
        );
        let mut setup = Self {
            folder,
            config: String::new(),
            env: Vec::new(),
            wrapper: Vec::new(),
        };
        for name in plugins {
            setup = setup.with_library(&build::plugin(name));
        }
        setup.with_config(config)
    }

    /// The same folder with another plugin.
    #[must_use]
    pub fn with_library(self, library: &Path) -> Self {
        let copy = self
            .path("plugins")
            .join(library.file_name().unwrap_or_default());
        must(fs::copy(library, &copy), "copy a plugin");
        let mode = fs::Permissions::from_mode(0o755);
        must(fs::set_permissions(&copy, mode), "set the mode of a plugin");
        self
    }

    /// The same folder with another configuration.
    #[must_use]
    pub fn with_config(self, config: &str) -> Self {
        // Keys without a table come before the first table.
        let head = "plugin_dirs = [\"@/plugins\"]\nstate_dir = \"@/state\"\n";
        let tables = "[api]\nlisten = \"127.0.0.1:0\"\n[journal]\nmin_free_bytes = 0\n";
        self.with_whole_config(&format!("{head}{config}\n{tables}"))
    }

    /// The same folder with this configuration and no additions.
    #[must_use]
    pub fn with_whole_config(mut self, text: &str) -> Self {
        self.config = text.replace('@', &self.path("").display().to_string());
        must(
            fs::write(self.path("delfin.conf"), &self.config),
            "write the configuration",
        );
        self
    }

    /// Writes a key of the inventory. The same for every host.
    pub fn write_key(&self, name: &str) {
        let path = self.path(name);
        must(fs::write(&path, [7; 32]), "write a key");
        let mode = fs::Permissions::from_mode(0o600);
        must(fs::set_permissions(&path, mode), "set the mode of a key");
    }

    /// Sets an environment variable of the hosts.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts hosts through a command that runs its arguments.
    #[must_use]
    pub fn wrapped_in(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// A path in the folder; the folder itself for an empty name.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.folder.path().to_owned()
        } else {
            self.folder.path().join(name)
        }
    }

    /// Writes a file into the folder, atomically.
    pub fn write(&self, name: &str, text: &str) {
        let (path, new) = (self.path(name), self.path("new"));
        must(fs::write(&new, text), "write a file");
        must(fs::rename(new, path), "write a file");
    }

    /// The whole lines of a file in the folder; none if it does not exist.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<String> {
        lines(&self.path(name))
    }

    /// The values in the whole lines of a file in the folder; none if it does not exist.
    #[must_use]
    pub fn json_lines(&self, name: &str) -> Vec<Value> {
        json_lines(&self.path(name))
    }

    /// Replaces a plugin by the same one with other content.
    pub fn change_plugin(&self, name: &str) {
        let name = build::plugin(name);
        let file = self
            .path("plugins")
            .join(name.file_name().unwrap_or_default());
        let mut content = must(fs::read(&file), "read the plugin");
        content.push(0);
        let new_file = file.with_extension("new");
        must(fs::write(&new_file, content), "write the plugin");
        let mode = fs::Permissions::from_mode(0o755);
        must(fs::set_permissions(&new_file, mode), "set its mode");
        must(fs::rename(new_file, file), "replace the plugin");
    }

    /// The paths of all files and folders in the folder.
    #[must_use]
    pub fn content(&self) -> BTreeSet<PathBuf> {
        let mut content = BTreeSet::new();
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in must(fs::read_dir(folder), "read a folder").flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                }
                content.insert(entry.path());
            }
        }
        content
    }

    /// A command of the host with this configuration.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let host = build::host_command();
        let mut command = match self.wrapper.split_first() {
            None => host,
            Some((first, words)) => {
                let mut command = Command::new(first);
                command.args(words);
                command.arg(host.get_program()).args(host.get_args());
                command
            }
        };
        command
            .args(args)
            .arg("--config")
            .arg(self.path("delfin.conf"))
            .current_dir(self.path(""));
        command
            .env_remove("DELFIN_CONF")
            .envs(self.env.iter().cloned());
        command
    }

    /// Runs a command of the host with this configuration to its end.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> CommandOutput {
        CommandOutput::run(&mut self.command(args))
    }

    /// Starts a host, and waits until it listens.
    #[must_use]
    pub fn start(&self) -> Host {
        let mut host = self.spawn();
        host.follow();
        host
    }

    /// Starts a host without waiting.
    #[must_use]
    pub fn spawn(&self) -> Host {
        let mut child = self
            .command(&["run"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run the host: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            thread::spawn(move || collect(stderr, &log));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        Host {
            child,
            url: String::new(),
            starts: 0,
            log,
            agent,
        }
    }
}

impl Host {
    /// The address of the API.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends GET to the API: status and JSON.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.answer(path, self.agent.get(format!("{}{path}", self.url)).call())
    }

    /// Sends GET to the API: the body as text.
    #[must_use]
    pub fn text(&self, path: &str) -> String {
        let answer = self.agent.get(format!("{}{path}", self.url)).call();
        let mut answer = answer.unwrap_or_else(|error| self.fail(&format!("{path}: {error}")));
        let text = answer.body_mut().read_to_string();
        text.unwrap_or_else(|error| self.fail(&format!("{path}: {error}")))
    }

    /// Sends a batch to ingest; `kind` is `performance` or `alerts`.
    #[must_use]
    pub fn ingest(&self, kind: &str, body: &Value) -> (u16, Value) {
        let path = format!("/v1/ingest/{kind}");
        self.answer(
            &path,
            self.agent
                .post(format!("{}{path}", self.url))
                .send_json(body),
        )
    }

    /// Sends a performance batch with an idempotency key.
    #[must_use]
    pub fn ingest_with_key(&self, key: &str, body: &Value) -> (u16, Value) {
        let path = "/v1/ingest/performance";
        let request = self.agent.post(format!("{}{path}", self.url));
        self.answer(path, request.header("Idempotency-Key", key).send_json(body))
    }

    /// Sends a request, with or without a JSON body; `Null` for an empty response.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        let answer = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                self.agent
                    .run(must(request.body(body.to_string()), "make a request"))
            }
            None => self.agent.run(must(request.body(()), "make a request")),
        };
        let mut answer = answer.unwrap_or_else(|error| self.fail(&format!("{path}: {error}")));
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string();
        let text = text.unwrap_or_else(|error| self.fail(&format!("{path}: {error}")));
        if text.is_empty() {
            return (status, Value::Null);
        }
        let value = serde_json::from_str(&text);
        (
            status,
            value.unwrap_or_else(|error| self.fail(&format!("{path}: {error}: {text}"))),
        )
    }

    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let page = self.text("/metrics");
        Metrics::parse(&page).unwrap_or_else(|error| self.fail(&format!("{error} in\n{page}")))
    }

    /// Sends a performance batch to a host that may be killed: the batch id, if one was returned.
    #[must_use]
    pub fn try_ingest(&self, body: &Value) -> Option<String> {
        let answer = self
            .agent
            .post(format!("{}/v1/ingest/performance", self.url))
            .send_json(body);
        let mut answer = answer.ok().filter(|answer| answer.status() == 202)?;
        let receipt: Value = answer.body_mut().read_json().ok()?;
        receipt["batch_id"].as_str().map(str::to_owned)
    }

    /// Sends SIGHUP, which reloads the configuration.
    pub fn send_hangup(&self) {
        let pid = Pid::from_child(&self.child);
        must(kill_process(pid, Signal::HUP), "send a signal");
    }

    /// An exporter as `/v1/exporters` shows it.
    #[must_use]
    pub fn exporter(&self, name: &str) -> Value {
        let (_, answer) = self.get("/v1/exporters");
        let exporters = answer["exporters"].as_array().cloned().unwrap_or_default();
        let exporter = exporters
            .into_iter()
            .find(|exporter| exporter["name"] == name);
        exporter.unwrap_or_else(|| self.fail(&format!("no exporter `{name}` in {answer}")))
    }

    /// Waits until the view of an exporter is as `wanted`.
    pub fn wait_for_exporter(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = catch_unwind(AssertUnwindSafe(|| {
            wait_for(what, || {
                last = self.exporter(name);
                wanted(&last).then(|| last.clone())
            })
        }));
        found.unwrap_or_else(|_| self.fail(&format!("{name}: {what}: {last}")))
    }

    /// Polls until `condition` returns a value.
    pub fn wait_for<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        let found = catch_unwind(AssertUnwindSafe(|| wait_for(what, condition)));
        found.unwrap_or_else(|_| self.fail(what))
    }

    /// Whether it accepts batches. Not if it has ended.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        get_text(&format!("{}/readyz", self.url())).is_some()
    }

    /// Waits until it accepts batches.
    pub fn wait_until_ready(&self) {
        self.wait_for("a host that is ready", || self.is_ready().then_some(()));
    }

    /// Waits until an exporter has delivered this many items.
    pub fn wait_for_delivered(&self, name: &str, items: u64) {
        let what = format!("{items} items delivered");
        self.wait_for_exporter(name, &what, |exporter| exporter["delivered"] == items);
    }

    /// Waits for a text in the log: the line that contains it.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.wait_for(&format!("`{text}` in the log"), || {
            let log = self.log();
            log.lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
    }

    /// Everything that the host has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// Kills the host while clients are still connected.
    pub fn kill_now(&self) {
        self.signal(Signal::KILL);
    }

    /// Kills the host, as a power failure does.
    pub fn kill(mut self) {
        must(self.child.kill(), "kill the host");
        must(self.child.wait(), "wait for the host");
    }

    /// Tells the host to stop, with SIGTERM. Wine makes Ctrl-C of SIGINT.
    pub fn send_stop(&self) {
        self.signal(if build::runs_windows() {
            Signal::INT
        } else {
            Signal::TERM
        });
    }

    /// Stops the host: its exit status and its log.
    #[must_use]
    pub fn stop(self) -> (ExitStatus, String) {
        self.send_stop();
        self.wait_for_end("stopped")
    }

    /// Waits until the host ends by itself: its exit status and its log, which has a text.
    #[must_use]
    pub fn wait_for_end(mut self, text: &str) -> (ExitStatus, String) {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            wait_for("the host to end", || self.child.try_wait().ok().flatten())
        }));
        let status = ended.unwrap_or_else(|_| self.fail("the host does not end"));
        self.wait_for(&format!("`{text}` in the log"), || {
            self.log().contains(text).then_some(())
        });
        (status, self.log())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.unwrap_or_else(|| self.fail("the host has no process id"));
        must(kill_process(pid, signal), "signal the host");
    }

    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the host has started, or started again, and listens. Sends further requests there.
    pub fn follow(&mut self) {
        let found = catch_unwind(AssertUnwindSafe(|| {
            wait_for("the host to listen", || {
                assert!(self.is_alive(), "the host ended");
                let log = self.log();
                let since_start = log.split("delfin-host starts").nth(self.starts + 1)?;
                let mut lines = since_start.lines();
                let line = lines.find(|line| line.contains("the API listens"))?;
                // In text or in JSON.
                let after = |key| line.split_once(key).map(|(_, after)| after);
                let address = after("address=").or_else(|| after("\"address\":\""))?;
                Some(address.split([' ', '"']).next()?.to_owned())
            })
        }));
        let address = found.unwrap_or_else(|_| self.fail("the host does not listen"));
        self.url = format!("http://{address}");
        self.starts += 1;
    }

    fn answer(
        &self,
        path: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> (u16, Value) {
        let mut answer = answer.unwrap_or_else(|error| self.fail(&format!("{path}: {error}")));
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_json();
        (
            status,
            body.unwrap_or_else(|error| self.fail(&format!("{path}: {status}: {error}"))),
        )
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{why}\n--- log of the host ---\n{}", self.log())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stderr: impl Read, log: &Mutex<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Ok(mut log) = log.lock() {
            log.push_str(&line);
            log.push('\n');
        }
    }
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("cannot {what}: {error}"))
}
