//! The tables of Delfin, and the storages in them.
//!
//! Delfin stores passwords in Base64, which its default `delfin_cryptor` writes.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::ImportRow;

/// The columns of a row that are not `NULL`, as text.
pub(super) type DelfinRow = BTreeMap<String, String>;

/// The tables that the import reads.
pub(super) const TABLES: [&str; 4] = ["access_info", "storages", "tasks", "alert_source"];

/// Rows by table.
pub(super) type DelfinTables = BTreeMap<String, Vec<DelfinRow>>;

const WAYS: [&str; 4] = ["rest", "ssh", "cli", "smis"];

const TEXTS: [&str; 7] = [
    "name",
    "vendor",
    "model",
    "serial_number",
    "description",
    "location",
    "firmware_version",
];

/// The columns of an alert source, as the call names them too.
const SOURCE_TEXTS: [&str; 8] = [
    "host",
    "version",
    "username",
    "security_level",
    "engine_id",
    "auth_protocol",
    "privacy_protocol",
    "context_name",
];
const SOURCE_NUMBERS: [&str; 3] = ["retry_num", "expiration", "port"];
const SOURCE_SECRETS: [&str; 3] = ["community_string", "auth_key", "privacy_key"];

const CAPACITIES: [&str; 5] = [
    "total_capacity",
    "used_capacity",
    "free_capacity",
    "raw_capacity",
    "subscribed_capacity",
];

/// The storages that Delfin has access to, without those that it has deleted.
pub(super) fn rows(tables: &DelfinTables) -> Vec<ImportRow> {
    let table = |name: &str| tables.get(name).map_or(&[][..], Vec::as_slice);
    let access = table("access_info").iter();
    let rows = access.filter_map(|access| {
        let id = access.get("storage_id")?;
        let same = |row: &&DelfinRow, key: &str| row.get(key) == Some(id);
        let storage = table("storages").iter().find(|row| same(row, "id"));
        if storage.is_some_and(is_deleted) {
            return None;
        }
        let mut tasks = table("tasks").iter();
        let task = tasks.find(|row| same(row, "storage_id") && !is_deleted(row));
        let names = [
            storage.and_then(|row| row.get("name")),
            access.get("storage_name"),
        ];
        let mut sources = table("alert_source").iter();
        let source = sources.find(|row| same(row, "storage_id") && !is_deleted(row));
        Some(ImportRow {
            alert_source: source.map(alert_source),
            id: id.clone(),
            name: names
                .into_iter()
                .flatten()
                .next()
                .cloned()
                .unwrap_or_default(),
            body: body(id, access, storage, task),
        })
    });
    rows.collect()
}

fn is_deleted(row: &DelfinRow) -> bool {
    row.get("deleted").is_some_and(|deleted| deleted == "1")
}

fn body(
    id: &str,
    access: &DelfinRow,
    storage: Option<&DelfinRow>,
    task: Option<&DelfinRow>,
) -> Result<Value, String> {
    let mut body = json!({ "id": id, "registration": registration(access)? });
    if let Some(storage) = storage {
        body["known"] = known(storage);
    }
    if let Some(seconds) = task.and_then(|task| task.get("interval")?.parse::<u64>().ok()) {
        body["interval"] = seconds.into();
    }
    Ok(body)
}

fn registration(access: &DelfinRow) -> Result<Value, String> {
    let mut registration = Map::new();
    for key in ["vendor", "model", "storage_name"] {
        if let Some(text) = access.get(key).filter(|text| !text.is_empty()) {
            registration.insert(key.to_owned(), text.as_str().into());
        }
    }
    for key in WAYS.iter().chain(&["extra_attributes"]) {
        let Some(text) = access.get(*key) else {
            continue;
        };
        // The parser's error is not shown: it may quote a password.
        let value: Value =
            serde_json::from_str(text).map_err(|_| format!("column `{key}` is not JSON"))?;
        let Value::Object(mut fields) = value else {
            continue;
        };
        if fields.is_empty() {
            continue;
        }
        if WAYS.contains(key) {
            decode_password(key, &mut fields)?;
        }
        registration.insert((*key).to_owned(), fields.into());
    }
    Ok(registration.into())
}

