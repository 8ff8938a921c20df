//! Why a file of the setting `tls` cannot be used.

use std::path::Path;

use delfin_plugin_api::setting::{unreadable_file, unusable_file};

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
    let path = Path::new(properties.get(property)?);
    let failure = match std::fs::read(path) {
        Err(error) => unreadable_file(setting, path, &error),
        Ok(bytes) if !bytes.windows(5).any(|part| part == b"-----") => unusable_file(
            setting,
            path,
            &"it is not a file in the form PEM (convert it)",
        ),
        Ok(_) => unusable_file(setting, path, &content),
    };
    Some(failure.to_string())
}
