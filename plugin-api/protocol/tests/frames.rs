//! Any bytes from the other side are a frame or an error: no panic, no hang, no
//! large allocation.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

use delfin_plugin_protocol::{
    ExporterMessage, FrameDecoder, FrameError, FramePayload, FrameReader, FrameSender, FrameWriter,
    HostMessage, MAX_HEADER, Progress, SharedError, SharedPayload, WireFrame, decode, encode_frame,
};
use proptest::prelude::*;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

const MAX_PAYLOAD: usize = 1 << 20;

fn read(mut bytes: &[u8]) -> Result<Vec<WireFrame>, FrameError> {
    let mut decoder = FrameDecoder::new(MAX_PAYLOAD);
    let mut frames = Vec::new();
    loop {
        match decoder.read_from(|buffer| bytes.read(buffer))? {
            Progress::Frame(frame) => frames.push(frame),
            Progress::Part => {}
            Progress::End => return Ok(frames),
        }
    }
}

fn pair() -> (Arc<OwnedFd>, Arc<OwnedFd>) {
    let (one, other) = UnixStream::pair().unwrap();
    (Arc::new(one.into()), Arc::new(other.into()))
}

fn frame() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let bytes = |least: usize| prop::collection::vec(any::<u8>(), least..200);
    (bytes(1), bytes(0))
}

