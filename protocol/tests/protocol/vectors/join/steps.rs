//! The steps of the join, in the order in which a relay that is asked at once would have them.

use protocol::cbor::{self, Blob};
use protocol::connect::{Connect, Cursor, Standing as ConnectsAs};
use protocol::http_signature;
use protocol::id::Random;
use protocol::keys::DeviceKeys;
use protocol::record::{self, Content, Draft, Line};
use protocol::wire::{
    Ack, Append, Appended, Ask, Challenge, Ended, Ending, FromDevice, LogPage, OpenRequest, Purpose, Put, Ready,
    RecordPage, RecordRow, Round, SealedRecord, Seen, Stage, Standing, Stored, ToDevice,
};
use protocol::{Hash, SUBPROTOCOL, VERSION, Verified};

use super::{Step, Story};
use crate::support::SeededRng;
use crate::vectors::sealing::{of_found, of_joiner, of_record};
use crate::world::{AT, keys};

pub(super) const ORIGIN: &str = "https://relay.example";
const SOCKET: &str = "socket";
const LIFETIME: u64 = 900_000;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}

fn blob(bytes: &[u8]) -> Blob {
    Blob(bytes.to_vec())
}

pub(super) fn all(story: &Story) -> Vec<Step> {
    [founding(story), asking(story), code(story), admission(story), believing(story), writing(story)]
        .into_iter()
        .flatten()
        .collect()
}

