//! What the store promises, with the clock handed in.

use std::net::IpAddr;

use protocol::cbor::Blob;
use protocol::code::SyncCode;
use protocol::entry::{DenyReason, Entry};
use protocol::keyring::{Acting, Keyring};
use protocol::keys::DeviceKeys;
use protocol::policy::Policy;
use protocol::record::{Draft, Line, RecordRefusal};
use protocol::request::{Description, JoinRequest};
use protocol::roster::Roster;
use protocol::round::Commitments;
use protocol::wire::{Purpose, Stage};
use protocol::{ChainId, Verified, decision, limits};
use tempfile::TempDir;

mod closing;
mod reset;
mod settle;

use super::chains::Change;
use super::records::Incoming;
use super::requests::{Asked, Origin};
use super::*;
use crate::clock::Moment;
use crate::failure::Refusal;

fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn at(seconds: u64) -> Moment {
    let millis = 1_700_000_000_000 + seconds * 1000;
    Moment { wall: millis, steady: millis }
}

/// A store in a folder of its own, and the founder of a chain in it.
struct Desk {
    store: Store,
    folder: TempDir,
    keys: DeviceKeys,
    roster: Roster,
    keyring: Keyring,
    line: Line,
}

fn described() -> Description {
    Description { name: "x".into(), platform: "x".into(), version: "x".into(), totp: None }
}

fn founding(keys: &DeviceKeys) -> protocol::entry::Founding {
    protocol::entry::found(keys, &described(), Policy::default(), None, 1, &mut rng()).unwrap()
}

async fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Synchronous::Full, at(0).wall).unwrap();
    let keys = DeviceKeys::draw(&mut rng());
    let founding = founding(&keys);
    let roster = Roster::found(&founding.entry).unwrap();
    let keyring = Keyring::open(&roster, founding.epoch_key).unwrap();
    store.change(move |tx| log::found(tx, &founding.entry)).await.unwrap();
    Desk { store, folder, keys, roster, keyring, line: Line::default() }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> Refusal {
    match result {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

impl Desk {
    fn chain(&self) -> ChainId {
        self.roster.chain()
    }

    fn reopen(self, now: Moment) -> Self {
        let Self { store, folder, keys, roster, keyring, line } = self;
        drop(store);
        let store = Store::open(folder.path(), Synchronous::Full, now.wall).unwrap();
        Self { store, folder, keys, roster, keyring, line }
    }

    fn request(&self) -> (Verified<JoinRequest>, Blob) {
        request_of(self.keyring.code(), &DeviceKeys::draw(&mut rng()))
    }

    async fn asks(&self, request: &(Verified<JoinRequest>, Blob), now: Moment) -> Result<Asked, Failure> {
        self.asks_from(request, [192, 0, 2, 1], now).await
    }

    async fn asks_from(
        &self,
        (request, description): &(Verified<JoinRequest>, Blob),
        address: [u8; 4],
        now: Moment,
    ) -> Result<Asked, Failure> {
        let (request, description) = (request.clone(), description.clone());
        let origin = Origin { address: IpAddr::from(address), proxy: None };
        self.store.change(move |tx| requests::ask(tx, &request, &description, origin, now)).await
    }

    fn deny(&self, request: &Verified<JoinRequest>, block: u32) -> Verified<Entry> {
        let target = (request.id(), request.device.signing);
        decision::deny(&self.roster, &self.keys, target, DenyReason::Denied, block, 2).unwrap()
    }

    async fn appends(&mut self, entry: &Verified<Entry>, now: Moment) {
        let (chain, appended) = (self.chain(), entry.clone());
        self.store.change(move |tx| log::append(tx, &chain, &[appended], Purpose::New, now)).await.unwrap();
        self.roster = self.roster.clone().apply(entry).unwrap();
    }

    async fn shown(&self, now: Moment) -> usize {
        let chain = self.chain();
        let open = move |tx: Tx<'_>| {
            let chain = chains::find(tx, &chain)?.unwrap();
            requests::open(tx, chain.number, now)
        };
        self.store.read(open).await.unwrap().len()
    }

    fn record(&mut self, id: &str, value: Option<&[u8]>, base: Option<protocol::Hash>) -> Incoming {
        self.record_in("notes", id, value, base)
    }

    fn record_in(
        &mut self,
        collection: &str,
        id: &str,
        value: Option<&[u8]>,
        base: Option<protocol::Hash>,
    ) -> Incoming {
        let acting = Acting { keys: &self.keys, roster: &self.roster, keyring: &self.keyring };
        let draft = Draft { collection, id, value, base, at: 3 };
        let (record, ciphertext) = protocol::record::write(acting, self.line, &draft, &mut rng()).unwrap();
        self.line = self.line.follow(&record).unwrap();
        Incoming { record, ciphertext }
    }

    async fn puts(&self, batch: Vec<Incoming>) -> Result<records::Put, Failure> {
        let (chain, signer) = (self.chain(), self.keys.id());
        self.store.change(move |tx| records::put(tx, &chain, &signer, &batch, records::Giver::Writer)).await
    }
}

fn request_of(code: &SyncCode, keys: &DeviceKeys) -> (Verified<JoinRequest>, Blob) {
    let description = described().seal(code, &keys.id(), &mut rng()).unwrap();
    let commitments = Commitments::draw(&mut rng());
    (JoinRequest::sign(code, keys, &description, commitments.public(), 1).unwrap(), description)
}

fn again(incoming: &Incoming) -> Incoming {
    Incoming { record: incoming.record.clone(), ciphertext: incoming.ciphertext.clone() }
}

#[tokio::test]
async fn a_second_entry_at_a_position_loses_and_is_told_where_the_log_stands() {
    let mut desk = desk().await;
    let (one, two) = (desk.request(), desk.request());
    let (first, second) = (desk.deny(&one.0, 0), desk.deny(&two.0, 0));
    desk.appends(&first, at(0)).await;
    let chain = desk.chain();
    let lost = desk.store.change(move |tx| log::append(tx, &chain, &[second], Purpose::New, at(0))).await;
    assert!(matches!(refusal(lost), Refusal::HeadMoved(stand) if stand.head == first.hash() && stand.seq == 1));
    let same = desk.store.change(move |tx| log::append(tx, &chain, &[first], Purpose::New, at(0))).await.unwrap();
    assert_eq!((same.change, same.appended.seq), (Change::Replay, 1));
}

#[tokio::test]
async fn a_batch_of_entries_is_taken_whole_or_not_at_all() {
    let desk = desk().await;
    let (one, two) = (desk.request(), desk.request());
    let first = desk.deny(&one.0, 0);
    let after = desk.roster.clone().apply(&first).unwrap();
    let twice =
        decision::deny(&after, &desk.keys, (one.0.id(), one.0.device.signing), DenyReason::NotMe, 0, 3).unwrap();
    let (chain, batch) = (desk.chain(), vec![first.clone(), twice]);
    let refused = desk.store.change(move |tx| log::append(tx, &chain, &batch, Purpose::New, at(0))).await;
    assert!(matches!(refusal(refused), Refusal::Log { index: 1, .. }));
    let target = (two.0.id(), two.0.device.signing);
    let second = decision::deny(&after, &desk.keys, target, DenyReason::Denied, 0, 3).unwrap();
    let batch = vec![first, second];
    let taken = desk.store.change(move |tx| log::append(tx, &chain, &batch, Purpose::New, at(0))).await.unwrap();
    assert_eq!(taken.appended.seq, 2);
}

/// 256 entries would pass by their number; what fits into a page by its bytes are fewer, and the next page goes on from there.
#[tokio::test]
async fn a_page_of_the_log_ends_at_its_bytes() {
    let mut desk = desk().await;
    let mut denies = Vec::new();
    for number in 0..250_u8 {
        let nobody = (protocol::RequestId([number; 32]), protocol::DeviceId([number; 32]));
        let deny = decision::deny(&desk.roster, &desk.keys, nobody, DenyReason::Denied, 0, 2).unwrap();
        desk.roster = desk.roster.clone().apply(&deny).unwrap();
        denies.push(deny);
    }
    let (chain, device) = (desk.chain(), desk.keys.id());
    desk.store.change(move |tx| log::append(tx, &chain, &denies, Purpose::New, at(0))).await.unwrap();
    let page = async |after| {
        let read = desk.store.read(move |tx| {
            let (chain, _) = chains::for_member(tx, &chain, &device)?;
            log::page(tx, &chain, after, 256)
        });
        read.await.unwrap().entries
    };
    let first = page(None).await;
    let bytes: usize = first.iter().map(|entry| entry.len()).sum();
    assert!(first.len() < 251, "{} entries", first.len());
    assert!((limits::PAGE_BYTES_TARGET - 1024..=limits::PAGE_BYTES_TARGET).contains(&bytes), "{bytes} bytes");
    let rest = page(Some(first.len() as u64 - 1)).await;
    assert_eq!(first.len() + rest.len(), 251);
}

#[tokio::test]
async fn a_join_key_founds_one_chain_only_and_the_same_bytes_get_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Synchronous::Full, at(0).wall).unwrap();
    let keys = DeviceKeys::draw(&mut rng());
    let founding = founding(&keys);
    let entry = founding.entry.clone();
    let first = store.change(move |tx| log::found(tx, &entry)).await.unwrap();
    let mut form = (*founding.entry).clone();
    form.at += 1;
    let other = Verified::sign(form, &keys.signing, &[&founding.code.join_key()]).unwrap();
    assert_eq!(refusal(store.change(move |tx| log::found(tx, &other)).await), Refusal::JoinKeyTaken);
    let again = store.change(move |tx| log::found(tx, &founding.entry)).await.unwrap();
    assert_eq!((again.change, again.appended), (Change::Replay, first.appended));
}

