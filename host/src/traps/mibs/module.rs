//! A module of a MIB file, reduced to what names need.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use mib_rs::{
    SourceDocument,
    compile::{
        ast::{Definition, Ident, Module, OidAssignment, OidComponent},
        lower::base_modules,
    },
};

/// The most sub-identifiers of an object identifier, as RFC 2578 has it.
pub(super) const MAX_NUMBERS: usize = 128;

pub(super) struct MibModule {
    pub(super) name: String,
    pub(super) file: Arc<str>,
    /// Whether it is in the language of RFC 2578.
    pub(super) is_v2: bool,
    /// The module that each imported name is from.
    pub(super) imports: BTreeMap<String, Arc<str>>,
    pub(super) objects: Vec<MibObject>,
    places: HashMap<String, usize>,
}

/// An object with an object identifier.
pub(super) struct MibObject {
    pub(super) name: String,
    pub(super) line: usize,
    /// `None`: its numbers begin at the root.
    pub(super) parent: Option<ParentName>,
    /// What comes after the parent. More than [`MAX_NUMBERS`] are cut off.
    pub(super) numbers: Vec<u32>,
    /// Whether it is a `TRAP-TYPE`, whose parent is the enterprise.
    pub(super) is_trap: bool,
}

/// How an object refers to its parent.
#[derive(Clone)]
pub(super) struct ParentName {
    /// The module, if the file says so.
    pub(super) module: Option<String>,
    pub(super) name: String,
    /// The number of the name at the root, as in `iso(1)`.
    pub(super) number: Option<u32>,
}

/// Whether a module is part of the language, and known without a file.
pub(super) fn is_built_in(module: &str) -> bool {
    base_modules::is_base_module(module)
}

impl MibModule {
    /// Takes at most so many names over, and says how many. `None` for what is no module.
    pub(super) fn new(
        parsed: Module,
        document: &SourceDocument,
        room: usize,
    ) -> Option<(Self, usize)> {
        let mut module = Self {
            name: parsed.name?.name,
            file: document.label().into(),
            is_v2: false,
            imports: BTreeMap::new(),
            objects: Vec::new(),
            places: HashMap::new(),
        };
        for clause in parsed.imports {
            let source: Arc<str> = clause.from_module.name.into();
            for symbol in clause.symbols {
                if module.imports.len() < room {
                    module.imports.insert(symbol.name, Arc::clone(&source));
                }
            }
        }
        let room = room - module.imports.len();
        for definition in parsed.body {
            if module.objects.len() >= room {
                break;
            }
            module.is_v2 |= matches!(definition, Definition::ModuleIdentity(_));
            let line = document.line_column(definition.span().start());
            let line = line.map_or(1, |(line, _)| line);
            module.add_definition(definition, line);
        }
        let names = module.imports.len() + module.objects.len();
        Some((module, names))
    }

    /// The place of an object.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    fn add_definition(&mut self, definition: Definition, line: usize) {
        let (name, oid) = match definition {
            Definition::ObjectType(object) => (object.name, object.oid),
            Definition::ModuleIdentity(object) => (object.name, object.oid),
            Definition::ObjectIdentity(object) => (object.name, object.oid),
            Definition::NotificationType(object) => (object.name, object.oid),
            Definition::ValueAssignment(object) => (object.name, object.oid),
            Definition::ObjectGroup(object) => (object.name, object.oid),
            Definition::NotificationGroup(object) => (object.name, object.oid),
            Definition::ModuleCompliance(object) => (object.name, object.oid),
            Definition::AgentCapabilities(object) => (object.name, object.oid),
            Definition::TrapType(trap) => {
                return self.add(MibObject {
                    name: trap.name.name,
                    line,
                    parent: Some(ParentName::new(trap.enterprise, None)),
                    numbers: vec![0, trap.trap_number],
                    is_trap: true,
                });
            }
            Definition::TextualConvention(_)
            | Definition::TypeAssignment(_)
            | Definition::MacroDefinition(_)
            | Definition::Error(_) => return,
        };
        self.add_object(name.name, oid, line);
    }

    /// Adds an object, and those that are named within its object identifier, as `acme` in
    /// `{ enterprises acme(99999) 1 }`.
    fn add_object(&mut self, name: String, oid: OidAssignment, line: usize) {
        let (mut parent, mut numbers) = (None, Vec::new());
        for (position, component) in oid.components.into_iter().enumerate() {
            match component {
                OidComponent::Number { value, .. } if numbers.len() <= MAX_NUMBERS => {
                    numbers.push(value);
                }
                OidComponent::Number { .. } => {}
                OidComponent::NamedNumber { name, num, .. } if position > 0 => {
                    numbers.push(num);
                    if numbers.len() <= MAX_NUMBERS {
                        self.add(MibObject {
                            name: name.name,
                            line,
                            parent: parent.clone(),
                            numbers: numbers.clone(),
                            is_trap: false,
                        });
                    }
                }
                OidComponent::NamedNumber { name, num, .. } => {
                    parent = Some(ParentName::new(name, Some(num)));
                }
                OidComponent::Name(name) => {
                    parent = Some(ParentName::new(name, None));
                    numbers.clear();
                }
                OidComponent::QualifiedName {
                    module_name, name, ..
                }
                | OidComponent::QualifiedNamedNumber {
                    module_name, name, ..
                } => {
                    parent = Some(ParentName {
                        module: Some(module_name.name),
                        name: name.name,
                        number: None,
                    });
                    numbers.clear();
                }
            }
        }
        self.add(MibObject {
            name,
            line,
            parent,
            numbers,
            is_trap: false,
        });
    }

    /// Of several objects with one name, the first one counts.
    fn add(&mut self, object: MibObject) {
        let place = self.objects.len();
        if let Entry::Vacant(entry) = self.places.entry(object.name.clone()) {
            entry.insert(place);
            self.objects.push(object);
        }
    }
}

impl ParentName {
    fn new(name: Ident, number: Option<u32>) -> Self {
        Self {
            module: None,
            name: name.name,
            number,
        }
    }
}
