//! Forms that an honest device never sends, over raw HTTP: each is refused by its own problem, and changes nothing.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::http::Caller;
use countersign_tests::relay::Relay;
use http::Method;
use protocol::cbor::{self, Blob};
use protocol::policy::Role;
use protocol::wire::{Append, Ask, Purpose, Put};
use protocol::{Verified, limits};

/// One action of a device: its route, a valid body, and a valid form of another kind in its place.
struct Action {
    route: &'static str,
    body: Vec<u8>,
    /// The form itself within the body.
    form: Vec<u8>,
    /// The body with other bytes in the form's place.
    around: fn(&[u8]) -> Vec<u8>,
    limit: usize,
}

struct Scene {
    relay: Relay,
    laptop: Member,
    actions: Vec<Action>,
}

fn bare(form: &[u8]) -> Vec<u8> {
    form.to_vec()
}

fn in_append(form: &[u8]) -> Vec<u8> {
    cbor::encode(&Append { entries: vec![Blob(form.to_vec())], purpose: Purpose::New })
}

fn in_put(form: &[u8]) -> Vec<u8> {
    let record = protocol::wire::SealedRecord { record: Blob(form.to_vec()), ciphertext: Some(Blob(vec![2; 60])) };
    cbor::encode(&Put { records: vec![record], refill: None })
}

fn in_ask(form: &[u8]) -> Vec<u8> {
    cbor::encode(&Ask { request: Blob(form.to_vec()), description: Blob(vec![2; 60]) })
}

/// A laptop with a phone that waits; every action is valid, and none was done yet.
fn scene() -> Scene {
    let relay = Relay::start();
    let laptop = Member::found(Reach::to(&relay), "laptop");
    let other = Member::found(Reach::to(&relay), "other");
    let phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let nonce = laptop.opens(&phone, 1);
    let mut rounds = phone.rounds.clone();
    let reveal = rounds.answer(nonce, &phone.keys.signing).unwrap().reveal;
    let withdrawal = protocol::request::Withdrawal { version: 1, request: phone.request.id() };
    let withdrawal = Verified::sign(withdrawal, &phone.keys.signing, &[]).unwrap();
    let deny = laptop.denial(&phone, 0);
    let tablet = Joiner::new(Reach::to(&relay), &laptop.code(), "tablet");
    let record = laptop.record("first", Some(b"hello"), None);
    let small = limits::SMALL_FORM_BYTES_MAX;
    let action = |route, form: &[u8], around: fn(&[u8]) -> Vec<u8>, limit| Action {
        route,
        body: around(form),
        form: form.to_vec(),
        around,
        limit,
    };
    let mut actions = vec![
        action("/v1/chains", other.log[0].bytes(), bare, limits::ENTRY_BYTES_MAX),
        action("/v1/log", deny.bytes(), in_append, limits::ENTRY_BYTES_MAX),
        action("/v1/requests", tablet.request.bytes(), in_ask, limits::REQUEST_BYTES_MAX),
        action("/v1/nonces", laptop.nonce(phone.request.id(), 2).bytes(), bare, small),
        action("/v1/reveals", reveal.bytes(), bare, small),
        action("/v1/withdrawals", withdrawal.bytes(), bare, small),
        action("/v1/records", &record.record, in_put, limits::RECORD_BYTES_MAX),
    ];
    actions[2].body = tablet.body();
    actions[6].body = cbor::encode(&Put { records: vec![record], refill: None });
    Scene { relay, laptop, actions }
}

/// Where the signature of the form's own COSE_Sign1 begins.
fn signature_at(form: &[u8]) -> usize {
    let start = usize::from(form[0] != 0xd2) + 43;
    let (head, length) = match form[start] {
        0x58 => (2, usize::from(form[start + 1])),
        0x59 => (3, usize::from(u16::from_be_bytes([form[start + 1], form[start + 2]]))),
        short => (1, usize::from(short - 0x40)),
    };
    start + head + length + 2
}

