//! `/ui/`: the web page for operators.
//!
//! Its files are in `host/ui` and part of the binary. The page uses the API of this host and
//! nothing else, by relative addresses, so that it works behind a proxy with a path. The content
//! policy forbids the browser everything that the page does not need.

use axum::{
    http::StatusCode,
    http::{
        HeaderName, HeaderValue,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    error::{ApiError, ErrorBody},
    extract::Path,
};

const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// A file of the page.
struct PageFile {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! page_files {
    ($($content_type:literal: $($name:literal = $path:literal)*;)*) => {
        &[$($(PageFile {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("../../ui/", $path)),
        },)*)*]
    };
}

const FILES: &[PageFile] = page_files! {
    "text/html; charset=utf-8":
        "index.html" = "index.html";
    "text/css; charset=utf-8":
        "style.css" = "style.css"
        "uPlot.min.css" = "vendor/uplot/uPlot.min.css";
    "image/svg+xml":
        "icon.svg" = "icon.svg";
    "text/javascript; charset=utf-8":
        "actions.js" = "actions.js"
        "alerts.js" = "alerts.js"
        "api.js" = "api.js"
        "app.js" = "app.js"
        "clusters.js" = "clusters.js"
        "configuration.js" = "configuration.js"
        "dead-letters.js" = "dead-letters.js"
        "dom.js" = "dom.js"
        "exporter.js" = "exporter.js"
        "exporters.js" = "exporters.js"
        "format.js" = "format.js"
        "overview.js" = "overview.js"
        "plot.js" = "plot.js"
        "plugins.js" = "plugins.js"
        "storage.js" = "storage.js"
        "storages.js" = "storages.js"
        "table.js" = "table.js"
        "uPlot.esm.js" = "vendor/uplot/uPlot.esm.js";
};

/// The file of a call.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct PageFilePath {
    /// Name of the file.
    #[param(example = "app.js")]
    file: String,
}

/// Shows the web page for operators.
#[utoipa::path(
    get,
    path = "/ui/",
    security(()),
    responses((status = 200, content_type = "text/html", description = "The page")),
)]
pub(super) async fn show_page() -> Result<Response, ApiError> {
    file("index.html")
}

/// A file of the web page.
#[utoipa::path(
    get,
    path = "/ui/{file}",
    security(()),
    params(PageFilePath),
    responses(
        (status = 200, content_type = "text/javascript", description = "The file"),
        (status = 404, body = ErrorBody, description = "The page has no such file"),
    ),
)]
pub(super) async fn show_file(
    Path(PageFilePath { file: name }): Path<PageFilePath>,
) -> Result<Response, ApiError> {
    file(&name)
}

/// Leads to the web page.
///
/// Adds the slash that relative addresses need.
#[utoipa::path(
    get,
    path = "/ui",
    security(()),
    responses((status = 308, description = "`Location` is the page")),
)]
pub(super) async fn redirect() -> Response {
    // Relative itself, because a proxy may have put a path in front.
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "ui/")]).into_response()
}

fn file(name: &str) -> Result<Response, ApiError> {
    let found = FILES.iter().find(|file| file.name == name);
    let PageFile {
        content_type, text, ..
    } = found.ok_or(ApiError::NotFound)?;
    let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        header(CONTENT_TYPE, content_type),
        header(CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        header(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        header(REFERRER_POLICY, "no-referrer"),
        // After an upgrade, no file of the version before is used.
        header(CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, *text).into_response())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_file() {
                assert!(FILES.iter().any(|file| file.name == name), "`{name}`");
            }
        }
    }

    #[test]
    fn no_file_inserts_markup_or_names_another_site() {
        let markup = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "http://",
            "https://",
        ];
        for PageFile { name, text, .. } in
            FILES.iter().filter(|file| !file.name.starts_with("uPlot"))
        {
            // The namespace of SVG is a name, not an address.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for part in markup {
                assert!(!text.contains(part), "`{name}` has `{part}`");
            }
        }
    }
}
