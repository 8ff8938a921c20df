//! Groups the rows of a batch by where they go.

use std::collections::HashMap;

use super::MessageRow;
use crate::{BatchPart, template::NameTemplate};

/// Rows that can share messages: they have the same name, and belong to one accepted batch.
#[derive(Debug)]
pub(super) struct MessageRoute {
    /// The subject, topic or stream.
    pub(super) name: String,
    /// The number of the accepted batch among the parts of the call.
    pub(super) part: usize,
    /// The numbers of the rows in the call, in ascending order.
    pub(super) rows: Vec<usize>,
}

/// Groups rows, in the order in which the names first occur.
pub(super) fn routes<'a, R: MessageRow<'a>>(
    rows: &[R],
    template: &NameTemplate,
    parts: &[BatchPart<'_>],
) -> Vec<MessageRoute> {
    let mut routes: Vec<MessageRoute> = Vec::new();
    let mut indexes: HashMap<(usize, String), usize> = HashMap::new();
    let mut name = String::new();
    for (number, &row) in rows.iter().enumerate() {
        let part = parts.partition_point(|part| part.first_row <= number);
        let part = part.saturating_sub(1);
        name.clear();
        template.write(row, &mut name);
        // Rows of a name usually follow each other: most need no look-up.
        if let Some(last) = routes.last_mut()
            && last.name == name
            && last.part == part
        {
            last.rows.push(number);
            continue;
        }
        let index = *indexes.entry((part, name.clone())).or_insert_with(|| {
            routes.push(MessageRoute {
                name: name.clone(),
                part,
                rows: Vec::new(),
            });
            routes.len() - 1
        });
        routes[index].rows.push(number);
    }
    routes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        PerformanceBatch, PerformanceBatchBuilder, message::MessageBatch, setting::Mistakes,
        template::TemplateRules,
    };

    const RULES: TemplateRules = TemplateRules {
        character: Some,
        empty: "_",
        max_value_bytes: 100,
        check: |_| Ok(()),
    };

    #[test]
    fn rows_of_a_name_and_a_part_are_together_in_their_order() {
        let mut batch = PerformanceBatchBuilder::new();
        for storage in ["a", "b", "a", "a", "", "b"] {
            let labels = [("storage_id", storage)];
            batch.series("iops", labels, [(1, 1.0)]).unwrap();
        }
        let part = |first_row, rows| BatchPart {
            batch_id: crate::Uuid::nil(),
            first_row,
            batch_row: 0,
            rows,
            accepted_ms: 0,
            storage_id: None,
            complete: false,
        };
        let template = NameTemplate::read::<PerformanceBatch>(
            "subject",
            Some(json!("s.{storage_id}")),
            "s",
            &RULES,
            &mut Mistakes::default(),
        );
        let batch = batch.build();
        let found = routes(&batch.all(), &template, &[part(0, 3), part(3, 3)]);
        let found: Vec<_> = found
            .iter()
            .map(|route| (&*route.name, route.part, &*route.rows))
            .collect();
        assert_eq!(
            found,
            [
                ("s.a", 0, &[0, 2][..]),
                ("s.b", 0, &[1]),
                ("s.a", 1, &[3]),
                ("s._", 1, &[4]),
                ("s.b", 1, &[5]),
            ]
        );
    }
}