/// A device connects: challenge, Connect, and what the relay then sends first.
fn connects(
    story: &Story,
    names: [&'static str; 3],
    device: &'static str,
    form: Connect,
    first: &ToDevice,
) -> [Step; 3] {
    let who = keys(device);
    let says = format!("the {device} opens the socket; the relay speaks first");
    let challenge = ToDevice::Challenge(Challenge { nonce: form.relay_nonce, at: AT });
    let connect = Verified::sign(form, &who.signing, &[]).unwrap();
    [
        Step::new(names[0], "relay", device, SOCKET, &says).carries("to-device", challenge.to_bytes()),
        Step::new(names[1], device, "relay", SOCKET, "and the device proves who it is: the form alone")
            .makes(&story.ring, names[1], "connect", &connect)
            .carries("sign1", &**connect.bytes()),
        Step::new(names[2], "relay", device, SOCKET, "then the relay says what is")
            .carries("to-device", first.to_bytes()),
    ]
}

fn as_member(story: &Story, device: &DeviceKeys, head: Hash, number: u8) -> Connect {
    Connect {
        version: VERSION,
        offered: vec![SUBPROTOCOL.to_owned()],
        origin: ORIGIN.to_owned(),
        relay_nonce: Random([0xa0 + number; 32]),
        own_nonce: Random([0xb0 + number; 32]),
        chain: Some(story.all.chain.roster.chain()),
        device: device.id(),
        standing: ConnectsAs::Member,
        request: None,
        head: Some(head),
        cursor: None,
    }
}

fn founding(story: &Story) -> Vec<Step> {
    let all = &story.all;
    let founding = &story.founded.founding;
    let head = all.found.hash();
    let found = Step::new(
        "found",
        "laptop",
        "relay",
        "POST /v1/chains",
        "the laptop draws its keys, a sync code, an epoch key and a name key, and founds a chain",
    )
    .seals(of_found(&story.founded, "found"))
    .makes(&story.ring, "found", "entry", &all.found)
    .derives(
        "join key",
        "the public key of HKDF(sync code, `countersign/v1/join-key`) as Ed25519 seed",
        hex(founding.code.join_key().public()),
    )
    .derives("key id", "HKDF(epoch key, `countersign/v1/key-id` ‖ 1)", hex(founding.epoch_key.key_id(1).0))
    .derives("chain id", "the hash of `found`", hex(head.0))
    .carries("with-proofs", &**all.found.bytes());
    let appended = cbor::encode(&Appended { head, seq: 0 });
    let founded = Step::new("founded", "relay", "laptop", "201", "stored").carries("appended", appended);
    let ready = ToDevice::Ready(Ready { head, seq: 0, knows_your_head: true });
    let connect = as_member(story, &keys("laptop"), head, 1);
    let [a, b, c] = connects(story, ["laptop-challenge", "laptop-connect", "laptop-ready"], "laptop", connect, &ready);
    vec![found, founded, a, b, c]
}

fn standing(story: &Story, stage: Stage, nonces: Vec<Blob>, remaining: u64) -> Standing {
    Standing { request: story.phone.request.id(), stage, remaining, online: true, nonces, chain: None }
}

fn open_request(story: &Story, rounds: Vec<Round>, remaining: u64) -> ToDevice {
    ToDevice::Requested(OpenRequest {
        request: blob(story.all.request.bytes()),
        description: story.all.description.clone(),
        seen: Seen { address: "203.0.113.7".to_owned(), proxy: None, at: AT + 5 },
        remaining,
        rounds,
    })
}

fn asking(story: &Story) -> Vec<Step> {
    let all = &story.all;
    let code = &story.founded.founding.code;
    let text = Step::new(
        "sync-code",
        "laptop",
        "phone",
        "a person",
        "the words are read and typed, or the payload is scanned",
    )
    .derives("words", "BIP-39 of the sync code", code.words().as_str())
    .derives("payload", "relay and code, with its checksum", code.payload(ORIGIN).as_str());
    let ask = Ask { request: blob(all.request.bytes()), description: all.description.clone() };
    let values = story.phone.commitments.clone();
    let seals = of_joiner(&story.founded, &story.phone, &all.admit);
    let ask = Step::new(
        "ask",
        "phone",
        "relay",
        "POST /v1/requests",
        "the phone draws its keys and c8, seals its description, and asks",
    )
    .seals(seals[..1].to_vec())
    .makes(&story.ring, "join-request", "join-request", &all.request)
    .derives(
        "description key",
        "HKDF(sync code, `countersign/v1/description-key`)",
        hex(code.description_key().expose()),
    )
    .derives("c1", "c8, hashed seven times", hex(values.value(1).0))
    .derives("c0", "c8, hashed eight times", hex(values.public().0))
    .derives("request id", "the hash of the request", hex(all.request.hash().0))
    .carries("ask", cbor::encode(&ask));
    let waiting = standing(story, Stage::Waiting, Vec::new(), LIFETIME);
    let asked = Step::new("asked", "relay", "phone", "202", "taken").carries("standing", cbor::encode(&waiting));
    let connect = Connect {
        chain: None,
        standing: ConnectsAs::Joiner,
        request: Some(story.phone.request.id()),
        head: None,
        ..as_member(story, &keys("phone"), all.found.hash(), 2)
    };
    let first = ToDevice::Standing(standing(story, Stage::Waiting, Vec::new(), LIFETIME - 5));
    let [a, b, c] = connects(story, ["phone-challenge", "phone-connect", "phone-standing"], "phone", connect, &first);
    let says = "every member that is connected hears of it; the laptop verifies the request, opens the description, and shows both with the address";
    let requested = open_request(story, Vec::new(), LIFETIME - 5);
    let requested = Step::new("requested", "relay", "laptop", SOCKET, says).carries("to-device", requested.to_bytes());
    vec![text, ask, asked, a, b, c, requested]
}

fn code(story: &Story) -> Vec<Step> {
    let all = &story.all;
    let (nonce, reveal) = (&all.nonce, &all.reveal);
    let opens = Step::new("nonce", "laptop", "relay", "POST /v1/nonces", "a person opens the prompt")
        .makes(&story.ring, "nonce", "nonce", nonce)
        .carries("sign1", &**nonce.bytes());
    let taken = Step::new("nonce-taken", "relay", "laptop", "200", "stored; the answer has no body");
    let pushed = ToDevice::Standing(standing(story, Stage::Code, vec![blob(nonce.bytes())], LIFETIME - 9_000));
    let pushed = Step::new("nonce-pushed", "relay", "phone", SOCKET, "the phone gets the nonce")
        .carries("to-device", pushed.to_bytes());
    let digits = story.phone.answers(nonce).code.digits();
    let says = "the phone keeps the nonce, answers it, and shows the check code";
    let formula = "the first 8 bytes of HKDF(c1 ‖ nonce, `countersign/v1/check-code` ‖ request id ‖ hash of the nonce form), modulo 1,000,000";
    let reveals = Step::new("reveal", "phone", "relay", "POST /v1/reveals", says)
        .makes(&story.ring, "reveal", "reveal", reveal)
        .derives("check code", formula, digits.replace(' ', ""))
        .carries("sign1", &**reveal.bytes());
    let reveal_taken = Step::new("reveal-taken", "relay", "phone", "200", "stored; the answer has no body");
    let round = Round { nonce: blob(nonce.bytes()), reveal: Some(blob(reveal.bytes())) };
    let says = "the laptop checks the reveal against c0 and works out the same code";
    let revealed = open_request(story, vec![round], LIFETIME - 9_100);
    let revealed = Step::new("revealed", "relay", "laptop", SOCKET, says).carries("to-device", revealed.to_bytes());
    let typed =
        Step::new("typed", "phone", "laptop", "a person", "the code is read from the phone and typed on the laptop")
            .derives("typed", "what the person types", digits.as_str());
    vec![opens, taken, pushed, reveals, reveal_taken, revealed, typed]
}

fn admission(story: &Story) -> Vec<Step> {
    let all = &story.all;
    let head = all.admit.hash();
    let append = Append { entries: vec![blob(all.admit.bytes())], purpose: Purpose::New };
    let seals = of_joiner(&story.founded, &story.phone, &all.admit);
    let admit = Step::new(
        "admit",
        "laptop",
        "relay",
        "POST /v1/log",
        "the laptop seals the epoch key to the phone, and signs the admission",
    )
    .seals(seals[1..].to_vec())
    .makes(&story.ring, "admit", "entry", &all.admit)
    .carries("append", cbor::encode(&append));
    let appended = cbor::encode(&Appended { head, seq: 1 });
    let appended =
        Step::new("appended", "relay", "laptop", "200", "it follows the head; stored").carries("appended", appended);
    let page = ToDevice::Entries(LogPage { entries: vec![blob(all.admit.bytes())], head, seq: 1 });
    let entries =
        Step::new("entries", "relay", "laptop", SOCKET, "the log goes on").carries("to-device", page.to_bytes());
    let ended = ToDevice::Ended(Ended { request: story.phone.request.id(), ending: Ending::Decided });
    let says = "the prompt vanishes, here and on every other member";
    let ended = Step::new("ended", "relay", "laptop", SOCKET, says).carries("to-device", ended.to_bytes());
    let ack = FromDevice::Ack(Ack { seq: 1, number: 0 });
    let ack =
        Step::new("entries-ack", "laptop", "relay", SOCKET, "stored durably").carries("from-device", ack.to_bytes());
    let nonces = vec![blob(all.nonce.bytes())];
    let admitted = ToDevice::Standing(standing(story, Stage::Admitted, nonces, LIFETIME - 60_000));
    let admitted = Step::new("admitted", "relay", "phone", SOCKET, "the phone hears of it, and believes nothing yet")
        .carries("to-device", admitted.to_bytes());
    vec![admit, appended, entries, ended, ack, admitted]
}

fn believing(story: &Story) -> Vec<Step> {
    let all = &story.all;
    let head = all.admit.hash();
    let path = format!("/v1/chains/{}/log", all.chain.roster.chain());
    let target = format!("{ORIGIN}{path}");
    let headers = http_signature::sign(&keys("phone").signing, "GET", &target, AT / 1000 + 61, Random([0x33; 32]));
    let mut read = Step::new("read-log", "phone", "relay", &format!("GET {path}"), "a signed read of the whole log");
    read.headers = vec![format!("Signature-Input: {}", headers.input), format!("Signature: {}", headers.signature)];
    let entries = vec![blob(all.found.bytes()), blob(all.admit.bytes())];
    let founding = &story.founded.founding;
    let says = "the phone verifies the log from found on, compares it with what it did itself, and opens its welcome";
    let page = Step::new("log", "relay", "phone", "200", says)
        .derives("epoch key", "opened from the welcome", hex(founding.epoch_key.expose()))
        .derives(
            "key id",
            "HKDF(epoch key, `countersign/v1/key-id` ‖ 1): the log's",
            hex(founding.epoch_key.key_id(1).0),
        )
        .derives("name key", "opened from found", hex(story.founded.keyring.name_key().expose()))
        .derives("sync code", "opened from found: its own", hex(founding.code.expose()))
        .carries("log-page", cbor::encode(&LogPage { entries, head, seq: 1 }));
    let connect = as_member(story, &keys("phone"), head, 3);
    let ready = ToDevice::Ready(Ready { head, seq: 1, knows_your_head: true });
    let [a, b, c] = connects(story, ["member-challenge", "member-connect", "member-ready"], "phone", connect, &ready);
    vec![read, page, a, b, c]
}

fn writing(story: &Story) -> Vec<Step> {
    let all = &story.all;
    let draft = Draft { collection: "notes", id: "first", value: Some(b"hello"), base: None, at: AT };
    let acting = all.chain.acting(&story.phone.keys);
    let (again, _) = record::write(acting, Line::default(), &draft, &mut SeededRng::new("records")).unwrap();
    assert_eq!(again.bytes(), all.put.bytes(), "the record of forms.json");
    let content = Content { collection: "notes".to_owned(), id: "first".to_owned(), value: b"hello".as_slice().into() };
    let sealed = SealedRecord { record: blob(all.put.bytes()), ciphertext: Some(all.ciphertext.clone()) };
    let name_key = story.founded.keyring.name_key();
    let collection = record::blind_collection(name_key, "notes");
    let put = Step::new(
        "put",
        "phone",
        "relay",
        "POST /v1/records",
        "the phone's first write: \"hello\", as \"first\" of \"notes\"",
    )
    .seals(vec![of_record("record/notes-first", &all.chain, &all.put, &all.ciphertext, &content)])
    .makes(&story.ring, "record", "record", &all.put)
    .derives("blinded collection", "HMAC(name key, `countersign/v1/collection` ‖ `notes`)", hex(collection.0))
    .derives(
        "blinded name",
        "HMAC(name key, `countersign/v1/record-id` ‖ blinded collection ‖ `first`)",
        hex(record::blind_id(name_key, &collection, "first").0),
    )
    .carries("put", cbor::encode(&Put { records: vec![sealed.clone()], refill: None }));
    let stored = Step::new("stored", "relay", "phone", "200", "it passed the gate")
        .carries("stored", cbor::encode(&Stored { numbers: vec![1] }));
    let page =
        RecordPage { rows: vec![RecordRow { number: 1, sealed }], cursor: Cursor { store: 7, number: 1 }, last: 1 };
    let page = ToDevice::Records(page);
    let records = Step::new("records", "relay", "laptop", SOCKET, "the laptop checks it, and reads it")
        .carries("to-device", page.to_bytes());
    let ack = FromDevice::Ack(Ack { seq: 1, number: 1 });
    let ack =
        Step::new("records-ack", "laptop", "relay", SOCKET, "stored durably").carries("from-device", ack.to_bytes());
    vec![put, stored, records, ack]
}
