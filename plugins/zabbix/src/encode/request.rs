//! Which rows a request has.

use std::collections::HashMap;

use delfin_plugin_api::workers::{WorkItem, key_of};

use super::ValueRows;

/// The most values in a request, unless a row has more.
const MAX_VALUES: u64 = 5_000;

/// Requests that get more rows.
#[derive(Default)]
struct OpenRequests {
    requests: Vec<WorkItem<()>>,
    /// For each host: the number of its last request, and of the values in it.
    last: HashMap<usize, (usize, u64)>,
}

impl ValueRows {
    /// The requests with all rows: those of a host are sent in their order, and first those for items
    /// that are not known to be refused.
    pub(crate) fn requests(&self, is_refused: impl Fn(u64) -> bool) -> Vec<WorkItem<()>> {
        let [mut taken, mut refused] = [OpenRequests::default(), OpenRequests::default()];
        let rows = self.rows().iter().enumerate();
        for (number, row) in rows.filter(|(_, row)| row.values > 0) {
            let requests = if is_refused(row.item) {
                &mut refused
            } else {
                &mut taken
            };
            requests.add(number, row.host, row.values);
        }
        let refused = refused.requests.into_iter();
        taken.requests.into_iter().chain(refused).collect()
    }

    /// The text of a request with these rows.
    pub(crate) fn request_text(&self, rows: &[usize]) -> Vec<u8> {
        let mut text = Vec::from(b"{\"request\":\"sender data\",\"data\":[");
        let start = text.len();
        for &row in rows {
            text.extend_from_slice(&self.text[self.rows[row].text.clone()]);
        }
        if text.len() > start {
            // The comma before the first value.
            text[start] = b' ';
        }
        text.extend_from_slice(b"]}");
        text
    }
}

impl OpenRequests {
    fn add(&mut self, row: usize, host: usize, values: u64) {
        if let Some((request, count)) = self.last.get_mut(&host)
            && *count + values <= MAX_VALUES
        {
            *count += values;
            self.requests[*request].rows.push(row);
            return;
        }
        self.last.insert(host, (self.requests.len(), values));
        self.requests.push(WorkItem {
            rows: vec![row],
            key: key_of(host),
            content: (),
        });
    }
}
