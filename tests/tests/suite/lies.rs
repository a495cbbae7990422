//! A relay that lies, one test each: no lie gets a device in, keeps one out unnoticed, or changes what a device believes.
//!
//! The lying relay has everything that a relay and a thief of the sync code can have together; what it lacks is a member's key.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use countersign_tests::actor::{self, Joiner, Member, Reach};
use countersign_tests::home::{Home, failure_of};
use countersign_tests::http::Answer;
use countersign_tests::liar::{Honest, Liar, Lie, Passed, answered, conflict};
use http::{Method, StatusCode};
use protocol::cbor::{self, Blob};
use protocol::code::SyncCode;
use protocol::entry::{Body, Entry};
use protocol::id::Random;
use protocol::keys::DeviceKeys;
use protocol::policy::Role;
use protocol::round::Nonce;
use protocol::wire::{Append, Appended, LogPage, OpenRequests, Purpose, Stage, Standing, ToDevice};
use protocol::{Hash, VERSION, Verified};

/// Changes bodies of answers and pushes by what they are.
type Change<T> = dyn Fn(&mut T) + Send + Sync;

/// A lie about one kind of message each, told only once it is switched on.
#[derive(Default)]
struct Changes {
    on: Arc<AtomicBool>,
    log: Option<Box<Change<LogPage>>>,
    standing: Option<Box<Change<Standing>>>,
    requests: Option<Box<Change<OpenRequests>>>,
    ready: Option<Box<Change<protocol::wire::Ready>>>,
}

impl Changes {
    fn changed<T>(&self, change: Option<&Change<T>>, mut value: T) -> T {
        if let Some(change) = change.filter(|_| self.on.load(Ordering::SeqCst)) {
            change(&mut value);
        }
        value
    }

    fn body<T>(&self, change: Option<&Change<T>>, answer: Answer) -> Answer
    where
        T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        match minicbor::decode::<T>(&answer.body) {
            Ok(value) if change.is_some() => {
                Answer { body: cbor::encode(&self.changed(change, value)).into(), ..answer }
            }
            _ => answer,
        }
    }
}

impl Lie for Changes {
    fn answer(&self, path: &str, answer: Answer) -> Answer {
        let path = path.split('?').next().unwrap_or_default();
        if path.starts_with("/v1/requests") {
            self.body(self.standing.as_deref(), answer)
        } else if path.ends_with("/requests") {
            self.body(self.requests.as_deref(), answer)
        } else if path.ends_with("/log") {
            self.body(self.log.as_deref(), answer)
        } else {
            answer
        }
    }

    fn push(&self, message: ToDevice) -> Vec<ToDevice> {
        vec![match message {
            ToDevice::Standing(standing) => ToDevice::Standing(self.changed(self.standing.as_deref(), standing)),
            ToDevice::Entries(page) => ToDevice::Entries(self.changed(self.log.as_deref(), page)),
            ToDevice::Ready(ready) => ToDevice::Ready(self.changed(self.ready.as_deref(), ready)),
            ToDevice::Requested(open) => {
                let mut all = self.changed(self.requests.as_deref(), OpenRequests { requests: vec![open] });
                ToDevice::Requested(all.requests.remove(0))
            }
            other => other,
        }]
    }
}

/// A lying relay, and a laptop that founded a chain there while it was still honest.
struct Scene {
    liar: Liar,
    laptop: Home,
    on: Arc<AtomicBool>,
}

impl Scene {
    fn lies(&self) {
        self.on.store(true, Ordering::SeqCst);
    }

    fn code(&self) -> SyncCode {
        SyncCode::from_words(&self.laptop.words()).unwrap()
    }

    fn reach(&self) -> Reach {
        Reach::to(&self.liar.relay)
    }
}

fn scene(changes: Changes) -> Scene {
    let on = Arc::clone(&changes.on);
    let liar = Liar::start(changes);
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    Scene { liar, laptop, on }
}

/// A nonce as anybody can sign it, for any request.
fn nonce_by(keys: &DeviceKeys, chain: protocol::ChainId, request: protocol::RequestId, round: u8) -> Verified<Nonce> {
    let form = Nonce {
        version: VERSION,
        chain,
        request,
        round,
        head: Hash(chain.0),
        epoch: 1,
        nonce: Random::draw(&mut actor::rng()),
    };
    Verified::sign(form, &keys.signing, &[]).unwrap()
}

