//! Reads storages from a table as CSV, whose first line has the names of columns.
//!
//! Passwords are plain text.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::ImportRow;

/// The columns of the storage itself, with their place in the body.
const COLUMNS: [(&str, &str); 7] = [
    ("id", "/id"),
    ("vendor", "/registration/vendor"),
    ("model", "/registration/model"),
    ("storage_name", "/registration/storage_name"),
    ("name", "/known/name"),
    ("serial_number", "/known/serial_number"),
    ("interval", "/interval"),
];

/// The column with the labels of the storage, as `site=a;rack=3`.
const LABELS: &str = "labels";

/// The columns of access data have one of these, a dot and a field.
const GROUPS: [&str; 6] = ["rest", "ssh", "cli", "smis", "extra_attributes", SNMP];

/// The group of the SNMP configuration, with the fields of its call.
const SNMP: &str = "snmp";

/// The columns with numbers.
const NUMBERS: [&str; 8] = [
    "interval",
    "rest.port",
    "ssh.port",
    "cli.port",
    "smis.port",
    "snmp.port",
    "snmp.retry_num",
    "snmp.expiration",
];

/// Storages without an id get one that is the same at each import.
const NAMESPACE: Uuid = Uuid::from_u128(0x7d9c_8bd0_52f1_4f0b_9d57_3b1c_6a0e_51aa);

/// Reads the rows of a table.
pub(super) fn rows(content: &[u8]) -> Result<Vec<ImportRow>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::Headers)
        .from_reader(content);
    let names = reader.headers().map_err(|error| error.to_string())?.clone();
    if names.is_empty() {
        return Err(
            "it is empty (the first line names the columns, such as vendor,model,rest.host)"
                .to_owned(),
        );
    }
    for name in &names {
        if name != LABELS && pointer(name).is_none() {
            let known: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "column `{name}` is unknown (use {}, {LABELS}, and {} with a dot and a field, as in `rest.host`)",
                known.join(", "),
                GROUPS.join(", ")
            ));
        }
    }
    let records = reader.records().map(|record| {
        let record = record.map_err(|error| error.to_string())?;
        Ok(row(names.iter().zip(record.iter())))
    });
    records.collect()
}

fn row<'c>(cells: impl Iterator<Item = (&'c str, &'c str)>) -> ImportRow {
    let mut body = Map::new();
    let mut wrong = None;
    let mut label = [String::new(), String::new()];
    for (name, text) in cells.filter(|(_, text)| !text.is_empty()) {
        match name {
            "storage_name" | "name" => text.clone_into(&mut label[0]),
            "vendor" | "model" | "rest.host" | "ssh.host" | "cli.host" | "smis.host" => {
                label[1].push_str(text);
                label[1].push('\0');
            }
            _ => {}
        }
        if name == LABELS {
            match labels(text) {
                Ok(labels) => drop(body.insert(LABELS.to_owned(), labels)),
                Err(reason) => wrong = Some(reason),
            }
        }
        let Some(path) = pointer(name) else { continue };
        let value = if NUMBERS.contains(&name) {
            text.parse::<i64>().map_or(Value::Null, Value::from)
        } else {
            Value::from(text)
        };
        if value.is_null() {
            wrong = Some(format!("`{name}` is not a number"));
        }
        set(&mut body, &path, value);
    }
    let [name, key] = label;
    let derived = || Uuid::new_v5(&NAMESPACE, format!("{key}{name}").as_bytes()).to_string();
    let id = body.entry("id").or_insert_with(|| derived().into());
    let id = id.as_str().unwrap_or_default().to_owned();
    let alert_source = body.remove(SNMP).map(Ok);
    let body = wrong.map_or(Ok(Value::Object(body)), Err);
    ImportRow {
        id,
        name,
        body,
        alert_source,
    }
}

