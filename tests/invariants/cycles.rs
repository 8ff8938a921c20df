//! In each folder of the host, the modules form no cycle.
//!
//! A folder's modules are its files and subfolders; what a subfolder uses counts for the subfolder.
//! A reference is a path that begins with `crate::`, `super::` or `self::`. It leads to the file that
//! defines the name, past re-exports. A module and the modules inside it may use each other.
//! Tests do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Peekable,
};

use crate::sources::{code, entries, files, is_test, read};

const SOURCES: &str = "host/src";

/// Cycles that are there on purpose, or not yet removed.
const KNOWN: &str = include_str!("known-cycles.txt");

/// A path of segments: `["journal", "sqlite"]`.
type Path = Vec<String>;

/// One module of the host.
#[derive(Default)]
struct Module {
    file: String,
    code: String,
    names: Names,
    references: References,
}

type Modules = BTreeMap<Path, Module>;

/// What `use` brings into a module: the name there, and the path that it comes from.
type Names = Vec<(String, Path)>;

/// Paths into the crate, with their lines.
type References = Vec<(usize, Path)>;

/// Where one module of a folder uses another: `file:line: code`.
type Edges<'a> = BTreeMap<(&'a str, &'a str), BTreeSet<String>>;

#[test]
fn the_modules_of_the_host_form_no_cycle() {
    let modules = modules();
    let folders = edges_of_folders(&modules);

    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (folder, cycle) in entries(KNOWN) {
        let members = cycle.split_whitespace().take_while(|word| *word != "#");
        known.entry(folder).or_default().extend(members);
    }
    let mut wrong = Vec::new();
    for (folder, edges) in &folders {
        let folder = [SOURCES.to_owned()]
            .iter()
            .chain(*folder)
            .cloned()
            .collect::<Vec<_>>();
        let folder = folder.join("/");
        let mut known = known.remove(&*folder).unwrap_or_default();
        for cycle in cycles(edges) {
            if cycle.iter().all(|name| known.contains(name)) {
                known.retain(|name| !cycle.contains(name));
                continue;
            }
            let names: Vec<&str> = cycle.iter().copied().collect();
            wrong.push(format!(
                "in `{folder}` these form a cycle: {}",
                names.join(" ")
            ));
            for ((from, to), places) in edges {
                if cycle.contains(from) && cycle.contains(to) {
                    wrong.push(format!("  {from} uses {to}:"));
                    wrong.extend(places.iter().map(|place| format!("    {place}")));
                }
            }
        }
        wrong.extend(known.iter().map(|name| stale(&folder, name)));
    }
    for (folder, names) in known {
        wrong.extend(names.iter().map(|name| stale(folder, name)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Where the modules of each folder use each other.
fn edges_of_folders(modules: &Modules) -> BTreeMap<&[String], Edges<'_>> {
    let mut folders: BTreeMap<&[String], Edges<'_>> = BTreeMap::new();
    for (from, module) in modules {
        for (line, path) in &module.references {
            let (to, _) = owner(modules, path, 0);
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            // Otherwise one is inside the other.
            if common < from.len() && common < to.len() {
                let Some((to, _)) = modules.get_key_value(&to) else {
                    continue;
                };
                let text = module.code.lines().nth(line - 1).unwrap_or_default().trim();
                let edges = folders.entry(&from[..common]).or_default();
                let places = edges.entry((&from[common], &to[common])).or_default();
                places.insert(format!("{}:{line}: {text}", module.file));
            }
        }
    }
    folders
}

#[test]
fn the_drawing_of_the_modules_has_no_upward_arrow() {
    let architecture = read("ARCHITECTURE.md");
    let (_, section) = architecture
        .split_once("## Modules of the host")
        .expect("a section with the drawing");
    let drawing = section.split("```").nth(1).expect("a drawing");
    let rows: Vec<Vec<&str>> = drawing
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect())
        .collect();
    let row_of: BTreeMap<&str, usize> = rows
        .iter()
        .enumerate()
        .flat_map(|(row, names)| names.iter().map(move |name| (*name, row)))
        .collect();
    assert_eq!(
        row_of.len(),
        rows.iter().map(Vec::len).sum::<usize>(),
        "a module is drawn twice"
    );

    let modules = modules();
    let drawn: BTreeSet<&str> = row_of.keys().copied().collect();
    let top: BTreeSet<&str> = modules
        .keys()
        .filter_map(|path| path.first().map(String::as_str))
        .collect();
    assert_eq!(drawn, top, "the drawing has every module of `{SOURCES}`");

    let folders = edges_of_folders(&modules);
    let edges = &folders[&[][..]];
    let upward: Vec<_> = edges
        .iter()
        .filter(|((from, to), _)| row_of[from] >= row_of[to])
        .collect();
    assert!(upward.is_empty(), "not downward: {upward:#?}");
}

fn stale(folder: &str, name: &str) -> String {
    format!("`{name}` is in no cycle of `{folder}`: remove it from known-cycles.txt")
}

/// The modules that use each other, in a circle or directly.
fn cycles<'a>(edges: &Edges<'a>) -> Vec<BTreeSet<&'a str>> {
    let nodes: BTreeSet<&'a str> = edges.keys().flat_map(|(from, to)| [*from, *to]).collect();
    let reached = |start: &'a str| {
        let mut reached: BTreeSet<&'a str> = BTreeSet::new();
        let mut next = vec![start];
        while let Some(node) = next.pop() {
            let uses = edges.keys().filter(|(from, _)| *from == node);
            next.extend(uses.map(|(_, to)| *to).filter(|to| reached.insert(to)));
        }
        reached
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        nodes.iter().map(|node| (*node, reached(node))).collect();
    let mut found = BTreeSet::new();
    for node in &nodes {
        let back = reach[node]
            .iter()
            .filter(|other| reach[*other].contains(node));
        found.insert(back.copied().collect::<BTreeSet<&str>>());
    }
    found.into_iter().filter(|cycle| cycle.len() > 1).collect()
}

