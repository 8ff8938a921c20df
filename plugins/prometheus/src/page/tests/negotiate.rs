use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};

use super::super::{
    negotiate::{format, gzip},
    render::Format,
};

fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
}

#[test]
fn each_scraper_gets_the_format_that_it_asks_for() {
    let check = |accept, expected| {
        assert_eq!(format(&headers(ACCEPT, accept)), expected, "{accept}");
    };
    check("*/*", Format::Text);
    check("text/plain;version=0.0.4", Format::Text);
    check("application/json", Format::Text);
    check("application/openmetrics-text", Format::OpenMetrics);
    check(
        "application/openmetrics-text;q=0,text/plain;q=0.1",
        Format::Text,
    );
    // Prometheus 2.30, 2.42 and 3.0.
    check(
        "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        Format::Text,
    );
    check(
        "application/openmetrics-text;version=1.0.0,\
         application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        Format::OpenMetrics,
    );
    check(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,\
         text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        Format::OpenMetrics,
    );
    assert_eq!(format(&HeaderMap::new()), Format::Text);
}

#[test]
fn only_who_takes_gzip_gets_it() {
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
