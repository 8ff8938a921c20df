//! Recognises Delfin's own `delfin.conf`, an INI file, and shows it as TOML.
//!
//! A user who migrates from Delfin may start the host with the file of Delfin. The
//! host does not read it: the message shows what to write instead.
//!
//! Knows nothing of a plugin's settings: the keys keep Delfin's names.

use std::collections::BTreeMap;

const LISTS: [&str; 2] = ["performance_exporters", "alert_exporters"];

/// Delfin's sections, and the exporter that each section configures.
const SECTIONS: [(&str, &str); 3] = [
    ("KAFKA_EXPORTER", "PerformanceExporterKafka"),
    ("PROMETHEUS_EXPORTER", "PerformanceExporterPrometheus"),
    (
        "PROMETHEUS_ALERT_MANAGER_EXPORTER",
        "AlertExporterPrometheus",
    ),
];

/// The message for a text in Delfin's INI format; `None` for any other text.
pub(super) fn recognise(text: &str) -> Option<String> {
    let ini = parse(text);
    let is_delfins = ini.contains_key("DEFAULT")
        || SECTIONS
            .iter()
            .any(|(section, _)| ini.contains_key(section));
    is_delfins.then(|| {
        format!(
            "this is an INI file of Delfin, which the host does not read (write it as TOML):\n\n{}",
            as_toml(&ini)
        )
    })
}

/// The correct line for a list of names without quotes, as in Delfin's file.
pub(super) fn quote_list(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let bare = value.starts_with(|c: char| c.is_ascii_alphabetic());
    (bare && LISTS.contains(&key)).then(|| list(key, value))
}

type Ini<'t> = BTreeMap<&'t str, BTreeMap<&'t str, String>>;

fn parse(text: &str) -> Ini<'_> {
    let mut ini = Ini::new();
    let (mut section, mut key) = ("", None);
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let options = ini.entry(section).or_default();
        let open = key.and_then(|key| options.get_mut(key));
        if let Some(value) = open.filter(|_| line.starts_with([' ', '\t'])) {
            // An indented line continues the value before it.
            value.push_str(content);
        } else if let Some(name) = content
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            (section, key) = (name.trim(), None);
            ini.entry(section).or_default();
        } else if let Some((name, value)) = content.split_once(['=', ':']) {
            key = Some(name.trim());
            options.insert(name.trim(), value.trim().to_owned());
        }
    }
    ini
}

fn as_toml(ini: &Ini<'_>) -> String {
    let mut toml = String::new();
    for key in LISTS {
        if let Some(value) = ini.get("DEFAULT").and_then(|options| options.get(key)) {
            toml.push_str(&format!("{}\n", list(key, value)));
        }
    }
    for (section, exporter) in SECTIONS {
        let Some(options) = ini.get(section).filter(|options| !options.is_empty()) else {
            continue;
        };
        toml.push_str(&format!("\n[exporter.{exporter}.config]\n"));
        for (key, value) in options {
            toml.push_str(&format!("{} = {}\n", key_of(key), value_of(unquote(value))));
        }
    }
    if toml.is_empty() {
        toml.push_str("performance_exporters = []\nalert_exporters = []\n");
    }
    toml.truncate(toml.trim_end().len());
    toml
}

fn list(key: &str, value: &str) -> String {
    let names = unquote(value).split(',').map(|name| unquote(name.trim()));
    let names: Vec<String> = names.filter(|name| !name.is_empty()).map(quote).collect();
    format!("{key} = [{}]", names.join(", "))
}

fn unquote(value: &str) -> &str {
    let inner = |quote| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

fn key_of(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.chars().all(bare) {
        key.to_owned()
    } else {
        quote(key)
    }
}

fn value_of(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) => number.to_string(),
        Err(_) => quote(value),
    }
}

fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_another_format_is_not_recognised() {
        for text in [
            "",
            "nonsense",
            "performance_exporters = [\"A\"]",
            "performance_exporters = \"A,B\"",
            "[log]\nlevel = \"info\"",
        ] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }

    #[test]
    fn the_message_shows_valid_toml_with_the_same_values() {
        let text = "[DEFAULT]\nperformance_exporters = A, 'B'\n[KAFKA_EXPORTER]\nkafka_ip = \"a\\b\"\nkafka_port: 9092\n";
        let message = recognise(text).unwrap();
        let (_, shown) = message.split_once("\n\n").unwrap();
        let toml: toml::Table = shown.parse().unwrap();
        assert_eq!(toml["performance_exporters"].as_array().unwrap().len(), 2);
        let config = &toml["exporter"]["PerformanceExporterKafka"]["config"];
        assert_eq!(config["kafka_ip"].as_str(), Some("a\\b"));
        assert_eq!(config["kafka_port"].as_integer(), Some(9092));
    }

    #[test]
    fn an_indented_line_continues_a_value() {
        let message = recognise("[DEFAULT]\nalert_exporters = A,\n    B\n").unwrap();
        assert!(
            message.ends_with("\nalert_exporters = [\"A\", \"B\"]"),
            "{message}"
        );
    }

    #[test]
    fn only_a_list_without_quotes_is_quoted() {
        let check = |line, quoted: Option<&str>| assert_eq!(quote_list(line).as_deref(), quoted);
        check(
            "alert_exporters = A, B",
            Some(r#"alert_exporters = ["A", "B"]"#),
        );
        check("alert_exporters = [A]", None);
        check("other = A", None);
        check("alert_exporters", None);
    }
}