/// The SNMP configuration, as the API takes it.
fn alert_source(row: &DelfinRow) -> Result<Value, String> {
    let mut source = Map::new();
    for key in SOURCE_TEXTS {
        if let Some(text) = row.get(key).filter(|text| !text.is_empty()) {
            source.insert(key.to_owned(), text.as_str().into());
        }
    }
    for key in SOURCE_NUMBERS {
        if let Some(number) = row.get(key).and_then(|text| text.parse::<i64>().ok()) {
            source.insert(key.to_owned(), number.into());
        }
    }
    for key in SOURCE_SECRETS {
        if let Some(encoded) = row.get(key).filter(|text| !text.is_empty()) {
            let plain = decode(encoded, || format!("`{key}` of the alert source"))?;
            source.insert(key.to_owned(), plain.into());
        }
    }
    Ok(source.into())
}

fn decode_password(way: &str, fields: &mut Map<String, Value>) -> Result<(), String> {
    let Some(Value::String(encoded)) = fields.get("password") else {
        return Ok(());
    };
    let plain = decode(encoded, || format!("the password of `{way}`"))?;
    fields.insert("password".to_owned(), plain.into());
    Ok(())
}

fn decode(encoded: &str, what: impl FnOnce() -> String) -> Result<String, String> {
    let plain = STANDARD.decode(encoded).ok();
    let plain = plain.and_then(|bytes| String::from_utf8(bytes).ok());
    plain.ok_or_else(|| {
        format!(
            "{} is not in Base64 (does Delfin use another `delfin_cryptor`?)",
            what()
        )
    })
}

fn known(storage: &DelfinRow) -> Value {
    let texts = TEXTS.iter();
    let texts =
        texts.filter_map(|key| Some(((*key).to_owned(), storage.get(*key)?.clone().into())));
    let capacities = CAPACITIES.iter().filter_map(|key| {
        let bytes: u64 = storage.get(*key)?.parse().ok()?;
        Some(((*key).to_owned(), bytes.into()))
    });
    Value::Object(texts.chain(capacities).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[(&str, &str)]) -> DelfinRow {
        let columns = columns.iter();
        columns
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect()
    }

    fn tables(access: DelfinRow, storage: DelfinRow) -> DelfinTables {
        DelfinTables::from([
            ("access_info".to_owned(), vec![access]),
            ("storages".to_owned(), vec![storage]),
        ])
    }

    #[test]
    fn a_storage_has_its_id_its_decoded_password_and_what_delfin_knows() {
        let access = row(&[
            ("storage_id", "7"),
            ("vendor", "v"),
            ("model", "m"),
            (
                "rest",
                r#"{"host":"h","port":1,"username":"u","password":"aHVudGVyMg=="}"#,
            ),
            ("ssh", "{}"),
            ("cli", "null"),
        ]);
        let storage = row(&[("id", "7"), ("name", "array"), ("total_capacity", "10")]);
        let rows = rows(&tables(access, storage));
        let body = rows[0].body.as_ref().unwrap();
        assert_eq!((&*rows[0].id, &*rows[0].name), ("7", "array"));
        assert_eq!(body["registration"]["rest"]["password"], "hunter2");
        assert_eq!(body["registration"].get("ssh"), None);
        assert_eq!(body["known"]["total_capacity"], 10);
    }

    #[test]
    fn an_alert_source_has_its_decoded_keys() {
        let access = row(&[("storage_id", "7"), ("vendor", "v"), ("model", "m")]);
        let mut tables = tables(access, row(&[("id", "7")]));
        let source = row(&[
            ("storage_id", "7"),
            ("host", "192.0.2.7"),
            ("version", "SNMPv3"),
            ("security_level", "authNoPriv"),
            ("auth_key", "aHVudGVyMg=="),
            ("port", "161"),
            ("privacy_key", ""),
        ]);
        tables.insert("alert_source".to_owned(), vec![source]);
        let found = rows(&tables)[0].alert_source.clone().unwrap().unwrap();
        let wanted = json!({"host": "192.0.2.7", "version": "SNMPv3", "security_level": "authNoPriv",
            "auth_key": "hunter2", "port": 161});
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_delfin_has_deleted_is_left_out_and_an_unknown_cryptor_is_named() {
        let access = |password: &str| {
            let rest = json!({ "host": "h", "password": password }).to_string();
            row(&[("storage_id", "7"), ("rest", &rest)])
        };
        let deleted = row(&[("id", "7"), ("deleted", "1")]);
        assert!(rows(&tables(access("aHVudGVyMg=="), deleted)).is_empty());
        let rows = rows(&tables(access("hunter2!"), row(&[("id", "7")])));
        let reason = rows[0].body.as_ref().unwrap_err();
        assert!(reason.contains("`delfin_cryptor`"), "{reason}");
        assert!(!reason.contains("hunter2"), "{reason}");
    }
}
