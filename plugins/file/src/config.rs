//! The settings, from `[exporter.NAME.config]`.
//!
//! Promises: all mistakes are reported at once, each with its key, its value and a
//! remedy; a bad value never falls back to a default.

use std::{path::PathBuf, time::Duration};

use delfin_plugin_api::{
    quantity::{parse_duration, parse_size},
    setting::{ConfigError, Mistakes},
};
use serde::Deserialize;
use serde_json::Value;

const SIZE: &str = "write `100MiB`, `10MB` or a number of bytes; 0 for no limit";
const AGE: &str = "write `24h`, `30m` or `1h30m`; 0 for no limit";
const COUNT: &str = "write a whole number; 0 to keep all";
const PATH: &str = "name the file to append to, such as `/var/lib/delfin/performance.jsonl`";

/// Checked settings. `None` means no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawSettings")]
pub(crate) struct Config {
    pub(crate) path: PathBuf,
    /// A file of at least this length is rotated.
    pub(crate) rotate_bytes: Option<u64>,
    /// A file whose first line is at least this old is rotated.
    pub(crate) rotate_age: Option<Duration>,
    /// The number of rotated files to keep.
    pub(crate) keep: Option<usize>,
}

/// The settings as they were written. Each takes any value, so that all mistakes
/// can be reported together, each with its key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    path: Option<Value>,
    rotate_bytes: Option<Value>,
    rotate_age: Option<Value>,
    keep: Option<Value>,
}

impl TryFrom<RawSettings> for Config {
    type Error = ConfigError;

    fn try_from(written: RawSettings) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        if written.path.is_none() {
            mistakes.missing("path", PATH);
        }
        let path = mistakes.read("path", written.path, read_path, PATH);
        let mut limit = |key, value, read: fn(&Value) -> Option<u64>, remedy| {
            mistakes
                .read::<u64>(key, value, read, remedy)
                .filter(|&limit| limit > 0)
        };
        let rotate_bytes = limit("rotate_bytes", written.rotate_bytes, read_size, SIZE);
        let rotate_age = limit("rotate_age", written.rotate_age, read_age_millis, AGE);
        let keep = limit("keep", written.keep, Value::as_u64, COUNT);
        mistakes.into_result(Self {
            path: path.unwrap_or_default(),
            rotate_bytes,
            rotate_age: rotate_age.map(Duration::from_millis),
            keep: keep.map(|keep| usize::try_from(keep).unwrap_or(usize::MAX)),
        })
    }
}

fn read_path(value: &Value) -> Option<PathBuf> {
    let text = value.as_str()?;
    let path = PathBuf::from(text);
    // `file_name` ignores a trailing `/`, but such a path names a folder.
    (path.file_name().is_some() && !text.ends_with('/') && !text.contains('\0')).then_some(path)
}

fn read_size(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| parse_size(value.as_str()?))
}

fn read_age_millis(value: &Value) -> Option<u64> {
    let Some(text) = value.as_str() else {
        // A number has no unit; only 0 means the same in every unit.
        return value.as_u64().filter(|&number| number == 0);
    };
    u64::try_from(parse_duration(text)?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Config, String> {
        serde_json::from_value(config).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn every_setting_is_read() {
        let config = read(json!({
            "path": "out/performance.jsonl",
            "rotate_bytes": "100MiB",
            "rotate_age": "24h",
            "keep": 10,
        }));
        let expected = Config {
            path: "out/performance.jsonl".into(),
            rotate_bytes: Some(100 << 20),
            rotate_age: Some(Duration::from_hours(24)),
            keep: Some(10),
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn a_limit_that_is_0_or_absent_is_no_limit() {
        let absent = read(json!({ "path": "a" })).unwrap();
        let zero = json!({ "path": "a", "rotate_bytes": 0, "rotate_age": "0s", "keep": 0 });
        assert_eq!(absent, read(zero).unwrap());
        let zero = json!({ "path": "a", "rotate_bytes": "0", "rotate_age": 0 });
        assert_eq!(absent, read(zero).unwrap());
        let Config {
            rotate_bytes,
            rotate_age,
            keep,
            ..
        } = absent;
        assert_eq!((rotate_bytes, rotate_age, keep), (None, None, None));
    }

    #[test]
    fn sizes_are_read_in_both_kinds_of_units() {
        let check = |written: Value, bytes| assert_eq!(read_size(&written), bytes, "{written}");
        check(json!(4096), Some(4096));
        check(json!("4096"), Some(4096));
        check(json!("8 GiB"), Some(8 << 30));
        check(json!("10mb"), Some(10_000_000));
        for bad in ["", "MiB", "8G", "1.5GiB", "-1", "99999999999TiB"] {
            check(json!(bad), None);
        }
        for bad in [json!(-1), json!(1.5), json!(true)] {
            check(bad, None);
        }
    }

    #[test]
    fn every_mistake_is_reported_with_its_key_its_value_and_the_remedy() {
        let mistakes = read(json!({
            "rotate_bytes": "lots",
            "rotate_age": 3600,
            "keep": -1,
        }));
        assert_eq!(
            mistakes.unwrap_err(),
            "`path` is missing (name the file to append to, such as \
             `/var/lib/delfin/performance.jsonl`); \
             `rotate_bytes` cannot be `\"lots\"` (write `100MiB`, `10MB` or a number of bytes; \
             0 for no limit); \
             `rotate_age` cannot be `3600` (write `24h`, `30m` or `1h30m`; 0 for no limit); \
             `keep` cannot be `-1` (write a whole number; 0 to keep all)"
        );
    }

    #[test]
    fn a_path_that_names_no_file_is_refused() {
        for path in ["", "/", "..", "out/", "a\0b"] {
            let mistake = read(json!({ "path": path })).unwrap_err();
            assert!(mistake.starts_with("`path` cannot be `"), "{mistake}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused_with_a_list_of_the_known_ones() {
        let mistake = read(json!({ "path": "a", "rotate": "1h" })).unwrap_err();
        assert_eq!(
            mistake,
            "unknown field `rotate`, expected one of `path`, `rotate_bytes`, `rotate_age`, `keep`"
        );
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example: Value = toml::from_str(include_str!("../example.toml")).unwrap();
        for exporter in ["performance-file", "alert-file"] {
            let config = &example["exporter"][exporter]["config"];
            let path = &config["path"];
            assert_eq!(read(config.clone()), read(json!({ "path": path })));
        }
    }
}
