//! Reads JSON in the form in which programs write it, in one pass.
//!
//! A [`PlainReader`] takes only what is certainly JSON. At anything else it returns `None`: an error, or a
//! form that is rare. The item is then read by `serde_json`, which decides whether it is valid and
//! says what is wrong with it.
//!
//! Knows nothing of series and alerts.

use std::borrow::Cow;

/// A text, and the position up to which it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainReader<'de> {
    text: &'de str,
    at: usize,
}

/// A number: `mantissa * 10^exponent`, if it has few enough digits.
#[derive(Clone, Copy, Debug)]
struct Decimal<'de> {
    text: &'de str,
    mantissa: u64,
    exponent: i32,
    digits: usize,
}

/// Digits that a `u64` holds in any case.
const MAX_DIGITS: usize = 19;

/// Powers of ten that a `f64` holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The largest integer up to which a `f64` holds every one exactly.
const MAX_EXACT: u64 = 1 << f64::MANTISSA_DIGITS;

impl<'de> PlainReader<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self { text, at: 0 }
    }

    /// The number of bytes that were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next byte that is not space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Reads a mark, if it is next.
    #[inline]
    pub(super) fn take(&mut self, mark: u8) -> bool {
        let found = self.peek() == Some(mark);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(super) fn expect(&mut self, mark: u8) -> Option<()> {
        self.take(mark).then_some(())
    }

    /// Reads a text that is known, if it is next.
    #[inline]
    pub(super) fn take_known(&mut self, known: &str) -> bool {
        let found = self.peek().is_some() && self.text[self.at..].starts_with(known);
        self.at += if found { known.len() } else { 0 };
        found
    }

    /// The text from a position on that was read.
    pub(super) fn since(&self, start: usize) -> &'de str {
        &self.text[start..self.at]
    }

    /// Reads an object. `member` reads the key and the value of a member.
    #[inline]
    pub(super) fn members(
        &mut self,
        mut member: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Some(());
        }
        loop {
            self.peek()?;
            member(self)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Reads an object. `each` gets the key of a member, and reads its value.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'de, str>) -> Option<()>,
    ) -> Option<()> {
        self.members(|json| {
            let key = json.string()?;
            json.expect(b':')?;
            each(json, key)
        })
    }

    /// Reads a string; borrowed from the body unless it has escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Option<Cow<'de, str>> {
        self.expect(b'"')?;
        let rest = &self.text[self.at..];
        let length = unescaped_length(rest.as_bytes());
        match rest.as_bytes().get(length)? {
            b'"' => {
                self.at += length + 1;
                Some(Cow::Borrowed(&rest[..length]))
            }
            b'\\' => self.escaped(length),
            _ => None,
        }
    }

    /// Reads a string, a number or a boolean as the text that it has as a label; `None` in `Some` for `null`.
    #[inline]
    pub(super) fn label_text(&mut self) -> Option<Option<Cow<'de, str>>> {
        match self.peek()? {
            b'"' => self.string().map(Some),
            b't' => self.word("true").map(Some),
            b'f' => self.word("false").map(Some),
            b'n' => self.word("null").map(|_| None),
            _ => self.decimal().map(|decimal| Some(decimal.text.into())),
        }
    }

    /// Reads a finite number, also one in a string.
    #[inline]
    pub(super) fn number(&mut self) -> Option<f64> {
        if self.peek()? != b'"' {
            return self.decimal()?.value();
        }
        let text = self.string()?;
        let mut inside = PlainReader::new(&text);
        let number = inside.decimal()?.value()?;
        (inside.at == text.len()).then_some(number)
    }

    /// Reads the rest of a string, which has an escape after `length` bytes.
    fn escaped(&mut self, length: usize) -> Option<Cow<'de, str>> {
        let (start, mut end) = (self.at - 1, self.at + length);
        loop {
            match self.text.as_bytes().get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        self.at = end + 1;
        let text = serde_json::from_str(&self.text[start..self.at]).ok()?;
        Some(Cow::Owned(text))
    }

    fn word(&mut self, word: &'static str) -> Option<Cow<'de, str>> {
        let found = self.text[self.at..].starts_with(word);
        self.at += word.len();
        found.then_some(Cow::Borrowed(word))
    }

    #[inline]
    fn decimal(&mut self) -> Option<Decimal<'de>> {
        let rest = &self.text[self.at..];
        let bytes = rest.as_bytes();
        let mut at = usize::from(bytes.first() == Some(&b'-'));
        let start = at;
        let mut mantissa = 0;
        at = read_digits(bytes, at, &mut mantissa);
        let mut digits = at - start;
        // A number of several digits does not begin with a zero.
        if digits == 0 || (digits > 1 && bytes[start] == b'0') {
            return None;
        }
        let mut exponent = 0;
        if bytes.get(at) == Some(&b'.') {
            let end = read_digits(bytes, at + 1, &mut mantissa);
            let fraction = end - at - 1;
            if fraction == 0 {
                return None;
            }
            digits += fraction;
            exponent -= i32::try_from(fraction).ok()?;
            at = end;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            let (power, end) = exponent_part(bytes, at + 1)?;
            exponent = exponent.saturating_add(power);
            at = end;
        }
        self.at += at;
        Some(Decimal {
            text: &rest[..at],
            mantissa,
            exponent,
            digits,
        })
    }
}