fn modules() -> Modules {
    let mut modules = Modules::new();
    let rust = files(SOURCES).into_iter();
    for file in rust.filter(|file| file.ends_with(".rs") && !is_test(file)) {
        let path = file.trim_start_matches(SOURCES).trim_end_matches(".rs");
        let mut path: Path = path.split('/').skip(1).map(str::to_owned).collect();
        if matches!(
            path.last().map(String::as_str),
            Some("mod" | "lib" | "main")
        ) {
            path.pop();
        }
        let code = code(&read(&file));
        // The library and the binary share the top: the library is what others refer to.
        if !file.ends_with("/main.rs") {
            modules.insert(
                path,
                Module {
                    file,
                    code,
                    ..Module::default()
                },
            );
        }
    }
    let paths: BTreeSet<Path> = modules.keys().cloned().collect();
    for (path, module) in &mut modules {
        let (names, references) = uses(&module.code, path, &paths);
        (module.names, module.references) = (names, references);
    }
    modules
}

/// The module that defines what a path names, and what is left of the path: nothing of it if the
/// path names the module itself.
fn owner(modules: &Modules, path: &[String], depth: usize) -> (Path, Vec<String>) {
    let mut module = Path::new();
    let mut rest = path;
    while let Some((name, after)) = rest.split_first() {
        let child: Path = module.iter().chain([name]).cloned().collect();
        if modules.contains_key(&child) {
            (module, rest) = (child, after);
            continue;
        }
        // Re-exports may go in circles through globs: a few steps are enough.
        let names = modules.get(&module).map(|module| &*module.names);
        for (alias, source) in names.unwrap_or_default() {
            let source = match &**alias {
                "*" => source.iter().chain(rest).cloned().collect::<Path>(),
                _ if alias == name => source.iter().chain(after).cloned().collect(),
                _ => continue,
            };
            let found = (depth < 6).then(|| owner(modules, &source, depth + 1));
            if let Some((found, left)) = found
                && found != module
                && (alias != "*" || defines(&modules[&found], &left))
            {
                return (found, left);
            }
        }
        break;
    }
    (module, rest.to_vec())
}

