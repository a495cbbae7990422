use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::*;

/// A frame as a client writes it.
fn masked(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let header = FrameHeader { is_final, opcode, mask: Some(mask), ..FrameHeader::default() };
    let mut bytes = Vec::new();
    Frame::from_payload(header, payload.to_vec().into()).format(&mut bytes).unwrap();
    bytes
}

fn binary(payload: &[u8]) -> Vec<u8> {
    masked(OpCode::Data(Data::Binary), true, payload)
}

fn first_of(bytes: &[u8]) -> Result<Option<Incoming>, Malformed> {
    let mut inbox = Inbox::default();
    inbox.push(bytes);
    inbox.next()
}

#[test]
fn messages_arrive_however_they_are_cut_and_leave_nothing_behind() {
    let sizes = [0, 1, 125, 126, 4096];
    let sent: Vec<Vec<u8>> = sizes.iter().map(|size| vec![7; *size]).collect();
    let bytes = sent.iter().map(|payload| binary(payload)).collect::<Vec<_>>().concat();
    for step in [1, 2, 3, 5, 130, bytes.len()] {
        let (mut inbox, mut came) = (Inbox::default(), Vec::new());
        for piece in bytes.chunks(step) {
            inbox.push(piece);
            while let Some(incoming) = inbox.next().unwrap() {
                came.push(incoming);
            }
        }
        assert_eq!(came, sent.iter().cloned().map(Incoming::Message).collect::<Vec<_>>());
        assert_eq!((inbox.bytes.capacity(), inbox.message), (0, None));
    }
}

#[test]
fn fragments_become_one_message_with_control_frames_between() {
    let mut inbox = Inbox::default();
    inbox.push(&masked(OpCode::Data(Data::Binary), false, b"one "));
    inbox.push(&masked(OpCode::Control(Control::Ping), true, b"?"));
    inbox.push(&masked(OpCode::Data(Data::Continue), false, b"whole "));
    inbox.push(&masked(OpCode::Data(Data::Continue), true, b"message"));
    assert_eq!(inbox.next(), Ok(Some(Incoming::Ping(b"?".to_vec()))));
    assert_eq!(inbox.next(), Ok(Some(Incoming::Message(b"one whole message".to_vec()))));
    assert_eq!(inbox.next(), Ok(None));
}

#[test]
fn what_no_device_sends_is_refused_by_its_header_alone() {
    let begun = masked(OpCode::Data(Data::Binary), false, b"begun");
    let bad = [
        ("too long", vec![0x82, 0xfe, 0x10, 0x01]),
        ("far too long", [&[0x82, 0xff][..], &[0xff; 8]].concat()),
        ("a long ping", vec![0x89, 0xfe, 0x00, 0x7e]),
        ("unmasked", vec![0x82, 0x01, 0x00]),
        ("a reserved bit", vec![0xc2, 0x80]),
        ("an unknown kind", vec![0x83, 0x80]),
        ("text", masked(OpCode::Data(Data::Text), true, b"text")),
        ("half a ping", masked(OpCode::Control(Control::Ping), false, b"")),
        ("the rest of nothing", masked(OpCode::Data(Data::Continue), true, b"")),
        ("a message inside another", [&begun[..], &binary(b"")].concat()),
        ("too long in fragments", [&begun[..], &masked(OpCode::Data(Data::Continue), true, &[0; 4092])].concat()),
    ];
    for (name, mut bytes) in bad {
        // The mask of those that are cut off before it.
        bytes.extend_from_slice(&[0; 4]);
        assert_eq!(first_of(&bytes), Err(Malformed), "{name}");
    }
}

#[test]
fn tungstenite_reads_what_is_written() {
    let long = vec![7; 70_000];
    let bytes = [
        &message(b"")[..],
        &message(&long[..126]),
        &message(&long),
        &pong(b"!"),
        &ping(),
        &close(Some((4408, "too-slow"))),
    ];
    let mut client = WebSocket::from_raw_socket(Cursor::new(bytes.concat()), Role::Client, None);
    for length in [0, 126, 70_000] {
        assert_eq!(client.read().unwrap(), Message::binary(long[..length].to_vec()));
    }
    assert_eq!(client.read().unwrap(), Message::Pong(b"!".to_vec().into()));
    assert_eq!(client.read().unwrap(), Message::Ping(Bytes::new()));
    let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no close frame") };
    assert_eq!((u16::from(frame.code), frame.reason), (4408, Utf8Bytes::from_static("too-slow")));
}
