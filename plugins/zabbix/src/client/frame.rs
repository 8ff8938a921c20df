//! The frames of Zabbix: a header, and JSON that may be compressed.

use std::io::{self, ErrorKind, Read, Write};

use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};

const MAGIC: &[u8] = b"ZBXD";
const PLAIN: u8 = 0x01;
const COMPRESSED: u8 = 0x02;

/// The most bytes of a response. It has a few words.
const MAX_RESPONSE: u32 = 64 * 1024;

/// Makes a frame.
pub(super) fn frame(body: &[u8], compress: bool) -> io::Result<Vec<u8>> {
    let too_long = |_| io::Error::new(ErrorKind::InvalidInput, "the request is longer than 4 GiB");
    let length = u32::try_from(body.len()).map_err(too_long)?;
    let mut frame = Vec::from(MAGIC);
    if !compress {
        frame.push(PLAIN);
        frame.extend_from_slice(&length.to_le_bytes());
        frame.extend_from_slice(&0_u32.to_le_bytes());
        frame.extend_from_slice(body);
        return Ok(frame);
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    let compressed = encoder.finish()?;
    frame.push(PLAIN | COMPRESSED);
    let sent = u32::try_from(compressed.len()).map_err(too_long)?;
    frame.extend_from_slice(&sent.to_le_bytes());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&compressed);
    Ok(frame)
}

/// Reads a frame. [`ErrorKind::InvalidData`]: the bytes are not from Zabbix.
pub(super) fn read_frame(connection: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut header = [0; 13];
    connection.read_exact(&mut header)?;
    let [_, _, _, _, flags, a, b, c, d, ..] = header;
    let length = u32::from_le_bytes([a, b, c, d]);
    let is_known = flags == PLAIN || flags == PLAIN | COMPRESSED;
    if !header.starts_with(MAGIC) || !is_known || length > MAX_RESPONSE {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length as usize];
    connection.read_exact(&mut body)?;
    if flags & COMPRESSED == 0 {
        return Ok(body);
    }
    let mut text = Vec::new();
    let decoder = ZlibDecoder::new(&*body);
    decoder
        .take(u64::from(MAX_RESPONSE))
        .read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let body = b"{\"request\":\"sender data\"}".repeat(10);
        let plain = frame(&body, false).unwrap();
        assert_eq!(plain[..13], *b"ZBXD\x01\xfa\0\0\0\0\0\0\0");
        assert_eq!(read_frame(&mut &*plain).unwrap(), body);
        let compressed = frame(&body, true).unwrap();
        assert_eq!(compressed[4], 3);
        assert_eq!(compressed[9..13], *b"\xfa\0\0\0");
        assert!(compressed.len() < plain.len());
        assert_eq!(read_frame(&mut &*compressed).unwrap(), body);
    }

    #[test]
    fn other_bytes_are_not_a_frame() {
        let kind = |mut bytes: &[u8]| read_frame(&mut bytes).unwrap_err().kind();
        assert_eq!(kind(b""), ErrorKind::UnexpectedEof);
        assert_eq!(
            kind(b"HTTP/1.1 400 Bad Request\r\n"),
            ErrorKind::InvalidData
        );
        assert_eq!(
            kind(b"ZBXD\x01\xff\xff\xff\xff0000"),
            ErrorKind::InvalidData
        );
        assert_eq!(
            kind(b"ZBXD\x01\x02\0\0\0\0\0\0\0{"),
            ErrorKind::UnexpectedEof
        );
    }
}
