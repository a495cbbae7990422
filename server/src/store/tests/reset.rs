//! The wait of a reset, what ends it, and what it leaves.

use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::entry::VetoOf;
use protocol::reset::{Reset, ResetRefusal};
use protocol::{Hash, JoinKey};

use super::closing::{DAY, WEEK, clocks};
use super::*;

impl Desk {
    pub(super) fn reset(&self, head: Hash, wait: u64) -> Verified<Reset> {
        let form = Reset { version: protocol::VERSION, chain: self.chain(), head, wait };
        Verified::sign(form, &self.keyring.code().join_key(), &[]).unwrap()
    }

    /// Milliseconds that are left.
    pub(super) async fn announces_reset(&self, reset: &Verified<Reset>, now: Moment) -> Result<u64, Failure> {
        let reset = reset.clone();
        let announced = self.store.change(move |tx| resets::announce(tx, &reset, now)).await?;
        Ok(announced.standing.remaining)
    }

    async fn is_gone(&self) -> bool {
        let (chain, device) = (self.chain(), self.keys.id());
        let found = self.store.read(move |tx| chains::for_member(tx, &chain, &device).map(|_| ())).await;
        match found {
            Ok(()) => false,
            Err(Failure::Refused(Refusal::Reset { .. })) => true,
            other => panic!("neither served nor reset: {other:?}"),
        }
    }

    async fn chain_of_key(&self, key: JoinKey) -> Result<protocol::wire::ChainOfKey, Failure> {
        self.store.read(move |tx| resets::chain_of(tx, &key)).await
    }
}

#[tokio::test]
async fn a_reset_is_carried_out_once_when_its_wait_has_passed_by_both_clocks_over_restarts() {
    let mut desk = desk().await;
    let record = desk.record("a", Some(b"1"), None);
    desk.puts(vec![record]).await.unwrap();
    let request = desk.request();
    desk.asks(&request, at(0)).await.unwrap();
    let reset = desk.reset(desk.roster.head(), WEEK);
    assert_eq!(desk.announces_reset(&reset, at(0)).await.unwrap(), WEEK * 1000);
    assert!(desk.ticks(clocks(100 * WEEK, DAY)).await.is_empty(), "a clock that is set forward ends nothing");
    assert_eq!(desk.announces_reset(&reset, at(DAY)).await.unwrap(), (WEEK - DAY) * 1000, "the same bytes go on");
    assert!(desk.ticks(at(3 * DAY)).await.is_empty());
    let desk = desk.reopen(at(6 * DAY));
    assert_eq!(desk.announces_reset(&reset, at(6 * DAY)).await.unwrap(), 4 * DAY * 1000, "three days were counted");
    assert!(desk.ticks(at(WEEK + DAY)).await.is_empty() && !desk.is_gone().await);
    assert_eq!(desk.ticks(at(WEEK + 3 * DAY)).await, [desk.chain()]);
    assert!(desk.ticks(at(WEEK + 4 * DAY)).await.is_empty(), "once");
    assert!(desk.is_gone().await);
    assert_eq!(desk.counts().await, [0; 9]);
    let entries =
        desk.store.read(|tx| Ok(tx.sql.query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0))?));
    assert_eq!(entries.await.unwrap(), 0_i64);
    let desk = desk.reopen(at(2 * WEEK));
    assert!(desk.is_gone().await, "for ever");
}

