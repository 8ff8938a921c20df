//! The object identifiers of the objects in MIB files.
//!
//! An object has the numbers of its parent and its own. The parent is in the same module or imported, and may come
//! later in the file. Each object is resolved once, and none has more numbers than RFC 2578 allows, so that chains of
//! any length cost time and memory in proportion to their length.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_snmp::{Oid, oid};
use mib_rs::{Loader, compile::lower::base_modules};

use super::{
    module::{MAX_NUMBERS, MibModule, MibObject, ParentName, is_built_in},
    warnings::MibWarnings,
};

/// The most modules that an import is followed through, from one that passes a name on to the next.
const MAX_IMPORT_STEPS: usize = 16;

pub(super) struct OidResolver<'m> {
    modules: &'m [MibModule],
    /// The place of each module.
    places: HashMap<&'m str, usize>,
    /// Objects of any module by name, the first of each.
    objects: HashMap<&'m str, ObjectPlace>,
    built_in: BuiltInOids,
    states: Vec<Vec<OidState>>,
}

/// The names of the modules that are part of the language, with and without their module.
#[derive(Default)]
struct BuiltInOids {
    qualified: Vec<(String, Oid)>,
    plain: HashMap<String, Oid>,
}

/// Module, and object in it.
type ObjectPlace = (usize, usize);

#[derive(Clone)]
enum OidState {
    Unresolved,
    /// Its parent is being resolved.
    Resolving,
    Resolved(Oid),
    /// The reason; `None` if it is that of the parent.
    Failed(Option<String>),
}

enum ParentOid {
    Known(Oid),
    Object(ObjectPlace),
    Unknown,
}

impl<'m> OidResolver<'m> {
    pub(super) fn new(modules: &'m [MibModule]) -> Self {
        let places = modules.iter().enumerate();
        let objects = places.clone().rev().flat_map(|(module, content)| {
            let objects = content.objects.iter().enumerate();
            objects.map(move |(place, object)| (&*object.name, (module, place)))
        });
        let states = modules.iter();
        Self {
            modules,
            places: places
                .map(|(place, module)| (&*module.name, place))
                .collect(),
            // A later one replaces an earlier one: of a name, the first module remains.
            objects: objects.collect(),
            built_in: BuiltInOids::load(),
            states: states
                .map(|module| vec![OidState::Unresolved; module.objects.len()])
                .collect(),
        }
    }

    /// Resolves all objects. Of each file, the first one that cannot be resolved is a warning: it is the reason for others.
    pub(super) fn resolve_all(&mut self, warnings: &mut MibWarnings) {
        let modules = self.modules;
        let mut warned = HashSet::new();
        for (number, module) in modules.iter().enumerate() {
            for (place, object) in module.objects.iter().enumerate() {
                self.resolve((number, place));
                let OidState::Failed(Some(reason)) = &self.states[number][place] else {
                    continue;
                };
                if !warned.insert(&module.file) {
                    continue;
                }
                let (file, line, name) = (&module.file, object.line, &object.name);
                warnings.add(format!(
                    "MIB file `{file}`, line {line}: `{name}` is left out, and what is below it: {reason}"
                ));
            }
        }
    }

    /// Each module that no file has, and that a file imports from, is a warning.
    pub(super) fn report_missing_modules(&self, warnings: &mut MibWarnings) {
        // By the missing module: who imports what of it first, and all files that do.
        let mut missing: BTreeMap<&str, (&MibModule, &str, HashSet<&str>)> = BTreeMap::new();
        for module in self.modules {
            for (symbol, source) in &module.imports {
                if !self.places.contains_key(&**source) && !is_built_in(source) {
                    let entry = missing.entry(source);
                    let (.., files) = entry.or_insert_with(|| (module, symbol, HashSet::new()));
                    files.insert(&*module.file);
                }
            }
        }
        for (name, (module, symbol, files)) in missing {
            let more = match files.len() {
                1 => String::new(),
                2 => ", and 1 more file needs it".to_owned(),
                many => format!(", and {} more files need it", many - 1),
            };
            warnings.add(format!(
                "MIB file `{}`: imports `{symbol}` from the module `{name}`, which no file has{more} (add its file to a \
                 folder of `traps.mib_dirs`)",
                module.file
            ));
        }
    }

    /// All objects that have an object identifier.
    pub(super) fn into_oids(self) -> impl Iterator<Item = (&'m MibModule, &'m MibObject, Oid)> {
        let modules = self.modules.iter().zip(self.states);
        modules.flat_map(|(module, states)| {
            let objects = module.objects.iter().zip(states);
            objects.filter_map(move |(object, state)| match state {
                OidState::Resolved(oid) => Some((module, object, oid)),
                OidState::Unresolved | OidState::Resolving | OidState::Failed(_) => None,
            })
        })
    }

    /// The names of the modules that are part of the language.
    pub(super) fn built_in(&self) -> impl Iterator<Item = (&str, &Oid)> {
        let names = self.built_in.qualified.iter();
        names.map(|(name, oid)| (&**name, oid))
    }

