//! Reads the page of the host's own metrics, in the OpenMetrics format.

/// The samples of a metric.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PageFamily<'a> {
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    /// `counter`, `gauge`, `histogram`, `info` or `unknown`.
    pub(super) kind: &'a str,
    pub(super) samples: Vec<PageSample<'a>>,
}

#[derive(Debug, PartialEq)]
pub(super) struct PageSample<'a> {
    /// With the suffix of its kind.
    pub(super) name: &'a str,
    pub(super) labels: Vec<(&'a str, String)>,
    pub(super) value: f64,
}

/// The metrics of a page. A line that cannot be read is left out: the page is the host's own.
pub(super) fn families(page: &str) -> Vec<PageFamily<'_>> {
    let mut families: Vec<PageFamily<'_>> = Vec::new();
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            let (name, help) = text.split_once(' ').unwrap_or((text, ""));
            families.push(PageFamily {
                name,
                help,
                ..PageFamily::default()
            });
        } else if let Some(family) = families.last_mut() {
            if let Some(text) = line.strip_prefix("# TYPE ") {
                family.kind = text.rsplit_once(' ').map_or("unknown", |(_, kind)| kind);
            } else if !line.starts_with('#') {
                family.samples.extend(sample(line));
            }
        }
    }
    families
}

fn sample(line: &str) -> Option<PageSample<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, read_labels(labels.strip_suffix('}')?)?),
        None => (series, Vec::new()),
    };
    let value = value.parse().ok()?;
    Some(PageSample {
        name,
        labels,
        value,
    })
}

/// `a="b",c="d"`, with backslashes before quotes, backslashes and as `\n`.
fn read_labels(text: &str) -> Option<Vec<(&str, String)>> {
    let (mut labels, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), after.char_indices());
        let end = loop {
            match chars.next()? {
                (end, '"') => break end,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((key, value));
        rest = after[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_with_their_escapes() {
        let page = "# HELP a Counts.\n# TYPE a counter\n\
                    a_total{x=\"1 \\\"}\\\\\",y=\"b\\n,=\"} 3\na_total 1.5\nbroken{ 1\n# EOF\n";
        let families = families(page);
        let [family] = &*families else {
            panic!("{families:?}");
        };
        assert_eq!(
            (family.name, family.help, family.kind),
            ("a", "Counts.", "counter")
        );
        let labels = vec![("x", "1 \"}\\".to_owned()), ("y", "b\n,=".to_owned())];
        let wanted = [
            PageSample {
                name: "a_total",
                labels,
                value: 3.0,
            },
            PageSample {
                name: "a_total",
                labels: Vec::new(),
                value: 1.5,
            },
        ];
        assert_eq!(family.samples, wanted);
    }
}
