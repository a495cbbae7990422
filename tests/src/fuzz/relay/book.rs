//! A small relay written from `docs/protocol.md`: it keeps everything in lists, and says of any bytes whether they may be taken.
//!
//! The real relay must take what this one takes, refuse what it refuses by the same code, and answer and serve the same.

mod route;
mod refused;
mod waits;
mod requests;
mod rounds;
mod approvals;
mod records;
mod resets;
mod life;
pub(super) mod log;

use countersign_relay::clock::Moment;
use protocol::approval::Approval;
use protocol::cbor::Blob;
use protocol::entry::Entry;
use protocol::id::Hash;
use protocol::keys::DeviceKeys;
use protocol::roster::Roster;
use protocol::wire::{Appended, ResetStanding, Standing, Stored};
use protocol::{ChainId, DeviceId, JoinKey, Verified};

pub(super) use records::Kept;
pub(super) use refused::{Refused, Taken};
pub(super) use requests::Asked;
pub(super) use resets::Announced;
pub(super) use route::Route;

use self::waits::{Uptime, Wait};

/// What a post that is taken is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Nothing,
    Appended(Appended),
    Standing(Standing),
    Stored(Stored),
    Reset(ResetStanding),
}

/// A chain as it was posted.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) log: Vec<Verified<Entry>>,
    pub(super) roster: Roster,
    pub(super) feed: Vec<Kept>,
    /// Every record that ever had a number: no number is used twice.
    pub(super) numbered: Vec<(u64, Blob)>,
    approvals: Vec<Verified<Approval>>,
    /// The reset that stands.
    pub(super) reset: Option<Announced>,
    /// Resets that were stopped for good.
    vetoed: Vec<Hash>,
    /// The closing that stands, and its delay.
    closing: Option<(Hash, Wait)>,
    /// Every join key that was ever the chain's, also on a branch that was abandoned.
    keys: Vec<JoinKey>,
    /// The logs that forks ended.
    pub(super) past: Vec<Vec<Verified<Entry>>>,
    /// Approvals and resets that members were ever told of.
    pub(super) told: Vec<Blob>,
    /// The form by which it was reset.
    pub(super) gone: Option<Blob>,
}

/// From where no request with a join key is shown for a while.
#[derive(Debug, Clone)]
struct Block {
    key: JoinKey,
    address: std::net::IpAddr,
    until: u64,
}

/// Everything that was taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    pub(super) chains: Vec<Chain>,
    pub(super) asked: Vec<Asked>,
    blocks: Vec<Block>,
    uptime: Uptime,
}

impl Book {
    /// Takes a post, or refuses it and changes nothing.
    pub(super) fn post(&mut self, route: Route, bytes: &[u8], from: std::net::IpAddr, now: Moment) -> Taken<Said> {
        let before = self.clone();
        let said = match route {
            Route::Chains => self.found(bytes).map(Said::Appended),
            Route::Log => self.append(bytes, now).map(Said::Appended),
            Route::Requests => self.ask(bytes, from, now).map(Said::Standing),
            Route::Withdrawals => self.withdraw(bytes, now).map(Said::Standing),
            Route::Nonces => self.nonce(bytes, now).map(|()| Said::Nothing),
            Route::Reveals => self.reveal(bytes, now).map(|()| Said::Nothing),
            Route::Records => self.put(bytes).map(Said::Stored),
            Route::Approvals => self.approve(bytes, now).map(|()| Said::Nothing),
            Route::Resets => self.announce(bytes, now).map(Said::Reset),
        };
        if said.is_err() {
            *self = before;
        }
        said
    }

    /// A restart: lifetimes are counted anew from the wall clock, and delays go on.
    pub(super) fn restarts(&mut self, before: Moment, now: Moment) {
        self.uptime.restarts(before, now);
        for asked in &mut self.asked {
            asked.begun = asked.seen.min(now.wall);
        }
    }

    /// A chain as it was last, also where it was reset.
    pub(super) fn known(&self, id: &ChainId) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.roster.chain() == *id)
    }

    /// A chain that is served.
    pub(super) fn chain(&self, id: &ChainId) -> Option<&Chain> {
        self.known(id).filter(|chain| chain.gone.is_none())
    }

    /// Whether a chain was reset: whoever names it is told so.
    pub(super) fn is_reset(&self, id: &ChainId) -> bool {
        self.known(id).is_some_and(|chain| chain.gone.is_some())
    }

    /// Whether a device is a member of a chain.
    pub(super) fn is_member(&self, id: &ChainId, device: &DeviceKeys) -> bool {
        self.has_member(id, &device.id())
    }

    /// The same by the device's id.
    pub(super) fn has_member(&self, id: &ChainId, device: &DeviceId) -> bool {
        self.chain(id).is_some_and(|chain| chain.roster.member(device).is_some())
    }

    /// Where a chain stands in the list.
    fn find(&self, id: &ChainId) -> Taken<Option<usize>> {
        let at = self.chains.iter().position(|chain| chain.roster.chain() == *id);
        match at.and_then(|at| self.chains[at].gone.as_ref()) {
            Some(form) => Err(resets::is_over(form)),
            None => Ok(at),
        }
    }

    /// The same for a member that acts: the chain goes on.
    fn acting(&self, id: &ChainId, device: &DeviceId) -> Taken<usize> {
        let at = self.find(id)?.ok_or("not-a-member")?;
        let roster = &self.chains[at].roster;
        refused::ask(roster.member(device).is_some(), "not-a-member")?;
        refused::ask(!roster.is_closed(), "chain-closed")?;
        Ok(at)
    }
}
