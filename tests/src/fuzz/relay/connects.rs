//! How a device comes to a socket: a real one, over loopback, because the relay's sessions begin at a TCP stream.

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::connect::{Connect, Cursor, Standing as As};
use protocol::id::Random;
use protocol::wire::{Challenge, ToDevice, close};
use protocol::{ChainId, DeviceId, SUBPROTOCOL, VERSION, Verified};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::World;
use super::client::{Client, Who};
use super::house::ORIGIN;

/// Sockets open at a time.
const CLIENTS_MAX: usize = 6;

impl World {
    /// A device connects; bits of `how` make its Connect wrong in one thing.
    pub(super) fn connects(&mut self, who: u8, which: u8, how: u8) {
        if self.clients.len() >= CLIENTS_MAX {
            return;
        }
        let (mut socket, nonce) = self.dials();
        let keys = &self.cast.device(who).keys;
        let chain = ChainId::from(self.cast.chain(which).entry.hash());
        let request = self.cast.asking(which).form.id();
        let member = how & 1 == 0;
        let as_who = if member { Who::Member(chain) } else { Who::Joiner(request) };
        let (head, position) = self.pinned(&chain, usize::from(how >> 5));
        let cursor = Cursor { store: self.house.store() + u64::from(how >> 7), number: 0 };
        let form = Connect {
            version: VERSION,
            offered: vec![SUBPROTOCOL.to_owned()],
            origin: if how & 0x1e == 0x02 { "https://other.example".to_owned() } else { ORIGIN.to_owned() },
            relay_nonce: if how & 0x1e == 0x04 { self.random() } else { nonce },
            own_nonce: self.random(),
            chain: member.then_some(chain),
            device: keys.id(),
            standing: if member { As::Member } else { As::Joiner },
            request: (!member).then_some(request),
            head: member.then_some(head),
            cursor: member.then_some(cursor),
        };
        let Ok(form) = Verified::sign(form, &keys.signing, &[]) else { return };
        let mut bytes = form.bytes().to_vec();
        if how & 0x1e == 0x06 {
            bytes.reverse();
        }
        let refused = match how & 0x1e {
            0x02 | 0x04 => Some(close::REFUSED),
            0x06 => Some(close::PROTOCOL),
            _ => self.is_shut_out(as_who, &keys.id()),
        };
        self.house.runtime.block_on(async { drop(socket.send(Message::binary(bytes)).await) });
        let mut client = Client::new(socket, as_who, keys.id());
        let first = self.house.runtime.block_on(client.next()).expect("nobody pinged");
        match (refused, first) {
            (None, Ok(ToDevice::Ready(ready))) if member => {
                let chain = self.book.chain(&chain).expect("it has members");
                let stand = (chain.roster.head(), chain.roster.seq(), true);
                assert_eq!((ready.head, ready.seq, ready.knows_your_head), stand);
                (client.log, client.branch) = (position + 1, chain.past.len());
                self.clients.push(client);
            }
            (None, Ok(message)) if !member => {
                self.takes(&mut client, &message);
                self.clients.push(client);
            }
            (Some(expected), Err(code)) => assert_eq!(code, expected),
            (_, first) => panic!("refused: {refused:?}, but {first:?}"),
        }
    }

    /// With which code a device is refused, if it is.
    pub(super) fn is_shut_out(&self, who: Who, device: &DeviceId) -> Option<u16> {
        match who {
            Who::Member(chain) if self.book.is_reset(&chain) => Some(close::RESET),
            Who::Member(chain) => (!self.book.has_member(&chain, device)).then_some(close::NOT_A_MEMBER),
            Who::Joiner(id) => match self.book.asked(&id).filter(|asked| asked.form.signer() == *device) {
                None => Some(close::REFUSED),
                Some(asked) => self.book.is_gone(asked).then_some(close::NOT_A_MEMBER),
            },
        }
    }

    /// A head that a member may have, and its position.
    fn pinned(&self, chain: &ChainId, back: usize) -> (protocol::Hash, usize) {
        let Some(chain) = self.book.chain(chain) else { return (protocol::Hash([0; 32]), 0) };
        let at = (chain.log.len() - 1).saturating_sub(back % 4);
        (chain.log[at].hash(), at)
    }

    fn dials(&mut self) -> (WebSocketStream<TcpStream>, Random) {
        let address = self.house.listens();
        let mut request = format!("ws://{address}/v1/socket").into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().expect("a header"));
        self.house.runtime.block_on(async {
            let stream = TcpStream::connect(address).await.expect("a connection");
            let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket");
            match socket.next().await {
                Some(Ok(Message::Binary(bytes))) => match ToDevice::from_bytes(&bytes) {
                    Ok(ToDevice::Challenge(Challenge { nonce, .. })) => (socket, nonce),
                    other => panic!("the first message is a challenge, not {other:?}"),
                },
                other => panic!("the first message is a challenge, not {other:?}"),
            }
        })
    }
}