#[test]
fn a_forged_form_is_refused_as_forged() {
    let scene = scene();
    for action in &scene.actions {
        let mut form = action.form.clone();
        let at = signature_at(&form);
        form[at] ^= 1;
        assert_eq!(
            scene.relay.post(action.route, &(action.around)(&form)).told(),
            "400 bad-signature",
            "{}",
            action.route
        );
    }
}

#[test]
fn a_form_of_another_kind_is_no_form_of_this_route() {
    let scene = scene();
    for action in &scene.actions {
        for other in &scene.actions {
            // Both are entries: the append takes a founding entry for one of another chain.
            let entries = |route: &str| route == "/v1/chains" || route == "/v1/log";
            if action.route == other.route || entries(action.route) && entries(other.route) {
                continue;
            }
            let told = scene.relay.post(action.route, &(action.around)(&other.form)).told();
            let known = ["400 malformed", "400 not-canonical", "400 bad-signature", "413 too-large"];
            assert!(known.contains(&told.as_str()), "{} sent to {}: {told}", other.route, action.route);
        }
    }
}

/// The same payload signed under another form's label, which only a test can make: the labels keep signatures apart.
#[test]
fn a_cross_labelled_form_is_refused_as_forged() {
    use protocol::round::Reveal;
    let scene = scene();
    let reveal = &scene.actions[4].form;
    let reveal = Verified::<Reveal>::from_bytes(reveal).unwrap();
    let phone_signs_elsewhere = protocol::http_signature::LABEL;
    assert_ne!(phone_signs_elsewhere, "countersign/v1/reveal");
    // A withdrawal names its request in the same place as a reveal; only the label and the later fields differ.
    let withdrawal = &scene.actions[5].form;
    assert_eq!(scene.relay.post("/v1/reveals", withdrawal).told(), "400 malformed");
    assert_eq!(scene.relay.post("/v1/withdrawals", reveal.bytes()).told(), "400 not-canonical");
}

#[test]
fn a_truncated_body_is_malformed_wherever_it_is_cut() {
    let scene = scene();
    for action in &scene.actions {
        for part in 0..8 {
            let cut = &action.body[..action.body.len() * part / 8];
            assert_eq!(
                scene.relay.post(action.route, cut).told(),
                "400 malformed",
                "{} cut at {}",
                action.route,
                cut.len()
            );
        }
        let last = &action.form[..action.form.len() - 1];
        assert_eq!(scene.relay.post(action.route, &(action.around)(last)).told(), "400 malformed", "{}", action.route);
    }
}

#[test]
fn a_form_encoded_otherwise_is_not_canonical() {
    let scene = scene();
    for action in &scene.actions {
        let mut longer = action.form.clone();
        longer.push(0);
        assert_eq!(
            scene.relay.post(action.route, &(action.around)(&longer)).told(),
            "400 not-canonical",
            "{}",
            action.route
        );
        let mut body = action.body.clone();
        body.push(0);
        assert_eq!(scene.relay.post(action.route, &body).told(), "400 not-canonical", "{} and a byte", action.route);
    }
}

#[test]
fn an_oversized_form_is_refused_by_its_size() {
    let scene = scene();
    for action in &scene.actions {
        let huge = vec![0xd2; action.limit + 1];
        assert_eq!(scene.relay.post(action.route, &(action.around)(&huge)).told(), "413 too-large", "{}", action.route);
        let body = vec![0; limits::BODY_BYTES_MAX + 1];
        let told = std::panic::catch_unwind(|| scene.relay.post(action.route, &body).told());
        // The relay may answer and close before it has read everything: then sending fails, which is as good.
        assert!(told.is_err() || told.is_ok_and(|told| told == "413 too-large"), "{}", action.route);
    }
}

