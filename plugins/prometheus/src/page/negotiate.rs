//! What a scraper wants the page to be like, by its request's headers.

use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use super::render::Format;

/// The format for a request. What asks for neither gets the text format, as it
/// does from Prometheus's own libraries.
pub(crate) fn format(headers: &HeaderMap) -> Format {
    let mut best = (0, Format::Text);
    for range in items(headers, &ACCEPT) {
        let format = match range.name {
            "application/openmetrics-text"
                if matches!(range.parameter("version"), None | Some("1.0.0")) =>
            {
                Format::OpenMetrics
            }
            "text/plain" | "text/*" | "*/*" => Format::Text,
            _ => continue,
        };
        if range.weight() > best.0 {
            best = (range.weight(), format);
        }
    }
    best.1
}

/// Whether the page may be compressed with gzip.
pub(crate) fn gzip(headers: &HeaderMap) -> bool {
    let codings = || items(headers, &ACCEPT_ENCODING);
    let named = codings().find(|coding| coding.name == "gzip");
    let any = || codings().find(|coding| coding.name == "*");
    named.or_else(any).is_some_and(|coding| coding.weight() > 0)
}

/// One item of a header that is a list.
struct Item<'a> {
    name: &'a str,
    parameters: &'a str,
}

impl<'a> Item<'a> {
    fn parameter(&self, name: &str) -> Option<&'a str> {
        let mut parameters = self.parameters.split(';');
        parameters.find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches('"');
            key.trim().eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// In thousandths; 1000 without one, 0 if it makes no sense.
    fn weight(&self) -> u16 {
        let Some(weight) = self.parameter("q") else {
            return 1000;
        };
        let weight: f32 = weight.parse().unwrap_or(0.0);
        (weight.clamp(0.0, 1.0) * 1000.0) as u16
    }
}

fn items<'a>(headers: &'a HeaderMap, header: &HeaderName) -> impl Iterator<Item = Item<'a>> {
    let values = headers.get_all(header).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        Item {
            name: name.trim(),
            parameters,
        }
    })
}
