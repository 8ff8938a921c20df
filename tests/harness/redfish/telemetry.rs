//! The telemetry service of `array::modern`, and of a server whose reports have the fields of a vendor.

use serde_json::{Value, json};

use super::array::{Documents, add, collect, link};

const SERVICE: &str = "/redfish/v1/TelemetryService";

/// The path of a report.
#[must_use]
pub fn report(id: &str) -> String {
    format!("{SERVICE}/MetricReports/{id}")
}

/// A value of a report.
#[must_use]
pub fn value(id: &str, property: &str, value: &str, time: &str) -> Value {
    json!({
        "MetricId": id,
        "MetricProperty": property,
        "MetricValue": value,
        "Timestamp": time,
    })
}

/// A value as iDRAC writes it: without a property, and with the device.
#[must_use]
pub fn vendor_value(id: &str, device: &str, value: &str, time: &str) -> Value {
    json!({
        "MetricId": id,
        "MetricValue": value,
        "Timestamp": time,
        "Oem": {"Dell": {
            "@odata.type": "#DellMetricReportValue.v1_0_1.DellMetricReportValue",
            "ContextID": device,
            "Label": format!("{device} {id}"),
            "Source": "SMART",
            "FQDD": device,
        }},
    })
}

/// Adds a telemetry service with these reports, and with definitions of metrics by their units.
pub fn add_service(
    documents: &mut Documents,
    reports: &[(&str, Vec<Value>)],
    definitions: &[(&str, &str)],
) {
    let service = json!({
        "ServiceEnabled": true,
        "Status": {"State": "Enabled", "Health": "OK"},
        "MetricReports": link(&format!("{SERVICE}/MetricReports")),
        "MetricReportDefinitions": link(&format!("{SERVICE}/MetricReportDefinitions")),
        "MetricDefinitions": link(&format!("{SERVICE}/MetricDefinitions")),
    });
    add(
        documents,
        SERVICE,
        "TelemetryService.v1_3_4.TelemetryService",
        service,
    );
    if let Some(root) = documents.get_mut("/redfish/v1/") {
        root["TelemetryService"] = link(SERVICE);
    }
    for (id, values) in reports {
        let report = json!({
            "ReportSequence": "1",
            "Timestamp": "2026-04-12T10:00:00Z",
            "MetricReportDefinition": link(&format!("{SERVICE}/MetricReportDefinitions/{id}")),
            "MetricValues": values,
            "MetricValues@odata.count": values.len(),
        });
        let path = self::report(id);
        add(documents, &path, "MetricReport.v1_5_2.MetricReport", report);
    }
    for (id, units) in definitions {
        let definition =
            json!({"MetricType": "Gauge", "MetricDataType": "Decimal", "Units": units});
        let path = format!("{SERVICE}/MetricDefinitions/{id}");
        add(
            documents,
            &path,
            "MetricDefinition.v1_3_5.MetricDefinition",
            definition,
        );
    }
    collect(
        documents,
        &format!("{SERVICE}/MetricReports"),
        "MetricReport",
    );
    collect(
        documents,
        &format!("{SERVICE}/MetricDefinitions"),
        "MetricDefinition",
    );
}

/// Adds a value to a report.
pub fn append(documents: &mut Documents, id: &str, value: Value) {
    let report = documents.get_mut(&report(id));
    let values = report.and_then(|report| report["MetricValues"].as_array_mut());
    if let Some(values) = values {
        values.push(value);
    }
}
