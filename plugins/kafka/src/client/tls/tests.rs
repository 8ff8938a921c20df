use super::*;

fn properties(known: &[(&str, &str)]) -> Properties {
    let mut properties = Properties::default();
    properties.set("security.protocol", "ssl".to_owned());
    for (key, value) in known {
        properties.set(key, (*value).to_owned());
    }
    properties
}

fn reason(text: &str, known: &[(&str, &str)]) -> String {
    let text = format!("sasl_ssl://k.example.com:9093/bootstrap: {text}");
    let error = error(&text, &properties(known)).unwrap();
    let reason = error.reason.strip_prefix("broker `k.example.com:9093`: ");
    reason.unwrap().to_owned()
}

#[test]
fn an_alert_is_a_sentence_that_depends_on_the_client_certificate() {
    let refused = "Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42 (after 1ms in state APIVERSION_QUERY)";
    assert!(reason(refused, &[]).starts_with("it asks for a client certificate (set"));
    let shown = [("ssl.certificate.location", "c.pem")];
    assert!(reason(refused, &shown).starts_with("it refuses the client certificate (use"));
    let required = "Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116";
    assert!(reason(required, &shown).starts_with("it asks for a client certificate (set"));
}

#[test]
fn no_reason_holds_text_of_openssl() {
    for text in [
        "SSL handshake failed: error:0A00010B:SSL routines::wrong version number",
        "SSL handshake failed: error:0A000102:SSL routines::unsupported protocol",
        "SSL handshake failed: error:0A000438:SSL routines::tlsv1 alert internal error: SSL alert number 80",
        "SSL handshake failed: error:0A000126:SSL routines::unexpected eof while reading",
        "Disconnected: SSL connection closed by peer (after 1ms in state SSL_HANDSHAKE)",
        "SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to a PLAINTEXT broker listener? (after 1ms in state SSL_HANDSHAKE)",
    ] {
        let reason = reason(text, &[]);
        assert!(
            !reason.contains("SSL") && !reason.contains("error"),
            "{reason}"
        );
    }
}

#[test]
fn an_error_that_is_not_about_tls_stays() {
    let closed = "ssl://k:9093/1: Disconnected: connection closed by peer (after 90ms in state UP)";
    assert_eq!(error(closed, &properties(&[])), None);
    let refused = "k:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused";
    assert_eq!(error(refused, &Properties::default()), None);
}

#[test]
fn a_broker_that_is_silent_without_tls_may_want_it() {
    let line = "[thrd:k:9093/bootstrap]: k:9093/bootstrap: Disconnected: connection closed by peer: \
                receive 0 after POLLIN (after 1ms in state APIVERSION_QUERY)";
    let error = silence(line, &Properties::default()).unwrap();
    assert_eq!(error.kind, SendErrorKind::Unavailable);
    assert!(
        error
            .reason
            .starts_with("broker `k:9093`: it closes the connection"),
        "{}",
        error.reason
    );
    assert!(error.reason.contains("(set `tls` if"), "{}", error.reason);
    assert_eq!(silence(line, &properties(&[])), None);
}