#[tokio::test]
async fn of_a_chain_that_was_reset_nothing_is_served_founded_or_asked_again() {
    let desk = desk().await;
    let first = desk.keyring.code().clone();
    let reset = desk.reset(desk.roster.head(), WEEK);
    desk.announces_reset(&reset, at(0)).await.unwrap();
    assert_eq!(desk.ticks(at(WEEK)).await.len(), 1);
    let expected = Refusal::Reset { form: reset.bytes().to_vec() };
    assert_eq!(refusal(desk.announces_reset(&reset, at(WEEK)).await), expected);
    let request = request_of(&first, &DeviceKeys::draw(&mut rng()));
    assert_eq!(refusal(desk.asks(&request, at(WEEK)).await), expected);
    assert_eq!(refusal(desk.chain_of_key(first.join_key().join_key()).await), expected);
    let (chain, device) = (desk.chain(), desk.keys.id());
    let deny = desk.deny(&request.0, 0);
    let append = desk.store.change(move |tx| log::append(tx, &chain, &[deny], Purpose::Heal, at(WEEK))).await;
    assert_eq!(refusal(append), expected);
    assert_eq!(refusal(desk.store.feed(chain, device, 0).await), expected);
    let other = DeviceKeys::draw(&mut rng());
    let mut form = (*founding(&other).entry).clone();
    let protocol::entry::Body::Found(found) = &mut form.body else { panic!("a founding") };
    found.join_key = first.join_key().join_key();
    let entry = Verified::sign(form, &other.signing, &[&first.join_key()]).unwrap();
    assert_eq!(refusal(desk.store.change(move |tx| log::found(tx, &entry)).await), Refusal::JoinKeyTaken);
}

#[tokio::test]
async fn a_veto_that_names_it_a_new_sync_code_and_the_end_of_the_chain_each_end_a_reset() {
    let mut desk = desk().await;
    let head = desk.roster.head();
    let (first, second) = (desk.reset(head, WEEK), desk.reset(head, WEEK + 1));
    desk.announces_reset(&first, at(0)).await.unwrap();
    assert_eq!(refusal(desk.announces_reset(&second, at(0)).await), ResetRefusal::Stands.into());
    let other = change::veto(desk.acting(), VetoOf::Reset, Hash([7; 32]), 3).unwrap();
    desk.appends(&other, at(1)).await;
    assert!(desk.announces_reset(&first, at(1)).await.is_ok(), "another was named");
    let veto = change::veto(desk.acting(), VetoOf::Reset, first.hash(), 3).unwrap();
    desk.appends(&veto, at(2)).await;
    assert_eq!(refusal(desk.announces_reset(&first, at(3)).await), ResetRefusal::Over.into(), "for good");
    assert!(!desk.store.read(waits::is_any_counted).await.unwrap());
    desk.announces_reset(&second, at(4)).await.unwrap();
    let rotate = change::rotate(desk.acting(), CodeChange::Draw, RecoveryChange::Keep, 4, &mut rng()).unwrap();
    desk.appends(&rotate, at(5)).await;
    assert!(!desk.store.read(waits::is_any_counted).await.unwrap());
    assert_eq!(
        refusal(desk.announces_reset(&second, at(6)).await),
        ResetRefusal::NotAMember.into(),
        "the old code has no word"
    );
    desk.keyring = Keyring::follow(&desk.roster, &desk.keys, desk.keyring.epoch_key()).unwrap();
    let third = desk.reset(head, 2 * WEEK);
    desk.announces_reset(&third, at(7)).await.unwrap();
    let same = change::rotate(desk.acting(), CodeChange::Keep, RecoveryChange::Keep, 4, &mut rng()).unwrap();
    desk.appends(&same, at(8)).await;
    assert!(desk.announces_reset(&third, at(8)).await.is_ok(), "the code goes on, and so does it");
    let closing = change::closing(desk.acting(), Vec::new(), 3).unwrap();
    desk.appends(&closing, at(9)).await;
    let close = change::close(desk.acting(), closing.hash(), 4).unwrap();
    desk.appends(&close, at(9 + WEEK)).await;
    assert_eq!(refusal(desk.announces_reset(&third, at(10 + WEEK)).await), ResetRefusal::ChainClosed.into());
    assert!(desk.ticks(at(10 * WEEK)).await.is_empty());
}

/// A thief with the sync code could announce one of a year, and keep the owner waiting for it.
#[tokio::test]
async fn a_reset_that_ends_earlier_takes_the_place_of_the_one_that_stands() {
    let desk = desk().await;
    let head = desk.roster.head();
    let [long, short, later] = [52 * WEEK, WEEK, WEEK + 1].map(|wait| desk.reset(head, wait));
    desk.announces_reset(&long, at(0)).await.unwrap();
    assert_eq!(desk.announces_reset(&short, at(DAY)).await.unwrap(), WEEK * 1000);
    assert_eq!(refusal(desk.announces_reset(&long, at(DAY)).await), Refusal::from(ResetRefusal::Over), "for good");
    assert_eq!(refusal(desk.announces_reset(&later, at(DAY)).await), Refusal::from(ResetRefusal::Stands));
    let desk = desk.reopen(at(DAY));
    assert_eq!(desk.announces_reset(&short, at(2 * DAY)).await.unwrap(), (WEEK - DAY) * 1000);
    assert_eq!(desk.ticks(at(WEEK + DAY)).await, [desk.chain()]);
    assert_eq!(
        refusal(desk.announces_reset(&long, at(WEEK + DAY)).await),
        Refusal::Reset { form: short.bytes().to_vec() }
    );
}