#[tokio::test]
async fn a_record_is_gated_in_the_transaction_and_a_batch_is_all_or_nothing() {
    let mut desk = desk().await;
    let first = desk.record("a", Some(b"1"), None);
    let (line, base) = (desk.line, first.record.hash());
    let conflict = desk.record("a", Some(b"2"), None);
    let good = desk.record("b", Some(b"3"), None);
    let refused = desk.puts(vec![again(&first), conflict, good]).await;
    let expected = Refusal::Record { index: 1, refusal: RecordRefusal::Conflict };
    assert_eq!(refusal(refused), expected);
    assert_eq!(desk.puts(vec![again(&first)]).await.unwrap().stored.numbers, [1], "nothing of the batch stayed");
    desk.line = line;
    let second = desk.record("a", None, Some(base));
    assert_eq!(desk.puts(vec![second]).await.unwrap().stored.numbers, [2]);
    let stranger = DeviceKeys::draw(&mut rng()).id();
    let (chain, batch) = (desk.chain(), vec![again(&first)]);
    let refused =
        desk.store.change(move |tx| records::put(tx, &chain, &stranger, &batch, records::Giver::Writer)).await;
    assert!(matches!(refusal(refused), Refusal::Record { index: 0, .. }));
}

#[tokio::test]
async fn a_batch_of_two_collections_is_filed_in_both() {
    let mut desk = desk().await;
    let batch = vec![
        desk.record_in("notes", "a", Some(b"1"), None),
        desk.record_in("photos", "a", Some(b"2"), None),
        desk.record_in("notes", "b", Some(b"3"), None),
    ];
    let places: Vec<_> = batch.iter().map(|incoming| (incoming.record.collection, incoming.record.id)).collect();
    assert_eq!(desk.puts(batch).await.unwrap().stored.numbers, vec![1, 2, 3]);
    let (chain, device) = (desk.chain(), desk.keys.id());
    for (number, (collection, id)) in (1..).zip(places) {
        let read = desk.store.read(move |tx| {
            let (chain, _) = chains::for_member(tx, &chain, &device)?;
            records::current(tx, &chain, &collection, &id)
        });
        assert_eq!(read.await.unwrap().number, number);
    }
}

#[tokio::test]
async fn a_replayed_record_gets_its_stored_answer_also_after_a_restart_and_another_is_replayed() {
    let mut desk = desk().await;
    let first = desk.record("a", Some(b"1"), None);
    let before = desk.line;
    desk.puts(vec![again(&first)]).await.unwrap();
    desk.line = Line::default();
    let forged = desk.record("z", Some(b"other"), None);
    desk.line = before;
    let desk = desk.reopen(at(0));
    let same = desk.puts(vec![first]).await.unwrap();
    assert_eq!((same.stored.numbers, same.change), (vec![1], Change::Replay));
    let expected = Refusal::Record { index: 0, refusal: RecordRefusal::Replayed { counter: 1 } };
    assert_eq!(refusal(desk.puts(vec![forged]).await), expected);
}

