//! A fork ends here: what stood on the abandoned branch alone is gone, and nothing else.

use protocol::Hash;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::entry::{Body, Settle, VetoOf};

use super::closing::{DAY, WEEK};
use super::requests::Decided;
use super::*;

impl Desk {
    fn next(&self, code: CodeChange) -> Verified<Entry> {
        change::rotate(self.acting(), code, RecoveryChange::Keep, 3, &mut rng()).unwrap()
    }

    fn settles(&self, abandoned: Hash) -> Verified<Entry> {
        change::settle(self.acting(), abandoned, Vec::new(), 4, &mut rng()).unwrap()
    }

    /// A settle that goes on with the sync code: the rules allow it, and our own devices never sign it.
    fn settles_with_the_same_code(&self, abandoned: Hash) -> Verified<Entry> {
        let mut form = (*self.next(CodeChange::Keep)).clone();
        let Body::Rotate(rotate) = form.body else { panic!("a rotation") };
        form.body = Body::Settle(Box::new(Settle { abandoned, rotation: rotate.rotation, approvals: Vec::new() }));
        Verified::sign(form, &self.keys.signing, &[]).unwrap()
    }

    fn follows(&mut self, entry: &Verified<Entry>) {
        self.roster = self.roster.clone().apply(entry).unwrap();
        self.keyring = Keyring::follow(&self.roster, &self.keys, self.keyring.epoch_key()).unwrap();
    }

    async fn sends(&self, entries: &[&Verified<Entry>]) -> Result<log::Extended, Failure> {
        self.sends_at(entries, at(9)).await
    }

    async fn sends_at(&self, entries: &[&Verified<Entry>], now: Moment) -> Result<log::Extended, Failure> {
        let (chain, entries): (_, Vec<_>) = (self.chain(), entries.iter().map(|entry| (*entry).clone()).collect());
        self.store.change(move |tx| log::append(tx, &chain, &entries, Purpose::New, now)).await
    }

    /// Hashes of the log, and rows of the feed with where their reader stands.
    async fn served(&self) -> (Vec<Hash>, protocol::wire::RecordPage) {
        let (chain, device) = (self.chain(), self.keys.id());
        let read = self.store.read(move |tx| {
            let (chain, _) = chains::for_member(tx, &chain, &device)?;
            Ok((log::page(tx, &chain, None, 99)?.entries, records::page(tx, &chain, 0, 99)?))
        });
        let (entries, page) = read.await.unwrap();
        (entries.iter().map(|entry| Verified::<Entry>::from_bytes(entry).unwrap().hash()).collect(), page)
    }

    async fn decided(&self, id: protocol::RequestId) -> Decided {
        self.store.read(move |tx| Ok(requests::find(tx, &id)?.unwrap().decided)).await.unwrap()
    }

    async fn item(&self, record: &Verified<protocol::record::Record>) -> Option<u64> {
        let (chain, collection, id) = (self.chain(), record.collection, record.id);
        let read = self.store.read(move |tx| {
            let chain = chains::find(tx, &chain)?.unwrap();
            records::current(tx, &chain, &collection, &id)
        });
        read.await.ok().map(|row| row.number)
    }
}

/// A copy of the founder that knows the log up to now, and no further.
fn fork(desk: &Desk) -> (Roster, Keyring) {
    (desk.roster.clone(), desk.keyring.clone())
}

#[tokio::test]
async fn a_settle_replaces_the_branch_and_everything_that_stood_on_it_alone() {
    let mut desk = desk().await;
    let (early, late) = (desk.request(), desk.request());
    desk.asks(&early, at(0)).await.unwrap();
    desk.asks(&late, at(0)).await.unwrap();
    let deny = desk.deny(&early.0, 0);
    desk.appends(&deny, at(0)).await;
    let stays = desk.record("a", Some(b"1"), None);
    let line = desk.line;
    desk.puts(vec![again(&stays)]).await.unwrap();
    let (roster, keyring) = fork(&desk);
    let first = desk.next(CodeChange::Keep);
    desk.sends(&[&first]).await.unwrap();
    desk.follows(&first);
    let deny = desk.deny(&late.0, 0);
    desk.appends(&deny, at(0)).await;
    let goes = desk.record("b", Some(b"2"), None);
    let over = desk.record("a", Some(b"3"), Some(stays.record.hash()));
    desk.puts(vec![again(&goes), again(&over)]).await.unwrap();
    assert_eq!(desk.decided(late.0.id()).await, Decided::Denied);
    (desk.roster, desk.keyring, desk.line) = (roster, keyring, line);
    let other = desk.next(CodeChange::Keep);
    desk.follows(&other);
    let settle = desk.settles(first.hash());
    assert_eq!(desk.sends(&[&other, &settle]).await.unwrap().appended.seq, 3);
    desk.follows(&settle);
    let (log, page) = desk.served().await;
    assert_eq!(log[2..], [other.hash(), settle.hash()]);
    let left: Vec<_> = page.rows.iter().map(|row| row.number).collect();
    assert_eq!((left, page.cursor.number, page.last), (vec![1], 3, 3), "and numbers are not used again");
    assert_eq!((desk.item(&stays.record).await, desk.item(&goes.record).await), (Some(1), None));
    assert_eq!((desk.decided(early.0.id()).await, desk.decided(late.0.id()).await), (Decided::Denied, Decided::Not));
    let next = desk.record("c", Some(b"4"), None);
    assert_eq!(desk.puts(vec![next]).await.unwrap().stored.numbers, [4], "the line goes on where it was cut");
    assert_eq!(desk.sends(&[&other, &settle]).await.unwrap().change, Change::Replay);
    let desk = desk.reopen(at(10));
    assert_eq!(desk.served().await.0, log);
}

