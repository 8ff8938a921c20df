//! Which call needs which scope.
//!
//! `security(("token" = ["ingest"]))` in the description of a route declares its scope, and
//! `security(())` declares that everyone may make the call. Without a declaration, `GET` needs
//! `read`, and every other method `admin`. The document of the API shows all of them.

use std::collections::HashMap;

use axum::http::Method;
use utoipa::openapi::{
    Content, OpenApi, PathItem, Ref, RefOr, ResponseBuilder,
    path::Operation,
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use crate::access::AccessScope;

/// The name of the security scheme in the document.
const TOKEN_SCHEME: &str = "token";

/// The scope of each method of each route; `None`: everyone may make the call.
#[derive(Debug, Default)]
pub(in crate::api) struct RouteScopes(HashMap<String, HashMap<Method, Option<AccessScope>>>);

impl RouteScopes {
    /// Reads the declared scopes, and adds to the document what was not declared.
    pub(in crate::api) fn complete(document: &mut OpenApi) -> Self {
        let mut routes = HashMap::new();
        for (path, item) in &mut document.paths.paths {
            let mut scopes = HashMap::new();
            for (method, operation) in operations(item) {
                let scope = match &operation.security {
                    Some(declared) => scope_of(declared),
                    None if method.is_safe() => Some(AccessScope::Read),
                    None => Some(AccessScope::Admin),
                };
                if let Some(scope) = scope {
                    operation.security = Some(vec![requirement(scope)]);
                    describe_refusals(operation, scope);
                }
                scopes.insert(method, scope);
            }
            routes.insert(path.clone(), scopes);
        }
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(
            "A token of `delfin-host tokens add`, with the scope that the call names: `read`, \
             `ingest` or `admin`, which includes the others. Not needed while no token exists."
                .to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(TOKEN_SCHEME, SecurityScheme::Http(scheme));
        Self(routes)
    }

    /// The scope that a call needs. A call without a description needs `admin`, except for another method of a route
    /// whose calls everyone may make: it is answered 405.
    pub(in crate::api) fn of(&self, method: &Method, route: &str) -> Option<AccessScope> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let Some(scopes) = self.0.get(route) else {
            return Some(AccessScope::Admin);
        };
        let is_open = scopes.values().all(Option::is_none);
        let undeclared = (!is_open).then_some(AccessScope::Admin);
        scopes.get(method).copied().unwrap_or(undeclared)
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let operations = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ];
    let operations = operations.into_iter();
    operations.filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn requirement(scope: AccessScope) -> SecurityRequirement {
    SecurityRequirement::new(TOKEN_SCHEME, [scope.as_str()])
}

/// An unknown declaration needs `admin`; a test refuses it.
fn scope_of(declared: &[SecurityRequirement]) -> Option<AccessScope> {
    if declared == [SecurityRequirement::default()] {
        return None;
    }
    let scopes = AccessScope::ALL.into_iter();
    let mut scopes = scopes.filter(|scope| declared == [requirement(*scope)]);
    Some(scopes.next().unwrap_or(AccessScope::Admin))
}

fn describe_refusals(operation: &mut Operation, scope: AccessScope) {
    let refusals = [
        (
            "401",
            "A token is needed, and is missing or unknown".to_owned(),
        ),
        (
            "403",
            format!(
                "The token does not have the scope `{scope}`, or a web page of another site made the request"
            ),
        ),
    ];
    for (status, description) in refusals {
        let body = RefOr::Ref(Ref::from_schema_name("ErrorBody"));
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", Content::new(Some(body)))
            .build();
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert_with(|| response.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_that_is_unknown_needs_the_most() {
        let declared = [SecurityRequirement::new(TOKEN_SCHEME, ["reed"])];
        assert_eq!(scope_of(&declared), Some(AccessScope::Admin));
        assert_eq!(
            scope_of(&[requirement(AccessScope::Ingest)]),
            Some(AccessScope::Ingest)
        );
        assert_eq!(scope_of(&[SecurityRequirement::default()]), None);
    }
}
