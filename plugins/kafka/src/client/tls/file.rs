//! Why a file of the setting `tls` cannot be used.

use crate::config::Properties;

/// The reason, if `text`, with which librdkafka refuses to create a producer, is about a file
/// of `tls`.
pub(in crate::client) fn file_error(text: &str, properties: &Properties) -> Option<String> {
    if text.contains("Private key check failed") {
        let reason = "`tls.key` is not the key of `tls.certificate` (name the files of one pair)";
        return Some(reason.to_owned());
    }
    let files = [
        (
            "ssl.ca.location",
            "tls.ca",
            "it holds no certificate that can be read (name a PEM file with certificates)",
        ),
        (
            "ssl.certificate.location",
            "tls.certificate",
            "it holds no certificate that can be read (name a PEM file with certificates)",
        ),
        (
            "ssl.key.location",
            "tls.key",
            "it holds no key that can be read (is `tls.key_password` right?)",
        ),
    ];
    let (property, setting, content) = files.into_iter().find(|file| text.contains(file.0))?;
    let path = properties.get(property)?;
    let reason = match std::fs::read(path) {
        Err(error) => format!("{error} (name a file that the host's user can read)"),
        Ok(bytes) if !bytes.windows(5).any(|part| part == b"-----") => {
            "it is not a file in the form PEM (convert it)".to_owned()
        }
        Ok(_) => content.to_owned(),
    };
    Some(format!("cannot use `{setting}` `{path}`: {reason}"))
}
