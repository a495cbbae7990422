//! What goes over sockets: what devices say and hear, and with which code a socket ends.

use futures_util::SinkExt as _;
use protocol::wire::{Ack, FromDevice, ToDevice, close};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::World;
use super::client::{Client, Who};

/// Data messages that may be on their way without an acknowledgement.
const UNACKNOWLEDGED_MAX: usize = 4;
/// Exchanges after which a member has been sent everything.
const PATIENCE: usize = 256;

impl World {
    /// A device says something: an acknowledgement that it owes, or what no device says.
    pub(super) fn says(&mut self, which: u8, what: u8) {
        let at = usize::from(which) % self.clients.len().max(1);
        let Some(client) = self.clients.get_mut(at) else { return };
        let ack = FromDevice::Ack(Ack { seq: client.log as u64, number: client.feed }).to_bytes();
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
                    let faulty = client.at_fault && [close::PROTOCOL, 0].contains(&code);
                    assert!(faulty || client.may_close.contains(&code), "closed with {code}");
                }
            }
        }
        if !client.closed {
            self.clients.push(client);
        }
    }

    /// The codes with which a device's socket closes, as things stand.
    pub(super) fn endings(&self, client: &Client) -> Vec<u16> {
        let mut endings = Vec::new();
        match client.who {
            Who::Member(chain) if self.book.is_reset(&chain) => endings.push(close::RESET),
            Who::Member(chain) => {
                endings.extend(self.is_shut_out(client.who, &client.device));
                let branch = self.book.known(&chain).expect("it had members").past.len();
                endings.extend((branch != client.branch).then_some(close::RESTART));
            }
            Who::Joiner(id) => {
                let asked = self.book.asked.iter().find(|asked| asked.form.id() == id).expect("it asked");
                let is_reset = self.book.is_reset(&asked.chain);
                endings.extend(asked.deleted.then_some(if is_reset { close::RESET } else { close::REFUSED }));
                endings.extend((!asked.deleted && self.book.is_gone(asked)).then_some(close::NOT_A_MEMBER));
            }
        }
        endings
    }

    fn advances(&self, client: &mut Client, message: &ToDevice) {
        self.takes(client, message);
        match message {
            ToDevice::Entries(page) => client.log += page.entries.len(),
            ToDevice::Records(page) => client.feed = page.rows.last().expect("a page has rows").number,
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
            _ if !self.endings(client).is_empty() => false,
            Who::Joiner(_) => true,
            Who::Member(chain) => {
                let chain = self.book.chain(&chain).expect("it has members");
                let last = chain.feed.last().map_or(0, |kept| kept.number);
                let approvals = self.book.wanted(chain, self.house.now()).map(|approval| approval.bytes());
                let reset = chain.reset.iter().map(|standing| standing.form.bytes());
                let told = approvals.chain(reset).all(|form| client.told.iter().any(|told| told[..] == form[..]));
                told && client.log == chain.log.len() && client.feed >= last
            }
        }
    }
}
