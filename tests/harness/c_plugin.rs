//! The example plugins of the C interface, which their own Makefiles build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{CommandOutput, Setup, receivers};

/// An example, and the compiler that it needs.
#[derive(Clone, Copy, Debug)]
pub enum CExample {
    /// In C: it can run in a thread of the host.
    C,
    /// In Go: it needs a process of its own.
    Go,
}

impl CExample {
    /// The start of the names of its exporters, before `Lines`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::Go => "Go",
        }
    }

    /// Whether its compiler is here. Where it is missing, CI fails, and a line says what is not
    /// tested.
    #[must_use]
    pub fn is_available(self) -> bool {
        let compiler = match self {
            Self::C => "cc",
            Self::Go => "go",
        };
        receivers::binary(compiler).is_some()
    }

    fn folder(self) -> &'static str {
        match self {
            Self::C => "lines",
            Self::Go => "golines",
        }
    }
}

impl Setup {
    /// Builds an example into the plugin folder.
    #[must_use]
    pub fn build_example(&self, example: CExample) -> PathBuf {
        self.build_example_with(example, "")
    }

    /// Builds an example with further code into the plugin folder.
    #[must_use]
    pub fn build_example_with(&self, example: CExample, code: &str) -> PathBuf {
        let c = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugin-api/c");
        let source = c.join("examples").join(example.folder());
        let build = self.path(example.folder());
        let mut copy = Command::new("cp");
        let _ = CommandOutput::run(copy.arg("-r").arg(source).arg(&build)).expect_exit(0);
        if !code.is_empty() {
            let main = build.join(format!("{}.c", example.folder()));
            let extended = fs::read_to_string(&main).map(|source| source + code);
            let written = extended.and_then(|source| fs::write(&main, source));
            written.unwrap_or_else(|error| panic!("`{}`: {error}", main.display()));
        }
        let library = format!("{}.so", example.folder());
        let mut make = Command::new("make");
        make.arg("-B").arg("-C").arg(&build);
        make.arg(format!("DELFIN={}", c.display())).arg(&library);
        let _ = CommandOutput::run(&mut make).expect_exit(0);
        let installed = self.path("plugins").join(&library);
        let mut install = Command::new("install");
        install.args(["-m", "0644"]).arg(build.join(&library));
        let _ = CommandOutput::run(install.arg(&installed)).expect_exit(0);
        installed
    }
}
