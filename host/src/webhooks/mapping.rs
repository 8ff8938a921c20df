//! The mapping files of webhooks.

use std::path::Path;

use serde_json::Value;

use super::path::{JsonPath, text_of};
use crate::notification::{
    MappedInput, MappingError, MappingFile, MappingFolder, MappingRule, RuleReader, Tables,
};

/// The kind of the entries in a mapping file.
const KIND: &str = "webhook";
/// The mapping files that are part of the program.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "alertmanager.toml",
        include_str!("../../../etc/delfin/webhooks.d/alertmanager.toml"),
    ),
    (
        "redfish.toml",
        include_str!("../../../etc/delfin/webhooks.d/redfish.toml"),
    ),
];

/// The rules of all mapping files, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct WebhookMappings {
    rules: Vec<WebhookRule>,
}

/// What becomes of an item of a body.
#[derive(Debug)]
pub(super) struct WebhookRule {
    pub(super) rule: MappingRule<JsonPath>,
    /// The list with the items; `None`: the body itself is the only item.
    list: Option<JsonPath>,
}

/// An item of a body. A name that the item does not have is looked up in the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct WebhookItem<'a> {
    pub(super) body: &'a Value,
    pub(super) item: &'a Value,
}

impl WebhookMappings {
    /// Reads the built-in mappings and those of a folder, which need not exist.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has a mistake.
    pub fn load(path: &Path) -> Result<Self, MappingError> {
        let folder = MappingFolder {
            kind: KIND,
            built_in: BUILT_IN,
            path,
        };
        let mut mappings = Self::default();
        folder.read(|file, content| mappings.add(file, content))?;
        Ok(mappings)
    }

    /// The items of a body, each with its rule. The first rule that is for any item decides
    /// which list has the items. A body whose lists are empty has no items.
    pub(super) fn apply<'a>(
        &self,
        body: &'a Value,
    ) -> Vec<(WebhookItem<'a>, Option<&MappingRule<JsonPath>>)> {
        let decides = |rule: &&WebhookRule| {
            let mut items = rule.items(body);
            items.any(|item| rule.rule.mismatch(&item).is_none())
        };
        let Some(first) = self.rules.iter().find(decides) else {
            let lists = self.rules.iter().filter_map(|rule| rule.find_list(body));
            let mut sizes = lists.map(<[Value]>::len).peekable();
            if sizes.peek().is_some() && sizes.all(|items| items == 0) {
                return Vec::new();
            }
            return items_without_rule(body).map(|item| (item, None)).collect();
        };
        let same_list = self.rules.iter().filter(|rule| rule.list == first.list);
        let same_list: Vec<_> = same_list.map(|rule| &rule.rule).collect();
        let items = first.items(body);
        let with_rule = items.map(|item| {
            let mut rules = same_list.iter();
            let rule = rules.find(|rule| rule.mismatch(&item).is_none());
            (item, rule.copied())
        });
        with_rule.collect()
    }

    fn add(&mut self, file: &str, mut content: MappingFile) -> Result<(), String> {
        let reader = RuleReader {
            kind: KIND,
            file,
            tables: &Tables::new(std::mem::take(&mut content.tables)),
            field: &JsonPath::parse,
        };
        for (number, entry) in (1..).zip(content.take_entries()) {
            let list = entry.list.as_deref().map(JsonPath::parse).transpose();
            let list = list.map_err(|reason| reader.mistake(number, "list", &reason))?;
            let rule = reader.read(number, entry)?;
            self.rules.push(WebhookRule { rule, list });
        }
        Ok(())
    }
}

/// A body is one item, or a list of items.
fn items_without_rule(body: &Value) -> impl Iterator<Item = WebhookItem<'_>> {
    let items = match body {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    items.iter().map(move |item| WebhookItem { body, item })
}

impl WebhookRule {
    fn items<'a>(&self, body: &'a Value) -> impl Iterator<Item = WebhookItem<'a>> + use<'a> {
        let items = match &self.list {
            None if body.is_array() => &[],
            None => std::slice::from_ref(body),
            Some(_) => self.find_list(body).unwrap_or_default(),
        };
        items.iter().map(move |item| WebhookItem { body, item })
    }

    /// The list of the rule in a body, if the body has it.
    fn find_list<'a>(&self, body: &'a Value) -> Option<&'a [Value]> {
        let items = self.list.as_ref()?.find(body)?.as_array()?;
        Some(items)
    }
}

impl MappedInput for WebhookItem<'_> {
    type Field = JsonPath;

    fn text(&self, path: &JsonPath) -> Option<String> {
        let found = path.find(self.item).and_then(text_of);
        found.or_else(|| path.find(self.body).and_then(text_of))
    }
}
