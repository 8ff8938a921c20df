//! Messages in a stream, by RFC 6587: each has its length before it, or ends with a line feed.
//! A stream can have both.

/// The most digits of a length.
const MAX_DIGITS: usize = 10;

/// Splits a stream into messages. A message that is longer than the limit is cut off.
#[derive(Debug)]
pub(super) struct FrameSplitter {
    limit: usize,
    message: Vec<u8>,
    state: FrameState,
    /// How many messages were cut off.
    cut_off: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameState {
    /// Between two messages.
    Between,
    /// In the digits before a message. They are in the message too: it may begin with digits.
    Length,
    /// So many bytes of the message are missing.
    Counted { missing: u64 },
    /// In a message that ends with a line feed.
    Line,
}

impl FrameSplitter {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            message: Vec::new(),
            state: FrameState::Between,
            cut_off: 0,
        }
    }

    /// Adds bytes of the stream, and passes on each message that is complete.
    pub(super) fn add(&mut self, mut bytes: &[u8], mut complete: impl FnMut(Vec<u8>)) {
        while let Some((&first, rest)) = bytes.split_first() {
            match self.state {
                FrameState::Between if first.is_ascii_whitespace() || first == 0 => bytes = rest,
                FrameState::Between => {
                    self.state = if first.is_ascii_digit() && first != b'0' {
                        FrameState::Length
                    } else {
                        FrameState::Line
                    };
                }
                FrameState::Length if first.is_ascii_digit() && self.message.len() < MAX_DIGITS => {
                    self.message.push(first);
                    bytes = rest;
                }
                FrameState::Length if first == b' ' => {
                    let digits = std::str::from_utf8(&self.message).unwrap_or_default();
                    let missing = digits.parse().unwrap_or(0);
                    self.message.clear();
                    self.state = FrameState::Counted { missing };
                    bytes = rest;
                }
                // The digits belong to a message without a length.
                FrameState::Length => self.state = FrameState::Line,
                FrameState::Counted { missing } => {
                    let length = usize::try_from(missing).unwrap_or(usize::MAX);
                    let (part, rest) = bytes.split_at(length.min(bytes.len()));
                    self.extend(part);
                    let missing = missing - part.len() as u64;
                    self.state = FrameState::Counted { missing };
                    if missing == 0 {
                        complete(self.take());
                    }
                    bytes = rest;
                }
                FrameState::Line => match bytes.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        self.extend(&bytes[..end]);
                        complete(self.take());
                        bytes = &bytes[end + 1..];
                    }
                    None => {
                        self.extend(bytes);
                        bytes = &[];
                    }
                },
            }
        }
    }

    /// The last message of a stream, which may have no line feed.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        (!self.message.is_empty()).then(|| self.take())
    }

    /// How many messages were cut off since the last call.
    pub(super) fn take_cut_off(&mut self) -> u64 {
        std::mem::take(&mut self.cut_off)
    }

    fn extend(&mut self, part: &[u8]) {
        let room = self.limit - self.message.len().min(self.limit);
        if part.len() > room && self.message.len() <= self.limit {
            self.cut_off += 1;
            // One byte more than the limit says that this message was counted.
            self.message.extend(&part[..room]);
            self.message.push(b' ');
        } else if part.len() <= room {
            self.message.extend(part);
        }
    }

    fn take(&mut self) -> Vec<u8> {
        self.state = FrameState::Between;
        self.message.truncate(self.limit);
        std::mem::take(&mut self.message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(limit: usize, parts: &[&[u8]]) -> (Vec<String>, u64) {
        let mut splitter = FrameSplitter::new(limit);
        let mut messages = Vec::new();
        let mut cut_off = 0;
        for part in parts {
            splitter.add(part, |message| messages.push(message));
            cut_off += splitter.take_cut_off();
        }
        messages.extend(splitter.finish());
        let texts = messages.into_iter();
        let texts = texts.map(|message| String::from_utf8_lossy(&message).into_owned());
        (texts.collect(), cut_off)
    }

    #[test]
    fn a_stream_has_messages_with_their_length_and_with_a_line_feed() {
        let stream: &[u8] = b"6 <1>a\nb 6 <2>c d<3>e\r\n\n2024 is here\n12<4>f\n3 <5";
        let (messages, cut_off) = split(100, &[stream]);
        assert_eq!(
            messages,
            ["<1>a\nb", "<2>c d", "<3>e\r", "is here\n12<4>f\n3 <5"]
        );
        assert_eq!(cut_off, 0);
        let (messages, _) = split(100, &[b"12<4>f\n<5>last"]);
        assert_eq!(messages, ["12<4>f", "<5>last"]);
    }

    #[test]
    fn a_long_message_is_cut_off_and_counted_once_and_the_next_one_is_whole() {
        let (messages, cut_off) = split(4, &[b"<1>abc", b"defgh\n<2>i\n10 <3>jklm", b"nop<4>q\n"]);
        assert_eq!(messages, ["<1>a", "<2>i", "<3>j", "<4>q"]);
        assert_eq!(cut_off, 2);
        let (messages, cut_off) = split(12, &[b"99999999999 x\n"]);
        assert_eq!(messages, ["99999999999 "]);
        assert_eq!(cut_off, 1);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_stream_is_divided(
            stream in proptest::collection::vec(prop_oneof![Just(b'1'), Just(b'2'), Just(b' '), Just(b'\n'), Just(b'<'), Just(b'x')], 0..60),
            at in 0_usize..60,
        ) {
            let (first, second) = stream.split_at(at.min(stream.len()));
            prop_assert_eq!(split(12, &[&stream]), split(12, &[first, second]));
        }
    }
}