#[tokio::test]
async fn a_replaced_version_keeps_its_header_and_loses_its_ciphertext() {
    let mut desk = desk().await;
    let first = desk.record("a", Some(b"1"), None);
    let base = first.record.hash();
    desk.puts(vec![first]).await.unwrap();
    let second = desk.record("a", Some(b"2"), Some(base));
    desk.puts(vec![second]).await.unwrap();
    let chain = desk.chain();
    let page = move |tx: Tx<'_>| {
        let chain = chains::find(tx, &chain)?.unwrap();
        records::page(tx, &chain, 0, 10)
    };
    let page = desk.store.read(page).await.unwrap();
    let sealed: Vec<bool> = page.rows.iter().map(|row| row.sealed.ciphertext.is_some()).collect();
    assert_eq!((sealed, page.last, page.cursor.number), (vec![false, true], 2, 2));
}

#[tokio::test]
async fn a_denied_request_looks_waiting_byte_for_byte_and_holds_its_slot() {
    let mut desk = desk().await;
    let request = desk.request();
    let before = desk.asks(&request, at(0)).await.unwrap().standing;
    assert_eq!(before.stage, Stage::Waiting);
    let deny = desk.deny(&request.0, 0);
    desk.appends(&deny, at(0)).await;
    let after = desk.asks(&request, at(0)).await.unwrap().standing;
    assert_eq!(protocol::cbor::encode(&before), protocol::cbor::encode(&after));
    assert_eq!(desk.shown(at(0)).await, 0);
    for _ in 0..2 {
        let other = desk.request();
        desk.asks(&other, at(1)).await.unwrap();
    }
    let fourth = desk.request();
    assert!(matches!(refusal(desk.asks(&fourth, at(2)).await), Refusal::TooManyPending { retry_after: 898_000 }));
    let expired = desk.asks(&request, at(900)).await.unwrap().standing;
    assert_eq!((expired.stage, expired.remaining), (Stage::Expired, 0));
    desk.asks(&fourth, at(900)).await.unwrap();
}

#[tokio::test]
async fn the_sixth_prompt_of_a_day_waits_unseen() {
    let desk = desk().await;
    for prompt in 0..5 {
        let request = desk.request();
        desk.asks(&request, at(prompt * 1000)).await.unwrap();
        assert_eq!(desk.shown(at(prompt * 1000)).await, 1);
    }
    let sixth = desk.request();
    let told = desk.asks(&sixth, at(5000)).await.unwrap().standing;
    assert_eq!((told.stage, told.remaining), (Stage::Waiting, 900_000));
    assert_eq!(desk.shown(at(5000)).await, 0);
    let (chain, id) = (desk.chain(), sixth.0.id());
    let admits = desk.store.change(move |tx| {
        let chain = chains::find(tx, &chain)?.unwrap();
        requests::admit(tx, chain.number, &id, Purpose::New, at(5000))
    });
    assert_eq!(refusal(admits.await), Refusal::RequestUnknown, "nobody was shown it");
    let tomorrow = desk.request();
    desk.asks(&tomorrow, at(24 * 3600 + 1)).await.unwrap();
    assert_eq!(desk.shown(at(24 * 3600 + 1)).await, 1);
}

#[tokio::test]
async fn a_blocked_address_range_asks_unseen_until_the_block_ends() {
    let mut desk = desk().await;
    let request = desk.request();
    desk.asks(&request, at(0)).await.unwrap();
    let deny = desk.deny(&request.0, 3600);
    desk.appends(&deny, at(0)).await;
    let mut desk = desk.reopen(at(0));
    let (same, elsewhere, later) = (desk.request(), desk.request(), desk.request());
    assert_eq!(desk.asks(&same, at(10)).await.unwrap().standing.stage, Stage::Waiting);
    assert_eq!(desk.shown(at(10)).await, 0);
    desk.asks_from(&elsewhere, [192, 0, 2, 2], at(20)).await.unwrap();
    assert_eq!(desk.shown(at(20)).await, 1);
    desk.asks(&later, at(3601)).await.unwrap();
    assert_eq!(desk.shown(at(3601)).await, 1);
    desk.line = Line::default();
}

