//! One host: its folder, its process, its API.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Metrics, PATIENCE, Ran, build, wait_for};

/// A folder with plugins and a configuration, in which hosts can be run one
/// after the other.
pub struct Setup {
    folder: tempfile::TempDir,
    config: String,
    env: Vec<(String, String)>,
    around: Vec<String>,
}

/// A host that runs.
pub struct Host {
    child: Child,
    url: String,
    said: Arc<Mutex<String>>,
    agent: ureq::Agent,
}

impl Setup {
    /// A folder with these plugins. In `config`, `@` stands for the folder.
    ///
    /// # Panics
    ///
    /// The folder cannot be made.
    #[must_use]
    pub fn new(plugins: &[&str], config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let plugin_dir = folder.path().join("plugins");
        must(fs::create_dir(&plugin_dir), "make the plugin folder");
        // Whatever the umask: what others can write is refused.
        let mode = fs::Permissions::from_mode(0o755);
        must(
            fs::set_permissions(&plugin_dir, mode.clone()),
            "set the mode of the plugin folder",
        );
        for name in plugins {
            let file = build::plugin(name);
            let copy = plugin_dir.join(file.file_name().unwrap_or_default());
            must(fs::copy(&file, &copy), "copy a plugin");
            must(
                fs::set_permissions(&copy, mode.clone()),
                "set the mode of a plugin",
            );
        }
        let setup = Self {
            folder,
            config: String::new(),
            env: Vec::new(),
            around: Vec::new(),
        };
        setup.with_config(config)
    }

    /// The same folder with another configuration.
    #[must_use]
    pub fn with_config(self, config: &str) -> Self {
        // Plain keys have to come before the first table.
        let head = "plugin_dirs = [\"@/plugins\"]\nstate_dir = \"@/state\"\n";
        let tables = "[api]\nlisten = \"127.0.0.1:0\"\n[journal]\nmin_free_bytes = 0\n";
        self.with_whole_config(&format!("{head}{config}\n{tables}"))
    }

    /// The same folder with a configuration to which nothing is added.
    ///
    /// # Panics
    ///
    /// It cannot be written.
    #[must_use]
    pub fn with_whole_config(mut self, text: &str) -> Self {
        self.config = text.replace('@', &self.path("").display().to_string());
        must(
            fs::write(self.path("delfin.conf"), &self.config),
            "write the configuration",
        );
        self
    }

    /// Sets a variable of the hosts' environment.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has hosts started by a command, which is given the host's own.
    #[must_use]
    pub fn within(mut self, command: &[&str]) -> Self {
        self.around = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() {
            self.folder.path().to_owned()
        } else {
            self.folder.path().join(name)
        }
    }