fn blob<T: protocol::Form>(form: &Verified<T>) -> Blob {
    Blob(form.bytes().to_vec())
}

#[test]
fn an_honest_relay_behind_the_same_proxy_is_believed() {
    let liar = Liar::start(Honest);
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    let daemon = laptop.runs();
    let phone = Home::new("phone");
    phone.joins(&liar.origin(), &laptop);
    assert!(daemon.says("ADDED").contains("phone"));
    assert_eq!(phone.puts("first", "hello").code(), 0);
    assert_eq!(laptop.gets("first"), "hello");
}

/// The relay founds a chain of its own with another sync code and admits the phone there.
#[derive(Default)]
struct OtherChain {
    asked: Mutex<Option<Verified<protocol::request::JoinRequest>>>,
    nonce: Mutex<Option<Blob>>,
    log: Mutex<Option<LogPage>>,
}

impl OtherChain {
    fn standing(&self, mut standing: Standing) -> Standing {
        if let Some(nonce) = self.nonce.lock().unwrap().clone() {
            standing.nonces = vec![nonce];
            standing.stage = if self.log.lock().unwrap().is_some() { Stage::Admitted } else { Stage::Code };
        }
        standing
    }
}

impl Lie for OtherChain {
    fn request(&self, _: &Method, path: &str, body: Vec<u8>) -> Passed {
        if path == "/v1/requests" {
            let ask: protocol::wire::Ask = minicbor::decode(&body).unwrap();
            *self.asked.lock().unwrap() = Some(Verified::from_bytes(&ask.request).unwrap());
        }
        if path == "/v1/reveals" && self.nonce.lock().unwrap().is_some() {
            return Passed::Swallowed(answered(StatusCode::OK, Vec::new()));
        }
        match self.log.lock().unwrap().clone() {
            Some(page) if path.contains("/log") => Passed::Swallowed(answered(StatusCode::OK, cbor::encode(&page))),
            _ => Passed::On(body),
        }
    }

    fn answer(&self, path: &str, answer: Answer) -> Answer {
        match minicbor::decode::<Standing>(&answer.body) {
            Ok(standing) if path == "/v1/requests" => {
                Answer { body: cbor::encode(&self.standing(standing)).into(), ..answer }
            }
            _ => answer,
        }
    }

    fn push(&self, message: ToDevice) -> Vec<ToDevice> {
        match message {
            ToDevice::Standing(standing) => vec![ToDevice::Standing(self.standing(standing))],
            other => vec![other],
        }
    }
}