/// Labels with `;` between them.
fn labels(text: &str) -> Result<Value, String> {
    let mut labels = Map::new();
    for label in text.split(';').filter(|label| !label.trim().is_empty()) {
        let (name, value) = label.split_once('=').ok_or_else(|| {
            format!("`{LABELS}`: `{label}` has no `=` (write them as `site=a;rack=3`)")
        })?;
        let name = name.trim().to_owned();
        if labels.insert(name, value.trim().into()).is_some() {
            return Err(format!(
                "`{LABELS}`: `{label}` has the name of another label"
            ));
        }
    }
    Ok(labels.into())
}

/// The place of a column in the body.
fn pointer(name: &str) -> Option<String> {
    if let Some((_, pointer)) = COLUMNS.iter().find(|(column, _)| *column == name) {
        return Some((*pointer).to_owned());
    }
    let (group, field) = name.split_once('.')?;
    let is_known = GROUPS.contains(&group) && !field.is_empty();
    is_known.then(|| match group {
        SNMP => format!("/{group}/{field}"),
        _ => format!("/registration/{group}/{field}"),
    })
}

fn set(body: &mut Map<String, Value>, pointer: &str, value: Value) {
    // Only the last part can have a slash: the name of an attribute.
    let mut parts = pointer[1..].splitn(3, '/').peekable();
    let mut fields = body;
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            fields.insert(part.to_owned(), value);
            return;
        }
        let next = fields.entry(part).or_insert_with(|| Map::new().into());
        match next {
            Value::Object(next) => fields = next,
            // A column is a value or a group, by its name.
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_fields_and_empty_cells_are_absent() {
        let table = "id, vendor,model,name,rest.host,rest.port,rest.password,extra_attributes.a/b,snmp.host,snmp.port\n\
                     ,v,m,array,h,8080,\"a,b\",x,s,161\n\
                     7,v,m,,,,,,,\n";
        let rows = rows(table.as_bytes()).unwrap();
        let body = rows[0].body.as_ref().unwrap();
        assert_eq!(body["registration"]["rest"]["port"], 8080);
        assert_eq!(body["registration"]["rest"]["password"], "a,b");
        assert_eq!(body["registration"]["extra_attributes"]["a/b"], "x");
        assert_eq!(body["known"]["name"], "array");
        assert_eq!(body.get("snmp"), None);
        let source = rows[0].alert_source.clone().unwrap().unwrap();
        assert_eq!(source, serde_json::json!({"host": "s", "port": 161}));
        assert!(rows[1].alert_source.is_none());
        assert_eq!(rows[0].id.len(), 36, "derived");
        assert_eq!(rows[1].body.as_ref().unwrap()["id"], "7");
        assert!(
            rows[1].body.as_ref().unwrap()["registration"]
                .get("rest")
                .is_none()
        );
        let again = super::rows(table.as_bytes()).unwrap();
        assert_eq!(again[0].id, rows[0].id);
    }

    #[test]
    fn labels_are_pairs_and_a_mistake_is_named() {
        let rows = rows(b"vendor,labels\nv,site=a; rack=3=4;\nv,site\nv,a=1;a=2\nv,\n").unwrap();
        let body = rows[0].body.as_ref().unwrap();
        assert_eq!(
            body["labels"],
            serde_json::json!({"site": "a", "rack": "3=4"})
        );
        assert_eq!(
            rows[1].body.as_ref().unwrap_err(),
            "`labels`: `site` has no `=` (write them as `site=a;rack=3`)"
        );
        assert!(rows[2].body.is_err());
        assert_eq!(rows[3].body.as_ref().unwrap().get("labels"), None);
    }

    #[test]
    fn an_empty_file_says_so() {
        let error = rows(b"").err().unwrap();
        assert!(error.starts_with("it is empty (the first line"), "{error}");
        assert!(rows(b"vendor,model\n").unwrap().is_empty());
    }

    #[test]
    fn an_unknown_column_and_a_wrong_number_are_named() {
        let error = rows(b"vendor,pasword\n").err().unwrap();
        assert!(error.starts_with("column `pasword` is unknown"), "{error}");
        let rows = rows(b"vendor,rest.port\nv,x\n").unwrap();
        assert_eq!(
            rows[0].body.as_ref().unwrap_err(),
            "`rest.port` is not a number"
        );
    }
}
