//! Content negotiation: the format and encoding that a scraper accepts.

use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use super::render::PageFormat;

/// The accepted format with the highest weight. As with Prometheus's own client
/// libraries, the default is the text format.
pub(super) fn format(headers: &HeaderMap) -> PageFormat {
    let mut best = (0, PageFormat::Text);
    for range in items(headers, &ACCEPT) {
        let format = match range.name {
            "application/openmetrics-text"
                if matches!(range.parameter("version"), None | Some("1.0.0")) =>
            {
                PageFormat::OpenMetrics
            }
            "text/plain" | "text/*" | "*/*" => PageFormat::Text,
            _ => continue,
        };
        if range.weight() > best.0 {
            best = (range.weight(), format);
        }
    }
    best.1
}

/// Whether the scraper accepts gzip.
pub(super) fn gzip(headers: &HeaderMap) -> bool {
    let codings = || items(headers, &ACCEPT_ENCODING);
    let named = codings().find(|coding| coding.name == "gzip");
    let any = || codings().find(|coding| coding.name == "*");
    named.or_else(any).is_some_and(|coding| coding.weight() > 0)
}

/// An item of a header with a comma-separated list.
struct HeaderItem<'a> {
    name: &'a str,
    parameters: &'a str,
}

impl<'a> HeaderItem<'a> {
    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut parameters = self.parameters.split(';');
        parameters.find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches('"');
            key.trim().eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The parameter `q` in thousandths: 1000 if it is absent, 0 if it is invalid.
    fn weight(&self) -> u16 {
        let Some(weight) = self.parameter("q") else {
            return 1000;
        };
        let weight: f32 = weight.parse().unwrap_or(0.0);
        (weight.clamp(0.0, 1.0) * 1000.0) as u16
    }
}

fn items<'a>(headers: &'a HeaderMap, header: &HeaderName) -> impl Iterator<Item = HeaderItem<'a>> {
    let values = headers.get_all(header).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        HeaderItem {
            name: name.trim(),
            parameters,
        }
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn each_scraper_gets_the_format_that_it_accepts() {
        let check = |accept, expected| {
            assert_eq!(format(&headers(ACCEPT, accept)), expected, "{accept}");
        };
        check("*/*", PageFormat::Text);
        check("text/plain;version=0.0.4", PageFormat::Text);
        check("application/json", PageFormat::Text);
        check("application/openmetrics-text", PageFormat::OpenMetrics);
        check(
            "application/openmetrics-text;q=0,text/plain;q=0.1",
            PageFormat::Text,
        );
        // Prometheus 2.30, 2.42 and 3.0.
        check(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            PageFormat::Text,
        );
        check(
            "application/openmetrics-text;version=1.0.0,\
         application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            PageFormat::OpenMetrics,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            PageFormat::OpenMetrics,
        );
        assert_eq!(format(&HeaderMap::new()), PageFormat::Text);
    }

    #[test]
    fn only_a_scraper_that_accepts_gzip_gets_it() {
        let check = |encoding, expected| {
            let headers = headers(ACCEPT_ENCODING, encoding);
            assert_eq!(gzip(&headers), expected, "{encoding}");
        };
        check("gzip", true);
        check("deflate, gzip;q=0.5", true);
        check("*", true);
        check("gzip;q=0, *", false);
        check("identity", false);
        assert!(!gzip(&HeaderMap::new()));
    }
}
