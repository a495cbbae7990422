//! Resets, as they must be.

use countersign_relay::clock::Moment;
use data_encoding::BASE64;
use protocol::cbor::Blob;
use protocol::id::Hash;
use protocol::reset::Reset;
use protocol::wire::{ChainOfKey, ResetStanding};
use protocol::{DeviceId, JoinKey, Verified};

use super::refused::ask;
use super::waits::Wait;
use super::{Book, Refused, Taken};

/// A reset that stands.
#[derive(Debug, Clone)]
pub(in crate::fuzz::relay) struct Announced {
    pub(in crate::fuzz::relay) form: Verified<Reset>,
    wait: Wait,
}

/// What is said of a chain that was reset, to everybody.
pub(super) fn is_over(form: &Blob) -> Refused {
    Refused::from("reset").with("form", BASE64.encode(form))
}

/// Who signed the reset that was carried out.
fn signer(form: &Blob) -> DeviceId {
    Verified::<Reset>::from_bytes(form).expect("verified when it was taken").signer()
}

impl Book {
    pub(super) fn announce(&mut self, bytes: &[u8], now: Moment) -> Taken<ResetStanding> {
        let form = Verified::<Reset>::from_bytes(bytes)?;
        let at = self.find(&form.chain)?.ok_or("not-a-member")?;
        let chain = &mut self.chains[at];
        ask(chain.roster.join_key() == form.join_key(), "not-a-member")?;
        ask(!chain.roster.is_closed(), "chain-closed")?;
        ask(!chain.vetoed.contains(&form.hash()), "reset-over")?;
        if chain.reset.as_ref().is_none_or(|standing| standing.form.hash() != form.hash()) {
            let cited = chain.roster.position(&form.head).ok_or("unknown-head")?;
            ask(cited.seq >= chain.roster.policy_seq(), "stale-terms")?;
            let least = u64::from(chain.roster.policy().reset_delay);
            if form.wait < least {
                return Err(Refused::from("wait-too-short").with("least", least));
            }
            if let Some(other) = chain.reset.take_if(|other| form.wait * 1000 < other.wait.left(self.uptime, now)) {
                chain.vetoed.push(other.form.hash());
            }
            ask(chain.reset.is_none(), "reset-stands")?;
            chain.told.push(Blob(form.bytes().to_vec()));
            let wait = Wait::begin(form.wait, self.uptime, now);
            chain.reset = Some(Announced { form, wait });
        }
        let standing = self.chains[at].reset.as_ref().expect("just announced, or before");
        let remaining = standing.wait.left(self.uptime, now);
        Ok(ResetStanding { reset: Blob(standing.form.bytes().to_vec()), remaining })
    }

    /// A member stops a reset, also one that comes later.
    pub(super) fn veto_reset(&mut self, at: usize, hash: Hash) {
        let chain = &mut self.chains[at];
        chain.vetoed.push(hash);
        chain.reset.take_if(|standing| standing.form.hash() == hash);
    }

    /// The resets whose wait is over are carried out.
    pub(in crate::fuzz::relay) fn tick(&mut self, now: Moment) {
        let due = |standing: &mut Announced| standing.wait.left(self.uptime, now) == 0;
        let due: Vec<(usize, Announced)> = self
            .chains
            .iter_mut()
            .enumerate()
            .filter_map(|(at, chain)| chain.reset.take_if(due).map(|reset| (at, reset)))
            .collect();
        for (at, reset) in due {
            self.empty(at);
            self.chains[at].gone = Some(Blob(reset.form.bytes().to_vec()));
        }
    }

    /// What whoever has a join key is told of its chain.
    pub(in crate::fuzz::relay) fn chain_of_key(&self, key: &JoinKey) -> Taken<ChainOfKey> {
        let chain = &self.chains[self.of_join_key(key)?];
        let roster = &chain.roster;
        ask(roster.join_key() == *key, "unknown-join-key")?;
        ask(!roster.is_closed(), "chain-closed")?;
        let seq = roster.policy_seq();
        let head = chain.log[usize::try_from(seq).expect("a short log")].hash();
        Ok(ChainOfKey { chain: roster.chain(), head, seq, reset_delay: roster.policy().reset_delay })
    }

    /// The chain in which a join key is, or was, current.
    pub(super) fn of_join_key(&self, key: &JoinKey) -> Taken<usize> {
        let at = self.chains.iter().position(|chain| chain.keys.contains(key)).ok_or("unknown-join-key")?;
        match &self.chains[at].gone {
            None => Ok(at),
            Some(form) if signer(form).0 == key.0 => Err(is_over(form)),
            // It was dead before.
            Some(_) => Err("unknown-join-key".into()),
        }
    }
}
