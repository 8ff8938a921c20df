//! Adds messages to streams.
//!
//! Promises: a call ends within its time; messages are added in order; a row counts as
//! delivered only after the server's answer.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    time::Duration,
};

use delfin_plugin_api::{
    Failure, Host, Outcome,
    message::{EncodedMessage, MessageClient, MessageResults, groups},
    stream::{Connection, Connector, deadline},
};

use crate::{
    config::RedisConfig,
    encode::{push_add, push_command},
    outcome::{add_failure, login_failure},
};

/// Commands, and bytes of payloads, that are sent before their answers are read. The answers fit
/// into the buffers of a connection, so that neither side waits for the other to read.
const GROUP: usize = 256;
const GROUP_BYTES: usize = 1 << 20;
/// Of a line of an answer.
const MAX_LINE: u64 = 64 << 10;

/// The answer to a command: its text, or the error of the server.
type RedisAnswer = Result<String, String>;

pub(crate) struct RedisClient {
    connector: Connector,
    config: RedisConfig,
    /// `None` before the first call, and after a failure.
    connection: Option<BufReader<Connection>>,
}

impl MessageClient for RedisClient {
    type Config = RedisConfig;

    fn check(config: RedisConfig) -> Outcome {
        Connector::new(config.address, config.tls.as_ref()).map(drop)
    }

    fn new(config: RedisConfig, _: &Host) -> Result<Self, Failure> {
        if config.password.is_some() && config.tls.is_none() {
            config
                .address
                .warn_of_plain_credentials("remove `tls = false`");
        }
        Ok(Self {
            connector: Connector::new(config.address.clone(), config.tls.as_ref())?,
            config,
            connection: None,
        })
    }

    fn send(&mut self, messages: Vec<EncodedMessage>, rows: usize, remaining: Duration) -> Outcome {
        let mut connection = self.open(remaining)?;
        let mut results = MessageResults::new(rows);
        let mut commands = Vec::new();
        for group in groups(&messages, GROUP, GROUP_BYTES) {
            commands.clear();
            for message in group {
                push_add(&mut commands, message, self.config.max_length);
                results.set_sent(&message.rows);
            }
            match call(&mut connection, &commands, group.len()) {
                Ok(answers) => enter_answers(&mut results, group, &answers),
                Err(error) => results.set_failure(self.connector.send_failure(&error)),
            }
            if results.has_failed() {
                // Also after an error of the server: the next connection may reach another one.
                return results.into_outcome();
            }
        }
        self.connection = Some(connection);
        results.into_outcome()
    }

    fn health(&mut self, remaining: Duration) -> Outcome {
        let mut connection = self.open(remaining)?;
        self.command(&mut connection, &[b"PING"])?;
        self.connection = Some(connection);
        Ok(())
    }

    fn close(&mut self) {
        self.connection = None;
    }
}

impl RedisClient {
    /// The open connection if it still works, else a new one.
    fn open(&mut self, remaining: Duration) -> Result<BufReader<Connection>, Failure> {
        let deadline = deadline(remaining);
        if let Some(mut connection) = self.connection.take() {
            connection.get_mut().set_deadline(deadline);
            if !connection.get_mut().is_closed() {
                return Ok(connection);
            }
        }
        let mut connection = BufReader::new(self.connector.connect(deadline)?);
        let config = &self.config;
        if let Some(password) = &config.password {
            let password = password.reveal().as_bytes();
            match &config.username {
                Some(username) => {
                    let words: [&[u8]; 3] = [b"AUTH", username.as_bytes(), password];
                    self.command(&mut connection, &words)?;
                }
                None => self.command(&mut connection, &[b"AUTH", password])?,
            }
        }
        if config.database != 0 {
            let database = config.database.to_string();
            self.command(&mut connection, &[b"SELECT", database.as_bytes()])?;
        }
        Ok(connection)
    }

    /// Calls a command that sends no rows.
    fn command(&self, connection: &mut BufReader<Connection>, words: &[&[u8]]) -> Outcome {
        let mut command = Vec::new();
        push_command(&mut command, words);
        let answers = call(connection, &command, 1);
        let answers = answers.map_err(|error| self.connector.login_failure(&error))?;
        match answers.into_iter().next() {
            Some(Err(error)) => Err(login_failure(&error, self.connector.address())),
            Some(Ok(_)) | None => Ok(()),
        }
    }
}

/// Behind a message that must be sent again, others of its stream must be sent again too, so that
/// the last one is the latest.
fn enter_answers(
    results: &mut MessageResults,
    messages: &[EncodedMessage],
    answers: &[RedisAnswer],
) {
    for (message, answer) in messages.iter().zip(answers) {
        match answer {
            Ok(_) => results.set_delivered(&message.rows),
            Err(error) => return results.set_failure(add_failure(error, &message.name)),
        }
    }
}

/// Sends commands, and reads as many answers.
fn call(
    connection: &mut BufReader<Connection>,
    commands: &[u8],
    count: usize,
) -> io::Result<Vec<RedisAnswer>> {
    connection.get_mut().write_all(commands)?;
    connection.get_mut().flush()?;
    (0..count).map(|_| read_answer(connection)).collect()
}

/// Reads a simple string, an error or a bulk string, in the protocol of Redis.
fn read_answer(connection: &mut impl BufRead) -> io::Result<RedisAnswer> {
    let mut line = Vec::new();
    connection.take(MAX_LINE).read_until(b'\n', &mut line)?;
    let Some(line) = line.strip_suffix(b"\r\n") else {
        let reason = "the server closed the connection";
        return Err(io::Error::new(ErrorKind::ConnectionAborted, reason));
    };
    let line = String::from_utf8_lossy(line);
    let mut characters = line.chars();
    let kind = characters.next();
    let text = characters.as_str();
    let unexpected = || io::Error::new(ErrorKind::InvalidData, "not an answer of Redis");
    match kind {
        Some('+') => Ok(Ok(text.to_owned())),
        Some('-') => Ok(Err(text.to_owned())),
        Some('$') => {
            let length: u64 = text.parse().map_err(|_| unexpected())?;
            if length > MAX_LINE {
                return Err(unexpected());
            }
            let mut bulk = Vec::new();
            connection.take(length + 2).read_to_end(&mut bulk)?;
            let bulk = bulk.strip_suffix(b"\r\n").ok_or_else(unexpected)?;
            Ok(Ok(String::from_utf8_lossy(bulk).into_owned()))
        }
        _ => Err(unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_one_by_one() {
        let mut bytes: &[u8] = b"+PONG\r\n$3\r\n1-0\r\n-OOM too much\r\n$0\r\n\r\n";
        let mut read = || read_answer(&mut bytes).unwrap();
        assert_eq!(read(), Ok("PONG".to_owned()));
        assert_eq!(read(), Ok("1-0".to_owned()));
        assert_eq!(read(), Err("OOM too much".to_owned()));
        assert_eq!(read(), Ok(String::new()));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for (bytes, kind) in [
            ("", ErrorKind::ConnectionAborted),
            ("+PO", ErrorKind::ConnectionAborted),
            ("$5\r\nab", ErrorKind::InvalidData),
            ("$-1\r\n", ErrorKind::InvalidData),
            ("$99999999\r\n", ErrorKind::InvalidData),
            ("HTTP/1.1 400 Bad Request\r\n", ErrorKind::InvalidData),
            ("\r\n", ErrorKind::InvalidData),
        ] {
            let error = read_answer(&mut bytes.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), kind, "{bytes}");
        }
    }
}
