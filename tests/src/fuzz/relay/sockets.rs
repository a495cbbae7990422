//! Sockets: real ones, over loopback, because the relay's sessions begin at a TCP stream.

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::connect::{Connect, Cursor, Standing as As};
use protocol::id::Random;
use protocol::wire::{Ack, Challenge, FromDevice, ToDevice, close};
use protocol::{ChainId, SUBPROTOCOL, VERSION, Verified};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::World;
use super::client::{Client, Who};
use super::house::ORIGIN;

/// Sockets open at a time.
const CLIENTS_MAX: usize = 6;
/// Data messages that may be on their way without an acknowledgement.
const UNACKNOWLEDGED_MAX: usize = 4;
/// Exchanges after which a member has been sent everything.
const PATIENCE: usize = 256;

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
        let known = match as_who {
            Who::Member(chain) => self.book.is_member(&chain, keys),
            Who::Joiner(id) => {
                self.book.asked(&id).is_some_and(|asked| asked.form.signer() == keys.id() && !self.book.is_gone(asked))
            }
        };
        let mut bytes = form.bytes().to_vec();
        if how & 0x1e == 0x06 {
            bytes.reverse();
        }
        let welcome = known && ![0x02, 0x04, 0x06].contains(&(how & 0x1e));
        self.house.runtime.block_on(async { drop(socket.send(Message::binary(bytes)).await) });
        let mut client = Client::new(socket, as_who, keys.id());
        let first = self.house.runtime.block_on(client.next()).expect("nobody pinged");
        match (welcome, first) {
            (true, Ok(ToDevice::Ready(ready))) if member => {
                let roster = &self.book.chain(&chain).expect("it has members").roster;
                assert_eq!((ready.head, ready.seq, ready.knows_your_head), (roster.head(), roster.seq(), true));
                client.log = position + 1;
                self.clients.push(client);
            }
            (true, Ok(message)) if !member => {
                self.takes(&client, &message);
                self.clients.push(client);
            }
            (false, Err(close::PROTOCOL | close::REFUSED | close::NOT_A_MEMBER)) => {}
            (_, first) => panic!("welcome: {welcome}, but {first:?}"),
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

    /// A device says something: an acknowledgement that it owes, or what no device says.
    pub(super) fn says(&mut self, which: u8, what: u8) {
        let at = usize::from(which) % self.clients.len().max(1);
        let Some(client) = self.clients.get_mut(at) else { return };
        let ack = FromDevice::Ack(Ack { seq: client.log as u64, number: client.feed as u64 }).to_bytes();
        let message = match what % 8 {
            0..=3 if client.unacknowledged > 0 => {
                client.unacknowledged -= 1;
                Message::binary(ack)
            }
            0..=4 => Message::Ping(Bytes::copy_from_slice(&[what])),
            5 => {
                client.at_fault = true;
                Message::binary(vec![what; usize::from(what) * 20])
            }
            6 => {
                client.at_fault = true;
                Message::text("text")
            }
            _ => {
                drop(self.clients.remove(at));
                return;
            }
        };
        self.house.runtime.block_on(async { drop(client.socket.send(message).await) });
    }

    /// A device hears what there is to hear.
    pub(super) fn hears(&mut self, which: u8) {
        if self.clients.is_empty() {
            return;
        }
        let mut client = self.clients.remove(usize::from(which) % self.clients.len());
        for heard in self.house.runtime.block_on(client.hear()) {
            match heard {
                Ok(message) => self.advances(&mut client, &message),
                Err(code) => {
                    client.closed = true;
                    let cut_off = code == close::NOT_A_MEMBER && self.is_cut_off(&client);
                    assert!(cut_off || client.at_fault && [close::PROTOCOL, 0].contains(&code), "closed with {code}");
                }
            }
        }
        if !client.closed {
            self.clients.push(client);
        }
    }

    /// Whether a device is a member no more, however it connected: its socket closes.
    pub(super) fn is_cut_off(&self, client: &Client) -> bool {
        match client.who {
            Who::Member(chain) => !self.book.has_member(&chain, &client.device),
            Who::Joiner(id) => self.book.asked(&id).is_some_and(|asked| self.book.is_gone(asked)),
        }
    }

    fn advances(&self, client: &mut Client, message: &ToDevice) {
        self.takes(client, message);
        match message {
            ToDevice::Entries(page) => client.log += page.entries.len(),
            ToDevice::Records(page) => client.feed += page.rows.len(),
            _ => return,
        }
        client.unacknowledged += 1;
        assert!(client.unacknowledged <= UNACKNOWLEDGED_MAX, "the window holds");
    }

    /// In the end each member that keeps to the rules has been sent everything.
    pub(super) fn settles(&mut self) {
        for _ in 0..PATIENCE {
            for _ in 0..self.clients.len() {
                while self.clients.first().is_some_and(|client| client.unacknowledged > 0 && !client.at_fault) {
                    self.says(0, 0);
                }
                // Whoever heard is last in the row.
                self.hears(0);
            }
            if self.clients.iter().all(|client| client.at_fault || self.has_everything(client)) {
                return;
            }
        }
        panic!("a member is not told everything");
    }

    fn has_everything(&self, client: &Client) -> bool {
        match client.who {
            _ if self.is_cut_off(client) => false,
            Who::Joiner(_) => true,
            Who::Member(chain) => {
                let chain = self.book.chain(&chain).expect("it has members");
                (client.log, client.feed) == (chain.log.len(), chain.feed.len())
            }
        }
    }
}
