//! Sends mails to a server.
//!
//! Promises: mails are sent in order; a row counts as delivered only after the server has
//! accepted its mail.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use delfin_plugin_api::{Failure, Outcome, message::MessageResults, stream::deadline, tls::Tls};
use lettre::{
    address::Envelope,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{Certificate, CertificateStore, Identity, SmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
    },
};

use crate::{
    config::{MailEncryption, ServerConfig},
    encode::AlertMail,
    outcome::{MailStage, failure, set_failed},
};

pub(crate) struct SmtpClient {
    config: ServerConfig,
    tls: TlsParameters,
    hello: ClientId,
    /// `None` before the first call, and after a failure.
    connection: Option<SmtpConnection>,
}

impl SmtpClient {
    /// A client for the server in `config`. Connects with the first batch.
    pub(crate) fn new(config: ServerConfig) -> Result<Self, Failure> {
        if config.login.is_some() && config.encryption == MailEncryption::Off {
            config
                .address
                .warn_of_plain_credentials("set `tls = \"starttls\"`");
        }
        let hello = config.hello_name.clone();
        Ok(Self {
            tls: tls_parameters(config.address.host(), &config.tls)?,
            hello: hello.map_or_else(ClientId::default, ClientId::Domain),
            config,
            connection: None,
        })
    }

    /// Sends the mails of a call with this number of rows.
    pub(crate) fn send(
        &mut self,
        mails: &[AlertMail],
        rows: usize,
        remaining: Duration,
    ) -> Outcome {
        let deadline = deadline(remaining);
        let mut connection = self.open(deadline)?;
        let mut results = MessageResults::new(rows);
        for mail in mails {
            if Instant::now() >= deadline {
                results.set_failure(Failure::retry("no time is left"));
                break;
            }
            set_timeout(&mut connection, deadline);
            results.set_sent(&mail.rows);
            match transmit(&mut connection, &self.config.envelope, &mail.bytes) {
                Ok(()) => results.set_delivered(&mail.rows),
                Err((stage, error)) => {
                    let address = &self.config.address;
                    if !set_failed(&mut results, &mail.rows, stage, &error, address) {
                        return results.into_outcome();
                    }
                }
            }
        }
        self.connection = Some(connection);
        results.into_outcome()
    }

    /// Connects, logs in and waits for an answer.
    pub(crate) fn health(&mut self, remaining: Duration) -> Outcome {
        self.connection = Some(self.open(deadline(remaining))?);
        Ok(())
    }

    /// Ends the connection.
    pub(crate) fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // The server ends a connection without this command too.
            let _ = connection.quit();
        }
    }

    /// The open connection if it still works, else a new one.
    fn open(&mut self, deadline: Instant) -> Result<SmtpConnection, Failure> {
        if let Some(mut connection) = self.connection.take() {
            set_timeout(&mut connection, deadline);
            if connection.test_connected() {
                return Ok(connection);
            }
        }
        let address = &self.config.address;
        let resolved = address.look_up(deadline)?;
        let failed = |stage| move |error: Error| failure(stage, &error, address);
        let is_tls = self.config.encryption == MailEncryption::Tls;
        let mut connection = SmtpConnection::connect(
            &resolved[..],
            Some(step_time(deadline)),
            &self.hello,
            is_tls.then_some(&self.tls),
            None,
        )
        .map_err(failed(MailStage::Connect))?;
        if self.config.encryption == MailEncryption::StartTls {
            if !connection.can_starttls() {
                return Err(Failure::misconfigured(format!(
                    "`{address}`: the server does not offer STARTTLS (turn it on there, or set \
                     `tls = \"tls\"`)"
                )));
            }
            connection
                .starttls(&self.tls, &self.hello)
                .map_err(failed(MailStage::Connect))?;
        }
        if let Some((username, password)) = &self.config.login {
            let login = Credentials::new(username.clone(), password.reveal().to_owned());
            connection
                .auth(DEFAULT_MECHANISMS, &login)
                .map_err(failed(MailStage::Login))?;
        }
        Ok(connection)
    }
}

/// One mail: `MAIL`, `RCPT`, `DATA` and its content.
fn transmit(
    connection: &mut SmtpConnection,
    envelope: &Envelope,
    mail: &[u8],
) -> Result<(), (MailStage, Error)> {
    let failed = |stage| move |error| (stage, error);
    let sender = Mail::new(envelope.from().cloned(), Vec::new());
    let in_envelope = failed(MailStage::Envelope);
    connection.command(sender).map_err(in_envelope)?;
    for to in envelope.to() {
        let recipient = Rcpt::new(to.clone(), Vec::new());
        connection.command(recipient).map_err(in_envelope)?;
    }
    connection.command(Data).map_err(in_envelope)?;
    connection
        .message(mail)
        .map_err(failed(MailStage::Content))?;
    Ok(())
}

/// A mail needs some steps, each with an answer: each gets a part of the time, so that a call
/// ends before its deadline.
fn step_time(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    (left / 5).max(Duration::from_millis(1))
}

fn set_timeout(connection: &mut SmtpConnection, deadline: Instant) {
    // A socket that takes no timeout fails at its next use.
    let _ = connection.set_timeout(Some(step_time(deadline)));
}

fn tls_parameters(host: &str, tls: &Tls) -> Result<TlsParameters, Failure> {
    // Says why a file cannot be used as every exporter does.
    tls.config()?;
    let unusable = |path: &Path, reason: &dyn std::fmt::Display| {
        Failure::misconfigured(format!("cannot use `{}`: {reason}", path.display()))
    };
    let read = |path: &Path| fs::read(path).map_err(|error| unusable(path, &error));
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &tls.ca_certificate {
        let certificate = Certificate::from_pem(&read(path)?);
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate.map_err(|error| unusable(path, &error))?);
    }
    if let Some(own) = &tls.client_certificate {
        let identity = Identity::from_pem(&read(&own.certificate)?, &read(&own.key)?);
        builder = builder.identify_with(identity.map_err(|error| unusable(&own.key, &error))?);
    }
    builder
        .build_rustls()
        .map_err(|error| Failure::misconfigured(format!("TLS: {error}")))
}
