//! The response of the host to a push.

use serde::Deserialize;

use super::{
    super::{
        error::Error,
        output::Output,
        table::{counted, grouped},
    },
    AckArg,
    error::PushError,
};

#[derive(Deserialize)]
pub(super) struct PushReceipt {
    batch_id: String,
    items: u64,
    state: String,
    #[serde(default)]
    exporters: Vec<ReceiptExporter>,
    #[serde(default)]
    rejected_items: u64,
    #[serde(default)]
    rejected: Vec<ReceiptItem>,
    #[serde(default)]
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct ReceiptExporter {
    name: String,
    state: String,
    dead_lettered: u64,
}

#[derive(Deserialize)]
struct ReceiptItem {
    index: u64,
    line: Option<u64>,
    name: Option<String>,
    error: String,
}

impl PushReceipt {
    /// Prints the accepted items as data, and the rejected items and remarks as warnings.
    pub(super) fn print(&self, output: &mut Output<'_>) -> Result<(), Error> {
        let (items, state) = (grouped(self.items), &self.state);
        output.line(&format!("{}: {items} items, {state}", self.batch_id))?;
        for exporter in &self.exporters {
            let (name, state) = (&exporter.name, &exporter.state);
            output.line(&match exporter.dead_lettered {
                0 => format!("  {name}: {state}"),
                items => format!("  {name}: {state}, {} items dead-lettered", grouped(items)),
            })?;
        }
        for item in &self.rejected {
            output.warn(&item.to_string());
        }
        let unnamed = self
            .rejected_items
            .saturating_sub(self.rejected.len() as u64);
        if unnamed > 0 {
            output.warn(&format!("and {} more", counted(unnamed, "rejected item")));
        }
        for note in &self.notes {
            output.warn(note);
        }
        Ok(())
    }

    /// Returns an error if items were rejected, or if an exporter has not finished
    /// the batch in time.
    pub(super) fn check(&self, ack: AckArg) -> Result<(), PushError> {
        if self.rejected_items > 0 {
            let items = self.rejected_items;
            return Err(PushError::Rejected { items });
        }
        if ack == AckArg::Delivered && self.state == "durable" {
            let pending = self.exporters.iter();
            let pending = pending.filter(|exporter| exporter.state == "pending");
            let names: Vec<&str> = pending.map(|exporter| exporter.name.as_str()).collect();
            return Err(PushError::Pending {
                batch_id: self.batch_id.clone(),
                exporters: names.join(", "),
            });
        }
        Ok(())
    }
}

impl std::fmt::Display for ReceiptItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = self.line.map(|line| format!("line {line}"));
        let name = self.name.as_ref().map(|name| format!("`{name}`"));
        let place: Vec<String> = line.into_iter().chain(name).collect();
        write!(f, "item {}", self.index)?;
        if !place.is_empty() {
            write!(f, " ({})", place.join(", "))?;
        }
        write!(f, ": {}", self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(response: &str, ack: AckArg) -> Result<(), String> {
        let receipt: PushReceipt = serde_json::from_str(response).unwrap();
        receipt.check(ack).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pending_batch_is_an_error_only_if_delivery_was_asked_for() {
        let response = r#"{"batch_id": "0198", "items": 2, "state": "durable", "exporters": [
            {"name": "a", "state": "settled", "dead_lettered": 1},
            {"name": "b", "state": "pending", "dead_lettered": 0},
            {"name": "c", "state": "pending", "dead_lettered": 0}]}"#;
        assert_eq!(check(response, AckArg::Durable), Ok(()));
        assert_eq!(
            check(response, AckArg::Delivered).unwrap_err(),
            "the batch is durable, but still pending at b, c (do not push it again: \
             `GET /v1/batches/0198` shows its state)"
        );
        assert_eq!(
            check(&response.replace("durable", "settled"), AckArg::Delivered),
            Ok(())
        );
    }

    #[test]
    fn a_rejected_item_is_named_by_its_index_line_and_name() {
        let mut item = ReceiptItem {
            index: 3,
            line: None,
            name: None,
            error: "name: is empty".to_owned(),
        };
        assert_eq!(item.to_string(), "item 3: name: is empty");
        item.line = Some(5);
        assert_eq!(item.to_string(), "item 3 (line 5): name: is empty");
        item.name = Some("iops".to_owned());
        assert_eq!(item.to_string(), "item 3 (line 5, `iops`): name: is empty");
    }
}