fn soak() -> ProptestConfig {
    let factor = std::env::var("DELFIN_TEST_SOAK");
    let factor = factor.ok().and_then(|factor| factor.parse().ok());
    ProptestConfig {
        cases: 300 * factor.unwrap_or(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(soak())]

    #[test]
    fn frames_arrive_as_they_were_sent(sent in prop::collection::vec(frame(), 0..5)) {
        let bytes: Vec<Vec<u8>> = sent.iter().map(|(header, payload)| encode_frame(header, payload).unwrap()).collect();
        let read = read(&bytes.concat()).unwrap();
        let read: Vec<(Vec<u8>, Vec<u8>)> = read.into_iter().map(|frame| (frame.header, frame.payload.to_vec())).collect();
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn a_frame_that_is_cut_off_is_an_error((header, payload) in frame(), cut in any::<prop::sample::Index>()) {
        let bytes = encode_frame(&header, &payload).unwrap();
        let cut = 1 + cut.index(bytes.len() - 1);
        prop_assert!(matches!(read(&bytes[..cut]), Err(FrameError::CutOff)));
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn a_changed_byte_is_an_error_or_another_message(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let header = br#"{"type":"export","id":2,"deadline_ms":9,"attempt":1,"origin":"sync","parts":[{"batch_id":"b","first_row":0,"rows":2,"accepted_ms":1}],"rows":[0,1]}"#;
        let mut bytes = encode_frame(header, b"rows").unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        for frame in read(&bytes).unwrap_or_default() {
            let _ = decode::<HostMessage>(&frame.header);
            let _ = decode::<ExporterMessage>(&frame.header);
        }
    }
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    let prefix = |header: u32, payload: u32| {
        let mut bytes = [header.to_le_bytes(), payload.to_le_bytes()].concat();
        bytes.push(b'{');
        bytes
    };
    let too_long = u32::try_from(MAX_HEADER + 1).unwrap();
    assert!(matches!(
        read(&prefix(too_long, 0)),
        Err(FrameError::LongHeader { .. })
    ));
    assert!(matches!(
        read(&prefix(1, u32::MAX)),
        Err(FrameError::LongPayload { .. })
    ));
    assert!(matches!(read(&prefix(0, 0)), Err(FrameError::NoHeader)));
    // Allowed lengths, without the bytes: the buffer is as large as one read.
    let allowed = u32::try_from(MAX_HEADER).unwrap();
    let bytes = prefix(allowed, 0);
    let mut decoder = FrameDecoder::new(MAX_PAYLOAD);
    let mut rest = &bytes[..];
    let mut largest = 0;
    while !rest.is_empty() {
        let read = decoder.read_from(|buffer| {
            largest = largest.max(buffer.len());
            rest.read(buffer)
        });
        assert!(matches!(read, Ok(Progress::Part)), "{read:?}");
    }
    assert!(largest <= 64 << 10, "{largest}");
}

#[test]
fn a_shared_payload_crosses_once_and_is_what_was_written() {
    let (one, other) = pair();
    let shared = SharedPayload::create(|file| file.write_all(b"rows")).unwrap();
    let mut writer = FrameWriter::new(one);
    writer
        .send(&HostMessage::Cancel, FramePayload::Shared(shared.file()))
        .unwrap();
    writer
        .send(&HostMessage::Cancel, FramePayload::Inline(b"inline"))
        .unwrap();
    writer
        .send(&HostMessage::Cancel, FramePayload::None)
        .unwrap();
    drop(writer);

    let mut reader = FrameReader::new(other, MAX_PAYLOAD);
    let frame = reader.read().unwrap().unwrap();
    let received = SharedPayload::receive(frame.descriptor.unwrap(), 4).unwrap();
    assert_eq!(received.map().unwrap().as_ref(), b"rows");
    let frame = reader.read().unwrap().unwrap();
    assert_eq!(&frame.payload[..], b"inline");
    assert!(frame.payload.as_ptr().addr().is_multiple_of(8));
    assert!(frame.descriptor.is_none());
    let frame = reader.read().unwrap().unwrap();
    assert!(frame.payload.is_empty());
    assert!(reader.read().unwrap().is_none());
}

#[test]
fn an_empty_payload_can_be_shared() {
    let shared = SharedPayload::create(|_| Ok(())).unwrap();
    assert_eq!(shared.map().unwrap().as_ref(), b"");
}

#[test]
fn nothing_is_there_yet_is_not_the_end() {
    let (one, other) = pair();
    let mut reader = FrameReader::new(other, MAX_PAYLOAD);
    let read = reader.try_read();
    assert!(
        matches!(&read, Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock),
        "{read:?}"
    );
    let mut writer = FrameWriter::new(one);
    writer
        .send(&HostMessage::Cancel, FramePayload::None)
        .unwrap();
    assert!(matches!(reader.try_read(), Ok(Progress::Frame(_))));
    assert!(reader.has_drained() && !reader.has_unread());
    drop(writer);
    assert!(matches!(reader.try_read(), Ok(Progress::End)));
}

#[test]
fn a_sender_keeps_what_the_other_side_does_not_take_and_sends_it_later() {
    let (one, other) = pair();
    let shared = SharedPayload::create(|file| file.write_all(b"rows")).unwrap();
    let large = vec![7; 1 << 20];
    let mut sender = FrameSender::new(one);
    let payloads = [
        FramePayload::Inline(&large),
        FramePayload::Shared(shared.file()),
        FramePayload::Inline(b"last"),
    ];
    for payload in payloads {
        sender.send(&HostMessage::Cancel, payload).unwrap();
    }
    assert!(sender.has_unsent());
    let rest = sender.try_send_rest().unwrap_err();
    assert_eq!(rest.kind(), io::ErrorKind::WouldBlock);

    let mut reader = FrameReader::new(other, large.len());
    let mut frames = Vec::new();
    while frames.len() < payloads.len() {
        match reader.try_read() {
            Ok(Progress::Frame(frame)) => frames.push(frame),
            Ok(Progress::Part) => {}
            Ok(Progress::End) => panic!("the sender is still there"),
            // What was there is read: the sender can go on.
            Err(_) => drop(sender.try_send_rest()),
        }
    }
    assert!(!sender.has_unsent());
    assert_eq!(frames[0].payload, large);
    let received = SharedPayload::receive(frames[1].descriptor.take().unwrap(), 4).unwrap();
    assert_eq!(received.map().unwrap().as_ref(), b"rows");
    assert_eq!(&frames[2].payload[..], b"last");
    assert!(frames[0].descriptor.is_none() && frames[2].descriptor.is_none());
}

#[test]
fn a_payload_must_be_sealed_and_as_long_as_its_message_says() {
    let shared = SharedPayload::create(|file| file.write_all(b"rows")).unwrap();
    let copy = || shared.file().try_clone_to_owned().unwrap();
    assert!(matches!(
        SharedPayload::receive(copy(), 5),
        Err(SharedError::OtherLength { found: 4, said: 5 })
    ));
    let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
    let unsealed = rustix::fs::memfd_create(c"unsealed", flags).unwrap();
    let (socket, _other) = UnixStream::pair().unwrap();
    for other in [unsealed, socket.into()] {
        let received = SharedPayload::receive(other, 0);
        assert!(
            matches!(received, Err(SharedError::NotSealed)),
            "{received:?}"
        );
    }
    // The kernel refuses every write.
    let mut file = std::fs::File::from(copy());
    assert!(file.write_all(b"changed").is_err());
    assert!(file.set_len(0).is_err());
}

#[test]
fn descriptors_that_do_not_belong_end_the_connection() {
    let bytes = encode_frame(b"{}", b"payload").unwrap();
    // In the middle of a header, and two with the first byte.
    for (split, count) in [(9, 1), (0, 2)] {
        let (one, other) = pair();
        let mut reader = FrameReader::new(other, MAX_PAYLOAD);
        let mut stream = UnixStream::from(one.as_fd().try_clone_to_owned().unwrap());
        stream.write_all(&bytes[..split]).unwrap();
        if split > 0 {
            assert!(matches!(reader.try_read(), Ok(Progress::Part)));
        }
        let rights = vec![one.as_fd(); count];
        let mut space = vec![std::mem::MaybeUninit::uninit(); 128];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&rights)));
        let rest = [io::IoSlice::new(&bytes[split..])];
        sendmsg(&one, &rest, &mut ancillary, SendFlags::empty()).unwrap();
        let read = reader.read();
        assert!(matches!(read, Err(FrameError::StrayDescriptor)), "{read:?}");
    }
}

#[test]
fn a_read_brings_several_frames_and_a_descriptor_belongs_to_the_last() {
    let (one, other) = pair();
    let shared = SharedPayload::create(|file| file.write_all(b"rows")).unwrap();
    let mut writer = FrameWriter::new(one);
    let mut send = |payload| writer.send(&HostMessage::Cancel, payload).unwrap();
    send(FramePayload::None);
    send(FramePayload::Shared(shared.file()));
    send(FramePayload::None);
    let mut reader = FrameReader::new(other, MAX_PAYLOAD);
    let frames = [(); 3].map(|()| reader.read().unwrap().unwrap());
    let found = frames.map(|frame| (frame.descriptor.is_some(), frame.is_followed));
    assert_eq!(found, [(false, true), (true, false), (false, false)]);
}
