//! A WebSocket with bounded buffers and bounded waits.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::future::poll_fn;
use protocol::wire::{ToDevice, close};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::timeout;

use super::frames::{self, Inbox, Incoming};
use crate::stream::Stream;

/// Bytes read at once, onto the stack: the longest message of a device.
const READ_BYTES: usize = protocol::limits::FRAME_FROM_DEVICE_BYTES_MAX;
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
    /// The chain was reset.
    Reset,
    /// The device did not read, acknowledge or answer in time.
    TooSlow,
    /// A fork was settled: what the device was told of stands no more.
    Settled,
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
            Self::Reset => (close::RESET, "reset".into()),
            Self::TooSlow => (close::TOO_SLOW, "too-slow".into()),
            // At once: it is one chain's devices, not all.
            Self::Settled => (close::RESTART, "0".into()),
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
    stream: Stream,
    inbox: Inbox,
    /// What is being written: a frame's rest, empty where only the flush is owed. It outlives a write that was given up, so
    /// that nothing is ever written into the middle of a frame.
    outgoing: Option<Bytes>,
    write_timeout: Duration,
}

impl Link {
    /// Takes over a stream after the handshake, with what was read from it already.
    pub(crate) fn new(stream: Stream, read: &[u8], write_timeout: Duration) -> Self {
        let mut inbox = Inbox::default();
        inbox.push(read);
        Self { stream, inbox, outgoing: None, write_timeout }
    }

    /// Sends one message, and waits until the socket took it: nothing is queued behind it.
    pub(super) async fn send(&mut self, message: &ToDevice) -> Result<(), Ended> {
        self.send_bytes(&message.to_bytes()).await
    }

    /// Sends the bytes of one message.
    pub(super) async fn send_bytes(&mut self, message: &[u8]) -> Result<(), Ended> {
        self.write(frames::message(message)).await
    }

    /// Sends a ping.
    pub(super) async fn ping(&mut self) -> Result<(), Ended> {
        self.write(frames::ping()).await
    }

    /// Writes a frame. A peer that keeps its socket full holds one message in memory, for so long and no longer.
    async fn write(&mut self, frame: Bytes) -> Result<(), Ended> {
        let patience = self.write_timeout;
        let writing = async {
            poll_fn(|cx| self.poll_flush(cx)).await?;
            self.outgoing = Some(frame);
            poll_fn(|cx| self.poll_flush(cx)).await
        };
        timeout(patience, writing).await.unwrap_or(Err(Ended::TooSlow))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let gone = |_| Ended::Gone;
        let Some(outgoing) = &mut self.outgoing else { return Poll::Ready(Ok(())) };
        while !outgoing.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, outgoing)).map_err(gone)? {
                0 => return Poll::Ready(Err(Ended::Gone)),
                written => drop(outgoing.split_to(written)),
            }
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx)).map_err(gone)?;
        self.outgoing = None;
        Poll::Ready(Ok(()))
    }

    /// Waits for the next sign of life: the bytes of a message, or `None` for a control frame. May be dropped while it waits.
    pub(super) async fn receive(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// The same, to be polled beside something else.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<u8>>, Ended>> {
        loop {
            // First: whoever pings without reading the answers is not read from.
            ready!(self.poll_flush(cx))?;
            let answer = match self.inbox.next().map_err(|_| Ended::Protocol)? {
                Some(Incoming::Message(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                Some(Incoming::Pong) => return Poll::Ready(Ok(None)),
                Some(Incoming::Ping(payload)) => Some((frames::pong(&payload), Ok(None))),
                Some(Incoming::Close) => Some((frames::close(None), Err(Ended::Gone))),
                None => None,
            };
            if let Some((frame, outcome)) = answer {
                self.outgoing = Some(frame);
                // What the socket does not take now is written before anything else is.
                let _ = self.poll_flush(cx)?;
                return Poll::Ready(outcome);
            }
            let mut space = [const { MaybeUninit::<u8>::uninit() }; READ_BYTES];
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read)).map_err(|_| Ended::Gone)?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(Ended::Gone));
            }
            self.inbox.push(read.filled());
        }
    }

    /// Says why, and gives the peer a moment to read it.
    pub(super) async fn close(&mut self, ended: Ended) {
        let Some((code, reason)) = ended.frame() else { return };
        let farewell = async {
            if self.write(frames::close(Some((code, &reason)))).await.is_ok() {
                // Read to the end: dropping a socket with unread bytes resets it, and the close frame would be lost.
                while self.receive().await.is_ok() {}
            }
        };
        let _ = timeout(CLOSING, farewell).await;
    }
}
