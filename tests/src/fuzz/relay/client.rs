//! A device's end of a socket.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::cbor::Blob;
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
    /// Forks that its chain had ended when it connected.
    pub(super) branch: usize,
    /// Entries that it has, and the number of its last record.
    pub(super) log: usize,
    pub(super) feed: u64,
    /// Approvals and resets that it was told of.
    pub(super) told: Vec<Blob>,
    pub(super) unacknowledged: usize,
    /// Whether it said something that no device says: then the relay may close.
    pub(super) at_fault: bool,
    /// The codes with which the relay may have closed by now.
    pub(super) may_close: Vec<u16>,
    pub(super) closed: bool,
}

impl Client {
    /// A device after its Connect.
    pub(super) fn new(socket: WebSocketStream<TcpStream>, who: Who, device: DeviceId) -> Self {
        let (branch, log, feed, unacknowledged) = (0, 0, 0, 0);
        let (told, may_close) = (Vec::new(), Vec::new());
        let (at_fault, closed) = (false, false);
        Self { socket, who, device, branch, log, feed, told, unacknowledged, at_fault, may_close, closed }
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
                let over = code == close::RESTART || self.may_close.contains(&code);
                assert!(self.at_fault || over, "a relay that restarts says so: {code}");
            }
        }
    }
}
