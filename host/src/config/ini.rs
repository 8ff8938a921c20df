//! Recognises Delfin's own `delfin.conf`, an INI file, and shows it as TOML.
//!
//! A user who migrates from Delfin may start the host with the file of Delfin. The
//! host does not read it: the message shows what to write instead. The host accepts
//! that text as it is. A setting without a counterpart is a comment without its value,
//! because the value may be a secret.

mod convert;

use std::collections::{BTreeMap, BTreeSet};

use convert::SECTIONS;

const LISTS: [&str; 2] = ["performance_exporters", "alert_exporters"];

/// The message for a text in Delfin's INI format; `None` for any other text.
pub(super) fn recognise(text: &str) -> Option<String> {
    from_delfin(text).map(|toml| {
        format!(
            "this is an INI file of Delfin, which the host does not read (write these settings as TOML, as below):\n\n{toml}"
        )
    })
}

/// The settings of a text in Delfin's INI format as TOML; `None` for any other text.
#[must_use]
pub fn from_delfin(text: &str) -> Option<String> {
    // Editors on Windows begin a file with a byte order mark.
    let ini = parse(text.strip_prefix('\u{feff}').unwrap_or(text));
    let is_delfins = ini.contains_key("DEFAULT")
        || SECTIONS
            .iter()
            .any(|(section, ..)| ini.contains_key(section));
    is_delfins.then(|| convert::as_toml(&ini))
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

/// Delfin ignores a name that appears again.
fn list(key: &str, value: &str) -> String {
    let names = unquote(value).split(',').map(|name| unquote(name.trim()));
    let mut names: Vec<String> = names.filter(|name| !name.is_empty()).map(quote).collect();
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
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

    /// The TOML of a message, which the host accepts.
    fn accepted(text: &str) -> (String, crate::config::Config) {
        let message = recognise(text).unwrap();
        let (_, toml) = message.split_once("\n\n").unwrap();
        let config = crate::config::parse(toml, &crate::config::Source::Embedded);
        (
            toml.to_owned(),
            config.unwrap_or_else(|errors| panic!("{errors}\n{toml}")),
        )
    }

    #[test]
    fn the_host_accepts_the_text_of_the_message() {
        let (toml, config) = accepted(
            "[DEFAULT]\nperformance_exporters = PerformanceExporterKafka, 'B', B\nstate_path = /x\n\
             [KAFKA_EXPORTER]\nkafka_ip = \"a\\b\"\nkafka_port: 9092\nother key = 1\n\
             [database]\nconnection = mysql://u:s3cr3t@h/d\n",
        );
        let names: Vec<&str> = config.exporters.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["PerformanceExporterKafka", "B"]);
        assert_eq!(config.exporters[0].config["kafka_ip"], "a\\b");
        assert_eq!(config.exporters[0].config["kafka_port"], 9092);
        assert!(!toml.contains("s3cr3t"), "{toml}");
        for key in [
            "[DEFAULT] state_path",
            "[KAFKA_EXPORTER] other key",
            "[database] connection",
        ] {
            assert!(toml.contains(&format!("\n# {key}")), "{toml}");
        }
    }

    #[test]
    fn a_page_that_other_machines_reach_stays_open_and_says_so() {
        let page = |ip| accepted(&format!("[PROMETHEUS_EXPORTER]\nmetric_server_ip = {ip}\n")).0;
        assert!(page("0.0.0.0").contains("\nallow_unauthenticated = true  # "));
        assert!(!page("127.0.0.1").contains("allow_unauthenticated"));
    }

    #[test]
    fn an_indented_line_continues_a_value() {
        let message = recognise("[DEFAULT]\nalert_exporters = A,\n    B\n").unwrap();
        assert!(
            message.contains("\nalert_exporters = [\"A\", \"B\"]"),
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
