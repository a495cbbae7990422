//! A small relay written from `docs/protocol.md`: it keeps everything in lists, and says of any bytes whether they may be taken.
//!
//! The real relay must take what this one takes, refuse what it refuses, and answer and serve the same.

mod requests;
mod records;

use countersign_relay::clock::Moment;
use protocol::cbor;
use protocol::entry::{Body, Deny, Entry};
use protocol::id::Hash;
use protocol::keys::DeviceKeys;
use protocol::roster::Roster;
use protocol::wire::{Append, Appended, Purpose, Standing, Stored};
use protocol::{ChainId, DeviceId, JoinKey, RequestId, Verified, limits};

pub(super) use records::Kept;
pub(super) use requests::Asked;

/// Where something is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Chains,
    Log,
    Requests,
    Withdrawals,
    Nonces,
    Reveals,
    Records,
}

impl Route {
    pub(super) const ALL: [Self; 7] =
        [Self::Chains, Self::Log, Self::Requests, Self::Withdrawals, Self::Nonces, Self::Reveals, Self::Records];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chains => "/v1/chains",
            Self::Log => "/v1/log",
            Self::Requests => "/v1/requests",
            Self::Withdrawals => "/v1/withdrawals",
            Self::Nonces => "/v1/nonces",
            Self::Reveals => "/v1/reveals",
            Self::Records => "/v1/records",
        }
    }
}

/// What a post that is taken is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Appended(Appended),
    Standing(Standing),
    Stored(Stored),
}

/// A chain as it was posted.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) log: Vec<Verified<Entry>>,
    pub(super) roster: Roster,
    pub(super) feed: Vec<Kept>,
}

/// From where no request with a join key is shown for a while.
#[derive(Debug)]
struct Block {
    key: JoinKey,
    address: std::net::IpAddr,
    until: u64,
}

/// Everything that was taken.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) chains: Vec<Chain>,
    pub(super) asked: Vec<Asked>,
    blocks: Vec<Block>,
}

impl Book {
    /// Takes a post, or refuses it and changes nothing.
    pub(super) fn post(&mut self, route: Route, bytes: &[u8], from: std::net::IpAddr, now: Moment) -> Option<Said> {
        match route {
            Route::Chains => self.found(bytes).map(Said::Appended),
            Route::Log => self.append(bytes, now).map(Said::Appended),
            Route::Requests => self.ask(bytes, from, now).map(Said::Standing),
            Route::Withdrawals => self.withdraw(bytes, now).map(Said::Standing),
            Route::Nonces => self.nonce(bytes, now).map(|()| Said::Nothing),
            Route::Reveals => self.reveal(bytes, now).map(|()| Said::Nothing),
            Route::Records => self.put(bytes).map(Said::Stored),
        }
    }

    /// A restart: lifetimes are counted anew from the wall clock.
    pub(super) fn restarts(&mut self, now: Moment) {
        for asked in &mut self.asked {
            asked.begun = asked.seen.min(now.wall);
        }
    }

    pub(super) fn chain(&self, id: &ChainId) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.roster.chain() == *id)
    }

    /// Whether a device is a member of a chain.
    pub(super) fn is_member(&self, id: &ChainId, device: &DeviceKeys) -> bool {
        self.has_member(id, &device.id())
    }

    /// The same by the device's id.
    pub(super) fn has_member(&self, id: &ChainId, device: &DeviceId) -> bool {
        self.chain(id).is_some_and(|chain| chain.roster.member(device).is_some())
    }

    fn of_join_key(&self, key: &JoinKey) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.roster.join_key() == *key)
    }

    fn found(&mut self, bytes: &[u8]) -> Option<Appended> {
        let entry = Verified::<Entry>::from_bytes(bytes).ok()?;
        let roster = Roster::found(&entry).ok()?;
        let appended = Appended { head: entry.hash(), seq: 0 };
        if self.chain(&roster.chain()).is_some() {
            return Some(appended);
        }
        if self.chains.iter().any(|chain| chain.roster.was_join_key(&roster.join_key())) {
            return None;
        }
        self.chains.push(Chain { log: vec![entry], roster, feed: Vec::new() });
        Some(appended)
    }

    fn append(&mut self, bytes: &[u8], now: Moment) -> Option<Appended> {
        let append: Append = cbor::decode("append", bytes, limits::BODY_BYTES_MAX).ok()?;
        let entries = append.entries.iter().map(|entry| Verified::<Entry>::from_bytes(entry));
        let entries: Vec<Verified<Entry>> = entries.collect::<Result<_, _>>().ok()?;
        let id = entries.first().and_then(chain_of).filter(|_| entries.len() <= limits::APPEND_ENTRIES_MAX)?;
        if entries.iter().any(|entry| chain_of(entry) != Some(id)) {
            return None;
        }
        let at = self.chains.iter().position(|chain| chain.roster.chain() == id)?;
        let mut roster = self.chains[at].roster.clone();
        let known = entries.iter().take_while(|entry| roster.position(&entry.hash()).is_some()).count();
        for entry in &entries[known..] {
            roster = roster.apply(entry).ok()?;
            if let Some(request) = entry.evidence().request() {
                self.may_admit(&id, &RequestId::from(request.hash()), append.purpose, now)?;
            }
        }
        for entry in &entries[known..] {
            if let Body::Deny(deny) = &entry.body {
                self.block(&id, deny, now);
            }
        }
        let appended = Appended { head: roster.head(), seq: roster.seq() };
        let chain = &mut self.chains[at];
        chain.log.extend_from_slice(&entries[known..]);
        chain.roster = roster;
        Some(appended)
    }

    /// What the relay asks of an admission besides the law of the log.
    fn may_admit(&self, chain: &ChainId, id: &RequestId, purpose: Purpose, now: Moment) -> Option<()> {
        let asked = self.asked.iter().find(|asked| asked.form.id() == *id && asked.chain == *chain);
        let may = match purpose {
            Purpose::New => asked.is_some_and(|asked| !asked.muted && self.seems_open(asked, now)),
            Purpose::Heal => true,
        };
        may.then_some(())
    }

    fn block(&mut self, chain: &ChainId, deny: &Deny, now: Moment) {
        let asked = self.asked.iter().find(|asked| asked.form.id() == deny.request && asked.chain == *chain);
        if let Some(asked) = asked.filter(|_| deny.block > 0) {
            let until = now.steady + u64::from(deny.block) * 1000;
            self.blocks.push(Block { key: asked.form.join_key, address: asked.from, until });
        }
    }
}

fn chain_of(entry: &Verified<Entry>) -> Option<ChainId> {
    match entry.body {
        Body::Found(_) => Some(ChainId::from(entry.hash())),
        _ => entry.chain,
    }
}

/// The hash of a form that verifies.
fn hash_of<T: protocol::Form>(bytes: &[u8]) -> Hash {
    Verified::<T>::from_bytes(bytes).expect("verified when it was taken").hash()
}
