//! What a member checks of a reset: the relay tells it, and the sync code must have signed it.

use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::entry::VetoOf;
use protocol::keys::SigningKey;
use protocol::reset::Reset;
use protocol::wire::ResetStanding;
use protocol::{ChainId, VERSION};

use super::*;

impl Laptop {
    fn reset(&self, key: &SigningKey) -> Verified<Reset> {
        let roster = self.core.roster();
        let form = Reset { version: VERSION, chain: roster.chain(), head: roster.head(), wait: 60 };
        Verified::sign(form, key, &[]).unwrap()
    }

    fn is_told(&self, reset: &Verified<Reset>) -> Result<(), AgentError> {
        self.core.take_reset(ResetStanding { reset: reset.bytes().to_vec().into(), remaining: 60_000 })
    }
}

#[test]
fn the_end_is_the_relays_word_and_what_was_signed_is_checked_by_the_pinned_log() {
    let mut laptop = Laptop::founds();
    let old = laptop.code.join_key();
    let judged = |laptop: &Laptop, reset: &Verified<Reset>| laptop.core.judge_reset(reset.bytes());
    let reset = laptop.reset(&old);
    let AgentError::Reset { wait: 60, signed } = judged(&laptop, &reset) else { panic!("a reset") };
    assert!(signed.starts_with("verified: signed by the sync code"));
    let stranger = laptop.reset(&SyncCode::draw(&mut rng()).join_key());
    let AgentError::Reset { signed, .. } = judged(&laptop, &stranger) else { panic!("it may have been replaced") };
    assert!(signed.contains("does not know"), "{signed}");
    let elsewhere = Reset { chain: ChainId([7; 32]), ..(*reset).clone() };
    let elsewhere = Verified::sign(elsewhere, &old, &[]).unwrap();
    assert!(matches!(judged(&laptop, &elsewhere), AgentError::Lie { .. }));
    assert!(matches!(laptop.core.judge_reset(b"nothing"), AgentError::Lie { .. }));
    let rotates = change::rotate(laptop.core.acting(), CodeChange::Draw, RecoveryChange::Keep, 0, &mut rng()).unwrap();
    laptop.takes(&rotates);
    assert!(matches!(judged(&laptop, &reset), AgentError::Lie { .. }), "a new sync code ended it");
}

#[test]
fn a_reset_that_stands_is_remembered_until_it_is_stopped_or_the_next_connection() {
    let laptop = Laptop::founds();
    let reset = laptop.reset(&laptop.code.join_key());
    let stranger = laptop.reset(&SyncCode::draw(&mut rng()).join_key());
    assert!(matches!(laptop.is_told(&stranger), Err(AgentError::Lie { .. })));
    assert!(laptop.core.reset().unwrap().is_none());
    laptop.is_told(&reset).unwrap();
    let mut laptop = laptop.restarts();
    assert_eq!(laptop.core.reset_hash().unwrap(), Some(reset.hash()));
    laptop.core.begin_connection().unwrap();
    assert_eq!(laptop.core.reset_hash().unwrap(), None);
    laptop.is_told(&reset).unwrap();
    let veto = laptop.core.veto(VetoOf::Reset, reset.hash()).unwrap();
    laptop.takes(&veto[0]);
    assert!(laptop.core.reset().unwrap().is_none());
    assert!(laptop.core.veto(VetoOf::Reset, reset.hash()).unwrap().is_empty(), "once is enough");
}
