//! The two text formats of metrics.

/// The content type of the Prometheus text format.
pub(super) const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The content type of OpenMetrics.
pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Converts OpenMetrics to the Prometheus text format, in which a family has the name of
/// its samples.
pub(super) fn classic(openmetrics: &str) -> String {
    let mut page = String::with_capacity(openmetrics.len());
    let mut help = "";
    for line in openmetrics.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            help = text.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.rsplit_once(' ').unwrap_or((family, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            page += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            page += line;
            page.push('\n');
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_the_name_of_their_samples() {
        let openmetrics = "# HELP a_b It counts.\n# TYPE a_b counter\na_b_total{x=\"# 1\"} 3\n\
                           # HELP v What.\n# TYPE v info\nv_info{version=\"1\"} 1\n\
                           # HELP g Now.\n# TYPE g gauge\n# UNIT g seconds\ng 1.5\n# EOF\n";
        assert_eq!(
            classic(openmetrics),
            "# HELP a_b_total It counts.\n# TYPE a_b_total counter\na_b_total{x=\"# 1\"} 3\n\
             # HELP v_info What.\n# TYPE v_info gauge\nv_info{version=\"1\"} 1\n\
             # HELP g Now.\n# TYPE g gauge\ng 1.5\n"
        );
    }
}
