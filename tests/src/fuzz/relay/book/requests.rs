//! Requests and their rounds, as they must be.

use std::net::IpAddr;

use countersign_relay::clock::Moment;
use protocol::cbor;
use protocol::request::{JoinRequest, Withdrawal};
use protocol::roster::Outcome;
use protocol::wire::{Ask, Round, Stage, Standing};
use protocol::{ChainId, RequestId, Verified, limits};

use super::refused::ask;
use super::{Book, Chain, Taken};

/// A request that was taken.
#[derive(Debug, Clone)]
pub(in crate::fuzz::relay) struct Asked {
    pub(in crate::fuzz::relay) form: Verified<JoinRequest>,
    pub(in crate::fuzz::relay) chain: ChainId,
    /// Whether no member is ever shown it.
    pub(in crate::fuzz::relay) muted: bool,
    pub(in crate::fuzz::relay) rounds: Vec<Round>,
    /// Whether its sync code was replaced before anybody decided.
    pub(in crate::fuzz::relay) dead: bool,
    /// Whether it went with its chain. It is kept here, as members may still read of it.
    pub(in crate::fuzz::relay) deleted: bool,
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

    /// Whether its device still asks.
    pub(super) fn is_kept(&self, now: Moment) -> bool {
        !self.withdrawn && self.remaining(now) > 0
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("less than the age of the universe")
}

impl Book {
    pub(in crate::fuzz::relay) fn asked(&self, id: &RequestId) -> Option<&Asked> {
        self.index(id).map(|at| &self.asked[at])
    }

    pub(super) fn index(&self, id: &RequestId) -> Option<usize> {
        self.asked.iter().position(|asked| asked.form.id() == *id && !asked.deleted)
    }

    /// A request that members of a chain may know of.
    pub(super) fn visible(&self, chain: &ChainId, id: &RequestId) -> Option<&Asked> {
        self.asked(id).filter(|asked| asked.chain == *chain && !asked.muted && !asked.dead)
    }

    /// What the log says of a request.
    pub(in crate::fuzz::relay) fn outcome(&self, asked: &Asked) -> Option<Outcome> {
        let chain = self.known(&asked.chain).expect("no request without its chain");
        chain.roster.decision(&asked.form.id()).map(|decision| decision.outcome)
    }

    /// Whether its device was admitted, and is a member no more: then it is told nothing.
    pub(in crate::fuzz::relay) fn is_gone(&self, asked: &Asked) -> bool {
        self.outcome(asked) == Some(Outcome::Admitted) && !self.has_member(&asked.chain, &asked.form.signer())
    }

    /// Whether its joiner may believe it open: a denial changes nothing.
    pub(super) fn seems_open(&self, asked: &Asked, now: Moment) -> bool {
        self.outcome(asked) != Some(Outcome::Admitted) && asked.is_kept(now)
    }

    /// Whether members see it open.
    pub(in crate::fuzz::relay) fn is_open(&self, asked: &Asked, now: Moment) -> bool {
        !asked.muted && !asked.dead && self.outcome(asked).is_none() && !asked.deleted && self.seems_open(asked, now)
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

    pub(super) fn ask(&mut self, bytes: &[u8], from: IpAddr, now: Moment) -> Taken<Standing> {
        let limit = limits::REQUEST_BYTES_MAX + limits::DESCRIPTION_BYTES_MAX + 16;
        let body: Ask = cbor::decode("ask", bytes, limit)?;
        let form = Verified::<JoinRequest>::from_bytes(&body.request)?;
        ask(form.names(&body.description), "bad-field")?;
        let chain = &self.chains[self.of_join_key(&form.join_key)?];
        if self.asked(&form.id()).is_none() {
            ask(chain.roster.join_key() == form.join_key, "unknown-join-key")?;
            ask(!chain.roster.is_closed(), "chain-closed")?;
            ask(self.waiting(&form, now) < limits::PENDING_PER_JOIN_KEY_MAX, "too-many-pending")?;
            let muted = self.is_quiet(chain, &form, from, now);
            self.asked.push(Asked {
                chain: chain.roster.chain(),
                muted,
                rounds: Vec::new(),
                dead: false,
                deleted: false,
                withdrawn: false,
                from,
                begun: now.steady,
                seen: now.wall,
                lifetime: millis(chain.roster.policy().lifetime()),
                form: form.clone(),
            });
        }
        // A healed log may have admitted the device, and let it go, before it asked here.
        self.answer(self.asked(&form.id()).expect("kept now, or before"), now)
    }

    /// What the joiner is answered.
    fn answer(&self, asked: &Asked, now: Moment) -> Taken<Standing> {
        ask(!self.is_gone(asked), "not-a-member")?;
        Ok(self.standing(asked, now))
    }

    /// Requests with the same sync code that hold a slot.
    fn waiting(&self, form: &JoinRequest, now: Moment) -> usize {
        let same = self.asked.iter().filter(|asked| asked.form.join_key == form.join_key && !asked.deleted);
        same.filter(|asked| self.seems_open(asked, now)).count()
    }

    /// Whether nobody is shown it: five prompts today, a blocked address, or a device that was denied.
    fn is_quiet(&self, chain: &Chain, form: &JoinRequest, from: IpAddr, now: Moment) -> bool {
        let yesterday = now.steady.saturating_sub(millis(limits::PROMPT_DAY));
        let prompts = self.asked.iter().filter(|asked| {
            asked.form.join_key == form.join_key
                && !asked.muted
                && !asked.dead
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

    pub(super) fn withdraw(&mut self, bytes: &[u8], now: Moment) -> Taken<Standing> {
        let form = Verified::<Withdrawal>::from_bytes(bytes)?;
        let at = self.index(&form.request).ok_or("request-unknown")?;
        let asked = &self.asked[at];
        ask(asked.form.signer() == form.signer(), "request-unknown")?;
        ask(asked.withdrawn || self.seems_open(asked, now), "request-closed")?;
        self.asked[at].withdrawn = true;
        self.answer(&self.asked[at], now)
    }
}
