//! Places in a JSON value.

use serde_json::Value;

/// Names of members and numbers of items: `labels.name`, or a JSON pointer for names with a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<String>);

impl JsonPath {
    /// # Errors
    ///
    /// The path has an empty name: the reason, with the remedy.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<String> = match text.strip_prefix('/') {
            Some(pointer) => {
                let names = pointer.split('/');
                let plain = |name: &str| name.replace("~1", "/").replace("~0", "~");
                names.map(plain).collect()
            }
            None => text.split('.').map(str::to_owned).collect(),
        };
        if names.iter().any(String::is_empty) {
            return Err(format!(
                "`{text}` has an empty name (write `a.b`, or `/a/b` for names with a dot)"
            ));
        }
        Ok(Self(names))
    }

    pub(super) fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        let mut names = self.0.iter();
        names.try_fold(value, |value, name| match value {
            Value::Object(members) => members.get(name),
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// The text of a value: strings as they are, everything else as JSON. `None` for `null`.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_names_members_and_items() {
        let value = json!({"a": {"b.c": [1, "x", null]}, "d": {"e": true}});
        let find = |path: &str| {
            let path = JsonPath::parse(path).unwrap();
            path.find(&value).and_then(text_of)
        };
        assert_eq!(find("d.e").as_deref(), Some("true"));
        assert_eq!(find("/a/b.c/1").as_deref(), Some("x"));
        assert_eq!(find("/a/b.c").as_deref(), Some("[1,\"x\",null]"));
        for absent in ["/a/b.c/2", "/a/b.c/3", "d.e.f", "x"] {
            assert_eq!(find(absent), None, "{absent}");
        }
        for wrong in ["", "a..b", "/"] {
            assert!(JsonPath::parse(wrong).is_err(), "{wrong}");
        }
    }
}
