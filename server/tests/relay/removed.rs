//! Devices that go, sync codes that are replaced, and what is left to them from then on: nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::change::{self, CodeChange};
use protocol::cut::CutAt;
use protocol::entry::Entry;
use protocol::id::JoinKey;
use protocol::keyring::Keyring;
use protocol::policy::{Policy, Role};
use protocol::record::Line;
use protocol::wire::{Ending, Purpose, Stage, ToDevice, close};
use protocol::{Hash, Verified};

use crate::harness::{House, Joiner, Member, founding};
use crate::members::{cut, phone_of, put};

#[tokio::test]
async fn a_cut_that_says_last_is_the_last_record_here_or_refused_with_what_is() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    let unwritten = laptop.removes(&[(&phone, CutAt::Last)]);
    assert_eq!(phone.puts(&house, "a").await.status, 200);
    let behind = house.append(&unwritten).await;
    assert_eq!((behind.status, behind.code().as_str()), (409, "cut-behind"));
    let told = behind.json();
    assert_eq!(told["device"], phone.keys.id().to_string());
    assert_eq!(
        (told["counter"].as_u64(), told["hash"].as_str()),
        (Some(1), Some(&*phone.line.last.unwrap().to_string()))
    );
    let ahead = Line { counter: 2, last: Some(Hash([7; 32])) };
    let line = std::mem::replace(&mut phone.line, ahead);
    assert_eq!(house.append(&laptop.removes(&[(&phone, CutAt::Last)])).await.code(), "cut-behind", "nor beyond");
    phone.line = Line { counter: 1, last: Some(Hash([7; 32])) };
    assert_eq!(house.append(&laptop.removes(&[(&phone, CutAt::Last)])).await.code(), "cut-behind", "nor another");
    phone.line = line;
    assert_eq!(house.append(&laptop.removes(&[(&phone, CutAt::Last)])).await.status, 200);
}

#[tokio::test]
async fn a_leave_and_a_role_that_takes_writing_away_are_cut_at_the_last_record_too() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    let early = change::leave(phone.acting(), cut(phone.line, CutAt::Last), 3).unwrap();
    let early_role = |laptop: &Member, phone: &Member| {
        let cut = Some(cut(phone.line, CutAt::Last));
        let subject = protocol::approval::RoleSubject { device: phone.keys.id(), role: Role::Reader, cut };
        change::change_role(laptop.acting(), subject, Vec::new(), 3).unwrap()
    };
    let role = early_role(&laptop, &phone);
    assert_eq!(phone.puts(&house, "a").await.status, 200);
    assert_eq!(house.append(&role).await.code(), "cut-behind");
    assert_eq!(house.append(&early).await.code(), "cut-behind");
    let role = early_role(&laptop, &phone);
    assert_eq!(house.append(&role).await.status, 200);
    laptop.follows(&role);
    phone.follows(&role);
    let refused = phone.puts(&house, "b").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "not-a-member"), "a reader writes no more");
    assert_eq!(phone.feed(&house).await.len(), 1, "and reads on");
    let leave = change::leave(phone.acting(), cut(phone.line, CutAt::Last), 4).unwrap();
    assert_eq!(house.append(&leave).await.status, 200);
    laptop.follows(&leave);
    assert_eq!(house.read(&phone.keys, &format!("/v1/chains/{}/log", phone.chain())).await.code(), "not-a-member");
}

#[tokio::test]
async fn a_cut_that_says_earlier_and_one_that_is_healed_are_not_compared() {
    let (house, empty) = (House::start().await, House::start().await);
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    let distrusts = laptop.removes(&[(&phone, CutAt::Earlier)]);
    assert_eq!(phone.puts(&house, "a").await.status, 200);
    assert_eq!(house.append(&distrusts).await.status, 200);
    let log = laptop.log(&house).await;
    let removal = laptop.removes(&[(&phone, CutAt::Last)]);
    assert_eq!(empty.post("/v1/chains", log[0].bytes()).await.status, 201);
    assert_eq!(empty.append_as(&[&log[1], &removal], Purpose::New).await.code(), "request-unknown");
    assert_eq!(empty.append_as(&[&log[1], &removal], Purpose::Heal).await.status, 200);
}