/// Whether a module defines the first name of a path itself.
fn defines(module: &Module, path: &[String]) -> bool {
    let Some(name) = path.first() else {
        return true;
    };
    let words = module
        .code
        .split(|c: char| !c.is_alphanumeric() && c != '_');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let items = [
        "struct", "enum", "trait", "type", "fn", "const", "static", "union",
    ];
    words
        .windows(2)
        .any(|pair| items.contains(&pair[0]) && pair[1] == name)
}

/// What a module's `use` items bring into it, and all paths into the crate with their lines.
fn uses(code: &str, module: &[String], all: &BTreeSet<Path>) -> (Names, References) {
    let (mut names, mut references) = (Vec::new(), Vec::new());
    let mut tokens = tokens(code).into_iter().peekable();
    let mut before = String::new();
    while let Some((_, token)) = tokens.peek().cloned() {
        let is_use = before == "use";
        let starts = matches!(&*token, "crate" | "super" | "self");
        let child: Path = module.iter().chain([&token]).cloned().collect();
        if (starts || is_use && all.contains(&child)) && before != "::" && before != "in" {
            let mut found = Vec::new();
            tree(&mut tokens, &mut Vec::new(), &mut found);
            for (line, path, alias) in found {
                if let Some(path) = absolute(&path, module) {
                    if is_use {
                        names.push((alias, path.clone()));
                    }
                    references.push((line, path));
                }
            }
            before.clear();
        } else {
            tokens.next();
            before = token;
        }
    }
    (names, references)
}

/// Reads one tree of paths, `a::{b, c::d as e}`: each path with its line and its name here.
fn tree(
    tokens: &mut Peekable<impl Iterator<Item = (usize, String)>>,
    prefix: &mut Path,
    found: &mut Vec<(usize, Path, String)>,
) {
    let length = prefix.len();
    let mut last = 0;
    loop {
        match tokens.peek().map(|(line, token)| (*line, &**token)) {
            Some((_, "{")) => {
                tokens.next();
                while !matches!(tokens.peek().map(|(_, token)| &**token), Some("}") | None) {
                    tree(tokens, prefix, found);
                    if tokens.peek().is_some_and(|(_, token)| token == ",") {
                        tokens.next();
                    }
                }
                tokens.next();
                break;
            }
            Some((line, word)) if word == "*" || is_word(word) => {
                prefix.push(word.to_owned());
                last = line;
                tokens.next();
                if tokens.peek().is_some_and(|(_, token)| token == "::") {
                    tokens.next();
                    continue;
                }
                let named = prefix.iter().rfind(|name| *name != "self");
                let mut alias = named.cloned().unwrap_or_default();
                if tokens.peek().is_some_and(|(_, token)| token == "as") {
                    tokens.next();
                    alias = tokens.next().map(|(_, alias)| alias).unwrap_or_default();
                }
                found.push((last, prefix.clone(), alias));
                break;
            }
            _ => {
                // `a::<T>`: the path ends before the generic arguments.
                if prefix.len() > length {
                    found.push((last, prefix.clone(), String::new()));
                } else {
                    tokens.next();
                }
                break;
            }
        }
    }
    prefix.truncate(length);
}

/// A path from the crate's root, without a `self` or a `*` at its end.
fn absolute(path: &[String], module: &[String]) -> Option<Path> {
    let (first, mut rest) = path.split_first()?;
    let mut from: Path = match &**first {
        "crate" => Path::new(),
        "self" => module.to_vec(),
        "super" => module.split_last()?.1.to_vec(),
        _ => {
            rest = path;
            module.to_vec()
        }
    };
    while rest.first().is_some_and(|name| name == "super") {
        from.pop();
        rest = &rest[1..];
    }
    let named = rest.iter().filter(|name| !matches!(&***name, "self" | "*"));
    from.extend(named.cloned());
    Some(from)
}

/// Words, `::` and single signs, with their lines.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest.find(|c: char| !is_word_char(c)).unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                word => word,
            };
            tokens.push((number + 1, rest[..length].to_owned()));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_word(token: &str) -> bool {
    token.chars().all(is_word_char)
}
