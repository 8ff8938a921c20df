//! Reads resources: filters, order and page, as Delfin does it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params_from_iter, types::Type};
use serde_json::{Value, value::RawValue};
use uuid::Uuid;

use super::{
    ListState, StoredResource,
    cluster_lists::{ListedResource, StoredList},
};
use crate::{
    collect::{FieldType, Relation, ResourceFields, ResourceKind},
    inventory::InventoryError,
};

const COLUMNS: &str = "id, storage_id, created_us, updated_us, fields";

/// Which resources of a kind, in which order.
#[derive(Clone, Debug)]
pub struct ResourceQuery {
    pub kind: ResourceKind,
    /// Names of fields with the text that a resource must have in them.
    pub filters: Vec<(String, String)>,
    /// Names of fields; the first is the most significant.
    pub sort: Vec<(String, SortDirection)>,
    /// The list begins after the resource with this id.
    pub marker: Option<String>,
    pub offset: usize,
    pub limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortDirection {
    Ascending,
    Descending,
}

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
pub enum ResourceQueryError {
    /// The kind has no such field.
    #[error("cannot sort by a field that the resources do not have")]
    UnknownSortKey,
    #[error("no resource has the id of the marker")]
    UnknownMarker,
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

/// The parts of a query in SQL.
pub(super) struct Statement {
    kind: ResourceKind,
    conditions: String,
    order: String,
    page: String,
    /// Begins with the kind.
    arguments: Vec<Box<dyn ToSql>>,
    marker: Option<Vec<u8>>,
}

impl ResourceQuery {
    pub(super) fn statement(&self) -> Result<Statement, ResourceQueryError> {
        let mut arguments: Vec<Box<dyn ToSql>> = vec![Box::new(self.kind.name())];
        let mut conditions = String::from("kind = ?1");
        for (name, value) in &self.filters {
            // As in Delfin, nothing has a field that does not exist.
            let column = column(self.kind, name).unwrap_or_else(|| "NULL".to_owned());
            arguments.push(if name == "id" {
                Box::new(id(value))
            } else {
                Box::new(value.clone())
            });
            conditions += &format!(" AND {column} = ?{}", arguments.len());
        }
        let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        Ok(Statement {
            kind: self.kind,
            conditions,
            order: self.order()?,
            page: format!(
                "LIMIT {} OFFSET {}",
                number(self.limit),
                number(self.offset)
            ),
            arguments,
            marker: self.marker.as_deref().map(id),
        })
    }

