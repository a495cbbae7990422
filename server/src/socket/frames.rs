//! Frames of a WebSocket (RFC 6455 §5) without the socket: what arrived in pieces, and what is written.
//!
//! The headers are tungstenite's. Its `WebSocket` is not used: it keeps a buffer to read into, and one as long as the longest
//! message that it ever sent, for as long as the socket lives, while nearly all sockets of a relay only wait.

use std::io::Cursor;

use axum::body::Bytes;
use protocol::limits;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Bytes of a control frame, RFC 6455 §5.5.
const CONTROL_BYTES_MAX: usize = 125;

/// What a device sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A whole message.
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close,
}

/// Bytes that no device sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Puts frames and messages together. Between messages it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Bytes of frames that were not taken yet.
    bytes: Vec<u8>,
    /// The message so far, where it comes in fragments.
    message: Option<Vec<u8>>,
}

impl Inbox {
    /// Takes bytes in, in their order. At most one frame is incomplete in it once [`Inbox::next`] has yielded nothing.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next thing that is whole, or `None` until more bytes came.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, Malformed> {
        while let Some((header, payload)) = self.frame()? {
            let data = match header.opcode {
                OpCode::Control(Control::Ping) => return Ok(Some(Incoming::Ping(payload))),
                OpCode::Control(Control::Pong) => return Ok(Some(Incoming::Pong)),
                OpCode::Control(Control::Close) => return Ok(Some(Incoming::Close)),
                OpCode::Control(Control::Reserved(_)) => return Err(Malformed),
                OpCode::Data(data) => data,
            };
            let whole = match (data, self.message.take()) {
                (Data::Binary, None) => payload,
                (Data::Continue, Some(before)) => [before, payload].concat(),
                // Text, a message inside another, the rest of none.
                _ => return Err(Malformed),
            };
            if whole.len() > limits::FRAME_FROM_DEVICE_BYTES_MAX {
                return Err(Malformed);
            }
            if header.is_final {
                return Ok(Some(Incoming::Message(whole)));
            }
            self.message = Some(whole);
        }
        Ok(None)
    }

    fn frame(&mut self) -> Result<Option<(FrameHeader, Vec<u8>)>, Malformed> {
        let mut cursor = Cursor::new(&self.bytes);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(|_| Malformed)? else { return Ok(None) };
        let (length, mask) = check(&header, length)?;
        let begin = usize::try_from(cursor.position()).map_err(|_| Malformed)?;
        let Some(masked) = self.bytes.get(begin..begin + length) else { return Ok(None) };
        let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        self.bytes.drain(..begin + length);
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
        Ok(Some((header, payload)))
    }
}

/// Checks a header before its payload is waited for; returns the payload's length and mask.
fn check(header: &FrameHeader, length: u64) -> Result<(usize, [u8; 4]), Malformed> {
    let control = matches!(header.opcode, OpCode::Control(_));
    let longest = if control { CONTROL_BYTES_MAX } else { limits::FRAME_FROM_DEVICE_BYTES_MAX };
    let length = usize::try_from(length).ok().filter(|length| *length <= longest).ok_or(Malformed)?;
    // No extension was agreed on, so no reserved bit has a meaning; a control frame comes whole.
    if header.rsv1 || header.rsv2 || header.rsv3 || (control && !header.is_final) {
        return Err(Malformed);
    }
    // Unmasked, a device could make a proxy between believe that it sees another protocol (RFC 6455 §10.3).
    Ok((length, header.mask.ok_or(Malformed)?))
}

/// A message, in one frame.
pub(super) fn message(payload: &[u8]) -> Bytes {
    frame(OpCode::Data(Data::Binary), payload)
}

/// A ping without content.
pub(super) fn ping() -> Bytes {
    frame(OpCode::Control(Control::Ping), &[])
}

/// The answer to a ping: what it carried.
pub(super) fn pong(payload: &[u8]) -> Bytes {
    frame(OpCode::Control(Control::Pong), payload)
}

/// A close frame with a code and a reason, or with neither.
pub(super) fn close(why: Option<(u16, &str)>) -> Bytes {
    let payload = why.map(|(code, reason)| [&code.to_be_bytes()[..], reason.as_bytes()].concat());
    frame(OpCode::Control(Control::Close), &payload.unwrap_or_default())
}

fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let length = payload.len() as u64;
    let mut bytes = Vec::with_capacity(header.len(length) + payload.len());
    // A vector takes whatever is written to it.
    let _ = header.format(length, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes.into()
}

#[cfg(test)]
mod tests;
