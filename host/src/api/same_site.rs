//! Refuses requests that a web page of another site makes.
//!
//! Every client that reaches the API can use it, and a browser reaches it on behalf of every page
//! that it shows. A page of another site has two ways. It can resolve its own name to the
//! address of this host (DNS rebinding): then `Host` has that name. Or it sends a request
//! across sites, as far as browsers send one without asking first: then `Origin` or
//! `Sec-Fetch-Site` tell, and in browsers that send neither the content type, which is one
//! of a form.
//!
//! Programs other than browsers send neither of these headers.

use axum::http::{
    HeaderMap, HeaderName, Method, Request, Version,
    header::{CONTENT_TYPE, HOST, ORIGIN},
};
use delfin_plugin_api::text::excerpt;

use super::{cors::AllowedOrigin, error::ApiError, state::AllowedHosts};
use crate::config::HostAddress;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The content types that a page can send to another site without being allowed to.
const FORM_TYPES: [&str; 3] = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
];

/// Calls whose clients send text as the protocol demands, with the types of forms. They are off unless the operator turns
/// them on.
const TEXT_ROUTES: [&str; 2] = ["/write", "/api/v2/write"];

impl AllowedHosts {
    /// Checks that no page of another site makes a request.
    pub(super) fn check<B>(&self, request: &Request<B>) -> Result<(), ApiError> {
        let named = self.named_host(request)?;
        // The page is of another site, and the operator allows it.
        if request.extensions().get::<AllowedOrigin>().is_none() {
            self.check_origin(request.headers(), named.as_ref())?;
            if !opens_page(request) {
                check_fetch_site(request.method(), request.headers())?;
            }
        }
        if TEXT_ROUTES.contains(&request.uri().path()) {
            return Ok(());
        }
        check_content_type(request.method(), request.headers())
    }

    /// The host that the request is for; `None` if it names none, as HTTP/1.0 allows. HTTP/1.1
    /// needs one `Host`, which is not empty (RFC 9112, 3.2; RFC 9110, 4.2.1).
    fn named_host<B>(&self, request: &Request<B>) -> Result<Option<HostAddress>, ApiError> {
        let mut values = request.headers().get_all(HOST).into_iter();
        let header = values.next().map(|value| value.as_bytes());
        if values.next().is_some() {
            return Err(ApiError::invalid("`Host` must be sent once"));
        }
        if header.is_none() && request.version() == Version::HTTP_11 {
            return Err(ApiError::invalid("`Host` is missing (HTTP/1.1 needs it)"));
        }
        // A request for a proxy names the host in its first line as well.
        let target = request
            .uri()
            .authority()
            .map(|name| name.as_str().as_bytes());
        let mut named = None;
        for value in [header, target].into_iter().flatten() {
            let text = String::from_utf8_lossy(value);
            let address = HostAddress::parse(&text)
                .ok_or_else(|| ApiError::invalid("`Host` is not a host and a port"))?;
            if !self.allow(&address) {
                let name = excerpt(&text, 60);
                return Err(foreign(format!(
                    "`Host` has the name `{name}`, which is not a name of this host (add it to \
                     `api.hosts`, or use `localhost`, an IP address or a name without a dot)"
                )));
            }
            named = Some(address);
        }
        Ok(named)
    }

    /// Whether no other site can have this name. Names with a dot can be in the DNS of
    /// others, and so are refused unless they are configured.
    fn allow(&self, address: &HostAddress) -> bool {
        address.is_local() || self.is_configured(address)
    }

    fn is_configured(&self, address: &HostAddress) -> bool {
        self.0.iter().any(|host| host.host == address.host)
    }

    fn check_origin(
        &self,
        headers: &HeaderMap,
        named: Option<&HostAddress>,
    ) -> Result<(), ApiError> {
        for value in headers.get_all(ORIGIN) {
            let text = String::from_utf8_lossy(value.as_bytes());
            let origin = HostAddress::of_origin(&text);
            // A proxy in front of the host may change `Host`, so that its own name counts too.
            let is_own = |origin: &HostAddress| Some(origin) == named || self.is_configured(origin);
            if !origin.as_ref().is_some_and(is_own) {
                let origin = excerpt(&text, 60);
                return Err(foreign(format!(
                    "`Origin` is `{origin}`, which is another site (open the API by its own \
                     address, or add the name to `api.hosts`)"
                )));
            }
        }
        Ok(())
    }
}