#[tokio::test]
async fn only_a_settle_that_names_what_follows_here_replaces_anything() {
    let mut desk = desk().await;
    let (roster, keyring) = fork(&desk);
    let first = desk.next(CodeChange::Keep);
    desk.sends(&[&first]).await.unwrap();
    (desk.roster, desk.keyring) = (roster, keyring);
    let other = desk.next(CodeChange::Keep);
    assert!(matches!(refusal(desk.sends(&[&other]).await), Refusal::HeadMoved(_)), "without a settle nothing");
    desk.follows(&other);
    let wrong = desk.settles(Hash([7; 32]));
    assert!(matches!(refusal(desk.sends(&[&other, &wrong]).await), Refusal::HeadMoved(_)));
    let late = desk.settles(first.hash());
    let before = desk.roster.clone();
    desk.follows(&late);
    let after = desk.next(CodeChange::Keep);
    assert!(matches!(refusal(desk.sends(&[&other, &late, &after]).await), Refusal::HeadMoved(_)), "it stands last");
    desk.roster = before;
    let (log, _) = desk.served().await;
    assert_eq!(log[1..], [first.hash()], "nothing of all that stayed");
}

#[tokio::test]
async fn an_item_that_only_the_abandoned_branch_had_is_new_again() {
    let mut desk = desk().await;
    let (roster, keyring) = fork(&desk);
    let first = desk.next(CodeChange::Keep);
    desk.sends(&[&first]).await.unwrap();
    desk.follows(&first);
    let one = desk.record("a", Some(b"1"), None);
    let two = desk.record("a", Some(b"2"), Some(one.record.hash()));
    desk.puts(vec![again(&one), again(&two)]).await.unwrap();
    (desk.roster, desk.keyring, desk.line) = (roster, keyring, Line::default());
    let settle = desk.settles(first.hash());
    desk.sends(&[&settle]).await.unwrap();
    desk.follows(&settle);
    assert!(desk.served().await.1.rows.is_empty());
    assert_eq!(desk.item(&one.record).await, None);
    let fresh = desk.record("a", Some(b"3"), None);
    assert_eq!(desk.puts(vec![fresh]).await.unwrap().stored.numbers, [3]);
}

/// A veto can be settled away by one approver; whoever relied on it, or could do nothing while the log was forked, has the whole delay again.
#[tokio::test]
async fn the_delay_of_a_closing_begins_anew_with_a_settle() {
    for vetoed in [true, false] {
        let mut desk = desk().await;
        let closing = desk.announces(at(0)).await;
        let (roster, keyring) = fork(&desk);
        let first = if vetoed {
            change::veto(desk.acting(), VetoOf::Closing, closing, 4).unwrap()
        } else {
            desk.next(CodeChange::Keep)
        };
        desk.sends_at(&[&first], at(DAY)).await.unwrap();
        (desk.roster, desk.keyring) = (roster, keyring);
        let settle = desk.settles(first.hash());
        desk.sends_at(&[&settle], at(5 * WEEK)).await.unwrap();
        desk.follows(&settle);
        desk.sends_at(&[&settle], at(5 * WEEK + DAY)).await.unwrap();
        let left = desk.closes(closing, Purpose::Heal, at(5 * WEEK + DAY)).await;
        assert_eq!(left, Some((WEEK - DAY) * 1000), "from the settle on, once");
        assert_eq!(desk.closes(closing, Purpose::New, at(6 * WEEK)).await, None);
    }
}

/// A request outlived the rotation that muted it, and a reset the join key that had signed it.
#[tokio::test]
async fn where_the_code_before_the_fork_goes_on_what_was_asked_with_it_is_open_again_and_no_other_key_resets() {
    let mut desk = desk().await;
    let (early, blocked, late) = (desk.request(), desk.request(), desk.request());
    desk.asks(&early, at(0)).await.unwrap();
    desk.asks_from(&blocked, [192, 0, 2, 9], at(0)).await.unwrap();
    let deny = desk.deny(&blocked.0, 3600);
    desk.appends(&deny, at(0)).await;
    desk.asks_from(&late, [192, 0, 2, 9], at(0)).await.unwrap();
    assert_eq!(desk.shown(at(9)).await, 1);
    let (roster, keyring) = fork(&desk);
    let first = desk.next(CodeChange::Draw);
    desk.sends(&[&first]).await.unwrap();
    desk.follows(&first);
    let other = desk.request();
    desk.asks(&other, at(1)).await.unwrap();
    let reset = desk.reset(roster.head(), WEEK);
    desk.announces_reset(&reset, at(1)).await.unwrap();
    (desk.roster, desk.keyring) = (roster, keyring);
    let settle = desk.settles_with_the_same_code(first.hash());
    desk.sends(&[&settle]).await.unwrap();
    desk.follows(&settle);
    assert!(!desk.store.read(waits::is_any_counted).await.unwrap(), "the key that signed the reset is not this log's");
    assert!(desk.ticks(at(2 * WEEK)).await.is_empty());
    let chain = desk.chain();
    let open = desk.store.read(move |tx| requests::open(tx, chains::find(tx, &chain)?.unwrap().number, at(9)));
    let open: Vec<_> = open.await.unwrap().into_iter().map(|open| open.id).collect();
    assert_eq!(open, [early.0.id()], "neither what was muted otherwise, nor what was asked on the other branch");
}