#[test]
fn a_replay_gets_the_same_answer_and_changes_nothing() {
    let scene = scene();
    for action in scene.actions.iter().filter(|action| action.route != "/v1/withdrawals" && action.route != "/v1/log") {
        let first = scene.relay.post(action.route, &action.body);
        let before = (scene.laptop.requests().len(), scene.laptop.feed().last);
        let again = scene.relay.post(action.route, &action.body);
        assert!(first.status.is_success(), "{}: {}", action.route, first.told());
        assert_eq!(first.status, again.status, "{}", action.route);
        if action.route != "/v1/requests" {
            assert_eq!(first.body, again.body, "{}", action.route);
        }
        assert_eq!((scene.laptop.requests().len(), scene.laptop.feed().last), before, "{}", action.route);
    }
    for action in scene.actions.iter().filter(|action| action.route == "/v1/log" || action.route == "/v1/withdrawals") {
        let first = scene.relay.post(action.route, &action.body);
        let again = scene.relay.post(action.route, &action.body);
        let told = (first.told(), again.told());
        // The deny decided the request first: a withdrawal then still succeeds, as it would have before.
        assert_eq!(told, ("200".to_owned(), "200".to_owned()), "{}", action.route);
    }
}

#[test]
fn refused_bytes_change_nothing() {
    let scene = scene();
    let before = scene.laptop.read("/log").body;
    for action in &scene.actions {
        let mut form = action.form.clone();
        let at = signature_at(&form);
        form[at] ^= 1;
        let _ = scene.relay.post(action.route, &(action.around)(&form));
    }
    assert_eq!(scene.laptop.read("/log").body, before);
    assert_eq!(scene.laptop.requests().len(), 1);
    assert_eq!(scene.laptop.feed().last, 0);
}

#[test]
fn entries_are_taken_by_the_rules_of_the_log_only() {
    let relay = Relay::start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    let writer = laptop.joined_by("writer", Role::Writer);
    let mut phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let by_writer = writer.denial(&phone, 0);
    assert_eq!(writer.append(&[by_writer.bytes()], Purpose::New).told(), "403 not-an-approver");
    let stale = laptop.denial(&phone, 0);
    let other = Joiner::ask(Reach::to(&relay), &laptop.code(), "other");
    let first = laptop.denial(&other, 0);
    laptop.appends(&first);
    let moved = laptop.append(&[stale.bytes()], Purpose::New);
    assert_eq!(moved.told(), "409 head-moved");
    let json: serde_json::Value = serde_json::from_slice(&moved.body).unwrap();
    assert_eq!(json["head"], laptop.roster.head().to_string(), "and is told where the log stands");
    let confirmed = laptop.confirms(&mut phone, 1);
    let admit = laptop.admission(&confirmed, Role::Recovery);
    assert_eq!(laptop.append(&[admit.bytes()], Purpose::New).told(), "409 role-not-allowed");
    let good = laptop.admission(&confirmed, Role::Writer);
    let bad_second = [good.bytes().as_ref(), stale.bytes().as_ref()];
    assert_eq!(laptop.append(&bad_second, Purpose::New).status, 409, "all, or nothing");
    laptop.sync();
    assert_eq!(laptop.roster.head(), first.hash());
    laptop.appends(&good);
    assert_eq!(laptop.append(&[good.bytes()], Purpose::New).told(), "200", "a repeated append is no second one");
}

