//! Requests and their rounds, as they must be.

use std::net::IpAddr;

use countersign_relay::clock::Moment;
use protocol::cbor::{self, Blob};
use protocol::policy::Role;
use protocol::request::{JoinRequest, Withdrawal};
use protocol::roster::Outcome;
use protocol::round::{Nonce, Reveal, check_reveal};
use protocol::wire::{Ask, Round, Stage, Standing};
use protocol::{ChainId, RequestId, Verified, limits};

use super::{Book, Chain, hash_of};

/// A request that was taken.
#[derive(Debug)]
pub(in crate::fuzz::relay) struct Asked {
    pub(in crate::fuzz::relay) form: Verified<JoinRequest>,
    pub(in crate::fuzz::relay) chain: ChainId,
    /// Whether no member is ever shown it.
    pub(in crate::fuzz::relay) muted: bool,
    pub(in crate::fuzz::relay) rounds: Vec<Round>,
    pub(super) withdrawn: bool,
    pub(super) from: IpAddr,
    pub(super) begun: u64,
    pub(super) seen: u64,
    lifetime: u64,
}

impl Asked {
    fn remaining(&self, now: Moment) -> u64 {
        self.lifetime.saturating_sub(now.steady.saturating_sub(self.begun))
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("less than the age of the universe")
}

impl Book {
    pub(in crate::fuzz::relay) fn asked(&self, id: &RequestId) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.form.id() == *id)
    }

    fn index(&self, id: &RequestId) -> Option<usize> {
        self.asked.iter().position(|asked| asked.form.id() == *id)
    }

    /// What the log says of a request.
    pub(in crate::fuzz::relay) fn outcome(&self, asked: &Asked) -> Option<Outcome> {
        let chain = self.chain(&asked.chain).expect("no request without its chain");
        chain.roster.decision(&asked.form.id()).map(|decision| decision.outcome)
    }

    /// Whether its device was admitted, and is a member no more: then it is told nothing.
    pub(in crate::fuzz::relay) fn is_gone(&self, asked: &Asked) -> bool {
        self.outcome(asked) == Some(Outcome::Admitted) && !self.has_member(&asked.chain, &asked.form.signer())
    }

    /// Whether its joiner may believe it open: a denial changes nothing.
    pub(super) fn seems_open(&self, asked: &Asked, now: Moment) -> bool {
        self.outcome(asked) != Some(Outcome::Admitted) && !asked.withdrawn && asked.remaining(now) > 0
    }

    /// Whether members see it open.
    pub(in crate::fuzz::relay) fn is_open(&self, asked: &Asked, now: Moment) -> bool {
        !asked.muted && self.outcome(asked).is_none() && self.seems_open(asked, now)
    }

    /// What its joiner is told, whether a member is online aside.
    pub(in crate::fuzz::relay) fn standing(&self, asked: &Asked, now: Moment) -> Standing {
        let remaining = asked.remaining(now);
        let stage = match self.outcome(asked) {
            _ if asked.withdrawn => Stage::Withdrawn,
            Some(Outcome::Admitted) => Stage::Admitted,
            // Denied or not, it waits.
            _ if remaining == 0 => Stage::Expired,
            _ if asked.rounds.is_empty() => Stage::Waiting,
            _ => Stage::Code,
        };
        let nonces: Vec<_> = asked.rounds.iter().map(|round| round.nonce.clone()).collect();
        let chain = (stage == Stage::Admitted && nonces.is_empty()).then_some(asked.chain);
        Standing { request: asked.form.id(), stage, remaining, online: false, nonces, chain }
    }

    pub(super) fn ask(&mut self, bytes: &[u8], from: IpAddr, now: Moment) -> Option<Standing> {
        let limit = limits::REQUEST_BYTES_MAX + limits::DESCRIPTION_BYTES_MAX + 16;
        let ask: Ask = cbor::decode("ask", bytes, limit).ok()?;
        let form = Verified::<JoinRequest>::from_bytes(&ask.request).ok()?;
        if !form.names(&ask.description) {
            return None;
        }
        let chain = self.of_join_key(&form.join_key)?;
        if self.asked(&form.id()).is_none() {
            if self.waiting(&form, now) >= limits::PENDING_PER_JOIN_KEY_MAX {
                return None;
            }
            let (id, lifetime) = (chain.roster.chain(), millis(chain.roster.policy().lifetime()));
            let muted = self.is_quiet(chain, &form, from, now);
            let (begun, seen) = (now.steady, now.wall);
            let rounds = Vec::new();
            let asked = Asked { form, chain: id, muted, rounds, withdrawn: false, from, begun, seen, lifetime };
            // A healed log may have admitted the device, and let it go, before it asked here.
            if self.is_gone(&asked) {
                return None;
            }
            self.asked.push(asked);
            return self.asked.last().map(|asked| self.standing(asked, now));
        }
        self.asked(&form.id()).filter(|asked| !self.is_gone(asked)).map(|asked| self.standing(asked, now))
    }

    /// Requests with the same sync code that hold a slot.
    fn waiting(&self, form: &JoinRequest, now: Moment) -> usize {
        let same = self.asked.iter().filter(|asked| asked.form.join_key == form.join_key);
        same.filter(|asked| self.seems_open(asked, now)).count()
    }

    /// Whether nobody is shown it: five prompts today, a blocked address, or a device that was denied.
    fn is_quiet(&self, chain: &Chain, form: &JoinRequest, from: IpAddr, now: Moment) -> bool {
        let yesterday = now.steady.saturating_sub(millis(limits::PROMPT_DAY));
        let prompts = self.asked.iter().filter(|asked| {
            asked.form.join_key == form.join_key
                && !asked.muted
                && asked.begun > yesterday
                && self.outcome(asked) != Some(Outcome::Admitted)
        });
        let blocked =
            |block: &super::Block| block.key == form.join_key && block.address == from && block.until > now.steady;
        let denied = |asked: &Asked| {
            asked.chain == chain.roster.chain()
                && asked.form.device.signing == form.device.signing
                && matches!(self.outcome(asked), Some(Outcome::Denied(_)))
        };
        prompts.count() >= limits::PROMPTS_PER_DAY_MAX
            || self.blocks.iter().any(blocked)
            || self.asked.iter().any(denied)
    }

    pub(super) fn withdraw(&mut self, bytes: &[u8], now: Moment) -> Option<Standing> {
        let form = Verified::<Withdrawal>::from_bytes(bytes).ok()?;
        let at = self.index(&form.request)?;
        let asked = &self.asked[at];
        if asked.form.signer() != form.signer() || !(asked.withdrawn || self.seems_open(asked, now)) {
            return None;
        }
        self.asked[at].withdrawn = true;
        Some(self.standing(&self.asked[at], now))
    }

    pub(super) fn nonce(&mut self, bytes: &[u8], now: Moment) -> Option<()> {
        let nonce = Verified::<Nonce>::from_bytes(bytes).ok()?;
        let roster = &self.chain(&nonce.chain)?.roster;
        roster.member(&nonce.signer()).filter(|member| member.role == Role::Approver)?;
        let at = self.index(&nonce.request)?;
        let asked = &self.asked[at];
        if asked.chain != nonce.chain || asked.muted {
            return None;
        }
        let taken = asked.rounds.get(usize::from(nonce.round) - 1);
        if taken.is_some_and(|round| hash_of::<Nonce>(&round.nonce) == nonce.hash()) {
            return Some(());
        }
        let cited = roster.position(&nonce.head)?;
        let right = self.is_open(asked, now) && cited.epoch == nonce.epoch && nonce.epoch == roster.epoch();
        if !right || usize::from(nonce.round) != asked.rounds.len() + 1 {
            return None;
        }
        self.asked[at].rounds.push(Round { nonce: Blob(bytes.to_vec()), reveal: None });
        Some(())
    }

    pub(super) fn reveal(&mut self, bytes: &[u8], now: Moment) -> Option<()> {
        let reveal = Verified::<Reveal>::from_bytes(bytes).ok()?;
        let at = self.index(&reveal.request)?;
        let asked = &self.asked[at];
        let nonces = asked.rounds.iter().map(|round| Verified::<Nonce>::from_bytes(&round.nonce));
        let nonces: Vec<Verified<Nonce>> = nonces.collect::<Result<_, _>>().expect("verified when they were taken");
        let round = nonces.iter().position(|nonce| nonce.hash() == reveal.nonce)?;
        check_reveal(&asked.form, &nonces[round], &reveal).ok()?;
        match &asked.rounds[round].reveal {
            Some(known) => (hash_of::<Reveal>(known) == reveal.hash()).then_some(()),
            None if !self.seems_open(asked, now) || asked.form.signer() != reveal.signer() => None,
            None => {
                self.asked[at].rounds[round].reveal = Some(Blob(bytes.to_vec()));
                Some(())
            }
        }
    }
}
