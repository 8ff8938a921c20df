//! Messages as commands of Redis. The kit writes the messages.

use delfin_plugin_api::{
    AlertBatch, PerformanceBatch,
    message::{EncodedMessage, MessageBatch},
};

/// A batch with a stream of its own.
pub(crate) trait RedisBatch: MessageBatch {
    /// The default of the setting `stream`.
    const STREAM: &'static str;
}

impl RedisBatch for PerformanceBatch {
    const STREAM: &'static str = "delfin:performance:{storage_id}";
}

impl RedisBatch for AlertBatch {
    const STREAM: &'static str = "delfin:alerts:{storage_id}";
}

/// Appends a command: an array of strings, in the protocol of Redis.
pub(crate) fn push_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    push_length(out, b'*', words.len());
    for word in words {
        push_length(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the command that adds a message to its stream.
pub(crate) fn push_add(out: &mut Vec<u8>, message: &EncodedMessage, max_length: u64) {
    let max_length = max_length.to_string();
    let mut words: Vec<&[u8]> = vec![b"XADD", message.name.as_bytes()];
    if max_length != "0" {
        words.extend([&b"MAXLEN"[..], b"~", max_length.as_bytes()]);
    }
    words.push(b"*");
    for (key, value) in [
        ("payload", &*message.payload),
        ("content-type", message.content_type.as_bytes()),
        ("source", b"delfin-host"),
        ("origin", message.origin.as_bytes()),
        ("batch-id", message.batch_id.as_bytes()),
        ("message-id", message.id.as_bytes()),
    ] {
        words.extend([key.as_bytes(), value]);
    }
    push_command(out, &words);
}

fn push_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    out.extend_from_slice(length.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_command_with_its_fields() {
        let message = EncodedMessage {
            name: "s".to_owned(),
            id: "i".to_owned(),
            batch_id: "b".to_owned(),
            content_type: "t",
            origin: "o",
            payload: b"\r\n\0".to_vec(),
            rows: vec![0],
        };
        let written = |max_length| {
            let mut out = Vec::new();
            push_add(&mut out, &message, max_length);
            String::from_utf8(out).unwrap()
        };
        let limited = written(7);
        let start = "*18\r\n$4\r\nXADD\r\n$1\r\ns\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$1\r\n7\r\n$1\r\n*\r\n\
                     $7\r\npayload\r\n$3\r\n\r\n\0\r\n$12\r\ncontent-type\r\n$1\r\nt\r\n";
        assert!(limited.starts_with(start), "{limited}");
        assert!(
            limited.ends_with("$10\r\nmessage-id\r\n$1\r\ni\r\n"),
            "{limited}"
        );
        assert!(written(0).starts_with("*15\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n"));
    }
}
