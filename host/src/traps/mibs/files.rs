//! Reads the modules of MIB files, within the limits.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use mib_rs::{
    Diagnostic, DiagnosticConfig, Severity, SourceDocument, SourceOrigin, SourceSet,
    compile::parser,
};

use super::{module::MibModule, warnings::MibWarnings};
use crate::{panics, regular_file};

/// The most bytes of a file, and of all files.
pub(super) const MAX_FILE_BYTES: u64 = 4 << 20;
const MAX_BYTES: u64 = 16 << 20;
/// The most files. A folder that is named by mistake is not read to its end.
const MAX_FILES: usize = 4_096;
/// The deepest nesting of braces in a file; MIBs have three or four. The parser calls itself for each.
const MAX_DEPTH: usize = 100;
/// The most words and signs of a file. The parser may need some hundred bytes for each.
pub(super) const MAX_WORDS: usize = 500_000;
/// The most names of all files: of objects, and of imports.
pub(super) const MAX_NAMES: usize = 100_000;
/// How files are named. A MIB is often named without an extension.
const EXTENSIONS: [&str; 5] = ["", "mib", "my", "smi", "txt"];
/// How some editors begin a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{FEFF}".as_bytes();

/// Reads files, and keeps of each only what is needed for names.
pub(super) struct ModuleReader<'w> {
    warnings: &'w mut MibWarnings,
    modules: Vec<MibModule>,
    /// The place of each module.
    places: HashMap<String, usize>,
    bytes: u64,
    files: usize,
    names: usize,
}

impl<'w> ModuleReader<'w> {
    pub(super) fn new(warnings: &'w mut MibWarnings) -> Self {
        Self {
            warnings,
            modules: Vec::new(),
            places: HashMap::new(),
            bytes: 0,
            files: 0,
            names: 0,
        }
    }

    pub(super) fn read_folder(&mut self, folder: &Path) {
        let mut paths = Vec::new();
        let listed = fs::read_dir(folder).and_then(|entries| {
            for entry in entries.take(MAX_FILES) {
                let path = entry?.path();
                if is_mib(&path) {
                    paths.push(path);
                }
            }
            Ok(())
        });
        if let Err(error) = listed {
            let folder = folder.display();
            self.warnings.add(format!("MIB files `{folder}`: {error}"));
        }
        paths.sort();
        for path in paths {
            if let Err(error) = self.read_file(&path) {
                let path = path.display();
                self.warnings.add(format!("MIB file `{path}`: {error}"));
            }
        }
    }

    /// The modules of all files.
    pub(super) fn finish(self) -> Vec<MibModule> {
        self.modules
    }

    fn read_file(&mut self, path: &Path) -> io::Result<()> {
        let mut text = Vec::new();
        let file = regular_file::open(path)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
        let bytes = text.len() as u64;
        let not_read = |limit: &str| Err(io::Error::other(format!("is not read: {limit}")));
        if bytes > MAX_FILE_BYTES {
            return not_read("it is larger than 4 MiB");
        }
        if self.bytes + bytes > MAX_BYTES {
            return not_read("together, MIB files have more than 16 MiB");
        }
        if self.files == MAX_FILES {
            return not_read("there are more than 4,096 MIB files");
        }
        let shape = TextShape::of(&text);
        if shape.depth > MAX_DEPTH {
            return not_read("its braces are nested too deeply");
        }
        if shape.words > MAX_WORDS {
            return not_read("it has more than 500,000 words and signs");
        }
        self.bytes += bytes;
        self.files += 1;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
        self.parse(path, Arc::from(text))
    }

    fn parse(&mut self, path: &Path, text: Arc<[u8]>) -> io::Result<()> {
        let label = path.display().to_string();
        let mut documents = SourceSet::new();
        let id = documents
            .insert(SourceOrigin::file(path), &*label, text)
            .map_err(io::Error::other)?;
        let Some(document) = documents.get(id) else {
            return Err(io::Error::other("the parser has lost it"));
        };
        // Other mistakes, such as a missing type, cost no names.
        let errors = DiagnosticConfig::quiet();
        // The parser reads files of any quality, but a panic of it must not end the host.
        let parsed = panics::catch(|| parser::parse(document, &errors))
            .ok_or_else(|| io::Error::other("the parser failed"))?;
        if parsed.iter().all(|module| module.name.is_none()) {
            return Err(io::Error::other("it has no MIB module"));
        }
        for module in parsed {
            for mistake in &module.diagnostics {
                self.report(document, mistake);
            }
            let room = MAX_NAMES - self.names;
            let Some((module, names)) = MibModule::new(module, document, room) else {
                continue;
            };
            self.names += names;
            if self.names == MAX_NAMES {
                let limit = "together, MIB files have more than 100,000 names";
                self.warnings.add(format!(
                    "MIB file `{label}`: is not read to its end: {limit}"
                ));
            }
            self.add(module);
        }
        Ok(())
    }

    fn add(&mut self, module: MibModule) {
        if let Some(first) = self.places.get(&module.name) {
            self.warnings.add(format!(
                "MIB file `{}`: also has the module `{}`; that of `{}` is used (remove one of them)",
                module.file, module.name, self.modules[*first].file
            ));
            return;
        }
        self.places.insert(module.name.clone(), self.modules.len());
        self.modules.push(module);
    }

    fn report(&mut self, document: &SourceDocument, mistake: &Diagnostic) {
        if !mistake.severity.at_least(Severity::Error) {
            return;
        }
        let start = mistake.range.map(|range| range.start());
        let line = start.and_then(|start| document.line_column(start).ok());
        let place = line.map_or_else(String::new, |(line, _)| format!(", line {line}"));
        let (file, reason) = (document.label(), &mistake.message);
        self.warnings
            .add(format!("MIB file `{file}`{place}: {reason}"));
    }
}

/// What a text costs the parser.
#[derive(Default)]
struct TextShape {
    /// How deep its braces are nested.
    depth: usize,
    /// How many words and signs it has, also in comments and quoted texts.
    words: usize,
}

impl TextShape {
    fn of(text: &[u8]) -> Self {
        let mut shape = Self::default();
        let mut depth = 0_usize;
        let mut before = None;
        for &byte in text {
            match byte {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            shape.depth = shape.depth.max(depth);
            let part = WordPart::of(byte);
            let goes_on = part == before && part != Some(WordPart::Sign);
            if part.is_some() && !goes_on {
                shape.words += 1;
            }
            before = part;
        }
        shape
    }
}

/// What a byte is part of; white space is part of nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WordPart {
    Word,
    Assignment,
    /// A word of its own.
    Sign,
}

impl WordPart {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            b'-' | b'_' => Some(Self::Word),
            b':' | b'=' => Some(Self::Assignment),
            _ if byte.is_ascii_alphanumeric() || !byte.is_ascii() => Some(Self::Word),
            _ if byte.is_ascii_whitespace() => None,
            _ => Some(Self::Sign),
        }
    }
}

fn is_mib(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let is_mib = EXTENSIONS.contains(&&*extension.to_lowercase());
    is_mib && !name.starts_with('.') && !path.is_dir()
}
