//! Rounds of a request, as they must be.

use countersign_relay::clock::Moment;
use protocol::cbor::Blob;
use protocol::id::Hash;
use protocol::round::{Nonce, Reveal, check_reveal};
use protocol::wire::Round;
use protocol::{Verified, limits};

use super::refused::ask;
use super::{Book, Refused, Taken};

impl Book {
    pub(super) fn nonce(&mut self, bytes: &[u8], now: Moment) -> Taken<()> {
        let nonce = Verified::<Nonce>::from_bytes(bytes)?;
        let chain = self.acting(&nonce.chain, &nonce.signer())?;
        let roster = &self.chains[chain].roster;
        ask(roster.approver(&nonce.signer()).is_some(), "not-an-approver")?;
        let asked = self.visible(&nonce.chain, &nonce.request).ok_or("request-unknown")?;
        let taken = asked.rounds.get(usize::from(nonce.round) - 1);
        if taken.is_some_and(|round| hash_of::<Nonce>(&round.nonce) == nonce.hash()) {
            return Ok(());
        }
        ask(self.is_open(asked, now), "request-closed")?;
        let cited = roster.position(&nonce.head).ok_or("unknown-head")?;
        ask(cited.epoch == nonce.epoch && nonce.epoch == roster.epoch(), "stale-epoch")?;
        let next = asked.rounds.len() + 1;
        if usize::from(nonce.round) != next {
            return Err(Refused::from("round-taken").with("next", next));
        }
        assert!(next <= usize::from(limits::ROUNDS_MAX), "no nonce names a ninth round");
        let at = self.index(&nonce.request).expect("just found");
        self.asked[at].rounds.push(Round { nonce: Blob(bytes.to_vec()), reveal: None });
        Ok(())
    }

    pub(super) fn reveal(&mut self, bytes: &[u8], now: Moment) -> Taken<()> {
        let reveal = Verified::<Reveal>::from_bytes(bytes)?;
        let at = self.index(&reveal.request).ok_or("request-unknown")?;
        let asked = &self.asked[at];
        ask(asked.form.signer() == reveal.signer(), "request-unknown")?;
        let nonces = asked.rounds.iter().map(|round| Verified::<Nonce>::from_bytes(&round.nonce));
        let nonces: Vec<Verified<Nonce>> = nonces.collect::<Result<_, _>>().expect("verified when they were taken");
        let round = nonces.iter().position(|nonce| nonce.hash() == reveal.nonce).ok_or("other-nonce")?;
        check_reveal(&asked.form, &nonces[round], &reveal)?;
        if let Some(known) = &asked.rounds[round].reveal {
            return ask(hash_of::<Reveal>(known) == reveal.hash(), "reveal-taken");
        }
        ask(self.seems_open(asked, now), "request-closed")?;
        self.asked[at].rounds[round].reveal = Some(Blob(bytes.to_vec()));
        Ok(())
    }
}

/// The hash of a form that verifies.
fn hash_of<T: protocol::Form>(bytes: &[u8]) -> Hash {
    Verified::<T>::from_bytes(bytes).expect("verified when it was taken").hash()
}