/// The relay was restored from a backup and had lost the removal: it took what the phone wrote meanwhile, and lets go of it once the
/// entry is healed. Readers would end their sessions at such a record.
#[tokio::test]
async fn what_a_device_wrote_while_its_removal_was_lost_goes_when_that_is_healed() {
    let (house, restored) = (House::start().await, House::start().await);
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    let log = laptop.log(&house).await;
    assert_eq!(restored.post("/v1/chains", log[0].bytes()).await.status, 201);
    assert_eq!(restored.append_as(&[&log[1]], Purpose::Heal).await.status, 200);
    for relay in [&house, &restored] {
        phone.line = Line::default();
        assert_eq!(phone.puts(relay, "a").await.status, 200);
    }
    let removal = laptop.removes(&[(&phone, CutAt::Last)]);
    assert_eq!(phone.puts(&restored, "late").await.status, 200);
    assert_eq!(laptop.puts(&restored, "b").await.status, 200);
    assert_eq!(restored.append_as(&[&removal], Purpose::New).await.code(), "cut-behind");
    assert_eq!(restored.append_as(&[&removal], Purpose::Heal).await.status, 200);
    laptop.opens(&removal);
    let numbers: Vec<u64> = laptop.feed(&restored).await.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1, 3]);
}

/// The cut of a leave is its signer's word about itself: it takes nothing from others, sent as a heal neither.
#[tokio::test]
async fn a_leave_with_a_cut_far_back_deletes_nobodys_records() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    let nothing = cut(phone.line, CutAt::Last);
    assert_eq!(phone.puts(&house, "a").await.status, 200);
    let over = laptop.writes("a", Some(b"the laptop's"), phone.line.last);
    assert_eq!(house.post("/v1/records", &put(over)).await.status, 200);
    let leave = change::leave(phone.acting(), nothing, 4).unwrap();
    assert_eq!(house.append(&leave).await.code(), "cut-behind");
    assert_eq!(house.append_as(&[&leave], Purpose::Heal).await.status, 200);
    laptop.follows(&leave);
    let numbers: Vec<u64> = laptop.feed(&house).await.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[tokio::test]
async fn a_replaced_sync_code_is_dead_for_who_asked_and_for_who_asks() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let old_code = laptop.keyring.code().clone();
    let mut screen = laptop.connects(&house, None).await;
    let phone = Joiner::new(&old_code);
    let before: protocol::wire::Standing = phone.asks(&house).await.decode();
    assert!(matches!(screen.next().await, ToDevice::Requested(_)));
    let same = laptop.rotates(CodeChange::Keep);
    assert_eq!(house.append(&same).await.status, 200);
    laptop.opens(&same);
    assert!(
        matches!(screen.next_acknowledged().await, ToDevice::Entries(_)),
        "the code goes on, and so does the request"
    );
    let rotate = laptop.rotates(CodeChange::Draw);
    assert_eq!(house.append(&rotate).await.status, 200);
    laptop.opens(&rotate);
    assert!(matches!(screen.next_acknowledged().await, ToDevice::Entries(_)));
    let ToDevice::Ended(ended) = screen.next().await else { panic!("expected the end of the request") };
    assert_eq!((ended.request, ended.ending), (phone.id(), Ending::Expired));
    let after = phone.standing(&house).await;
    assert_eq!((after.stage, after.online), (Stage::Waiting, true));
    let again: protocol::wire::Standing = phone.asks(&house).await.decode();
    assert_eq!((again.stage, before.stage), (Stage::Waiting, Stage::Waiting), "it hears nothing of it");
    assert_eq!(house.post("/v1/nonces", laptop.nonce(phone.id(), 1).bytes()).await.code(), "request-unknown");
    assert_eq!(Joiner::new(&old_code).asks(&house).await.code(), "unknown-join-key");
    assert_eq!(Joiner::new(laptop.keyring.code()).asks(&house).await.status, 202);
    assert!(matches!(screen.next().await, ToDevice::Requested(_)), "who asks with the new one is shown");
}

