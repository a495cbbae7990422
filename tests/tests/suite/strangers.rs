//! A stranger with the sync code and no approval, and well-formed bytes on the wire: no write, no read, no push.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::relay::Relay;
use countersign_tests::socket::{Came, Socket};
use protocol::cbor::{self, Blob};
use protocol::keyring::Acting;
use protocol::policy::Role;
use protocol::record::{self, Draft, Line};
use protocol::wire::{Purpose, Put, SealedRecord, ToDevice};

struct Scene {
    relay: Relay,
    laptop: Member,
    /// Has the sync code, and asked.
    stranger: Joiner,
}

fn scene() -> Scene {
    let relay = Relay::start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    laptop.writes("secret", b"plaintext");
    let stranger = Joiner::ask(Reach::to(&relay), &laptop.code(), "stranger");
    Scene { relay, laptop, stranger }
}

#[test]
fn a_stranger_with_the_sync_code_writes_nothing() {
    let Scene { relay, laptop, stranger } = scene();
    // Bytes as good as they can be: right chain, head, epoch, counter, and even the keys, which it could not have.
    let acting = Acting { keys: &stranger.keys, roster: &laptop.roster, keyring: &laptop.keyring };
    let draft = Draft { collection: "notes", id: "mine", value: Some(b"x"), base: None, at: 1 };
    let (record, ciphertext) =
        record::write(acting, Line::default(), &draft, &mut countersign_tests::actor::rng()).unwrap();
    let put = Put { records: vec![SealedRecord { record: Blob(record.bytes().to_vec()), ciphertext }], refill: None };
    assert_eq!(relay.post("/v1/records", &cbor::encode(&put)).told(), "403 not-a-member");
    assert_eq!(laptop.feed().last, 1);
}

#[test]
fn a_stranger_with_the_sync_code_reads_nothing_but_its_own_request() {
    let Scene { relay, laptop, stranger } = scene();
    let reach = Reach::to(&relay);
    let chain = laptop.roster.chain();
    let key = laptop.keyring.name_key();
    let collection = record::blind_collection(key, countersign_tests::actor::COLLECTION);
    let item = format!("/records/{collection}/{}", record::blind_id(key, &collection, "secret"));
    for path in ["/log", "/requests", "/records", item.as_str()] {
        let path = format!("/v1/chains/{chain}{path}");
        assert_eq!(reach.read(&stranger.keys, &path).told(), "403 not-a-member", "{path}");
        assert_eq!(relay.caller().get(&path).told(), "401 signature-missing", "{path}");
        let nowhere = path.replace(&chain.to_string(), &"00".repeat(32));
        assert_eq!(reach.read(&stranger.keys, &nowhere).told(), "403 not-a-member", "and not whether a chain is there");
    }
    let other = Joiner::ask(reach.clone(), &laptop.code(), "other");
    let others = format!("/v1/requests/{}", other.request.id());
    assert_eq!(reach.read(&stranger.keys, &others).told(), "404 not-found");
}

#[test]
fn a_stranger_decides_nothing() {
    let Scene { relay, laptop, stranger } = scene();
    let mut impostor = laptop.clone();
    impostor.keys = stranger.keys.clone();
    let nonce = impostor.nonce(stranger.request.id(), 1);
    assert_eq!(relay.post("/v1/nonces", nonce.bytes()).told(), "403 not-a-member");
    let denial = impostor.denial(&stranger, 0);
    assert_eq!(impostor.append(&[denial.bytes()], Purpose::New).told(), "403 not-a-member");
    // It answers its own nonce, and so has a code and a confirmation: all that is missing is a member's signature.
    let mut own = stranger.clone();
    let reply = own.rounds.answer(nonce.clone(), &own.keys.signing).unwrap();
    let prompt = protocol::round::Prompt::new(own.request.clone(), nonce, &reply.reveal).unwrap();
    let protocol::round::Attempt::Right(confirmed) = prompt.type_code(&reply.code.digits()) else {
        panic!("its own code")
    };
    let admit = impostor.admission(&confirmed, Role::Approver);
    for purpose in [Purpose::New, Purpose::Heal] {
        assert_eq!(impostor.append(&[admit.bytes()], purpose).told(), "403 not-a-member");
    }
    assert_eq!(stranger.standing().stage, protocol::wire::Stage::Waiting);
}

