//! Rows as JSON, in the form in which a host takes them in.
//!
//! A series is `{"name":…,"labels":{…},"values":{"<ms>":number}}`, an alert an
//! object of the columns that it has. Rows are written in one pass, and nothing
//! is allocated for a point.
//!
//! Promises: a number reads back as the very same; a text stays on one line.

mod writer;

pub use writer::Writer;

/// A way to write JSON.
pub trait Style {
    /// What stands before, between and after the three parts of a series.
    const SERIES: [&'static str; 4];

    /// Between the elements of an array or the members of an object.
    const COMMA: &'static str;

    /// Between a key and its value.
    const COLON: &'static str;

    /// Writes a text, with its quotes.
    fn text(text: &str, out: &mut Vec<u8>);

    /// Writes a number that is neither NaN nor infinite.
    fn number(number: f64, out: &mut Vec<u8>);
}

/// Objects, text that is not ASCII as it is, and not a needless byte.
#[derive(Debug)]
pub enum Compact {}

impl Style for Compact {
    const SERIES: [&'static str; 4] = ["{\"name\":", ",\"labels\":", ",\"values\":", "}"];
    const COMMA: &'static str = ",";
    const COLON: &'static str = ":";

    fn text(text: &str, out: &mut Vec<u8>) {
        // Only a writer can fail, and a vector does not.
        serde_json::to_writer(out, text).ok();
    }

    fn number(number: f64, out: &mut Vec<u8>) {
        out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
    }
}