    /// Writes a file into the folder, whole or not at all.
    ///
    /// # Panics
    ///
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let (path, new) = (self.path(name), self.path("new"));
        must(fs::write(&new, text), "write a file");
        must(fs::rename(new, path), "write a file");
    }

    /// The lines of a file in the folder; none if it is not there.
    #[must_use]
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A command of the host on this configuration.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = match self.around.split_first() {
            None => Command::new(build::binary()),
            Some((first, words)) => {
                let mut command = Command::new(first);
                command.args(words).arg(build::binary());
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

    /// Runs a command of the host on this configuration, to its end.
    ///
    /// # Panics
    ///
    /// It cannot be run, or does not end.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Runs a host.
    ///
    /// # Panics
    ///
    /// It does not come up.
    #[must_use]
    pub fn start(&self) -> Host {
        let mut host = self.spawn();
        host.url = format!("http://{}", host.wait_for_address());
        host
    }

    /// Runs a host, without waiting until it listens.
    ///
    /// # Panics
    ///
    /// It cannot be run.
    #[must_use]
    pub fn spawn(&self) -> Host {
        let mut child = self
            .command(&["run"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run the host: {error}"));
        let said = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let said = Arc::clone(&said);
            thread::spawn(move || collect(stderr, &said));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        Host {
            child,
            url: String::new(),
            said,
            agent,
        }
    }
}

impl Host {
    /// Where its API is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the API.
    ///
    /// # Panics
    ///
    /// It does not answer with JSON.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.answer(path, self.agent.get(format!("{}{path}", self.url)).call())
    }

    /// The text of an answer.
    ///
    /// # Panics
    ///
    /// There is none.
    #[must_use]
    pub fn text(&self, path: &str) -> String {
        let answer = self.agent.get(format!("{}{path}", self.url)).call();
        let mut answer = answer.unwrap_or_else(|error| self.give_up(&format!("{path}: {error}")));
        let text = answer.body_mut().read_to_string();
        text.unwrap_or_else(|error| self.give_up(&format!("{path}: {error}")))
    }

    /// Hands performance or alerts in.
    ///
    /// # Panics
    ///
    /// The host does not answer with JSON.
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

    /// Hands performance in under a key.
    ///
    /// # Panics
    ///
    /// The host does not answer with JSON.
    #[must_use]
    pub fn ingest_once(&self, key: &str, body: &Value) -> (u16, Value) {
        let path = "/v1/ingest/performance";
        let request = self.agent.post(format!("{}{path}", self.url));
        self.answer(path, request.header("Idempotency-Key", key).send_json(body))
    }

    /// Sends a request, with a JSON body or none; nothing for an empty answer.
    ///
    /// # Panics
    ///
    /// The host does not answer, or with something that is no JSON.
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
        let mut answer = answer.unwrap_or_else(|error| self.give_up(&format!("{path}: {error}")));
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string();
        let text = text.unwrap_or_else(|error| self.give_up(&format!("{path}: {error}")));
        if text.is_empty() {
            return (status, Value::Null);
        }
        let said = serde_json::from_str(&text);
        (
            status,
            said.unwrap_or_else(|error| self.give_up(&format!("{path}: {error}: {text}"))),
        )
    }

    /// Its metrics.
    ///
    /// # Panics
    ///
    /// The page is no text that Prometheus understands.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let page = self.text("/metrics");
        Metrics::parse(&page).unwrap_or_else(|error| self.give_up(&format!("{error} in\n{page}")))
    }

    /// Hands performance in while the host may die: the receipt, if it came.
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

    /// Tells it to read its configuration again.
    ///
    /// # Panics
    ///
    /// It is gone.
    pub fn hang_up(&self) {
        let pid = Pid::from_child(&self.child);
        must(kill_process(pid, Signal::HUP), "send a signal");
    }

    /// What the API says of an exporter.
    ///
    /// # Panics
    ///
    /// It does not know it.
    #[must_use]
    pub fn exporter(&self, name: &str) -> Value {
        let (_, answer) = self.get("/v1/exporters");
        let exporters = answer["exporters"].as_array().cloned().unwrap_or_default();
        let exporter = exporters
            .into_iter()
            .find(|exporter| exporter["name"] == name);
        exporter.unwrap_or_else(|| self.give_up(&format!("no exporter `{name}` in {answer}")))
    }

    /// Waits until an exporter is as wanted.
    ///
    /// # Panics
    ///
    /// It never is; with all that the host has said.
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
        found.unwrap_or_else(|_| self.give_up(&format!("{name}: {what}: {last}")))
    }

    /// Polls until `condition` gives something.
    ///
    /// # Panics
    ///
    /// It never does; with all that the host has said.
    pub fn wait_for<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        let found = catch_unwind(AssertUnwindSafe(|| wait_for(what, condition)));
        found.unwrap_or_else(|_| self.give_up(what))
    }

    /// Waits until an exporter has delivered that many items.
    ///
    /// # Panics
    ///
    /// It never has.
    pub fn wait_for_delivered(&self, name: &str, items: u64) {
        let what = format!("{items} items delivered");
        self.wait_for_exporter(name, &what, |exporter| exporter["delivered"] == items);
    }

    /// Waits until the host has said something.
    ///
    /// # Panics
    ///
    /// It never does.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.wait_for(&format!("`{text}` in the log"), || {
            let said = self.said();
            said.lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
    }

    /// All that the host has said.
    #[must_use]
    pub fn said(&self) -> String {
        self.said
            .lock()
            .map(|said| said.clone())
            .unwrap_or_default()
    }

    /// Ends the host as a power failure would, while others still talk to it.
    ///
    /// # Panics
    ///
    /// The system does not let it.
    pub fn kill_now(&self) {
        self.signal(Signal::KILL);
    }

    /// Ends the host as a power failure would.
    ///
    /// # Panics
    ///
    /// The system does not let it.
    pub fn kill(mut self) {
        must(self.child.kill(), "kill the host");
        must(self.child.wait(), "wait for the host");
    }

    /// Tells the host to stop, waits for it, and gives what it has said.
    ///
    /// # Panics
    ///
    /// It does not stop.
    #[must_use]
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        let ended = catch_unwind(AssertUnwindSafe(|| {
            wait_for("the host to stop", || self.child.try_wait().ok().flatten())
        }));
        let status = ended.unwrap_or_else(|_| self.give_up("it does not stop"));
        self.wait_for("the last line", || {
            self.said().contains("stopped").then_some(())
        });
        (status, self.said())
    }

    /// Sends the host a signal.
    ///
    /// # Panics
    ///
    /// The system does not let it.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.unwrap_or_else(|| self.give_up("the host has no process id"));
        must(kill_process(pid, signal), "signal the host");
    }

    /// Whether the process still runs.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn wait_for_address(&mut self) -> String {
        let found = catch_unwind(AssertUnwindSafe(|| {
            wait_for("the host to listen", || {
                assert!(self.is_alive(), "the host ended");
                let said = self.said();
                let line = said.lines().find(|line| line.contains("the API listens"))?;
                let (_, address) = line.split_once("address=")?;
                Some(address.split_whitespace().next()?.to_owned())
            })
        }));
        found.unwrap_or_else(|_| self.give_up("it does not listen"))
    }

    fn answer(
        &self,
        path: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> (u16, Value) {
        let mut answer = answer.unwrap_or_else(|error| self.give_up(&format!("{path}: {error}")));
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_json();
        (
            status,
            body.unwrap_or_else(|error| self.give_up(&format!("{path}: {status}: {error}"))),
        )
    }

    fn give_up(&self, why: &str) -> ! {
        panic!("{why}\n--- the host said ---\n{}", self.said())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stderr: impl Read, said: &Mutex<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if let Ok(mut said) = said.lock() {
            said.push_str(&line);
            said.push('\n');
        }
    }
}

fn must<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("cannot {what}: {error}"))
}