    fn order(&self) -> Result<String, ResourceQueryError> {
        let mut order = String::new();
        for (name, direction) in &self.sort {
            let column = column(self.kind, name).ok_or(ResourceQueryError::UnknownSortKey)?;
            let direction = match direction {
                SortDirection::Ascending => "ASC",
                SortDirection::Descending => "DESC",
            };
            order += &format!("{column} {direction}, ");
        }
        // Without a last key that is unique, pages could overlap.
        Ok(order + "id")
    }
}

impl Statement {
    /// An unknown marker is the inner error, so that it is not taken for one of the file.
    pub(super) fn run(
        &self,
        connection: &Connection,
    ) -> rusqlite::Result<Result<Vec<StoredResource>, ResourceQueryError>> {
        let Self {
            conditions,
            order,
            page,
            ..
        } = self;
        let text = match &self.marker {
            None => format!(
                "SELECT {COLUMNS} FROM resources WHERE {conditions} ORDER BY {order} {page}"
            ),
            Some(marker) => {
                // The place in the whole list: sort keys that are equal or null need no care.
                let places = format!(
                    "SELECT *, row_number() OVER (ORDER BY {order}) AS place
                        FROM resources WHERE kind = ?1"
                );
                let find = format!("SELECT place FROM ({places}) WHERE id = ?2");
                let arguments = (self.kind.name(), marker);
                let found = connection.query_row(&find, arguments, |row| row.get::<_, i64>(0));
                let Some(after) = found.optional()? else {
                    return Ok(Err(ResourceQueryError::UnknownMarker));
                };
                format!(
                    "SELECT {COLUMNS} FROM ({places}) WHERE place > {after} AND {conditions}
                        ORDER BY place {page}"
                )
            }
        };
        let mut statement = connection.prepare(&text)?;
        let rows = statement.query_map(params_from_iter(&self.arguments), stored)?;
        let mut resources: Vec<StoredResource> = rows.collect::<rusqlite::Result<_>>()?;
        if let Some(relation) = self.kind.relation() {
            relate(connection, self.kind, relation, &mut resources)?;
        }
        Ok(Ok(resources))
    }
}

pub(super) fn find(
    connection: &Connection,
    kind: ResourceKind,
    id: Uuid,
) -> rusqlite::Result<Option<StoredResource>> {
    let text = format!("SELECT {COLUMNS} FROM resources WHERE id = ?1 AND kind = ?2");
    let found = connection.query_row(&text, (id, kind.name()), stored);
    found.optional()
}

/// Passes the fields of each resource of a storage on.
pub(super) fn visit(
    connection: &Connection,
    storage_id: &str,
    kind: ResourceKind,
    visit: &mut dyn FnMut(&ResourceFields),
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT fields FROM resources WHERE kind = ?1 AND storage_id = ?2")?;
    let mut rows = statement.query([kind.name(), storage_id])?;
    while let Some(row) = rows.next()? {
        visit(&fields(row, 0)?);
    }
    Ok(())
}

/// The storages that something is stored of.
pub(super) fn storages(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT DISTINCT storage_id FROM lists")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

pub(super) fn lists(connection: &Connection, storage_id: &str) -> rusqlite::Result<Vec<ListState>> {
    let mut statement = connection
        .prepare("SELECT kind, resources, listed_us, error FROM lists WHERE storage_id = ?1")?;
    let rows = statement.query_map([storage_id], |row| {
        let kind: String = row.get(0)?;
        Ok(ListState {
            kind: ResourceKind::named(&kind).ok_or(rusqlite::Error::InvalidQuery)?,
            resources: row.get(1)?,
            listed_us: row.get(2)?,
            error: row.get(3)?,
        })
    })?;
    let mut lists: Vec<ListState> = rows.collect::<rusqlite::Result<_>>()?;
    lists.sort_by_key(|list| list.kind);
    Ok(lists)
}

/// The stored list of a kind.
pub(super) fn list(
    connection: &Connection,
    storage_id: &str,
    kind: ResourceKind,
) -> rusqlite::Result<StoredList> {
    let arguments = [kind.name(), storage_id];
    let mut statement = connection.prepare(
        "SELECT id, created_us, updated_us, fields FROM resources WHERE kind = ?1 AND storage_id = ?2",
    )?;
    let resources = statement.query_map(arguments, |row| {
        Ok(ListedResource {
            id: row.get(0)?,
            created_us: row.get(1)?,
            updated_us: row.get(2)?,
            fields: RawValue::from_string(row.get(3)?).map_err(|error| damaged(3, error))?,
        })
    })?;
    let state = connection.query_row(
        "SELECT listed_us, error FROM lists WHERE kind = ?1 AND storage_id = ?2",
        arguments,
        |row| Ok((row.get(0)?, row.get(1)?)),
    );
    let (listed_us, error) = state.optional()?.unwrap_or_default();
    Ok(StoredList {
        storage_id: storage_id.to_owned(),
        kind: kind.name().to_owned(),
        resources: resources.collect::<rusqlite::Result<_>>()?,
        listed_us,
        error,
    })
}

/// Adds the values of the other kind to each resource.
fn relate(
    connection: &Connection,
    kind: ResourceKind,
    relation: Relation,
    resources: &mut [StoredResource],
) -> rusqlite::Result<()> {
    let mut by_storage: HashMap<String, HashMap<String, Vec<Value>>> = HashMap::new();
    for resource in resources {
        let storage_id = &resource.storage_id;
        if !by_storage.contains_key(storage_id) {
            let values = related(connection, relation, storage_id)?;
            by_storage.insert(storage_id.clone(), values);
        }
        let native_id = resource.fields[kind.native_id()].as_str();
        let values = by_storage[storage_id].get(native_id.unwrap_or_default());
        let values = values.cloned().unwrap_or_default();
        let field = relation.field.to_owned();
        resource.fields.insert(field, values.into());
    }
    Ok(())
}

fn related(
    connection: &Connection,
    relation: Relation,
    storage_id: &str,
) -> rusqlite::Result<HashMap<String, Vec<Value>>> {
    let text = format!(
        "SELECT {}, {} FROM resources WHERE kind = ?1 AND storage_id = ?2 ORDER BY created_us",
        extract(relation.by),
        extract(relation.value),
    );
    let mut statement = connection.prepare(&text)?;
    let rows = statement.query_map([relation.kind.name(), storage_id], |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut values: HashMap<String, Vec<Value>> = HashMap::new();
    for row in rows {
        if let (Some(by), value) = row? {
            values.entry(by).or_default().push(value.into());
        }
    }
    Ok(values)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredResource> {
    Ok(StoredResource {
        id: row.get(0)?,
        storage_id: row.get(1)?,
        created_us: row.get(2)?,
        updated_us: row.get(3)?,
        fields: fields(row, 4)?,
    })
}

fn fields(row: &Row<'_>, column: usize) -> rusqlite::Result<ResourceFields> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| damaged(column, error))
}

fn damaged(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// The fields that a list of this kind can be sorted by.
pub fn sort_keys(kind: ResourceKind) -> impl Iterator<Item = &'static str> {
    let common = ["created_at", "updated_at", "id", "storage_id"];
    let fields = kind.fields().iter().map(|field| field.name);
    let all = common.into_iter().chain(fields);
    all.filter(move |name| column(kind, name).is_some())
}

fn column(kind: ResourceKind, name: &str) -> Option<String> {
    match name {
        "created_at" => return Some("created_us".to_owned()),
        "updated_at" => return Some("updated_us".to_owned()),
        "id" | "storage_id" => return Some(name.to_owned()),
        _ => {}
    }
    let field = kind.fields().iter().find(|field| field.name == name)?;
    (field.field_type != FieldType::Texts).then(|| extract(field.name))
}

fn extract(field: &'static str) -> String {
    format!("json_extract(fields, '$.{field}')")
}

/// The stored form of an id. A text that is not an id matches none.
fn id(text: &str) -> Vec<u8> {
    text.parse::<Uuid>()
        .map_or_else(|_| Vec::new(), |id| id.as_bytes().to_vec())
}
