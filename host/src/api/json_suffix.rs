//! `/v1/storages.json` is `/v1/storages`: Delfin has this suffix on the paths of its lists and of
//! their entries.

use axum::http::{Request, Uri, uri::PathAndQuery};

use crate::collect::{ListScope, ResourceKind};

const SUFFIX: &str = ".json";

/// Removes the suffix from the path of a request.
pub(super) fn remove<B>(request: &mut Request<B>) {
    if let Some(uri) = without_suffix(request.uri()) {
        *request.uri_mut() = uri;
    }
}

fn without_suffix(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix(SUFFIX)?;
    let mut segments = path.strip_prefix("/v1/")?.split('/');
    let is_list = segments.next().is_some_and(has_suffix);
    // An entry has one more segment; what follows it has no suffix.
    let is_short = segments.nth(1).is_none();
    if !is_list || !is_short {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}"));
    let target = [path, query.as_deref().unwrap_or_default()].concat();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Whether a list has the suffix.
fn has_suffix(list: &str) -> bool {
    let has_list = |kind: ResourceKind| kind.scope() == ListScope::AllStorages;
    list == "storages" || ResourceKind::all().any(|kind| has_list(kind) && kind.segment() == list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Option<String> {
        without_suffix(&text.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn lists_and_entries_have_the_suffix_and_nothing_else() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(target("/v1/storages.json"), some("/v1/storages"));
        assert_eq!(
            target("/v1/storages.json?limit=1"),
            some("/v1/storages?limit=1")
        );
        assert_eq!(target("/v1/storages/7.json"), some("/v1/storages/7"));
        assert_eq!(
            target("http://h:1/v1/storages.json"),
            some("http://h:1/v1/storages")
        );
        assert_eq!(target("/v1/storage-pools.json"), some("/v1/storage-pools"));
        for other in [
            "/v1/storages",
            "/v1/storages/7/port-groups.json",
            "/v1/port-groups.json",
            "/v1/storages/7/capabilities.json",
            "/v1/exporters.json",
            "/openapi.json",
            "/v1/storages.xml",
        ] {
            assert_eq!(target(other), None, "{other}");
        }
    }
}
