//! Programs in Python that send to the host by libraries of others, until everything is acknowledged.

use std::{fs, path::Path};

use super::{Server, binary, missing, unpacked};

/// A running program, until it is dropped.
pub struct PythonClient {
    _server: Server,
    log: std::path::PathBuf,
}

impl PythonClient {
    /// Starts `NAME.py` of `tests/receivers/python-clients` with these arguments; `None` where its libraries are missing.
    #[must_use]
    pub fn start(name: &str, folder: &Path, arguments: &[&str]) -> Option<Self> {
        let libraries = unpacked().join("python-clients");
        if !libraries.is_dir() {
            return missing("python-clients");
        }
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers/python-clients");
        let program = programs.join(name).with_extension("py");
        let log = folder.join(name).with_extension("log");
        let own = [
            "-B".into(),
            program.display().to_string(),
            libraries.display().to_string(),
        ];
        let given = arguments.iter().map(|argument| (*argument).to_owned());
        let arguments: Vec<String> = own.into_iter().chain(given).collect();
        let server = Server::start(&binary("python3")?, &arguments, &log);
        Some(Self {
            _server: server,
            log,
        })
    }

    /// What the program has printed: a line for everything that was acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}
