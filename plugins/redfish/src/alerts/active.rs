//! Which faults last, of records in the order of their times.

use std::collections::BTreeMap;

use super::{
    record::{FaultRecord, FaultSeverity},
    registry::RegistryMessage,
};

/// Faults by their keys.
#[derive(Debug, Default)]
pub(super) struct ActiveFaults(BTreeMap<String, FaultRecord>);

impl ActiveFaults {
    /// Applies the next record. `message` is what its registry says.
    pub(super) fn apply(&mut self, mut record: FaultRecord, message: Option<&RegistryMessage>) {
        if let Some(message) = message {
            record.declared = record.declared.or(message.severity);
            let text = message.text.as_deref();
            record.message = record
                .message
                .or_else(|| Some(filled(text?, &record.arguments)));
            record.resolution = record.resolution.or_else(|| message.resolution.clone());
            if let (false, Some((registry, _))) = (message.clears.is_empty(), record.message_key())
            {
                self.0.retain(|_, fault| {
                    let is_cleared = fault.message_key().is_some_and(|(its_registry, name)| {
                        its_registry == registry && message.clears.contains(name)
                    });
                    !is_cleared || !record.has_subject_of(fault)
                });
            }
        }
        let key = record.key();
        if record.is_resolved || record.declared == Some(FaultSeverity::Ok) {
            self.0.remove(&key);
        } else {
            self.0.insert(key, record);
        }
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = (&str, &FaultRecord)> {
        self.0.iter().map(|(key, fault)| (key.as_str(), fault))
    }
}

/// A message with its arguments in place of `%1`, `%2` and so on.
fn filled(text: &str, arguments: &[String]) -> String {
    let arguments = arguments.iter().enumerate().rev();
    arguments.fold(text.to_owned(), |text, (index, argument)| {
        text.replace(&format!("%{}", index + 1), argument)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(name: &str, severity: &str, origin: &str, group: u32) -> FaultRecord {
        FaultRecord::of_event(&json!({
            "MessageId": format!("ResourceEvent.1.3.{name}"),
            "MessageSeverity": severity,
            "EventGroupId": group,
            "OriginOfCondition": {"@odata.id": origin}
        }))
    }

    fn keys(records: Vec<FaultRecord>) -> Vec<String> {
        let mut active = ActiveFaults::default();
        for record in records {
            let message = RegistryMessage::standard(&record);
            active.apply(record, message.as_ref());
        }
        active.faults().map(|(key, _)| key.to_owned()).collect()
    }

    #[test]
    fn a_message_ends_those_that_its_registry_names_at_the_same_origin() {
        let warning = |origin| record("ResourceStatusChangedWarning", "Warning", origin, 0);
        let ok = record("ResourceStatusChangedOK", "OK", "/redfish/v1/Chassis/1", 0);
        let others = keys(vec![
            warning("/redfish/v1/Chassis/1"),
            warning("/redfish/v1/Chassis/2"),
            ok,
        ]);
        assert_eq!(
            others,
            ["ResourceEvent.ResourceStatusChangedWarning/Chassis/2/"]
        );
        let critical = record(
            "ResourceStatusChangedCritical",
            "Critical",
            "/redfish/v1/Chassis/2",
            0,
        );
        let worse = keys(vec![warning("/redfish/v1/Chassis/2"), critical]);
        assert_eq!(
            worse,
            ["ResourceEvent.ResourceStatusChangedCritical/Chassis/2/"]
        );
    }

    #[test]
    fn records_of_a_group_are_one_fault() {
        let fault = record("A", "Warning", "/redfish/v1/Chassis/1", 7);
        let worse = record("B", "Critical", "/redfish/v1/Chassis/1", 7);
        assert_eq!(keys(vec![fault.clone(), worse]), ["group/7"]);
        let end = record("C", "OK", "/redfish/v1/Chassis/1", 7);
        assert!(keys(vec![fault, end]).is_empty());
    }

    #[test]
    fn arguments_are_put_into_the_message() {
        let arguments: Vec<String> = (1..=10).map(|number| format!("a{number}")).collect();
        assert_eq!(
            filled("%1 and %10 of %2, %99", &arguments),
            "a1 and a10 of a2, a99"
        );
    }
}