#[test]
fn a_stranger_is_pushed_nothing() {
    let Scene { relay: _relay, laptop, stranger } = scene();
    let (mut socket, challenge) = Socket::dial(&stranger.line);
    let mut impostor = laptop.clone();
    impostor.keys = stranger.keys.clone();
    socket.prove(impostor.connect(challenge.nonce), &stranger.keys);
    assert_eq!(socket.receive(), Came::Closed(4403));
    let mut own = Socket::of_joiner(&stranger);
    assert!(matches!(own.receive().message(), ToDevice::Standing(_)));
}

#[test]
fn a_connect_is_good_for_one_challenge_one_origin_and_its_own_signer() {
    let Scene { relay: _relay, laptop, stranger } = scene();
    let refused = |what: &str, change: &dyn Fn(&mut protocol::connect::Connect), keys: &protocol::keys::DeviceKeys| {
        let (mut socket, challenge) = Socket::dial(&laptop.line);
        let mut connect = laptop.connect(challenge.nonce);
        connect.device = keys.id();
        change(&mut connect);
        socket.prove(connect, keys);
        let code = socket.closed();
        assert!([4401, 4403].contains(&code), "{what}: {code}");
    };
    refused("another relay's origin", &|connect| connect.origin = "https://evil.example".to_owned(), &laptop.keys);
    refused("another challenge", &|connect| connect.relay_nonce = protocol::id::Random([9; 32]), &laptop.keys);
    refused(
        "other versions than offered",
        &|connect| connect.offered = vec!["countersign.v0".to_owned()],
        &laptop.keys,
    );
    refused("a stranger", &|_| {}, &stranger.keys);
    // Replayed on a second socket, whose challenge is another.
    let (mut first, challenge) = Socket::dial(&laptop.line);
    let connect = laptop.connect(challenge.nonce);
    first.prove(connect.clone(), &laptop.keys);
    assert!(matches!(first.receive().message(), ToDevice::Ready(_)));
    let (mut second, _) = Socket::dial(&laptop.line);
    second.prove(connect, &laptop.keys);
    assert_eq!(second.closed(), 4401);
}

#[test]
fn a_wrong_sync_code_opens_no_door() {
    let Scene { relay, .. } = scene();
    let wrong = protocol::code::SyncCode::from_bytes([9; 32]);
    let joiner = Joiner::new(Reach::to(&relay), &wrong, "guesser");
    assert_eq!(joiner.asks().told(), "404 unknown-join-key");
}

/// A read that was signed for another relay, which passes it on here.
#[test]
fn a_read_is_good_for_this_relay_this_address_and_this_minute() {
    use http::Method;
    use protocol::http_signature;
    let Scene { relay, laptop, .. } = scene();
    let path = format!("/v1/chains/{}/log", laptop.roster.chain());
    let read = |uri: &str, path: &str, created: u64| {
        let nonce = protocol::id::Random([7; 32]);
        let headers = http_signature::sign(&laptop.keys.signing, "GET", uri, created, nonce);
        let headers = [("signature-input", headers.input), ("signature", headers.signature)];
        relay.caller().exchange(Method::GET, path, &headers, Vec::new()).told()
    };
    let now = countersign_tests::actor::now() / 1000;
    let here = format!("{}{path}", relay.origin());
    assert_eq!(read(&here, &path, now), "200");
    assert_eq!(read(&here.replace("127.0.0.1", "localhost"), &path, now), "200", "the relay is known by both");
    assert_eq!(read(&format!("https://evil.example{path}"), &path, now), "401 bad-signature");
    assert_eq!(read(&here, &format!("{path}?after=0"), now), "401 bad-signature");
    assert_eq!(read(&here, &path, now - 90), "401 clock");
    assert_eq!(read(&here, &path, now + 90), "401 clock");
}
