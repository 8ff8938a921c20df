//! Reads Delfin's database in SQLite.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::delfin::{DelfinRow, DelfinTables, TABLES};

/// Reads the tables of a file, and changes nothing.
pub(super) fn read(path: &Path) -> Result<DelfinTables, String> {
    let read = || -> rusqlite::Result<DelfinTables> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut tables = DelfinTables::new();
        for table in TABLES {
            if connection.table_exists(None, table)? {
                tables.insert(table.to_owned(), rows(&connection, table)?);
            }
        }
        Ok(tables)
    };
    let tables = read().map_err(|error| error.to_string())?;
    if !tables.contains_key("access_info") {
        return Err("it is not a database of Delfin: it has no table `access_info`".to_owned());
    }
    Ok(tables)
}

fn rows(connection: &Connection, table: &str) -> rusqlite::Result<Vec<DelfinRow>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let names = statement.column_names();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| {
        let mut columns = DelfinRow::new();
        for (index, name) in names.iter().enumerate() {
            let text = match row.get_ref(index)? {
                ValueRef::Null => continue,
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) | ValueRef::Blob(text) => {
                    String::from_utf8_lossy(text).into_owned()
                }
            };
            columns.insert(name.clone(), text);
        }
        Ok(columns)
    })?;
    rows.collect()
}
