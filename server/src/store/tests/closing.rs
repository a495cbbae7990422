//! The delay of a closing, by both clocks and over restarts.

use protocol::Hash;
use protocol::change;
use protocol::entry::VetoOf;

use super::*;

pub(super) const DAY: u64 = 24 * 3600;
/// The delay of the default policy.
pub(super) const WEEK: u64 = 7 * DAY;

/// When the wall clock says one thing and the steady one another, seconds from the begin.
pub(super) fn clocks(wall: u64, steady: u64) -> Moment {
    Moment { wall: at(wall).wall, steady: at(steady).steady }
}

impl Desk {
    pub(super) fn acting(&self) -> Acting<'_> {
        Acting { keys: &self.keys, roster: &self.roster, keyring: &self.keyring }
    }

    pub(super) async fn announces(&mut self, now: Moment) -> Hash {
        let closing = change::closing(self.acting(), Vec::new(), 3).unwrap();
        self.appends(&closing, now).await;
        closing.hash()
    }

    /// Milliseconds that are left, by the refusal of a close; nothing once it is taken.
    pub(super) async fn closes(&mut self, closing: Hash, purpose: Purpose, now: Moment) -> Option<u64> {
        let (chain, close) = (self.chain(), change::close(self.acting(), closing, 4).unwrap());
        let entries = vec![close];
        match self.store.change(move |tx| log::append(tx, &chain, &entries, purpose, now)).await {
            Err(Failure::Refused(Refusal::ClosingTooEarly { left })) => Some(left),
            Ok(_) => None,
            other => panic!("neither early nor taken: {other:?}"),
        }
    }

    /// What time asks for, as the relay does it every minute.
    pub(super) async fn ticks(&self, now: Moment) -> Vec<ChainId> {
        let job = move |tx: Tx<'_>| {
            waits::note_uptime(tx, now)?;
            resets::carry_out(tx, now)
        };
        self.store.change(job).await.unwrap()
    }

    pub(super) async fn counts(&self) -> Vec<i64> {
        let tables =
            ["records", "items", "collections", "writers", "requests", "rounds", "blocks", "approvals", "waits"];
        let read = move |tx: Tx<'_>| {
            let count = |table| Ok(tx.sql.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?);
            tables.into_iter().map(count).collect()
        };
        self.store.read(read).await.unwrap()
    }
}

#[tokio::test]
async fn a_closing_is_carried_out_when_its_delay_has_passed_by_both_clocks() {
    let mut desk = desk().await;
    let closing = desk.announces(at(0)).await;
    assert_eq!(desk.closes(closing, Purpose::New, at(0)).await, Some(WEEK * 1000));
    assert_eq!(desk.closes(closing, Purpose::Heal, at(WEEK - 1)).await, Some(1000), "nor may it be healed earlier");
    let jumped = clocks(100 * WEEK, DAY);
    assert_eq!(
        desk.closes(closing, Purpose::New, jumped).await,
        Some((WEEK - DAY) * 1000),
        "the clock was set forward"
    );
    let back = clocks(DAY, 100 * WEEK);
    assert_eq!(desk.closes(closing, Purpose::New, back).await, Some((WEEK - DAY) * 1000), "or back");
    assert_eq!(desk.closes(closing, Purpose::New, at(WEEK)).await, None);
}