/// A founding with a given sync code: what a holder of an old one would try.
fn founded_with(code: &protocol::code::SyncCode) -> Verified<Entry> {
    let (founding, member) = founding(Policy::default());
    let mut form = (*founding.entry).clone();
    let protocol::entry::Body::Found(found) = &mut form.body else { panic!("a founding") };
    let key = code.join_key();
    found.join_key = JoinKey(key.public());
    Verified::sign(form, &member.keys.signing, &[&key]).unwrap()
}

#[tokio::test]
async fn a_join_key_that_was_ever_current_serves_no_other_chain() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let old_code = laptop.keyring.code().clone();
    let rotate = laptop.rotates(CodeChange::Draw);
    assert_eq!(house.append(&rotate).await.status, 200);
    laptop.opens(&rotate);
    for code in [&old_code, laptop.keyring.code()] {
        let taken = house.post("/v1/chains", founded_with(code).bytes()).await;
        assert_eq!((taken.status, taken.code().as_str()), (409, "join-key-taken"));
    }
    let other = Member::founds(&house).await;
    let rotate = other.rotates(CodeChange::Draw);
    let mut form = (*rotate).clone();
    let protocol::entry::Body::Rotate(body) = &mut form.body else { panic!("a rotation") };
    let key = laptop.keyring.code().join_key();
    body.rotation.join_key = Some(JoinKey(key.public()));
    let stolen = Verified::sign(form, &other.keys.signing, &[&key]).unwrap();
    assert_eq!(house.append(&stolen).await.code(), "join-key-taken");
    assert_eq!(house.append(&rotate).await.status, 200, "nothing of the refused one stayed");
}

#[tokio::test]
async fn a_removed_device_is_cut_off_on_every_socket_and_every_route() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut joiner = Joiner::new(laptop.keyring.code());
    assert_eq!(joiner.asks(&house).await.status, 202);
    let mut as_joiner = joiner.connects(&house).await;
    let nonce = laptop.nonce(joiner.id(), 1);
    assert_eq!(house.post("/v1/nonces", nonce.bytes()).await.status, 200);
    let answer = joiner.rounds.answer(nonce.clone(), &joiner.keys.signing).unwrap();
    assert_eq!(house.post("/v1/reveals", answer.reveal.bytes()).await.status, 200);
    let admit = laptop.admits(&joiner, &nonce, &answer.reveal, &answer.code.digits());
    assert_eq!(house.append(&admit).await.status, 200);
    laptop.follows(&admit);
    let keyring = Keyring::open(&laptop.roster, laptop.keyring.epoch_key().clone()).unwrap();
    let ask = joiner.ask_bytes();
    let id = joiner.id();
    let mut phone = Member { keys: joiner.keys, roster: laptop.roster.clone(), keyring, line: Line::default() };
    let mut reads = phone.connects(&house, None).await;
    let mut full = phone.connects(&house, None).await;
    let big = vec![7; 70_000];
    for number in 0..5 {
        let record = laptop.writes(&format!("note {number}"), Some(&big), None);
        assert_eq!(house.post("/v1/records", &put(record)).await.status, 200);
        assert!(matches!(reads.next_acknowledged().await, ToDevice::Records(_)));
    }
    for _ in 0..4 {
        assert!(matches!(full.next().await, ToDevice::Records(_)), "and acknowledges none");
    }
    let removal = laptop.removes(&[(&phone, CutAt::Last)]);
    assert_eq!(house.append(&removal).await.status, 200);
    for socket in [&mut reads, &mut full, &mut as_joiner] {
        assert_eq!(socket.closed().await.0, close::NOT_A_MEMBER);
    }
    laptop.opens(&removal);
    let chain = phone.chain();
    for path in [
        format!("/v1/chains/{chain}/log"),
        format!("/v1/chains/{chain}/records"),
        format!("/v1/chains/{chain}/requests"),
        format!("/v1/requests/{id}"),
    ] {
        let refused = house.read(&phone.keys, &path).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "not-a-member"), "{path}");
    }
    let other = Joiner::new(laptop.keyring.code());
    assert_eq!(other.asks(&house).await.status, 202);
    let posts = [
        ("/v1/requests", ask),
        ("/v1/nonces", phone.nonce(other.id(), 1).bytes().to_vec()),
        ("/v1/records", put(phone.writes("z", Some(b"1"), None))),
    ];
    for (path, body) in posts {
        let refused = house.post(path, &body).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "not-a-member"), "{path}");
    }
    assert_eq!(house.append(&phone.denies(&other, 0)).await.code(), "not-a-member");
    assert!(laptop.connects(&house, None).await.next().await.is_data(), "the others go on");
}