    /// Resolves an object after its ancestors, without calling itself.
    fn resolve(&mut self, object: ObjectPlace) {
        let mut path = vec![object];
        while let Some(&(module, place)) = path.last() {
            let state = &self.states[module][place];
            if matches!(state, OidState::Resolved(_) | OidState::Failed(_)) {
                path.pop();
                continue;
            }
            let resolved = match self.parent((module, place)) {
                ParentOid::Known(parent) => self.child(&parent, (module, place)),
                ParentOid::Unknown => self.orphan((module, place)),
                ParentOid::Object(parent) => match &self.states[parent.0][parent.1] {
                    OidState::Resolved(oid) => self.child(oid, (module, place)),
                    OidState::Failed(_) => OidState::Failed(None),
                    OidState::Resolving => OidState::Failed(Some("it is below itself".to_owned())),
                    OidState::Unresolved => {
                        path.push(parent);
                        OidState::Resolving
                    }
                },
            };
            self.states[module][place] = resolved;
        }
    }

    fn object(&self, (module, place): ObjectPlace) -> &'m MibObject {
        &self.modules[module].objects[place]
    }

    fn parent(&self, place: ObjectPlace) -> ParentOid {
        let object = self.object(place);
        let Some(parent) = &object.parent else {
            return ParentOid::Known(Oid::empty());
        };
        let number = match (&parent.module, &*parent.name) {
            (None, "ccitt") => Some(0),
            (None, "iso") => Some(1),
            (None, "joint-iso-ccitt") => Some(2),
            _ => None,
        };
        if let Some(number) = number {
            return ParentOid::Known(Oid::from_slice(&[number]));
        }
        if let Some(found) = self.find(place.0, parent) {
            return ParentOid::Object(found);
        }
        if let Some(oid) = self.built_in.plain.get(&parent.name) {
            return ParentOid::Known(oid.clone());
        }
        // A module of version 1 often does not import the enterprise of its traps.
        let elsewhere = self.objects.get(&*parent.name);
        if let Some(found) = elsewhere.filter(|_| object.is_trap) {
            return ParentOid::Object(*found);
        }
        let number = parent
            .number
            .map(|number| ParentOid::Known(Oid::from_slice(&[number])));
        number.unwrap_or(ParentOid::Unknown)
    }

    /// The object that a name in a module means.
    fn find(&self, module: usize, parent: &ParentName) -> Option<ObjectPlace> {
        let mut module = match &parent.module {
            Some(other) => *self.places.get(&**other)?,
            None => module,
        };
        for _ in 0..MAX_IMPORT_STEPS {
            let content = &self.modules[module];
            if let Some(place) = content.find(&parent.name) {
                return Some((module, place));
            }
            let source = content.imports.get(&parent.name)?;
            module = *self.places.get(&**source)?;
        }
        None
    }

    /// The object identifier of an object, below that of its parent.
    fn child(&self, parent: &Oid, place: ObjectPlace) -> OidState {
        let object = self.object(place);
        let generic = object.is_trap && [snmp(), snmp_traps()].contains(parent);
        let oid = match (generic, object.numbers.as_slice()) {
            // As RFC 3584 translates `coldStart` and the others.
            (true, [_, number]) => snmp_traps().child(number.saturating_add(1)),
            (_, numbers) => Oid::new(parent.arcs().iter().chain(numbers).copied()),
        };
        if oid.len() > MAX_NUMBERS {
            let reason = format!("its object identifier has more than {MAX_NUMBERS} numbers");
            return OidState::Failed(Some(reason));
        }
        OidState::Resolved(oid)
    }

    fn orphan(&self, place: ObjectPlace) -> OidState {
        let parent = self.object(place).parent.iter();
        let names = parent.map(|parent| match &parent.module {
            Some(module) => format!("{module}.{}", parent.name),
            None => parent.name.clone(),
        });
        let name: String = names.collect();
        let module = &self.modules[place.0];
        let from = module.imports.get(&name);
        let from = from.map_or_else(String::new, |from| format!(" of the module `{from}`"));
        OidState::Failed(Some(format!("its parent `{name}`{from} is unknown")))
    }
}

impl BuiltInOids {
    fn load() -> Self {
        let names = base_modules::base_module_names();
        // They are part of the library.
        let Ok(mib) = Loader::new().modules(names.iter().copied()).load() else {
            return Self::default();
        };
        let mut found = Self::default();
        for module in mib.modules() {
            for node in module.nodes().filter(|node| !node.name().is_empty()) {
                let oid = Oid::from_slice(node.oid());
                let name = format!("{}::{}", module.name(), node.name());
                found.plain.insert(node.name().to_owned(), oid.clone());
                found.qualified.push((name, oid));
            }
        }
        found
    }
}

/// The enterprise of the standard traps of version 1.
fn snmp() -> Oid {
    oid!(1, 3, 6, 1, 2, 1, 11)
}

/// Where the standard traps are since version 2.
fn snmp_traps() -> Oid {
    oid!(1, 3, 6, 1, 6, 3, 1, 1, 5)
}