#[tokio::test]
async fn a_restart_neither_begins_the_delay_anew_nor_ends_it() {
    let mut desk = desk().await;
    let closing = desk.announces(at(0)).await;
    desk.ticks(at(3 * DAY)).await;
    // Down for a day, and a tick was missed before: what was not written down is not counted.
    let mut desk = desk.reopen(at(4 * DAY));
    assert_eq!(desk.closes(closing, Purpose::New, at(4 * DAY)).await, Some(4 * DAY * 1000));
    desk.ticks(at(5 * DAY)).await;
    // The clock was a year ahead at this start, and the relay is up since a day by it.
    let mut desk = desk.reopen(at(365 * DAY));
    assert_eq!(desk.closes(closing, Purpose::New, at(366 * DAY)).await, Some(2 * DAY * 1000));
    desk.ticks(at(366 * DAY)).await;
    let mut desk = desk.reopen(at(5 * DAY));
    assert_eq!(
        desk.closes(closing, Purpose::New, at(6 * DAY)).await,
        Some(DAY * 1000),
        "by the wall clock and by uptime"
    );
    assert_eq!(desk.closes(closing, Purpose::New, at(7 * DAY)).await, None);
}

#[tokio::test]
async fn what_was_announced_while_the_clock_was_ahead_begins_with_the_restart() {
    let mut desk = desk().await;
    let closing = desk.announces(at(1000 * DAY)).await;
    let mut desk = desk.reopen(at(DAY));
    assert_eq!(desk.closes(closing, Purpose::New, at(DAY)).await, Some(WEEK * 1000));
    assert_eq!(desk.closes(closing, Purpose::New, at(DAY + WEEK)).await, None);
}

#[tokio::test]
async fn a_vetoed_closing_waits_for_nothing_and_the_next_one_begins_anew() {
    let mut desk = desk().await;
    let first = desk.announces(at(0)).await;
    let veto = change::veto(desk.acting(), VetoOf::Closing, first, 4).unwrap();
    desk.appends(&veto, at(DAY)).await;
    assert!(!desk.store.read(waits::is_any_counted).await.unwrap());
    let second = desk.announces(at(2 * DAY)).await;
    assert_eq!(desk.closes(second, Purpose::New, at(WEEK)).await, Some(2 * DAY * 1000));
}

#[tokio::test]
async fn a_closing_that_nobody_carries_out_is_counted_until_its_delay_has_passed_and_no_longer() {
    let mut desk = desk().await;
    let closing = desk.announces(at(0)).await;
    desk.ticks(at(WEEK - 1)).await;
    assert!(desk.store.read(waits::is_any_counted).await.unwrap());
    desk.ticks(at(WEEK)).await;
    assert!(!desk.store.read(waits::is_any_counted).await.unwrap(), "an idle relay would write once a minute for ever");
    let mut desk = desk.reopen(at(WEEK));
    assert_eq!(desk.closes(closing, Purpose::New, at(WEEK)).await, None);
}

#[tokio::test]
async fn a_closed_chain_keeps_its_log_and_nothing_else() {
    let mut desk = desk().await;
    let neighbour = desk.request();
    let (first, second) = (desk.record("a", Some(b"1"), None), desk.record("b", Some(b"2"), None));
    desk.puts(vec![first, second]).await.unwrap();
    desk.asks(&neighbour, at(0)).await.unwrap();
    let deny = desk.deny(&neighbour.0, 60);
    desk.appends(&deny, at(0)).await;
    let closing = desk.announces(at(1)).await;
    assert!(desk.counts().await.iter().sum::<i64>() > 6);
    assert_eq!(desk.closes(closing, Purpose::New, at(1 + WEEK)).await, None);
    assert_eq!(desk.counts().await, [0; 9]);
    let (chain, device) = (desk.chain(), desk.keys.id());
    let read = desk.store.read(move |tx| {
        let (chain, roster) = chains::for_member(tx, &chain, &device)?;
        Ok((log::page(tx, &chain, None, 10)?.entries.len(), records::page(tx, &chain, 0, 10)?.last, roster.is_closed()))
    });
    assert_eq!(read.await.unwrap(), (4, 0, true));
    let late = desk.record("c", Some(b"3"), None);
    assert_eq!(refusal(desk.puts(vec![late]).await), Refusal::ChainClosed);
    let request = desk.request();
    assert_eq!(refusal(desk.asks(&request, at(2 + WEEK)).await), Refusal::ChainClosed);
}
