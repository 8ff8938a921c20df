//! The descriptions of the routes, from the table of kinds.

use axum::routing::MethodRouter;
use utoipa::{
    IntoParams, IntoResponses,
    openapi::{
        ArrayBuilder, ContentBuilder, Object, ObjectBuilder, Ref, RefOr, Required, Response,
        ResponseBuilder, Schema,
        path::{
            HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
            PathItem, Paths,
        },
        schema::{SchemaType, Type},
    },
};
use utoipa_axum::router::UtoipaMethodRouter;

use super::query::FILTERS;
use crate::{
    api::{
        page,
        responses::{InvalidDelfinQuery, InventoryUnavailable},
        state::ApiState,
        storages::StoragePath,
    },
    collect::{FieldType, ListScope, ResourceKind},
    inventory::sort_keys,
};

/// The route of a list.
pub(super) fn list(
    kind: ResourceKind,
    router: MethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let name = kind.name();
    let words = words(kind);
    let segment = kind.segment();
    let (path, whose) = match kind.scope() {
        ListScope::AllStorages => (format!("/v1/{segment}"), "all storages"),
        ListScope::OneStorage => (format!("/v1/storages/{{id}}/{segment}"), "a storage"),
    };
    let resources = ArrayBuilder::new().items(reference(kind));
    let body = ObjectBuilder::new()
        .property(name, resources)
        .required(name);
    let operation = operation(
        format!("list_{name}"),
        format!(
            "Lists the {words} of {whose}, in the order that the query asks for; without one, the newest first."
        ),
        format!("The {words}"),
        body.into(),
    );
    let operation = operation
        .parameters(Some(list_parameters(kind)))
        .responses_of::<InvalidDelfinQuery>()
        .response(
            "404",
            error(&format!("`marker` is not the id of one of the {words}")),
        );
    route(kind, path, operation.build(), router)
}

/// The route of a single resource.
pub(super) fn show(
    kind: ResourceKind,
    router: MethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let name = kind.name();
    let path = format!("/v1/{}/{{id}}", kind.segment());
    let id = parameter("id", "Id of the resource.", text(), ParameterIn::Path);
    let operation = operation(
        format!("show_{name}"),
        format!("Shows one of the {}.", words(kind)),
        "The resource".to_owned(),
        reference(kind),
    );
    let operation = operation
        .parameter(id)
        .response("404", error("No resource of this kind has the id"));
    route(kind, path, operation.build(), router)
}

fn route(
    kind: ResourceKind,
    path: String,
    operation: Operation,
    router: MethodRouter<ApiState>,
) -> UtoipaMethodRouter<ApiState> {
    let mut paths = Paths::new();
    let item = PathItem::new(HttpMethod::Get, operation);
    paths.paths.insert(path, item);
    (vec![(schema_name(kind), schema(kind))], paths, router)
}

fn operation(
    id: String,
    summary: String,
    success: String,
    body: RefOr<Schema>,
) -> OperationBuilder {
    let content = ContentBuilder::new().schema(Some(body)).build();
    let success = ResponseBuilder::new()
        .description(success)
        .content("application/json", content);
    OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .response("200", success.build())
        .responses_of::<InventoryUnavailable>()
}

/// Adds the responses of a type.
trait ResponsesOf {
    fn responses_of<T: IntoResponses>(self) -> Self;
}

impl ResponsesOf for OperationBuilder {
    fn responses_of<T: IntoResponses>(self) -> Self {
        let responses = T::responses().into_iter();
        responses.fold(self, |operation, (status, response)| {
            operation.response(status, response)
        })
    }
}

fn error(description: &str) -> Response {
    let body = RefOr::Ref(Ref::from_schema_name("ErrorBody"));
    let content = ContentBuilder::new().schema(Some(body)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build()
}

fn list_parameters(kind: ResourceKind) -> Vec<Parameter> {
    let mut parameters = match kind.scope() {
        ListScope::AllStorages => Vec::new(),
        ListScope::OneStorage => StoragePath::into_params(|| None),
    };
    let keys: Vec<&str> = sort_keys(kind).collect();
    let page = [
        (
            "limit",
            "Maximum number of resources; 1000 by default and at most.",
            page::limit_schema(),
        ),
        (
            "offset",
            "Number of resources to skip.",
            page::offset_schema(),
        ),
        (
            "marker",
            "Id of a resource: the list begins after it.",
            text(),
        ),
        (
            "sort",
            "Sort order, as in `status:asc,name:desc`; without a direction, descending.",
            page::sort_schema(&keys),
        ),
        (
            "sort_key",
            "The field to sort by, if there is no `sort`; `created_at` by default.",
            page::one_of(&keys),
        ),
        (
            "sort_dir",
            "`asc` or `desc`, for `sort_key`; `desc` by default.",
            page::sort_dir_schema(),
        ),
    ];
    for (name, description, schema) in page {
        parameters.push(parameter(name, description, schema, ParameterIn::Query));
    }
    for name in FILTERS.iter().chain(kind.filters()) {
        // One of this name is in the path.
        if *name == "id" && kind.scope() == ListScope::OneStorage {
            continue;
        }
        let has_field = FILTERS.contains(name) || kind.fields().iter().any(|one| one.name == *name);
        let description = if has_field {
            format!("Only resources with this `{name}`.")
        } else {
            "The resources have no such field: the list is empty, as in Delfin.".to_owned()
        };
        parameters.push(parameter(name, &description, text(), ParameterIn::Query));
    }
    parameters
}

fn parameter(name: &str, description: &str, schema: Object, place: ParameterIn) -> Parameter {
    let required = match place {
        ParameterIn::Path => Required::True,
        _ => Required::False,
    };
    ParameterBuilder::new()
        .name(name)
        .description(Some(description))
        .required(required)
        .parameter_in(place)
        .schema(Some(schema))
        .build()
}

fn text() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

/// The object of a resource: its fields are always there, and can be null.
fn schema(kind: ResourceKind) -> RefOr<Schema> {
    let texts = || ArrayBuilder::new().items(text());
    let mut object = ObjectBuilder::new()
        .description(Some(format!(
            "One of the {}. Capacities are in bytes.",
            words(kind)
        )))
        .property(
            "created_at",
            ObjectBuilder::from(text())
                .description(Some("When the storage first listed it, in UTC.")),
        )
        .property("updated_at", nullable(Type::String))
        .property("id", text())
        .property("storage_id", text());
    for required in ["created_at", "updated_at", "id", "storage_id"] {
        object = object.required(required);
    }
    for field in kind.fields() {
        object = match field.field_type {
            FieldType::Text => object.property(field.name, nullable(Type::String)),
            FieldType::Integer => object.property(field.name, nullable(Type::Integer)),
            FieldType::Flag => object.property(field.name, nullable(Type::Boolean)),
            FieldType::Ratio => object.property(field.name, nullable(Type::Number)),
            FieldType::Texts => object.property(field.name, texts()),
        };
        object = object.required(field.name);
    }
    if let Some(relation) = kind.relation() {
        object = object
            .property(relation.field, texts())
            .required(relation.field);
    }
    object.into()
}

fn nullable(value_type: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Array(vec![value_type, Type::Null]))
}

fn reference(kind: ResourceKind) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(schema_name(kind)))
}

/// `StoragePool` for `storage_pools`.
fn schema_name(kind: ResourceKind) -> String {
    let parts = kind.name().trim_end_matches('s').split('_');
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    parts.map(capital).collect()
}

fn words(kind: ResourceKind) -> String {
    kind.name().replace('_', " ")
}