#[tokio::test]
async fn a_denied_key_that_asks_anew_is_shown_to_nobody() {
    let mut desk = desk().await;
    let keys = DeviceKeys::draw(&mut rng());
    let first = request_of(desk.keyring.code(), &keys);
    desk.asks(&first, at(0)).await.unwrap();
    let deny = desk.deny(&first.0, 0);
    desk.appends(&deny, at(0)).await;
    let second = request_of(desk.keyring.code(), &keys);
    assert_eq!(desk.asks(&second, at(1)).await.unwrap().standing.stage, Stage::Waiting);
    assert_eq!(desk.shown(at(1)).await, 0);
}

#[tokio::test]
async fn a_pending_request_survives_a_restart_and_a_clock_set_back_adds_no_time() {
    let desk = desk().await;
    let request = desk.request();
    desk.asks(&request, at(100)).await.unwrap();
    let desk = desk.reopen(at(400));
    assert_eq!(desk.asks(&request, at(400)).await.unwrap().standing.remaining, 600_000);
    assert_eq!(desk.asks(&request, at(0)).await.unwrap().standing.remaining, 900_000);
    assert_eq!(desk.shown(at(400)).await, 1);
    assert_eq!(desk.shown(at(1000)).await, 0);
}

#[tokio::test]
async fn what_was_asked_while_the_clock_was_ahead_begins_with_the_restart() {
    let desk = desk().await;
    let request = desk.request();
    desk.asks(&request, at(1_000_000)).await.unwrap();
    let desk = desk.reopen(at(100));
    assert_eq!(desk.asks(&request, at(400)).await.unwrap().standing.remaining, 600_000);
    assert_eq!(desk.shown(at(1001)).await, 0);
}

