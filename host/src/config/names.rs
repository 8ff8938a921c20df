//! The names of exporters: the two lists, and what a name may be.

use delfin_plugin_api::{Kind, setting::did_you_mean};

use super::read::Section;
use super::setting::Setting;

/// The names in `performance_exporters` and `alert_exporters`, in that order.
pub(super) struct ExporterNames(Vec<ListedName>);

struct ListedName {
    name: String,
    kind: Kind,
    /// Whether the name was written without placeholders, so that messages may
    /// show it.
    plain: bool,
}

impl ExporterNames {
    pub(super) fn read(root: &mut Section<'_>) -> Self {
        let mut names = Self(Vec::new());
        names.read_list(root.take("performance_exporters"), Kind::Performance);
        names.read_list(root.take("alert_exporters"), Kind::Alert);
        names
    }

    pub(super) fn kind_of(&self, name: &str) -> Option<Kind> {
        self.iter()
            .find(|(listed, _)| *listed == name)
            .map(|(_, kind)| kind)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Kind)> {
        self.0.iter().map(|listed| (&*listed.name, listed.kind))
    }

    /// Warns about a key that should be one of the names and is not.
    pub(super) fn warn_unless_listed(&self, name: &str, setting: &Setting<'_>) {
        if self.kind_of(name).is_some() {
            return;
        }
        let listed = self.0.iter().filter(|listed| listed.plain);
        let remedy = match did_you_mean(name, listed.map(|listed| &*listed.name)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "add the name to one of the lists, or remove this".to_owned(),
        };
        setting.warn(format!(
            "has no effect: neither `performance_exporters` nor `alert_exporters` contains the name ({remedy})"
        ));
    }

    fn read_list(&mut self, setting: Option<Setting<'_>>, kind: Kind) {
        let Some(setting) = setting else { return };
        for text in setting.texts().unwrap_or_default() {
            let shown = text.shown;
            if let Some(error) = name_error(&text.value) {
                setting.fail(format!("`{shown}` {error}"));
                continue;
            }
            match self.kind_of(&text.value) {
                None => {
                    let plain = shown == text.value;
                    self.0.push(ListedName {
                        name: text.value,
                        kind,
                        plain,
                    });
                }
                Some(other) if other == kind => {
                    setting.fail(format!("`{shown}` appears twice (remove one)"));
                }
                Some(other) => setting.fail(format!(
                    "`{shown}` is also in `{other}_exporters`, but an exporter has one kind (for a \
                     second exporter of the same plugin, choose another name and set its `plugin`)"
                )),
            }
        }
    }
}

/// Why a text cannot be the name of an exporter; `None` if it can.
///
/// A name is also the name of a folder: dots alone would lead out of the state
/// folder.
pub(crate) fn name_error(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        Some("is empty (write 1 to 64 characters of `A-Z a-z 0-9 . _ -`)")
    } else if !name.chars().all(allowed) {
        Some("is not a valid name (use only `A-Z a-z 0-9 . _ -`)")
    } else if name.len() > 64 {
        Some("is too long for a name (use at most 64 characters)")
    } else if name.chars().all(|c| c == '.') {
        Some("is not a valid name (add a character other than a dot)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_name_is_short_and_safe_as_a_file_name() {
        for good in [
            "a",
            "kafka-dr",
            "PerformanceExporterFile",
            "a.b_c-9",
            &"x".repeat(64),
        ] {
            assert_eq!(name_error(good), None, "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(name_error(bad).is_some(), "{bad}");
        }
    }
}
