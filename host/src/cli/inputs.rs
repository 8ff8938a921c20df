//! `inputs test`: shows which series become of a body, without a running host.

use std::{collections::BTreeMap, path::PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use delfin_plugin_api::Series;
use serde::Serialize;

use super::{error::Error, mapping_report::read_input, options::GlobalOptions, output::Output};
use crate::{
    clock::now_ms,
    config,
    ingest::{BodyLimits, ParseGuard},
    inputs::{
        CapturedBody, LinePrecision, MappedSeries, MappingResult, ParsedSeries, SeriesInput,
        SeriesMappings, SeriesWriter, captured_format,
    },
};

#[derive(Debug, clap::Subcommand)]
pub enum InputsCommand {
    /// Show which series become of a body, and why
    Test(TestInputArgs),
}

#[derive(Debug, clap::Args)]
pub struct TestInputArgs {
    /// Input whose mapping files are tried
    #[arg(value_parser = input_parser())]
    pub input: SeriesInput,

    /// File with the body of a request, compressed or not, or `-` for standard input. For
    /// `remote_write` also the answer of Prometheus to a query
    pub file: String,

    /// Folder with mapping files [default: `mapping_dir` of the input in the configuration]
    #[arg(long, value_name = "FOLDER")]
    pub mapping_dir: Option<PathBuf>,

    /// Unit of times in the line protocol
    #[arg(long, value_name = "UNIT", default_value = "ns", value_parser = precision_parser())]
    pub precision: LinePrecision,

    /// Bucket or database of the line protocol
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
}

/// A body, and what becomes of it.
#[derive(Debug, Serialize)]
struct BodyReport<'a> {
    series: Vec<MappedSeriesView<'a>>,
    /// Points without a number for Delfin, by reason.
    skipped_points: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Serialize)]
struct MappedSeriesView<'a> {
    /// Line on which it begins, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    source: BTreeMap<&'a str, &'a str>,
    rule: Option<&'a str>,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    accepted: Option<AcceptedSeries<'a>>,
}

/// A series in Delfin's model.
#[derive(Debug, Serialize)]
struct AcceptedSeries<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    values: BTreeMap<i64, f64>,
}

fn input_parser() -> impl TypedValueParser<Value = SeriesInput> {
    let names = SeriesInput::ALL.map(SeriesInput::as_str);
    PossibleValuesParser::new(names).try_map(|name| {
        let mut all = SeriesInput::ALL.into_iter();
        all.find(|input| input.as_str() == name)
            .ok_or("no such input")
    })
}

fn precision_parser() -> impl TypedValueParser<Value = LinePrecision> {
    let names = ["ns", "us", "ms", "s", "m", "h"];
    PossibleValuesParser::new(names)
        .try_map(|name| LinePrecision::from_name(&name).ok_or("no such unit"))
}

pub(super) fn run(
    options: &GlobalOptions,
    command: &InputsCommand,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let InputsCommand::Test(args) = command;
    let folder = match &args.mapping_dir {
        Some(folder) => folder.clone(),
        None => {
            let inputs = config::load_inputs(options.config.as_deref());
            let inputs = inputs.map_err(Error::configuration)?;
            args.input.config(&inputs).mapping_dir.clone()
        }
    };
    let mappings = SeriesMappings::load(args.input, &folder).map_err(Error::configuration)?;
    let parsed = parse(args, &mappings)?;
    let report = BodyReport::new(&parsed);
    if output.is_json() {
        return output.json(&report);
    }
    if report.series.is_empty() {
        output.note("no series: the body has no points");
    }
    report.print(output)
}

fn parse(args: &TestInputArgs, mappings: &SeriesMappings) -> Result<ParsedSeries, Error> {
    let limits = BodyLimits::default();
    let mut guard = ParseGuard::unlimited(&limits);
    let body = CapturedBody {
        input: args.input,
        bytes: read_input(&args.file)?,
        precision: args.precision,
        bucket: args.bucket.clone().unwrap_or_default(),
    };
    let unreadable = |error| Error::failed(format!("`{}`: {error}", args.file));
    let (format, plain) = captured_format(body, &limits, &mut guard).map_err(unreadable)?;
    let mut writer = SeriesWriter::new(mappings, &limits, now_ms(), guard).with_reports();
    format.read(&plain, &mut writer).map_err(unreadable)?;
    Ok(writer.finish())
}

impl<'a> BodyReport<'a> {
    fn new(parsed: &'a ParsedSeries) -> Self {
        let mut rows = parsed.items.batch.series();
        let reports = parsed.reports.iter();
        let series = reports.map(|report| {
            let is_accepted = matches!(report.result, MappingResult::Accepted);
            let row = is_accepted.then(|| rows.next()).flatten();
            MappedSeriesView::new(report, row)
        });
        let skipped = parsed.skipped.iter();
        Self {
            series: series.collect(),
            skipped_points: skipped
                .map(|(reason, points)| (reason.as_str(), points))
                .collect(),
        }
    }

    fn print(&self, output: &mut Output<'_>) -> Result<(), Error> {
        for series in &self.series {
            series.print(output)?;
        }
        for (reason, points) in &self.skipped_points {
            output.line(&format!("points left out, {reason}: {points}"))?;
        }
        Ok(())
    }
}

impl<'a> MappedSeriesView<'a> {
    fn new(report: &'a MappedSeries, row: Option<Series<'a>>) -> Self {
        let source = report.source.iter();
        let error = match &report.result {
            MappingResult::Rejected(error) => Some(error.to_string()),
            MappingResult::Accepted | MappingResult::Ignored | MappingResult::NoPoints => None,
        };
        Self {
            line: report.line,
            source: source.map(|(key, text)| (&**key, &**text)).collect(),
            rule: report.rule.as_deref(),
            result: report.result.as_str(),
            error,
            accepted: row.map(|row| AcceptedSeries {
                name: row.name(),
                labels: row.labels().iter().collect(),
                values: row.points().collect(),
            }),
        }
    }

    fn print(&self, output: &mut Output<'_>) -> Result<(), Error> {
        let line = self.line.map(|line| format!("line {line}:"));
        let labels = self.source.iter();
        let labels = labels.map(|(key, text)| format!("{key}={text:?}"));
        let head: Vec<_> = line.into_iter().chain(labels).collect();
        output.line(&head.join(" "))?;
        let by = self
            .rule
            .map_or_else(String::new, |rule| format!(" by {rule}"));
        let Some(accepted) = &self.accepted else {
            let error = self.error.as_ref();
            let reason = error.map_or_else(String::new, |error| format!(": {error}"));
            return output.line(&format!("  {}{by}{reason}", self.result));
        };
        output.line(&format!("  series `{}`{by}", accepted.name))?;
        for (key, text) in &accepted.labels {
            output.line(&format!("    {key}: {text}"))?;
        }
        for (time, value) in &accepted.values {
            output.line(&format!("    {time}: {value}"))?;
        }
        Ok(())
    }
}
