//! A WebSocket with bounded buffers and bounded waits.

use std::time::Duration;

use axum::body::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::limits;
use protocol::wire::{ToDevice, close};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::stream::Stream;

/// Bytes of the read buffer, kept for as long as the socket lives: ten acknowledgements fit. It grows for a Connect, or a longer
/// message. The library's default of 128 KiB is 30 times the rest of a session.
const READ_BUFFER: usize = 256;
/// How long a peer may take to read a close frame and answer it. It was told; nothing is owed beyond.
const CLOSING: Duration = Duration::from_secs(1);
/// Devices come back after a restart spread over this many milliseconds, not all in the same one.
const RESTART_SPREAD: u32 = 5_000;

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The device closed it, or the network did.
    Gone,
    /// The device sent what no device sends.
    Protocol,
    /// The Connect was refused, or came too late.
    Refused,
    /// The device is not, or no longer, a member.
    NotAMember,
    /// The device did not read, acknowledge or answer in time.
    TooSlow,
    /// The relay stops.
    Draining,
    /// The relay cannot read its store.
    Unavailable,
}

impl Ended {
    /// Close code and reason; `None` where nobody is left to tell.
    fn frame(self) -> Option<(u16, String)> {
        Some(match self {
            Self::Gone => return None,
            Self::Protocol => (close::PROTOCOL, "protocol".into()),
            Self::Refused => (close::REFUSED, "refused".into()),
            Self::NotAMember => (close::NOT_A_MEMBER, "not-a-member".into()),
            Self::TooSlow => (close::TOO_SLOW, "too-slow".into()),
            Self::Draining => (close::RESTART, spread_hint().to_string()),
            // RFC 6455 §7.4.1: an unexpected condition.
            Self::Unavailable => (1011, "unavailable".into()),
        })
    }
}

fn spread_hint() -> u32 {
    // Without randomness all come back at once; that is slower, not wrong.
    getrandom::u32().unwrap_or_default() % RESTART_SPREAD
}

/// The device's end of a socket.
#[derive(Debug)]
pub(crate) struct Link {
    socket: WebSocketStream<Stream>,
    write_timeout: Duration,
}

impl Link {
    /// Takes over a stream after the handshake, with what was read from it already.
    pub(crate) async fn new(stream: Stream, read: Vec<u8>, write_timeout: Duration) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            // Written at once: a message that waits for company is late.
            .write_buffer_size(0)
            // One message to the device and the control frames beside it; the library's default is without bound.
            .max_write_buffer_size(2 * limits::FRAME_TO_DEVICE_BYTES_MAX)
            .max_message_size(Some(limits::FRAME_FROM_DEVICE_BYTES_MAX))
            .max_frame_size(Some(limits::FRAME_FROM_DEVICE_BYTES_MAX));
        let socket = WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)).await;
        Self { socket, write_timeout }
    }

    /// Sends one message, and waits until the socket took it: nothing is queued behind it.
    pub(super) async fn send(&mut self, message: &ToDevice) -> Result<(), Ended> {
        self.write(Message::binary(message.to_bytes())).await
    }

    /// Sends a ping.
    pub(super) async fn ping(&mut self) -> Result<(), Ended> {
        self.write(Message::Ping(Bytes::new())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(self.write_timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Gone),
            // A peer that keeps its socket full holds one message in memory, for this long and no longer.
            Err(_) => Err(Ended::TooSlow),
        }
    }

    /// Waits for the next sign of life: the bytes of a message, or `None` for a control frame. May be dropped while it waits.
    pub(super) async fn receive(&mut self) -> Result<Option<Bytes>, Ended> {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) => Ok(Some(bytes)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Text(_) | Message::Frame(_))) => Err(Ended::Protocol),
            Some(Ok(Message::Close(_))) | None => Err(Ended::Gone),
            Some(Err(error)) => Err(blame(&error)),
        }
    }

    /// Says why, and gives the peer a moment to read it.
    pub(super) async fn close(&mut self, ended: Ended) {
        let Some((code, reason)) = ended.frame() else { return };
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        let farewell = async {
            if self.socket.close(Some(frame)).await.is_ok() {
                // Read to the end: dropping a socket with unread bytes resets it, and the close frame would be lost.
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _ = timeout(CLOSING, farewell).await;
    }
}

fn blame(error: &tokio_tungstenite::tungstenite::Error) -> Ended {
    use tokio_tungstenite::tungstenite::Error;
    match error {
        Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) => Ended::Protocol,
        _ => Ended::Gone,
    }
}