#[tokio::test]
async fn an_unknown_sync_code_is_told_nothing_else() {
    let desk = desk().await;
    let stranger = request_of(&SyncCode::draw(&mut rng()), &DeviceKeys::draw(&mut rng()));
    assert_eq!(refusal(desk.asks(&stranger, at(0)).await), Refusal::UnknownJoinKey);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_a_store_is_opened_once() {
    let desk = desk().await;
    assert!(matches!(Store::open(desk.folder.path(), Synchronous::Full, at(0).wall), Err(OpenError::InUse { .. })));
    let Desk { store, folder, .. } = desk;
    drop(store);
    let file = Connection::open(folder.path().join("relay.db")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    assert!(matches!(Store::open(folder.path(), Synchronous::Full, at(0).wall), Err(OpenError::Newer { got: 99, .. })));
}

/// Takes out what version 2 brought.
const BACK_TO_VERSION_1: &str =
    "DROP TABLE recovery_devices; DROP TABLE approvals; DROP TABLE waits; DROP TABLE resets; ALTER TABLE identity DROP COLUMN uptime;
     ALTER TABLE chains DROP COLUMN reset; ALTER TABLE chains DROP COLUMN branch; PRAGMA user_version = 1";

#[tokio::test]
async fn a_store_of_version_1_goes_on_and_learns_the_recovery_devices_from_its_logs() {
    let mut desk = desk().await;
    let record = desk.record("a", Some(b"1"), None);
    desk.puts(vec![again(&record)]).await.unwrap();
    let paper = DeviceKeys::draw(&mut rng());
    let founder = DeviceKeys::draw(&mut rng());
    let other = protocol::entry::found(&founder, &described(), Policy::default(), Some(&paper), 1, &mut rng()).unwrap();
    let chain = ChainId::from(other.entry.hash());
    desk.store.change(move |tx| log::found(tx, &other.entry)).await.unwrap();
    let Desk { store, folder, keys, roster, keyring, line } = desk;
    drop(store);
    Connection::open(folder.path().join("relay.db")).unwrap().execute_batch(BACK_TO_VERSION_1).unwrap();
    let store = Store::open(folder.path(), Synchronous::Full, at(0).wall).unwrap();
    let desk = Desk { store, folder, keys, roster, keyring, line };
    assert_eq!(desk.puts(vec![record]).await.unwrap().change, Change::Replay);
    assert!(!desk.store.read(waits::is_any_counted).await.unwrap());
    let (paper, nobody) = (paper.id(), desk.keys.id());
    let found = desk.store.read(move |tx| recovery::whereabouts(tx, &paper)).await.unwrap();
    assert_eq!((found.chain, found.seq), (chain, 0));
    assert_eq!(
        refusal(desk.store.read(move |tx| recovery::whereabouts(tx, &nobody)).await),
        Refusal::NotFound,
        "a founder is no recovery device"
    );
    let desk = desk.reopen(at(1));
    assert_eq!(desk.shown(at(1)).await, 0, "once");
}

#[tokio::test]
async fn a_store_of_version_1_with_a_damaged_log_is_not_opened() {
    let Desk { store, folder, .. } = desk().await;
    drop(store);
    let file = Connection::open(folder.path().join("relay.db")).unwrap();
    file.execute_batch(BACK_TO_VERSION_1).unwrap();
    file.execute("UPDATE entries SET bytes = x'00'", []).unwrap();
    drop(file);
    let opened = Store::open(folder.path(), Synchronous::Full, at(0).wall);
    assert!(matches!(opened, Err(OpenError::Sqlite { .. })));
}

#[tokio::test]
async fn what_fails_to_commit_is_answered_not_durable_and_is_not_served() {
    let desk = desk().await;
    let request = desk.request();
    // A file that cannot grow is what a full disk looks like to SQLite.
    let shrink = |tx: Tx<'_>| Ok(tx.sql.query_row("PRAGMA max_page_count = 1", [], |row| row.get::<_, i64>(0))?);
    desk.store.change(shrink).await.unwrap();
    let mut failed = 0;
    for _ in 0..200 {
        let (request, description) = desk.request();
        let fat = move |tx: Tx<'_>| {
            tx.sql.execute("CREATE TABLE IF NOT EXISTS fat (x BLOB)", [])?;
            tx.sql.execute("INSERT INTO fat VALUES (zeroblob(65536))", [])?;
            let origin = Origin { address: IpAddr::from([192, 0, 2, 1]), proxy: None };
            requests::ask(tx, &request, &description, origin, at(0))
        };
        failed += usize::from(matches!(desk.store.change(fat).await, Err(Failure::NotDurable(_))));
    }
    assert_eq!(failed, 200);
    assert!(!desk.store.writer.is_healthy());
    assert_eq!(desk.shown(at(0)).await, 0);
    let grow = |tx: Tx<'_>| Ok(tx.sql.query_row("PRAGMA max_page_count = 1000000", [], |row| row.get::<_, i64>(0))?);
    desk.store.change(grow).await.unwrap();
    assert!(desk.store.is_writable().await);
    desk.asks(&request, at(0)).await.unwrap();
    assert_eq!(desk.shown(at(0)).await, 1);
}

#[tokio::test]
async fn a_refused_job_undoes_only_itself() {
    let desk = desk().await;
    let (good, stranger) = (desk.request(), request_of(&SyncCode::draw(&mut rng()), &DeviceKeys::draw(&mut rng())));
    let (good, bad) = tokio::join!(desk.asks(&good, at(0)), desk.asks(&stranger, at(0)));
    good.unwrap();
    refusal(bad);
    assert_eq!(desk.shown(at(0)).await, 1);
}

#[test]
fn the_files_are_closed_to_others_also_in_a_folder_that_is_open() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let _store = Store::open(folder.path(), Synchronous::Full, at(0).wall).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn a_feed_is_read_once_for_all_members_until_the_next_commit() {
    let mut desk = desk().await;
    let (chain, device) = (desk.chain(), desk.keys.id());
    let first = desk.record("one", Some(b"1"), None);
    desk.puts(vec![first]).await.unwrap();
    let feed = desk.store.feed(chain, device, 0).await.unwrap();
    let again = desk.store.feed(chain, device, 0).await.unwrap();
    assert!(Arc::ptr_eq(feed.message.as_ref().unwrap(), again.message.as_ref().unwrap()));
    let stranger = DeviceKeys::draw(&mut rng()).id();
    assert_eq!(refusal(desk.store.feed(chain, stranger, 0).await), Refusal::NotAMember, "however it was read");
    let second = desk.record("two", Some(b"2"), None);
    desk.puts(vec![second]).await.unwrap();
    assert_eq!(desk.store.feed(chain, device, 0).await.unwrap().number, 2);
    assert!(desk.store.feed(chain, device, 2).await.unwrap().message.is_none());
}