/// It would take longer than what is left of the other one, not than its whole wait.
#[tokio::test]
async fn a_reset_whose_wait_ends_later_stands_behind_a_longer_one_that_began_before() {
    let desk = desk().await;
    let head = desk.roster.head();
    let (first, second) = (desk.reset(head, 2 * WEEK), desk.reset(head, WEEK));
    desk.announces_reset(&first, at(0)).await.unwrap();
    assert_eq!(
        refusal(desk.announces_reset(&second, at(WEEK)).await),
        Refusal::from(ResetRefusal::Stands),
        "both end then"
    );
    assert_eq!(desk.announces_reset(&first, at(WEEK)).await.unwrap(), WEEK * 1000);
}

#[tokio::test]
async fn a_reset_is_taken_from_the_current_join_key_on_the_terms_in_force_only() {
    let mut desk = desk().await;
    let founding = desk.roster.head();
    let key = desk.keyring.code().join_key().join_key();
    let known = desk.chain_of_key(key).await.unwrap();
    assert_eq!((known.chain, known.head, known.seq, known.reset_delay), (desk.chain(), founding, 0, 604_800));
    let deny = desk.deny(&desk.request().0, 0);
    desk.appends(&deny, at(0)).await;
    assert_eq!(desk.chain_of_key(key).await.unwrap(), known, "a thief does not learn that he was denied");
    let foreign = SyncCode::draw(&mut rng()).join_key();
    let form = (*desk.reset(founding, WEEK)).clone();
    let stranger = Verified::sign(form.clone(), &foreign, &[]).unwrap();
    assert_eq!(refusal(desk.announces_reset(&stranger, at(0)).await), ResetRefusal::NotAMember.into());
    let nowhere = Reset { chain: ChainId([7; 32]), ..form };
    let nowhere = Verified::sign(nowhere, &desk.keyring.code().join_key(), &[]).unwrap();
    assert_eq!(refusal(desk.announces_reset(&nowhere, at(0)).await), ResetRefusal::NotAMember.into());
    assert_eq!(refusal(desk.chain_of_key(foreign.join_key()).await), Refusal::UnknownJoinKey);
    let unknown = desk.reset(Hash([7; 32]), WEEK);
    assert_eq!(refusal(desk.announces_reset(&unknown, at(0)).await), ResetRefusal::UnknownHead.into());
    let short = desk.reset(founding, WEEK - 1);
    assert_eq!(refusal(desk.announces_reset(&short, at(0)).await), ResetRefusal::WaitTooShort { least: WEEK }.into());
    let longer = Policy { reset_delay: 700_000, ..Policy::default() };
    let policy = change::change_policy(desk.acting(), longer, Vec::new(), 3).unwrap();
    desk.appends(&policy, at(1)).await;
    let stale = desk.reset(deny.hash(), 800_000);
    assert_eq!(refusal(desk.announces_reset(&stale, at(1)).await), ResetRefusal::StaleTerms.into());
    let known = desk.chain_of_key(key).await.unwrap();
    assert_eq!((known.head, known.seq, known.reset_delay), (policy.hash(), 2, 700_000));
    let good = desk.reset(known.head, 700_000);
    desk.announces_reset(&good, at(1)).await.unwrap();
    let shorter = change::change_policy(desk.acting(), Policy { reset_delay: 1, ..Policy::default() }, Vec::new(), 3);
    desk.appends(&shorter.unwrap(), at(2)).await;
    assert_eq!(desk.announces_reset(&good, at(2)).await.unwrap(), 699_999_000, "its terms are frozen");
}