#[test]
fn a_log_with_another_join_key_admits_nobody() {
    let lie = Arc::new(OtherChain::default());
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    let elsewhere = countersign_tests::relay::Relay::start();
    let evil = Member::found(Reach::to(&elsewhere), "evil");
    let phone = Home::new("phone");
    let mut joining = phone.asks(&liar.origin(), &laptop.words());
    let _ = joining.waits();
    let asked = lie.asked.lock().unwrap().clone().unwrap();
    *lie.nonce.lock().unwrap() = Some(blob(&nonce_by(&evil.keys, evil.roster.chain(), asked.id(), 1)));
    joining.process().kill();
    let mut joining = phone.asks_on();
    let _ = joining.code(1);
    joining.process().kill();
    let admit = protocol::entry::Admit {
        request: blob(&asked),
        role: Role::Approver,
        epoch: 1,
        how: protocol::policy::How::Typed,
        description: Blob(vec![2; 60]),
        welcome: Blob(vec![1; 81]),
        approvals: Vec::new(),
        ticket: None,
        totp_step: None,
    };
    let body = Body::Admit(Box::new(admit));
    let chain = evil.roster.chain();
    let entry = Entry { version: VERSION, chain: Some(chain), seq: 1, prev: Some(evil.roster.head()), at: 0, body };
    let entry = evil.sign(entry);
    let entries = vec![blob(&evil.log[0]), blob(&entry)];
    *lie.log.lock().unwrap() = Some(LogPage { entries, head: entry.hash(), seq: 1 });
    let ended = phone.asks_on().end();
    assert_eq!(ended.code(), 8, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(phone.fails(&["status"]).0, 6);
}

/// What members are shown is another request than the phone made: with another key of the phone's, the signature breaks.
fn a_request_with_changed_bytes(change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) {
    let scene = scene(Changes {
        requests: Some(Box::new(move |open| open.requests.iter_mut().for_each(|open| change(&mut open.request.0)))),
        ..Changes::default()
    });
    scene.lies();
    let joining = Home::new("phone").asks(&scene.liar.origin(), &scene.laptop.words());
    let id = joining.waits();
    assert!(scene.laptop.requests().is_empty(), "what does not verify is not shown");
    assert_eq!(scene.laptop.fails(&["requests", "show", &id]).0, 5);
    assert!(!joining.has_shown_a_code());
    assert_eq!(joining.interrupted().code(), 4);
}

#[test]
fn a_swapped_sealing_key_is_not_shown() {
    // The sealing key is the last 32 bytes before the description's hash: key 1 of the map at key 2.
    a_request_with_changed_bytes(|bytes| {
        let at = bytes.windows(4).position(|window| window == [0x01, 0x58, 0x20, 0xff]).map_or(135, |at| at + 3);
        bytes[at] ^= 1;
    });
}

#[test]
fn a_swapped_signing_key_is_not_shown() {
    a_request_with_changed_bytes(|bytes| bytes[20] ^= 1);
}

/// The thief's own request, well made with the sync code, in the place of the phone's: the phone shows no code for it.
#[test]
fn a_request_of_the_thief_in_the_place_of_the_phones_gets_no_code_from_the_phone() {
    let thief: Arc<Mutex<Option<Joiner>>> = Arc::default();
    let in_place = Arc::clone(&thief);
    let scene = scene(Changes {
        requests: Some(Box::new(move |open| {
            let thief = in_place.lock().unwrap();
            let Some(thief) = thief.as_ref() else { return };
            open.requests.retain(|open| *open.request == **thief.request.bytes());
        })),
        ..Changes::default()
    });
    let joining = Home::new("phone").asks(&scene.liar.origin(), &scene.laptop.words());
    let phones = joining.waits();
    let mut mallory = Joiner::ask(scene.reach(), &scene.code(), "phone");
    *thief.lock().unwrap() = Some(mallory.clone());
    scene.lies();
    assert_eq!(scene.laptop.requests(), [mallory.request.id().to_string()], "the person sees one phone");
    let opening = scene.laptop.starts(&["requests", "show", &mallory.request.id().to_string(), "--json"]);
    let mut screen = countersign_tests::socket::Socket::of_joiner(&mallory);
    screen.until("the nonce", |message| match message {
        ToDevice::Standing(standing) if !standing.nonces.is_empty() => Some(()),
        _ => None,
    });
    let thiefs_code = mallory.answers().remove(0).code.digits();
    assert_eq!(opening.end().code(), 0);
    assert!(!joining.has_shown_a_code(), "the person looks at the phone, and there is none to type");
    let guess = if thiefs_code.replace(' ', "") == "000000" { "111111" } else { "000000" };
    let wrong = scene.laptop.approves(&mallory.request.id().to_string(), guess);
    assert_eq!(failure_of(&wrong), "wrong-code");
    assert_ne!(phones, mallory.request.id().to_string());
}

/// A joiner whose standing is changed once a code is there; the join must end with exit 8, and show no second code.
fn a_join_ends_at(change: impl Fn(&mut Standing, &DeviceKeys) + Send + Sync + 'static) {
    let stranger = DeviceKeys::draw(&mut actor::rng());
    let scene =
        scene(Changes { standing: Some(Box::new(move |standing| change(standing, &stranger))), ..Changes::default() });
    let phone = Home::new("phone");
    let mut joining = phone.asks(&scene.liar.origin(), &scene.laptop.words());
    let id = joining.waits();
    let _ = scene.laptop.opens(&id);
    let code = joining.code(1);
    joining.process().kill();
    scene.lies();
    // Coming back it asks again, and is told the lie; the true code may show once more, no other.
    let ended = phone.asks_on().end();
    assert_eq!(ended.code(), 8, "{}{}", ended.stdout, ended.stderr);
    let others = ended.stdout.lines().filter(|line| line.contains("\"state\":\"code\"") && !line.contains(&code));
    assert_eq!(others.count(), 0, "{}", ended.stdout);
    // It is over: the next join draws new keys.
    let joining = phone.asks(&scene.liar.origin(), &scene.laptop.words());
    assert_ne!(joining.waits(), id);
}

fn first_nonce(standing: &Standing) -> Option<Verified<Nonce>> {
    standing.nonces.first().map(|nonce| Verified::from_bytes(nonce).unwrap())
}

/// The relay knows the phone's value now, and searches for a nonce with the code it wants.
#[test]
fn a_nonce_after_the_reveal_ends_the_join() {
    a_join_ends_at(|standing, stranger| {
        if let Some(first) = first_nonce(standing) {
            standing.nonces = vec![blob(&nonce_by(stranger, first.chain, standing.request, 1))];
        }
    });
}

#[test]
fn a_second_nonce_in_a_round_ends_the_join() {
    a_join_ends_at(|standing, stranger| {
        if let Some(first) = first_nonce(standing) {
            standing.nonces.push(blob(&nonce_by(stranger, first.chain, standing.request, 1)));
        }
    });
}

#[test]
fn a_nonce_from_a_second_chain_ends_the_join() {
    a_join_ends_at(|standing, stranger| {
        if !standing.nonces.is_empty() {
            standing.nonces.push(blob(&nonce_by(stranger, protocol::ChainId([9; 32]), standing.request, 2)));
        }
    });
}

#[test]
fn a_code_for_another_request_is_not_shown() {
    a_join_ends_at(|standing, stranger| {
        if let Some(first) = first_nonce(standing) {
            standing.nonces.push(blob(&nonce_by(stranger, first.chain, protocol::RequestId([9; 32]), 2)));
        }
    });
}

/// The phone was shown a code; the relay admits it by an entry that a stranger signed.
#[test]
fn a_forged_admit_is_no_admission_for_the_joiner() {
    let stranger = DeviceKeys::draw(&mut actor::rng());
    let scene = scene(Changes {
        standing: Some(Box::new(|standing| standing.stage = Stage::Admitted)),
        log: Some(Box::new(move |page| {
            let found = Verified::<Entry>::from_bytes(&page.entries[0]).unwrap();
            let deny = protocol::entry::Deny {
                request: protocol::RequestId([1; 32]),
                device: protocol::DeviceId([2; 32]),
                reason: protocol::entry::DenyReason::Denied,
                block: 0,
            };
            let next = Entry {
                version: VERSION,
                chain: Some(found.hash().into()),
                seq: 1,
                prev: Some(found.hash()),
                at: 0,
                body: Body::Deny(deny),
            };
            let forged = Verified::sign(next, &stranger.signing, &[]).unwrap();
            page.entries.truncate(1);
            page.entries.push(blob(&forged));
            page.seq = 1;
            page.head = forged.hash();
        })),
        ..Changes::default()
    });
    let phone = Home::new("phone");
    let mut joining = phone.asks(&scene.liar.origin(), &scene.laptop.words());
    let id = joining.waits();
    let _ = scene.laptop.opens(&id);
    let code = joining.code(1);
    joining.process().kill();
    // The log is really readable for it only once it is admitted; the lie is what it is then shown.
    assert_eq!(scene.laptop.approves(&id, &code).code(), 0);
    scene.lies();
    let ended = phone.asks_on().end();
    assert_eq!(ended.code(), 8, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(phone.fails(&["status"]).0, 6);
}

/// What each member is pushed behind the head is signed by a stranger: it stops, says so, and keeps its own log.
#[test]
fn a_forged_entry_stops_a_member_with_exit_8_and_changes_nothing() {
    let stranger = DeviceKeys::draw(&mut actor::rng());
    let scene = scene(Changes {
        log: Some(Box::new(move |page| {
            let next = Entry {
                version: VERSION,
                chain: Some(page.head.into()),
                seq: 1,
                prev: Some(page.head),
                at: 0,
                body: Body::Deny(protocol::entry::Deny {
                    request: protocol::RequestId([1; 32]),
                    device: protocol::DeviceId([2; 32]),
                    reason: protocol::entry::DenyReason::Denied,
                    block: 0,
                }),
            };
            let forged = Verified::sign(next, &stranger.signing, &[]).unwrap();
            (page.entries, page.head, page.seq) = (vec![blob(&forged)], forged.hash(), 1);
        })),
        ..Changes::default()
    });
    let before = scene.laptop.head();
    scene.lies();
    assert_eq!(scene.laptop.fails(&["requests", "list"]).0, 8);
    let ended = scene.laptop.starts(&["run"]).end();
    assert_eq!(ended.code(), 8, "{}", ended.stderr);
    scene.on.store(false, Ordering::SeqCst);
    assert_eq!(scene.laptop.head(), before);
}

#[test]
fn a_changed_welcome_is_no_admission() {
    let scene = scene(Changes {
        log: Some(Box::new(|page| {
            for entry in &mut page.entries {
                let form = Verified::<Entry>::from_bytes(entry).unwrap();
                if let Body::Admit(admit) = &form.body {
                    let at = entry.windows(admit.welcome.len()).position(|window| *window == *admit.welcome).unwrap();
                    entry.0[at + 40] ^= 1;
                }
            }
        })),
        ..Changes::default()
    });
    let phone = Home::new("phone");
    let joining = phone.asks(&scene.liar.origin(), &scene.laptop.words());
    let id = joining.waits();
    let _ = scene.laptop.opens(&id);
    let code = joining.code(1);
    scene.lies();
    assert_eq!(scene.laptop.types(&["approve", &id, "--check-code", &code]).code(), 0);
    let ended = joining.end();
    assert_eq!(ended.code(), 8, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(phone.fails(&["status"]).0, 6);
}

/// Every page ends at the founding entry, as if nothing had happened since: nobody forgets what it pinned, and the tail comes back.
#[test]
fn a_head_that_is_rolled_back_is_not_followed() {
    let scene = scene(Changes {
        log: Some(Box::new(|page| {
            page.entries.retain(|entry| matches!(Verified::<Entry>::from_bytes(entry).unwrap().body, Body::Found(_)));
            page.seq = 0;
        })),
        ..Changes::default()
    });
    let phone = Home::new("phone");
    phone.joins(&scene.liar.origin(), &scene.laptop);
    let before = scene.laptop.head();
    scene.lies();
    let _ = scene.laptop.types(&["requests", "list"]);
    let _ = phone.types(&["requests", "list"]);
    scene.on.store(false, Ordering::SeqCst);
    assert_eq!(scene.laptop.head(), before);
    assert_eq!(phone.head(), before);
    assert_eq!(phone.puts("after", "all").code(), 0);
    assert_eq!(scene.laptop.gets("after"), "all");
}

/// A head that the relay made up: not a fork, and nobody follows it.
#[test]
fn an_invented_head_is_neither_followed_nor_a_fork() {
    let scene = scene(Changes {
        log: Some(Box::new(|page| {
            page.head = Hash([9; 32]);
            page.seq += 1;
        })),
        ready: Some(Box::new(|ready| {
            ready.head = Hash([9; 32]);
            ready.seq += 1;
            ready.knows_your_head = false;
        })),
        ..Changes::default()
    });
    let before = scene.laptop.head();
    scene.lies();
    let (exit, _) = scene.laptop.fails(&["requests", "list"]);
    assert!([3, 8].contains(&exit), "{exit}");
    scene.on.store(false, Ordering::SeqCst);
    assert_eq!(scene.laptop.head(), before);
    let status = scene.laptop.reads(&["status"]);
    assert!(status["fork_at"].is_null(), "{status}");
    assert!(scene.laptop.requests().is_empty(), "and it works on");
}

/// Two approvers signed different entries at one position, and the relay shows each its own: exit 8 once they meet.
#[test]
fn a_fork_is_an_alarm_as_soon_as_the_branches_meet() {
    let scene = scene(Changes::default());
    let laptop = &scene.laptop;
    let reach = scene.reach();
    // A second approver that signs for the other branch.
    let mut tablet = Joiner::ask(reach.clone(), &scene.code(), "tablet");
    let opening = laptop.starts(&["requests", "show", &tablet.request.id().to_string()]);
    let mut screen = countersign_tests::socket::Socket::of_joiner(&tablet);
    screen.until("the nonce", |message| match message {
        ToDevice::Standing(standing) if !standing.nonces.is_empty() => Some(()),
        _ => None,
    });
    let code = tablet.answers().remove(0).code.digits().to_string();
    assert_eq!(opening.end().code(), 0);
    let approved = laptop.approves(&tablet.request.id().to_string(), &code);
    assert_eq!(approved.code(), 0, "{}", approved.stdout);
    let tablet = tablet.accepts();
    let first = Joiner::ask(reach.clone(), &scene.code(), "first");
    let second = Joiner::ask(reach, &scene.code(), "second");
    let other_branch = tablet.denial(&second, 0);
    assert_eq!(laptop.types(&["deny", &first.request.id().to_string()]).code(), 0);
    let before = laptop.head();
    // A relay that lost the laptop's entry, or hid it, takes the tablet's: here its store is made to forget.
    let database = std::fs::read_dir(scene.liar.relay.data()).unwrap();
    let database = database
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "db" || e == "sqlite"));
    let sql = rusqlite::Connection::open(database.expect("the relay's store")).unwrap();
    let Scene { mut liar, laptop, .. } = scene;
    liar.relay.kill();
    sql.execute("DELETE FROM entries WHERE seq = 2", []).unwrap();
    sql.execute("UPDATE chains SET head = ?1, seq = 1", [tablet.roster.head().as_bytes().to_vec()]).unwrap();
    drop(sql);
    liar.relay.start_again();
    assert_eq!(tablet.append(&[other_branch.bytes()], Purpose::New).told(), "200");
    assert_eq!(laptop.fails(&["requests", "list"]), (8, "fork".to_owned()));
    let status = laptop.types(&["status", "--json"]);
    assert_eq!(status.code(), 8);
    let status: serde_json::Value = serde_json::from_str(status.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((status["head"].as_str(), status["fork_at"].as_u64()), (Some(before.0.as_str()), Some(2)));
    assert_eq!(laptop.fails(&["deny", &second.request.id().to_string()]).0, 8, "membership changes stop");
}

/// The relay says 200 to a deny and keeps it to itself; then it says that nothing was decided.
struct Swallow {
    on: AtomicBool,
    swallowed: AtomicUsize,
}

impl Lie for Swallow {
    fn request(&self, method: &Method, path: &str, body: Vec<u8>) -> Passed {
        if *method == Method::POST && path == "/v1/log" && self.on.load(Ordering::SeqCst) {
            self.swallowed.fetch_add(1, Ordering::SeqCst);
            let append: Append = minicbor::decode(&body).unwrap();
            let last = Verified::<Entry>::from_bytes(append.entries.last().unwrap()).unwrap();
            let answer = Appended { head: last.hash(), seq: last.seq };
            return Passed::Swallowed(answered(StatusCode::OK, cbor::encode(&answer)));
        }
        Passed::On(body)
    }
}

#[test]
fn a_swallowed_deny_is_said_again_until_it_is_in_the_log_and_the_request_stays_denied_here() {
    let lie = Arc::new(Swallow { on: AtomicBool::new(false), swallowed: AtomicUsize::new(0) });
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    let joining = Home::new("phone").asks(&liar.origin(), &laptop.words());
    let id = joining.waits();
    let _ = laptop.opens(&id);
    let code = joining.code(1);
    lie.on.store(true, Ordering::SeqCst);
    let denied = laptop.types(&["deny", &id]);
    assert_eq!(denied.code(), 0, "{}", denied.stderr);
    assert!(lie.swallowed.load(Ordering::SeqCst) > 0);
    assert_eq!(failure_of(&laptop.approves(&id, &code)), "already-decided", "its own word counts here");
    lie.on.store(false, Ordering::SeqCst);
    let _ = laptop.types(&["requests", "list"]);
    // A fresh look by another program: the entry is at the real relay now.
    let log = laptop.kinds();
    assert_eq!(log, ["found", "deny"]);
    let again = laptop.types(&["requests", "list", "--json"]);
    assert_eq!(again.code(), 0);
    assert!(!again.stdout.contains(&id));
    assert_eq!(joining.interrupted().code(), 4);
}

/// The relay has the sync code, founds a chain with it elsewhere, and admits the phone there: a false chain, well made in all.
/// The phone cannot know; but it shows the chain's fingerprint, and the laptop never says ADDED.
#[test]
fn a_false_chain_with_the_same_sync_code_is_shown_by_its_fingerprint_and_the_owners_device_says_nothing() {
    let scene = scene(Changes::default());
    let own = scene.laptop.reads(&["status"])["fingerprint"].as_str().unwrap().to_owned();
    let elsewhere = countersign_tests::relay::Relay::start();
    let mut evil = false_chain(&elsewhere, &scene.code());
    let phone = Home::new("phone");
    let joining = phone.asks(&elsewhere.origin(), &scene.laptop.words());
    let id: protocol::RequestId = joining.waits().parse().unwrap();
    let open = evil
        .requests()
        .into_iter()
        .find(|open| Verified::<protocol::request::JoinRequest>::from_bytes(&open.request).unwrap().id() == id)
        .unwrap();
    let nonce = evil.nonce(id, 1);
    assert_eq!(elsewhere.post("/v1/nonces", nonce.bytes()).told(), "200");
    let code = joining.code(1);
    let rounds = evil.requests().remove(0).rounds;
    let reveal = Verified::from_bytes(rounds[0].reveal.as_ref().unwrap()).unwrap();
    let request = Verified::from_bytes(&open.request).unwrap();
    let prompt = protocol::round::Prompt::new(request, nonce, &reveal).unwrap();
    let protocol::round::Attempt::Right(confirmed) = prompt.type_code(&code) else { panic!("the right code") };
    let admit = evil.admission(&confirmed, Role::Writer);
    evil.appends(&admit);
    let ended = joining.end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("your other device says ADDED") || ended.stdout.contains("fingerprint"));
    let last: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_ne!(last["fingerprint"].as_str(), Some(own.as_str()));
    assert_eq!(scene.laptop.kinds(), ["found"]);
    // And what it writes there, the owner's chain never takes.
    assert_ne!(phone.reads(&["status"])["chain"], scene.laptop.reads(&["status"])["chain"]);
}

/// A chain founded with somebody else's sync code.
fn false_chain(relay: &countersign_tests::relay::Relay, code: &SyncCode) -> Member {
    use protocol::keyring::Keyring;
    use protocol::seal::Wrapped;
    let evil = Member::found(Reach::to(&countersign_tests::relay::Relay::start()), "laptop");
    let mut form = (*evil.log[0]).clone();
    let Body::Found(found) = &mut form.body else { panic!("found is found") };
    let join = code.join_key();
    let key = evil.keyring.epoch_key();
    let anchor = join.public();
    let device = evil.keys.id();
    let wrap = |what, anchor: &[&[u8]], value: &[u8]| key.wrap(1, what, anchor, value, &mut actor::rng()).unwrap();
    found.join_key = join.join_key();
    found.sync_code = wrap(Wrapped::SyncCode, &[&anchor], code.expose());
    found.name_key = wrap(Wrapped::NameKey, &[&anchor], evil.keyring.name_key().expose());
    let described = protocol::request::Description {
        name: "laptop".to_owned(),
        platform: "test".to_owned(),
        version: "0".to_owned(),
        totp: None,
    };
    found.description = wrap(Wrapped::Description, &[&anchor, device.as_bytes()], &described.to_bytes());
    let entry = Verified::sign(form, &evil.keys.signing, &[&join]).unwrap();
    assert_eq!(relay.post("/v1/chains", entry.bytes()).status, StatusCode::CREATED);
    let roster = protocol::roster::Roster::found(&entry).unwrap();
    let keyring = Keyring::open(&roster, evil.keyring.epoch_key().clone()).unwrap();
    Member { line: Reach::to(relay), log: vec![entry], roster, keyring, ..evil }
}

/// The relay takes the laptop's nonce and says that the round was taken, showing the laptop's own nonce as the taker: each
/// nonce more is a code more to search among.
struct Taken {
    nonces: AtomicUsize,
}

impl Lie for Taken {
    fn answer(&self, path: &str, answer: Answer) -> Answer {
        if path != "/v1/nonces" || !answer.status.is_success() {
            return answer;
        }
        self.nonces.fetch_add(1, Ordering::SeqCst);
        let problem = serde_json::json!({
            "type": "urn:countersign:problem:round-taken", "title": "Conflict", "status": 409, "code": "round-taken",
            "detail": "round 1 is not free", "next": 2,
        });
        let mut refused = answered(StatusCode::CONFLICT, problem.to_string().into_bytes());
        refused.headers.insert("content-type", "application/problem+json".parse().unwrap());
        refused
    }
}

#[test]
fn a_device_signs_one_nonce_for_one_prompt_when_the_relay_shows_its_own_as_the_takers() {
    let lie = Arc::new(Taken { nonces: AtomicUsize::new(0) });
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    let joining = Home::new("phone").asks(&liar.origin(), &laptop.words());
    let id = joining.waits();
    let _ = laptop.types(&["requests", "show", &id]);
    assert_eq!(lie.nonces.load(Ordering::SeqCst), 1, "nonces for one opened prompt");
    drop(joining);
}

/// The relay stores a record and says that it refused it. The writer finds it in the feed, and its line has neither gap nor fork.
struct Denies {
    puts: Mutex<Vec<Verified<protocol::record::Record>>>,
}

impl Lie for Denies {
    fn request(&self, _: &Method, path: &str, body: Vec<u8>) -> Passed {
        if path == "/v1/records" {
            let put: protocol::wire::Put = minicbor::decode(&body).unwrap();
            let records = put.records.iter().map(|record| Verified::from_bytes(&record.record).unwrap());
            self.puts.lock().unwrap().extend(records);
        }
        Passed::On(body)
    }

    fn answer(&self, path: &str, answer: Answer) -> Answer {
        if path != "/v1/records" || self.puts.lock().unwrap().len() != 1 {
            return answer;
        }
        conflict("conflict")
    }
}

#[test]
fn a_record_that_the_relay_denies_having_taken_is_found_again_and_no_counter_is_signed_twice() {
    let lie = Arc::new(Denies { puts: Mutex::default() });
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    assert_eq!(laptop.puts("first", "one").code(), 0, "it is in the feed, whatever the relay says");
    assert_eq!(laptop.puts("second", "two").code(), 0);
    assert_eq!((laptop.gets("first"), laptop.gets("second")), ("one".to_owned(), "two".to_owned()));
    let puts = lie.puts.lock().unwrap();
    let counters: Vec<u64> = puts.iter().map(|record| record.counter).collect();
    assert_eq!(counters, [1, 2]);
}

/// The relay takes nothing, and says that it is the relay's own fault: it may have stored what it was sent.
struct Failing {
    on: AtomicBool,
    posts: Mutex<Vec<Vec<u8>>>,
}

impl Lie for Failing {
    fn request(&self, method: &Method, path: &str, body: Vec<u8>) -> Passed {
        if *method != Method::POST || !matches!(path, "/v1/log" | "/v1/records") {
            return Passed::On(body);
        }
        self.posts.lock().unwrap().push(body.clone());
        if !self.on.load(Ordering::SeqCst) {
            return Passed::On(body);
        }
        let problem = serde_json::json!({
            "type": "urn:countersign:problem:storage", "title": "Storage", "status": 503, "code": "storage", "detail": "full",
        });
        Passed::Swallowed(answered(StatusCode::SERVICE_UNAVAILABLE, problem.to_string().into_bytes()))
    }
}

#[test]
fn what_a_failing_relay_did_not_take_is_sent_again_with_the_same_bytes() {
    let lie = Arc::new(Failing { on: AtomicBool::new(false), posts: Mutex::default() });
    let liar = Liar::start(Arc::clone(&lie));
    let laptop = Home::new("laptop");
    laptop.founds(&liar.origin());
    let joining = Home::new("phone").asks(&liar.origin(), &laptop.words());
    let id = joining.waits();
    lie.on.store(true, Ordering::SeqCst);
    assert_ne!(laptop.types(&["deny", &id]).code(), 0);
    lie.on.store(false, Ordering::SeqCst);
    assert_eq!(laptop.puts("zeroth", "zero").code(), 0);
    assert_eq!(laptop.kinds(), ["found", "deny"]);
    lie.on.store(true, Ordering::SeqCst);
    assert_ne!(laptop.puts("first", "one").code(), 0);
    lie.on.store(false, Ordering::SeqCst);
    assert_eq!(laptop.puts("second", "two").code(), 0);
    assert_eq!((laptop.gets("first"), laptop.gets("second")), ("one".to_owned(), "two".to_owned()));
    let posts = lie.posts.lock().unwrap();
    assert!(posts[0] == posts[1] && posts[3] == posts[4], "nothing else is signed for the same place");
    drop(joining);
}
