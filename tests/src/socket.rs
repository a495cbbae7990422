//! A device's WebSocket, message by message.

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::connect::Connect;
use protocol::keys::DeviceKeys;
use protocol::wire::{Ack, Challenge, FromDevice, ToDevice};
use protocol::{SUBPROTOCOL, Verified};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message, client::IntoClientRequest as _};

use crate::actor::{Joiner, Member, Reach};
use crate::wait;

/// An open socket.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TcpStream>);

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A message.
    Message(ToDevice),
    /// The relay closed, with this code; 0 for none, as after a cut connection.
    Closed(u16),
}

impl Came {
    /// The message.
    ///
    /// # Panics
    ///
    /// If the socket was closed.
    #[must_use]
    pub fn message(self) -> ToDevice {
        match self {
            Self::Message(message) => message,
            Self::Closed(code) => panic!("the relay closed with {code}"),
        }
    }
}

impl Socket {
    /// Shakes hands and takes the challenge.
    #[must_use]
    pub fn dial(reach: &Reach) -> (Self, Challenge) {
        let mut request = format!("ws://{}/v1/socket", reach.caller.to).into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().expect("a header"));
        let socket = wait::run("the handshake", async {
            let stream = reach.caller.dial().await.expect("a connection");
            tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket").0
        });
        let mut socket = Self(socket);
        match socket.next().message() {
            ToDevice::Challenge(challenge) => (socket, challenge),
            other => panic!("the first message is a challenge, not {other:?}"),
        }
    }

    /// Connects as a member, up to Ready.
    #[must_use]
    pub fn of_member(member: &Member) -> Self {
        let (mut socket, challenge) = Self::dial(&member.line);
        socket.prove(member.connect(challenge.nonce), &member.keys);
        match socket.next().message() {
            ToDevice::Ready(_) => socket,
            other => panic!("the answer to a Connect is Ready, not {other:?}"),
        }
    }

    /// Connects as a joiner.
    #[must_use]
    pub fn of_joiner(joiner: &Joiner) -> Self {
        let (mut socket, challenge) = Self::dial(&joiner.line);
        socket.prove(joiner.connect(challenge.nonce), &joiner.keys);
        socket
    }

    /// Signs and sends a Connect.
    pub fn prove(&mut self, connect: Connect, keys: &DeviceKeys) {
        let form = Verified::sign(connect, &keys.signing, &[]).expect("a Connect");
        self.send(form.bytes());
    }

    /// Sends a binary message.
    pub fn send(&mut self, bytes: &[u8]) {
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        // A socket that was closed meanwhile says so at the next read.
        let _ = wait::run("sending", self.0.send(message));
    }

    /// Acknowledges.
    pub fn ack(&mut self, seq: u64, number: u64) {
        self.send(&FromDevice::Ack(Ack { seq, number }).to_bytes());
    }

    /// The next message, or how the relay closed.
    pub fn next(&mut self) -> Came {
        wait::run("the next message", async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Binary(bytes))) => {
                        return Came::Message(ToDevice::from_bytes(&bytes).expect("a message of the relay"));
                    }
                    Some(Ok(Message::Close(frame))) => return Came::Closed(frame.map_or(0, |frame| frame.code.into())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Came::Closed(0),
                }
            }
        })
    }

    /// Messages until one that `find` makes something of, acknowledging data on the way.
    pub fn until<T>(&mut self, what: &str, mut find: impl FnMut(&ToDevice) -> Option<T>) -> T {
        // A bound in steps as well: a relay that repeats itself is a failure, not a long wait.
        for _ in 0..1000 {
            let message = match self.next() {
                Came::Message(message) => message,
                Came::Closed(code) => panic!("{what}: the relay closed with {code}"),
            };
            match &message {
                ToDevice::Entries(page) => self.ack(page.seq, 0),
                ToDevice::Records(page) => self.ack(0, page.cursor.number),
                _ => {}
            }
            if let Some(found) = find(&message) {
                return found;
            }
        }
        panic!("{what}: not within 1000 messages")
    }

    /// Waits until the relay closes, and says with which code.
    pub fn closed(&mut self) -> u16 {
        for _ in 0..1000 {
            if let Came::Closed(code) = self.next() {
                return code;
            }
        }
        panic!("the relay sends on and on")
    }
}
