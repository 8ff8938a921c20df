//! Names of hosts and keys of items, as Zabbix allows them.

use delfin_plugin_api::{
    setting::Mistakes,
    template::{NameTemplate, TemplateBatch, TemplateRow, TemplateRules},
};
use serde_json::Value;

/// The longest text that a key gets from one label, in bytes. A key has at most 2048 characters.
pub(super) const MAX_LABEL: usize = 255;

/// The technical name of a host.
const HOST: TemplateRules = TemplateRules {
    character: |c| (c.is_ascii_alphanumeric() || " ._-".contains(c)).then_some(c),
    empty: "_",
    max_value_bytes: 128,
    check: |host| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || " ._-".contains(c);
        if !host.chars().all(is_allowed) {
            return Err("a host has `A` to `Z`, `a` to `z`, `0` to `9`, spaces and `._-` only");
        }
        if host.trim() != host {
            return Err("a host does not begin or end with a space");
        }
        Ok(())
    },
};

/// What is before the brackets of a key.
const NAME: TemplateRules = TemplateRules {
    character: |c| is_in_name(c).then_some(c),
    empty: "_",
    max_value_bytes: MAX_LABEL,
    check: |name| match name.chars().all(is_in_name) {
        true => Ok(()),
        false => Err(
            "a key has `A` to `Z`, `a` to `z`, `0` to `9` and `._-`, and then parameters in \
                      brackets",
        ),
    },
};

/// A parameter of a key: the encoder changes and quotes it where that is necessary.
const PARAMETER: TemplateRules = TemplateRules {
    character: Some,
    empty: "",
    max_value_bytes: 4 * MAX_LABEL,
    check: |parameter| match parameter.contains(['"', '[', ']']) {
        true => Err("a parameter of the template has no quotes and no brackets"),
        false => Ok(()),
    },
};

/// Reads the setting `host`.
pub(super) fn read_host<B: TemplateBatch>(
    value: Option<Value>,
    default: &str,
    mistakes: &mut Mistakes,
) -> NameTemplate {
    NameTemplate::read::<B>("host", value, default, &HOST, mistakes)
}

/// Makes the keys of items, such as `delfin.value[readIops,volume,vol_1]`.
#[derive(Debug, Clone)]
pub(super) struct KeyTemplate {
    name: NameTemplate,
    /// `None`: the key has no brackets.
    parameters: Option<Vec<NameTemplate>>,
}

impl KeyTemplate {
    /// Reads the setting `key`; `default` is a valid template.
    pub(super) fn read<B: TemplateBatch>(
        value: Option<Value>,
        default: &str,
        mistakes: &mut Mistakes,
    ) -> Self {
        let text = mistakes.text("key", value);
        let text = text.as_deref().unwrap_or(default);
        let (name, parameters) = match text.split_once('[') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(']').unwrap_or(rest))),
            None => (text, None),
        };
        if text.contains('[') && !text.ends_with(']') {
            mistakes.add(format!(
                "`key` cannot be `{text}`: a bracket has no partner (write a key such as \
                 `{default}`)"
            ));
        }
        let mut read = |part: &str, rules| {
            NameTemplate::read::<B>("key", Some(part.into()), default, rules, mistakes)
        };
        Self {
            name: read(name, &NAME),
            parameters: parameters.map(|parameters| {
                let parameters = parameters.split(',').map(str::trim);
                parameters.map(|part| read(part, &PARAMETER)).collect()
            }),
        }
    }

    /// Appends the key for a row, with two buffers.
    pub(super) fn write<'a>(
        &self,
        row: impl TemplateRow<'a>,
        [text, parameter]: &mut [String; 2],
        out: &mut String,
    ) {
        self.name.write(row, out);
        let Some(parameters) = &self.parameters else {
            return;
        };
        for (number, template) in parameters.iter().enumerate() {
            out.push(if number == 0 { '[' } else { ',' });
            text.clear();
            parameter.clear();
            template.write(row, text);
            write_label(text, MAX_LABEL, parameter);
            write_parameter(parameter, out);
        }
        out.push(']');
    }
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

/// Appends a parameter as Zabbix itself does when it replaces a macro of discovery in a key: quoted
/// only where that is necessary. Keys are compared as texts.
fn write_parameter(parameter: &str, out: &mut String) {
    if !parameter.starts_with(['"', ' ', '[']) && !parameter.contains([',', ']']) {
        out.push_str(parameter);
        return;
    }
    out.push('"');
    for c in parameter.chars() {
        if c == '"' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Makes the text of a label one that a key can have: the same for the key and for the macro of
/// discovery that becomes the key.
pub(super) fn write_label(text: &str, max: usize, out: &mut String) {
    let start = out.len();
    for c in text.chars() {
        if out.len() + c.len_utf8() > start + max {
            break;
        }
        out.push(if c.is_control() { '_' } else { c });
    }
    // In a quoted parameter, a backslash would hide the quote behind it.
    if out.len() > start && out.ends_with('\\') {
        out.pop();
        out.push('_');
    }
}

#[cfg(test)]
mod tests {
    use delfin_plugin_api::{PerformanceBatch, PerformanceBatchBuilder};
    use serde_json::json;

    use super::*;

    fn read(template: &str) -> Result<KeyTemplate, String> {
        let mut mistakes = Mistakes::default();
        let key = KeyTemplate::read::<PerformanceBatch>(
            Some(json!(template)),
            "delfin.value[{name}]",
            &mut mistakes,
        );
        mistakes.into_result(key).map_err(|error| error.to_string())
    }

    #[test]
    fn a_parameter_is_quoted_where_zabbix_does() {
        let check = |id: &str, key: &str| {
            let mut batch = PerformanceBatchBuilder::new();
            batch
                .series("io ps", [("resource_id", id)], [(1, 1.0)])
                .unwrap();
            let mut out = String::new();
            let template = read("d.{name}[{resource_id}, a,{unit}]").unwrap();
            for series in batch.build().series() {
                template.write(series, &mut [String::new(), String::new()], &mut out);
            }
            assert_eq!(out, format!("d.io_ps[{key},a,]"));
        };
        check("vol 1", "vol 1");
        check("a\"b", "a\"b");
        check("grüße\n🦀", "grüße_🦀");
        check("a,b", "\"a,b\"");
        check("\"a\"", "\"\\\"a\\\"\"");
        check(" a", "\" a\"");
        check("C:\\", "C:_");
        check("[1]", "\"[1]\"");
        check(&"x".repeat(300), &"x".repeat(MAX_LABEL));
    }

    #[test]
    fn a_key_that_zabbix_does_not_allow_is_a_mistake() {
        for (key, reason) in [
            ("a b", "a key has `A` to `Z`"),
            ("a[{name}", "a bracket has no partner"),
            ("a[\"b\"]", "no quotes and no brackets"),
            ("a[{oops}]", "is not a placeholder"),
        ] {
            let mistake = read(key).unwrap_err();
            assert!(mistake.contains(reason), "{mistake}");
        }
        assert!(read("delfin.alert").is_ok());
    }
}
