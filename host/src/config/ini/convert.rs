//! Writes the settings of Delfin's INI file as TOML.

use std::{collections::BTreeSet, net::IpAddr};

use super::{Ini, LISTS, list, quote, unquote};

/// Delfin's sections for an exporter, the exporter, and the settings that its plugin
/// accepts under the same name.
pub(super) const SECTIONS: [(&str, &str, &[&str]); 3] = [
    (
        "KAFKA_EXPORTER",
        "PerformanceExporterKafka",
        &["kafka_ip", "kafka_port", "kafka_topic_name"],
    ),
    (
        "PROMETHEUS_EXPORTER",
        "PerformanceExporterPrometheus",
        &["metric_server_ip", "metric_server_port"],
    ),
    (
        "PROMETHEUS_ALERT_MANAGER_EXPORTER",
        "AlertExporterPrometheus",
        &["alert_manager_host", "alert_manager_port"],
    ),
];

/// What takes the place of settings without a counterpart.
const REMARKS: [(&str, &str, &str); 6] = [
    (
        "database",
        "connection",
        "`delfin-host storages import` takes the storages of the database",
    ),
    (
        "DEFAULT",
        "delfin_cryptor",
        "the host seals passwords with its own key",
    ),
    (
        "DEFAULT",
        "state_path",
        "`state_dir` is the state folder of the host",
    ),
    (
        "TELEMETRY",
        "performance_collection_interval",
        "an interval belongs to a storage, and an import keeps it",
    ),
    (
        "telemetry",
        "performance_collection_interval",
        "an interval belongs to a storage, and an import keeps it",
    ),
    (
        "storage_driver",
        "ca_path",
        "plugins of drivers have settings of their own for certificates",
    ),
];

/// Converts a file.
pub(super) fn as_toml(ini: &Ini<'_>) -> String {
    let mut conversion = Conversion {
        ini,
        used: BTreeSet::new(),
        toml: String::new(),
    };
    conversion.lists();
    conversion.log();
    conversion.api();
    conversion.exporters();
    conversion.others();
    let mut toml = conversion.toml;
    toml.truncate(toml.trim_end().len());
    toml
}

struct Conversion<'i, 't> {
    ini: &'i Ini<'t>,
    /// Sections and keys that have a counterpart.
    used: BTreeSet<(&'static str, &'static str)>,
    toml: String,
}

impl<'i> Conversion<'i, '_> {
    /// The value of a setting, which has a counterpart.
    fn take(&mut self, section: &'static str, key: &'static str) -> Option<&'i str> {
        let value = self.ini.get(section)?.get(key)?;
        self.used.insert((section, key));
        Some(unquote(value))
    }

    fn flag(&mut self, section: &'static str, key: &'static str) -> Option<bool> {
        let value = self.take(section, key)?.to_ascii_lowercase();
        Some(["true", "1", "yes", "on"].contains(&value.as_str()))
    }

    fn line(&mut self, line: &str) {
        self.toml.push_str(line);
        self.toml.push('\n');
    }

    fn lists(&mut self) {
        for key in LISTS {
            let names = self.take("DEFAULT", key).unwrap_or_default();
            self.line(&list(key, names));
        }
    }

    fn log(&mut self) {
        if self.flag("DEFAULT", "debug") == Some(true) {
            self.line("\n[log]\nlevel = \"debug\"");
        }
    }

    fn api(&mut self) {
        let mut lines = Vec::new();
        let host = self.take("DEFAULT", "delfin_listen");
        let port = self.take("DEFAULT", "delfin_listen_port");
        if host.is_some() || port.is_some() {
            let host = host.unwrap_or("127.0.0.1");
            let address = match host.parse() {
                Ok(IpAddr::V6(_)) => format!("[{host}]:{}", port.unwrap_or("8190")),
                Ok(IpAddr::V4(_)) | Err(_) => format!("{host}:{}", port.unwrap_or("8190")),
            };
            let address = quote(&address);
            lines.push(if is_loopback(host) {
                format!("listen = {address}")
            } else {
                format!("#listen = {address}  # add a token first: delfin-host tokens add")
            });
        }
        let origins = self.take("cors", "allowed_origin").unwrap_or_default();
        let origins = origins.split(',').map(str::trim);
        let origins: Vec<String> = origins
            .filter(|one| one.contains("://"))
            .map(quote)
            .collect();
        if !origins.is_empty() {
            lines.push(format!("cors_origins = [{}]", origins.join(", ")));
        }
        if !lines.is_empty() {
            self.line(&format!("\n[api]\n{}", lines.join("\n")));
        }
        if self.flag("DEFAULT", "delfin_use_ssl") != Some(true) {
            return;
        }
        let files = (self.take("ssl", "cert_file"), self.take("ssl", "key_file"));
        if let (Some(certificate), Some(key)) = files {
            let (certificate, key) = (quote(certificate), quote(key));
            self.line(&format!(
                "\n[api.tls]\ncertificate = {certificate}\nkey = {key}"
            ));
            if let Some(authority) = self.take("ssl", "ca_file") {
                self.line(&format!("client_ca = {}", quote(authority)));
            }
        }
    }

    fn exporters(&mut self) {
        for (section, exporter, known) in SECTIONS {
            let mut table = String::new();
            for key in known {
                if let Some(value) = self.take(section, key) {
                    table.push_str(&format!("{key} = {}\n", value_of(value)));
                }
            }
            if let Some(ip) = self.take(section, "metric_server_ip")
                && !is_loopback(ip)
            {
                table.push_str("allow_unauthenticated = true  # as in Delfin; set `username` and `password` instead\n");
            }
            if !table.is_empty() {
                self.toml
                    .push_str(&format!("\n[exporter.{exporter}.config]\n{table}"));
            }
        }
    }

    /// Settings without a counterpart, without their values, which may be secret.
    fn others(&mut self) {
        let mut others = String::new();
        for (section, options) in self.ini {
            for key in options.keys() {
                if self.used.iter().any(|used| used == &(*section, *key)) {
                    continue;
                }
                let mut remarks = REMARKS.iter();
                let remark = remarks.find(|(s, k, _)| (s, k) == (section, key));
                let remark = remark.map_or(String::new(), |(.., remark)| format!(": {remark}"));
                others.push_str(&format!("# [{section}] {key}{remark}\n"));
            }
        }
        if !others.is_empty() {
            self.toml
                .push_str("\n# These settings of Delfin have no counterpart:\n");
            self.toml.push_str(&others);
        }
    }
}

