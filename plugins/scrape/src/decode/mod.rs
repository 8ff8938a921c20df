//! Reads a page of metrics: the text format 0.0.4 and 1.0.0 of Prometheus, and OpenMetrics 1.0.
//!
//! Promises: one pass; nothing is allocated for a sample but for escaped texts; a page with one line
//! that is not valid is refused, as Prometheus does. Half of a page would look like a storage that
//! has lost the other half.
//!
//! Comments are not needed, because the mapping knows names and units. Exemplars are left out.

mod line;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use delfin_plugin_api::text::excerpt;

use self::line::read_sample;
pub use self::line::{LineError, read_labels};

/// How many characters of a line a message shows.
const SHOWN_CHARS: usize = 80;

/// The format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrapeFormat {
    /// The text format of Prometheus. Times are in milliseconds.
    Text,
    /// OpenMetrics. Times are in seconds, and the last line is `# EOF`.
    OpenMetrics,
}

/// What a page may have.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    pub samples: usize,
    pub line_bytes: usize,
    pub labels: usize,
    /// The most bytes of the name or the value of a label.
    pub label_bytes: usize,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self {
            samples: 1_000_000,
            line_bytes: 64 << 10,
            labels: 64,
            label_bytes: 4 << 10,
        }
    }
}

/// A name and a value.
pub type PageLabel<'a> = (Cow<'a, str>, Cow<'a, str>);

/// One sample of a page.
#[derive(Debug, Clone, Copy)]
pub struct ScrapedSample<'a> {
    pub name: &'a str,
    pub labels: &'a [PageLabel<'a>],
    pub value: f64,
    /// In milliseconds since the Unix epoch, if the page says so.
    pub time_ms: Option<i64>,
}

impl ScrapedSample<'_> {
    /// The value of a label. As for Prometheus, an empty label is not there.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let (_, value) = self.labels.iter().find(|(key, _)| key == name)?;
        Some(value.as_ref()).filter(|value| !value.is_empty())
    }
}

/// Why a page cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("line {number} is not valid: {error}: `{shown}`")]
    Line {
        number: usize,
        error: LineError,
        /// The beginning of the line.
        shown: String,
    },
    #[error(
        "the page has more than {limit} samples (raise `max_samples`, or let the exporter show less)"
    )]
    TooManySamples { limit: usize },
    #[error("the page ends without `# EOF`, so it is cut off (is a proxy in between?)")]
    CutOff,
}

/// Reads a page, and returns the number of its samples.
///
/// # Errors
///
/// The page is not valid, or over a limit. `each` may have got samples before.
pub fn read_page(
    text: &str,
    format: ScrapeFormat,
    limits: &PageLimits,
    mut each: impl FnMut(&ScrapedSample<'_>),
) -> Result<usize, PageError> {
    let mut labels = Vec::new();
    let mut samples = 0;
    let mut has_ended = false;
    for (index, line) in text.split('\n').enumerate() {
        let failed = |error| PageError::Line {
            number: index + 1,
            error,
            shown: excerpt(line, SHOWN_CHARS),
        };
        if line.len() > limits.line_bytes {
            return Err(failed(LineError::TooLong {
                bytes: line.len(),
                limit: limits.line_bytes,
            }));
        }
        let content = line.trim_matches([' ', '\t']);
        if content.is_empty() {
            continue;
        }
        if has_ended {
            return Err(failed(LineError::AfterEnd));
        }
        if let Some(comment) = content.strip_prefix('#') {
            has_ended = format == ScrapeFormat::OpenMetrics && comment == " EOF";
            continue;
        }
        if samples == limits.samples {
            let limit = limits.samples;
            return Err(PageError::TooManySamples { limit });
        }
        samples += 1;
        labels.clear();
        let (name, value, time_ms) =
            read_sample(content, format, limits, &mut labels).map_err(failed)?;
        each(&ScrapedSample {
            name: &name,
            labels: &labels,
            value,
            time_ms,
        });
    }
    if format == ScrapeFormat::OpenMetrics && !has_ended {
        return Err(PageError::CutOff);
    }
    Ok(samples)
}
