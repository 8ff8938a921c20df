//! A parser of the metrics page, as strict as that of Prometheus.

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// For example `delfin_host_exporter_pending_items`.
    pub name: String,
    /// The text between the braces.
    pub labels: String,
    pub value: f64,
}

/// The samples of a page.
#[derive(Clone, Debug)]
pub struct Metrics(Vec<Sample>);

impl Metrics {
    /// # Errors
    ///
    /// A line is not in the text format of Prometheus.
    pub fn parse(page: &str) -> Result<Self, String> {
        let lines = page.lines().filter(|line| !line.is_empty());
        let samples = lines.filter(|line| !line.starts_with('#')).map(sample);
        let comments = page.lines().filter(|line| line.starts_with('#'));
        for comment in comments {
            let known = ["# HELP ", "# TYPE ", "# UNIT "];
            if comment != "# EOF" && !known.iter().any(|word| comment.starts_with(word)) {
                return Err(format!("`{comment}` is not a comment"));
            }
        }
        samples.collect::<Result<_, _>>().map(Self)
    }

    /// The samples in the order of the page.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The sum of the samples of an exporter with this name; 0 without samples.
    #[must_use]
    pub fn of_exporter(&self, exporter: &str, name: &str) -> f64 {
        let label = format!("exporter=\"{exporter}\"");
        let samples = self.0.iter().filter(|sample| sample.name == name);
        let samples = samples.filter(|sample| sample.labels.contains(&label));
        samples.map(|sample| sample.value).sum()
    }
}

fn sample(line: &str) -> Result<Sample, String> {
    let wrong = || format!("`{line}` is not a sample");
    let (series, value) = line.rsplit_once(' ').ok_or_else(wrong)?;
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, rest)) => (name, rest.strip_suffix('}').ok_or_else(wrong)?),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(legal) {
        return Err(wrong());
    }
    Ok(Sample {
        name: name.to_owned(),
        labels: labels.to_owned(),
        value: value.parse().map_err(|_| wrong())?,
    })
}