#[test]
fn records_are_taken_by_the_gate_only_and_a_batch_all_or_not_at_all() {
    let relay = Relay::start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    let reader = laptop.joined_by("reader", Role::Reader);
    assert_eq!(reader.put(&[reader.record("a", Some(b"x"), None)]).told(), "403 not-a-member");
    let first = laptop.writes("a", b"one");
    let mut behind = laptop.clone();
    behind.records = protocol::record::Line::default();
    assert_eq!(behind.put(&[behind.record("b", Some(b"x"), None)]).told(), "409 replayed");
    assert_eq!(laptop.put(&[laptop.record("a", Some(b"x"), None)]).told(), "409 conflict");
    let mut ahead = laptop.clone();
    ahead.records.counter += 1;
    assert_eq!(ahead.put(&[ahead.record("b", Some(b"x"), None)]).told(), "409 broken-line");
    let good = laptop.record("b", Some(b"two"), None);
    let mut swapped = good.clone();
    swapped.ciphertext = Some(Blob(vec![2; 60]));
    assert_eq!(laptop.put(&[swapped]).told(), "409 other-ciphertext");
    let mut after = laptop.clone();
    after.follows(&good);
    let bad = after.record("a", Some(b"x"), None);
    assert_eq!(laptop.put(&[good.clone(), bad]).told(), "409 conflict");
    assert_eq!(laptop.feed().last, 1, "the good one of the batch was not taken either");
    let update = after.record("a", Some(b"three"), Some(first.hash()));
    assert_eq!(laptop.put(&[good.clone(), update.clone()]).told(), "200");
    assert_eq!(laptop.reads("a").value.0, b"three");
    let repeated = laptop.put(&[good, update]);
    assert_eq!(repeated.told(), "200", "the same batch, the same answer");
    let rows = laptop.feed().rows;
    assert!(rows[0].sealed.ciphertext.is_none(), "what was replaced comes without its ciphertext");
}

#[test]
fn nonces_and_reveals_come_from_those_they_are_asked_of() {
    let relay = Relay::start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    let writer = laptop.joined_by("writer", Role::Writer);
    let stranger = Member::found(Reach::to(&relay), "stranger");
    let phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    let id = phone.request.id();
    let posts = |nonce: &Verified<protocol::round::Nonce>| relay.post("/v1/nonces", nonce.bytes()).told();
    assert_eq!(posts(&writer.nonce(id, 1)), "403 not-an-approver");
    assert_eq!(posts(&stranger.nonce(id, 1)), "409 request-unknown", "a chain of its own gives no power here");
    let mut form = (*laptop.nonce(id, 1)).clone();
    form.chain = laptop.roster.chain();
    assert_eq!(posts(&stranger.sign(form.clone())), "403 not-a-member");
    form.head = protocol::Hash([9; 32]);
    assert_eq!(posts(&laptop.sign(form.clone())), "409 unknown-head");
    form.head = laptop.roster.head();
    form.epoch = 2;
    assert_eq!(posts(&laptop.sign(form)), "409 stale-epoch");
    assert_eq!(posts(&laptop.nonce(id, 2)), "409 round-taken");
    assert_eq!(posts(&laptop.nonce(protocol::RequestId([9; 32]), 1)), "409 request-unknown");
    let nonce = laptop.opens(&phone, 1);
    let reveal = phone.rounds.clone().answer(nonce, &phone.keys.signing).unwrap().reveal;
    let by_another = Verified::sign((*reveal).clone(), &writer.keys.signing, &[]).unwrap();
    assert_eq!(relay.post("/v1/reveals", by_another.bytes()).told(), "409 request-unknown");
    let mut other = (*reveal).clone();
    other.value = protocol::id::Commitment([9; 32]);
    let other = Verified::sign(other, &phone.keys.signing, &[]).unwrap();
    assert_eq!(relay.post("/v1/reveals", other.bytes()).told(), "409 broken-commitment");
    assert_eq!(relay.post("/v1/reveals", reveal.bytes()).told(), "200");
}

#[test]
fn every_answer_carries_the_relays_clock_and_unknown_addresses_are_problems() {
    let relay = Relay::start();
    let caller = relay.caller();
    let answers = [
        ("404 not-found", caller.get("/nowhere")),
        ("405 method-not-allowed", caller.get("/v1/records")),
        ("405 method-not-allowed", caller.exchange(Method::DELETE, "/v1/log", &[], Vec::new())),
        ("401 signature-missing", caller.get(&format!("/v1/chains/{}/log", "00".repeat(32)))),
        ("200", caller.get("/livez")),
        ("200", caller.get("/readyz")),
    ];
    for (expected, answer) in answers {
        assert_eq!(answer.told(), expected);
        assert!(answer.headers.contains_key("date") && answer.headers.contains_key("countersign-time"), "{expected}");
    }
    let _: &Caller = &caller;
}