/// Whether a person follows a link to the web page. The address of the page changes nothing, and
/// its content policy keeps it out of frames.
fn opens_page<B>(request: &Request<B>) -> bool {
    let destination = request.headers().get(SEC_FETCH_DEST);
    request.method() == Method::GET
        && ["/ui", "/ui/"].contains(&request.uri().path())
        && destination.is_some_and(|value| value == "document")
}

/// Browsers say from which site a request comes.
fn check_fetch_site(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    for value in headers.get_all(SEC_FETCH_SITE) {
        let site = value.as_bytes();
        let is_foreign = site.eq_ignore_ascii_case(b"cross-site")
            || (site.eq_ignore_ascii_case(b"same-site") && !method.is_safe());
        if is_foreign {
            return Err(foreign(
                "`Sec-Fetch-Site` tells that a page of another site sent it (open the API by its \
                 own address)"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

/// A page needs no permission to post a form to another site.
fn check_content_type(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if method != Method::POST {
        return Ok(());
    }
    for value in headers.get_all(CONTENT_TYPE) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let essence = text.split(';').next().unwrap_or_default().trim();
        let form = FORM_TYPES
            .iter()
            .find(|form| essence.eq_ignore_ascii_case(form));
        if let Some(form) = form {
            return Err(ApiError::InvalidContentType {
                detail: format!(
                    "`{form}` is for forms of web pages (send `application/json`, or without a \
                     body no content type)"
                ),
            });
        }
    }
    Ok(())
}

fn foreign(detail: String) -> ApiError {
    ApiError::ForeignSite { detail }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// As of HTTP/1.0 without a `Host`.
    fn check(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<(), String> {
        let names_host = headers.iter().any(|(name, _)| *name == "Host");
        let version = if names_host {
            Version::HTTP_11
        } else {
            Version::HTTP_10
        };
        check_version(version, method, target, headers)
    }

    fn check_version(
        version: Version,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), String> {
        let request = Request::builder().version(version);
        let mut request = request.method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let configured = HostAddress::parse("collector.example.com").unwrap();
        let hosts = AllowedHosts(Arc::new([configured]));
        hosts.check(&request).map_err(|error| error.to_string())
    }

    fn host(value: &str) -> Result<(), String> {
        check("GET", "/metrics", &[("Host", value)])
    }

    fn origin(host: &str, origin: &str) -> Result<(), String> {
        check("POST", "/v1/reload", &[("Host", host), ("Origin", origin)])
    }

    #[test]
    fn names_that_no_other_site_can_have_are_allowed() {
        for allowed in [
            "127.0.0.1:8190",
            "192.0.2.1",
            "[::1]:8190",
            "[2001:DB8::1]",
            "[fe80::1%25eth0]:8190",
            "localhost",
            "LocalHost:8190",
            "localhost.:8190",
            "x",
            "db-7:",
            "collector.example.com:8190",
            "Collector.Example.COM.",
        ] {
            assert_eq!(host(allowed), Ok(()), "{allowed}");
        }
        assert_eq!(check("GET", "/metrics", &[]), Ok(()));
    }

    #[test]
    fn other_names_are_refused_with_the_remedy() {
        for foreign in [
            "evil.example",
            "evil.example:8190",
            "EVIL.example.",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "collector.example.com.evil.example",
            "1.2.3.4.5",
        ] {
            let refused = host(foreign).unwrap_err();
            let wanted = format!(
                "Request refused: `Host` has the name `{foreign}`, which is not a name of this host \
                 (add it to `api.hosts`, or use `localhost`, an IP address or a name without a dot)."
            );
            assert_eq!(refused, wanted);
        }
        for wrong in [
            "user@localhost",
            "[::1",
            "localhost:port",
            "a b",
            "local/host",
            "[::g]",
            "",
            " ",
            ":8190",
            "localhost, evil.example",
        ] {
            assert_eq!(
                host(wrong).unwrap_err(),
                "Invalid input received. `Host` is not a host and a port",
                "{wrong}"
            );
        }
    }

    #[test]
    fn only_http_1_0_needs_no_host() {
        let get = |version, target| check_version(version, "GET", target, &[]);
        assert_eq!(get(Version::HTTP_10, "/metrics"), Ok(()));
        for target in ["/metrics", "http://localhost/metrics"] {
            let refused = get(Version::HTTP_11, target).unwrap_err();
            assert!(refused.contains("`Host` is missing"), "{refused}");
        }
    }

    #[test]
    fn a_second_host_hides_behind_no_allowed_one() {
        let twice = [("Host", "localhost"), ("Host", "evil.example")];
        let same = [("Host", "localhost"), ("Host", "localhost")];
        for headers in [twice, same] {
            let refused = check("GET", "/metrics", &headers).unwrap_err();
            assert_eq!(refused, "Invalid input received. `Host` must be sent once");
        }
        let local = [("Host", "localhost")];
        assert!(check("GET", "http://evil.example/metrics", &local).is_err());
        let foreign = [("Host", "evil.example")];
        assert!(check("GET", "http://localhost/metrics", &foreign).is_err());
        assert_eq!(check("GET", "http://localhost/metrics", &local), Ok(()));
    }

    #[test]
    fn an_origin_is_this_host_or_a_configured_name() {
        for (host, own) in [
            ("localhost:8190", "http://localhost:8190"),
            ("[::1]:8190", "http://[::1]:8190"),
            ("db-7", "http://DB-7"),
            ("db-7", "https://db-7:443"),
            ("db-7:80", "http://db-7"),
            ("127.0.0.1:8190", "https://collector.example.com"),
        ] {
            assert_eq!(origin(host, own), Ok(()), "{own}");
        }
        for (host, foreign) in [
            ("localhost:8190", "http://evil.example"),
            ("localhost:8190", "http://localhost:3000"),
            ("localhost:8190", "http://127.0.0.1:8190"),
            ("localhost:8190", "null"),
            ("localhost:8190", ""),
            ("localhost:8190", "localhost:8190"),
            (
                "localhost:8190",
                "http://localhost:8190, http://evil.example",
            ),
            ("db-7", "http://db-7:8190"),
        ] {
            let refused = origin(host, foreign).unwrap_err();
            assert!(
                refused.starts_with("Request refused: `Origin`"),
                "{refused}"
            );
        }
        let origin = [("Origin", "http://localhost:8190")];
        assert!(check("POST", "/v1/reload", &origin).is_err());
    }

    #[test]
    fn a_request_from_another_site_is_refused() {
        let site = |method, site| check(method, "/v1/reload", &[("Sec-Fetch-Site", site)]);
        assert!(site("GET", "cross-site").is_err());
        assert!(site("POST", "Cross-Site").is_err());
        assert!(site("POST", "same-site").is_err());
        assert_eq!(site("GET", "same-site"), Ok(()));
        assert_eq!(site("POST", "same-origin"), Ok(()));
        assert_eq!(site("POST", "none"), Ok(()));
    }

    #[test]
    fn a_link_of_another_site_opens_the_page_and_nothing_else() {
        let opens = |method, target, destination| {
            let headers = [
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Dest", destination),
            ];
            check(method, target, &headers).is_ok()
        };
        assert!(opens("GET", "/ui/", "document"));
        assert!(opens("GET", "/ui", "document"));
        assert!(!opens("GET", "/ui/", "iframe"));
        assert!(!opens("POST", "/ui/", "document"));
        assert!(!opens("GET", "/ui/app.js", "document"));
        assert!(!opens("GET", "/v1/exporters", "document"));
    }

    #[test]
    fn a_form_is_refused_and_a_request_of_a_script_is_not() {
        let post = |content_type| check("POST", "/v1/reload", &[("Content-Type", content_type)]);
        for form in [
            "text/plain",
            "Text/Plain; charset=utf-8",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
        ] {
            let refused = post(form).unwrap_err();
            assert!(refused.starts_with("Invalid content type: "), "{refused}");
        }
        assert_eq!(post("application/json"), Ok(()));
        assert_eq!(check("POST", "/v1/reload", &[]), Ok(()));
    }
}