fn is_loopback(address: &str) -> bool {
    address
        .parse()
        .map_or(address == "localhost", |ip: IpAddr| ip.is_loopback())
}

fn value_of(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) => number.to_string(),
        Err(_) => quote(value),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, ini, parse};

    /// The TOML of a file, which the host accepts.
    fn accepted(text: &str) -> String {
        let toml = ini::from_delfin(text).unwrap();
        let config = parse(&toml, &Source::Embedded);
        config.unwrap_or_else(|errors| panic!("{errors}\n{toml}"));
        toml
    }

    #[test]
    fn settings_of_the_api_and_the_log_are_kept() {
        let toml = accepted(
            "[DEFAULT]\ndebug = True\ndelfin_listen = 127.0.0.1\ndelfin_listen_port = '8191'\n\
             delfin_use_ssl = true\n[ssl]\ncert_file = /c.pem\nkey_file = \"/k.pem\"\n\
             [cors]\nallowed_origin = https://a.example, *\n",
        );
        assert!(toml.contains("[log]\nlevel = \"debug\""), "{toml}");
        assert!(toml.contains("listen = \"127.0.0.1:8191\""), "{toml}");
        assert!(
            toml.contains("cors_origins = [\"https://a.example\"]"),
            "{toml}"
        );
        assert!(
            toml.contains("[api.tls]\ncertificate = \"/c.pem\"\nkey = \"/k.pem\""),
            "{toml}"
        );
        assert!(!toml.contains("no counterpart"), "{toml}");
    }

    #[test]
    fn a_file_of_an_editor_on_windows_keeps_its_first_section() {
        let toml = accepted("\u{feff}[DEFAULT]\r\nalert_exporters = A, B,\r\n");
        assert!(toml.contains("alert_exporters = [\"A\", \"B\"]"), "{toml}");
    }

    #[test]
    fn an_address_for_other_machines_waits_for_a_token() {
        let toml = accepted("[DEFAULT]\ndelfin_listen = ::\n");
        assert!(
            toml.contains("\n#listen = \"[::]:8190\"  # add a token first"),
            "{toml}"
        );
    }

    #[test]
    fn a_setting_without_a_counterpart_is_named_with_what_replaces_it() {
        let toml = accepted("[database]\nconnection = mysql://u:s3cr3t@h/d\n[DEFAULT]\nx = 1\n");
        assert!(
            toml.ends_with(
                "# [DEFAULT] x\n# [database] connection: `delfin-host storages import` takes the storages of the database"
            ),
            "{toml}"
        );
    }
}