impl Decimal<'_> {
    /// The nearest `f64`, if it is finite.
    #[inline]
    fn value(&self) -> Option<f64> {
        let power = POWERS_OF_TEN.get(self.exponent.unsigned_abs() as usize);
        let number = match power {
            // Mantissa and power are exact, so that the result is rounded once, as it must be.
            Some(power) if self.digits <= MAX_DIGITS && self.mantissa <= MAX_EXACT => {
                let mantissa = self.mantissa as f64;
                let number = if self.exponent < 0 {
                    mantissa / power
                } else {
                    mantissa * power
                };
                if self.text.starts_with('-') {
                    -number
                } else {
                    number
                }
            }
            _ => self.text.parse().ok()?,
        };
        number.is_finite().then_some(number)
    }
}

/// The number of bytes before the first one that ends a string or needs a closer look: a quote, a
/// backslash or a control character.
#[inline]
fn unescaped_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = bytes[at..].first_chunk() {
        let found = special_bytes(u64::from_le_bytes(*word));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += size_of::<u64>();
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    let end = bytes[at..].iter().position(is_special);
    end.map_or(bytes.len(), |end| at + end)
}

/// Sets the highest bit of each special byte. Bytes after the first special one can be wrong.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    // A byte below `limit` borrows from its highest bit.
    let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (EACH << 7)
}

/// Adds the digits from `at` on to a number, and returns where they end.
#[inline]
fn read_digits(bytes: &[u8], mut at: usize, number: &mut u64) -> usize {
    while let Some(digit @ 0..=9) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')) {
        // Too many digits are counted, and their number is not used.
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// The power of ten that begins at `at`, and where it ends.
fn exponent_part(bytes: &[u8], at: usize) -> Option<(i32, usize)> {
    let sign = bytes.get(at).filter(|sign| matches!(sign, b'+' | b'-'));
    let start = at + usize::from(sign.is_some());
    let mut power = 0;
    let end = read_digits(bytes, start, &mut power);
    if !(1..=9).contains(&(end - start)) {
        return None;
    }
    let power = i32::try_from(power).ok()?;
    let power = if sign == Some(&b'-') { -power } else { power };
    Some((power, end))
}

#[cfg(test)]
mod tests {
    use proptest::{
        prelude::{ProptestConfig, any},
        prop_assert_eq, proptest,
    };

    use super::*;

    fn number(text: &str) -> Option<u64> {
        let mut reader = PlainReader::new(text);
        let number = reader.number()?;
        (reader.position() == text.len()).then_some(number.to_bits())
    }

    #[test]
    fn a_number_has_the_bits_that_rust_reads() {
        for text in [
            "0",
            "-0",
            "-0.0",
            "1",
            "-12.5",
            "0.1",
            "1e22",
            "1e23",
            "1E-5",
            "1.5e+3",
            "9007199254740992",
            "9007199254740993",
            "9007199254740992e22",
            "9007199254740992e-22",
            "29.534088718585423",
            "5e-324",
            "1.7976931348623157e308",
            "1e-400",
            "0e999",
            "0.000000000000000000000000000001",
            "123456789012345678901234567890",
            "18446744073709551616",
            "0.10000000000000000000000000000",
        ] {
            let wanted: f64 = text.parse().unwrap();
            assert_eq!(number(text), Some(wanted.to_bits()), "{text}");
            assert_eq!(
                number(&format!("\"{text}\"")),
                Some(wanted.to_bits()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_finite_number_is_not_read() {
        for text in [
            "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e5", "1e999", "nan",
            "Infinity", "null", "true", "\"\"", "\" 1\"", "\"1 \"", "\"NaN\"", "[1]", "\u{661}",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: delfin_tests::soak(256), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_number_that_a_program_writes_has_its_bits(bits in any::<u64>(), digits in 0..20_usize) {
            let value = f64::from_bits(bits);
            for text in [format!("{value:?}"), format!("{value:e}"), format!("{:.digits$}", bits as f64 / 1e9)] {
                let wanted: f64 = text.parse().unwrap();
                let wanted = wanted.is_finite().then_some(wanted.to_bits());
                // Debug writes `inf` and `NaN`.
                prop_assert_eq!(number(&text), wanted, "{}", text);
            }
        }

        #[test]
        fn a_string_is_what_serde_json_reads(text in any::<String>(), rest in "[\"\\\\\\x00-\\x7f]{0,20}") {
            let json = serde_json::to_string(&text).unwrap();
            let read = PlainReader::new(&json).string();
            prop_assert_eq!(read.as_deref(), Some(&*text));
            let raw = format!("\"{rest}\"");
            let read = PlainReader::new(&raw).string();
            let by_serde = serde_json::Deserializer::from_str(&raw).into_iter::<String>().next();
            prop_assert_eq!(read.map(Cow::into_owned), by_serde.and_then(Result::ok));
        }
    }
}
