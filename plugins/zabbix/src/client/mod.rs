//! Sends values to the server or a proxy, one connection for each request.

mod frame;

use std::{
    io::{self, ErrorKind, Write},
    time::Instant,
};

use delfin_plugin_api::{
    Failure, Outcome,
    json::{Compact, Style},
    stream::Connector,
    workers::combine_outcomes,
};

use self::frame::{frame, read_frame};
use crate::{
    config::ZabbixConfig,
    encode::ValueRows,
    outcome::{ValueCounts, of_response},
};

pub(crate) struct ZabbixClient {
    connector: Connector,
    compress: bool,
}

impl ZabbixClient {
    /// A client for the address in `config`. Connects with each request.
    pub(crate) fn new(config: &ZabbixConfig) -> Result<Self, Failure> {
        Ok(Self {
            connector: Connector::new(config.address.clone(), config.tls.as_ref())?,
            compress: config.compress,
        })
    }

    /// Sends rows. `refused` makes the outcome of a row whose values Zabbix refuses.
    ///
    /// Zabbix says how many values it refuses, and not which. So the rows are sent in halves until
    /// a request has only accepted or only refused values. Values that come again have the same
    /// times, and are stored once.
    pub(crate) fn send_rows(
        &self,
        values: &ValueRows,
        rows: &[usize],
        deadline: Instant,
        refused: &dyn Fn(&[usize]) -> Outcome,
    ) -> Outcome {
        let counts = self.request(&values.request_text(rows), deadline)?;
        let sent = rows.iter().map(|&row| values.rows()[row].values).sum();
        counts.check(sent, self.connector.address())?;
        if counts.refused == 0 {
            return Ok(());
        }
        let [_, _, ..] = rows else {
            return refused(rows);
        };
        if counts.accepted == 0 {
            return refused(rows);
        }
        let (first, second) = rows.split_at(rows.len() / 2);
        let first_outcome = self.send_rows(values, first, deadline, refused);
        let second_outcome = match &first_outcome {
            Ok(()) | Err(Failure::Partial { .. }) => {
                Some(self.send_rows(values, second, deadline, refused))
            }
            Err(_) => None,
        };
        let numbers: Vec<usize> = (0..rows.len()).collect();
        let (first, second) = numbers.split_at(first.len());
        combine_outcomes([(first, Some(first_outcome)), (second, second_outcome)].into_iter())
    }

    /// Sends the list of the series of a host, and returns whether the host has a rule for it.
    pub(crate) fn announce(
        &self,
        [host, key]: [&str; 2],
        list: &[u8],
        deadline: Instant,
    ) -> Result<bool, Failure> {
        let mut request = Vec::from(b"{\"request\":\"sender data\",\"data\":[{\"host\":");
        Compact::text(host, &mut request);
        request.extend_from_slice(b",\"key\":");
        Compact::text(key, &mut request);
        request.extend_from_slice(b",\"value\":");
        Compact::text(&String::from_utf8_lossy(list), &mut request);
        request.extend_from_slice(b"}]}");
        let counts = self.request(&request, deadline)?;
        counts.check(1, self.connector.address())?;
        Ok(counts.refused == 0)
    }

    /// Asks with a request without values.
    pub(crate) fn health(&self, deadline: Instant) -> Outcome {
        let body = b"{\"request\":\"sender data\",\"data\":[]}";
        let counts = self.exchange(body, deadline, Connector::login_failure)?;
        counts.check(0, self.connector.address())
    }

    fn request(&self, body: &[u8], deadline: Instant) -> Result<ValueCounts, Failure> {
        self.exchange(body, deadline, Connector::send_failure)
    }

    /// `failure` is what it means that there is no response.
    fn exchange(
        &self,
        body: &[u8],
        deadline: Instant,
        failure: fn(&Connector, &io::Error) -> Failure,
    ) -> Result<ValueCounts, Failure> {
        let address = self.connector.address();
        let frame = frame(body, self.compress).map_err(Failure::rejected)?;
        let mut connection = self.connector.connect(deadline)?;
        let response = connection
            .write_all(&frame)
            .and_then(|()| connection.flush())
            .and_then(|()| read_frame(&mut connection));
        match response {
            Ok(response) => of_response(&response, address),
            Err(error) if is_foreign(&error) => Err(Failure::misconfigured(format!(
                "`{address}`: not a response of Zabbix (write the address of a server or a proxy)"
            ))),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(Failure::Uncertain {
                message: format!("`{address}`: closed the connection without a response"),
            }),
            Err(error) => Err(failure(&self.connector, &error)),
        }
    }
}

/// Not an error of TLS, which has the same kind and a reason.
fn is_foreign(error: &io::Error) -> bool {
    error.kind() == ErrorKind::InvalidData && error.get_ref().is_none()
}
