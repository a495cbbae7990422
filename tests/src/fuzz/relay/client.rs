//! A device's end of a socket.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::wire::{ToDevice, close};
use protocol::{ChainId, DeviceId, RequestId};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// As what a device connected.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Member(ChainId),
    Joiner(RequestId),
}

/// A device's end of a socket.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: WebSocketStream<TcpStream>,
    pub(super) who: Who,
    pub(super) device: DeviceId,
    /// Entries and records that it has.
    pub(super) log: usize,
    pub(super) feed: usize,
    pub(super) unacknowledged: usize,
    /// Whether it said something that no device says: then the relay may close.
    pub(super) at_fault: bool,
    /// Whether it is a member no more: then the relay closes.
    pub(super) cut_off: bool,
    pub(super) closed: bool,
}

impl Client {
    /// A device after its Connect.
    pub(super) fn new(socket: WebSocketStream<TcpStream>, who: Who, device: DeviceId) -> Self {
        let (at_fault, cut_off, closed) = (false, false, false);
        Self { socket, who, device, log: 0, feed: 0, unacknowledged: 0, at_fault, cut_off, closed }
    }

    /// The next message or close code; `None` for the answer to a ping.
    pub(super) async fn next(&mut self) -> Option<Result<ToDevice, u16>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    return Some(Ok(ToDevice::from_bytes(&bytes).expect("a message of the relay")));
                }
                Some(Ok(Message::Pong(_))) => return None,
                Some(Ok(Message::Close(frame))) => return Some(Err(frame.map_or(0, |frame| frame.code.into()))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Some(Err(0)),
            }
        }
    }

    /// Everything that the relay sends before it answers a ping.
    pub(super) async fn hear(&mut self) -> VecDeque<Result<ToDevice, u16>> {
        let mut heard = VecDeque::new();
        let _ = self.socket.send(Message::Ping(Bytes::new())).await;
        while let Some(next) = self.next().await {
            let is_end = next.is_err();
            heard.push_back(next);
            if is_end {
                break;
            }
        }
        heard
    }

    pub(super) async fn is_told_of_a_restart(&mut self) {
        while !self.closed {
            if let Some(Err(code)) = self.next().await {
                self.closed = true;
                let cut_off = self.cut_off && code == close::NOT_A_MEMBER;
                assert!(self.at_fault || cut_off || code == close::RESTART, "a relay that restarts says so: {code}");
            }
        }
    }
}