trait IsData {
    fn is_data(&self) -> bool;
}

impl IsData for ToDevice {
    fn is_data(&self) -> bool {
        matches!(self, ToDevice::Entries(_) | ToDevice::Records(_) | ToDevice::Requested(_))
    }
}

/// Three devices write as fast as they are answered, each on a connection that it keeps open, while they are removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_a_removed_device_hammers_in_is_taken_once_its_removal_is_acknowledged() {
    const WRITES_AFTER: usize = 25;
    let house = Arc::new(House::start().await);
    let mut laptop = Member::founds(&house).await;
    let mut phones = Vec::new();
    for _ in 0..4 {
        phones.push(phone_of(&house, &mut laptop).await);
    }
    for phone in &mut phones {
        phone.roster = laptop.roster.clone();
    }
    let mut stays = phones.pop().unwrap();
    let gone: Vec<(&Member, CutAt)> = phones.iter().map(|phone| (phone, CutAt::Earlier)).collect();
    let removal = laptop.removes(&gone);
    let acknowledged = Arc::new(AtomicBool::new(false));
    let mut hammers = Vec::new();
    for mut phone in phones {
        let (house, acknowledged) = (Arc::clone(&house), Arc::clone(&acknowledged));
        hammers.push(tokio::spawn(async move {
            let mut connection = house.connection().await;
            let (mut taken, mut refused) = (0, 0);
            while refused < WRITES_AFTER {
                let was_removed = acknowledged.load(Ordering::SeqCst);
                let before = phone.line;
                let record = phone.writes(&format!("{:?} {taken}", phone.keys.id()), Some(b"1"), None);
                let answer = connection.post("/v1/records", &put(record)).await;
                if answer.status == 200 {
                    assert!(!was_removed, "taken after the removal was acknowledged");
                    taken += 1;
                } else {
                    assert_eq!((answer.status, answer.code().as_str()), (403, "not-a-member"));
                    phone.line = before;
                    refused += 1;
                }
            }
            (phone.keys.id(), taken)
        }));
    }
    let (entry, others) = (removal.clone(), Arc::clone(&house));
    let goes_on = tokio::spawn(async move {
        let mut connection = others.connection().await;
        let mut number = 0;
        while stays.roster.epoch() == 1 || number < 50 {
            let before = stays.line;
            let record = stays.writes(&format!("stays {number}"), Some(b"1"), None);
            let answer = connection.post("/v1/records", &put(record)).await;
            if answer.status == 200 {
                number += 1;
            } else {
                assert_eq!(answer.code(), "stale-epoch", "all that it is asked is to seal it anew");
                stays.line = before;
                stays.opens(&entry);
            }
        }
        (stays.keys.id(), number)
    });
    while laptop.feed(&house).await.len() < 60 {}
    assert_eq!(house.append(&removal).await.status, 200);
    acknowledged.store(true, Ordering::SeqCst);
    let then = laptop.feed(&house).await;
    let mut counts = vec![goes_on.await.unwrap()];
    for hammer in hammers {
        counts.push(hammer.await.unwrap());
    }
    let feed = laptop.feed(&house).await;
    for (index, (device, taken)) in counts.into_iter().enumerate() {
        let of_it = |row: &&protocol::wire::RecordRow| {
            Verified::<protocol::record::Record>::from_bytes(&row.sealed.record).unwrap().signer() == device
        };
        assert_eq!(feed.iter().filter(of_it).count(), taken, "what was acknowledged is there, and nothing else");
        let behind = feed.iter().skip(then.len()).filter(of_it).count();
        assert!(index == 0 || behind == 0, "a record behind the removal");
    }
}
