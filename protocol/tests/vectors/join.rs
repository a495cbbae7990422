//! `join.json`: both devices and the relay, step by step, over the bytes of the file.

use protocol::connect::Connect;
use protocol::decision::{Accepts, accept_admission};
use protocol::entry::Entry;
use protocol::http_signature;
use protocol::keyring::Keyring;
use protocol::keys::{DeviceKeys, EpochKey, SealingSecret, SigningKey};
use protocol::record::{Line, Record, gate, open};
use protocol::request::{Description, JoinRequest};
use protocol::roster::Roster;
use protocol::round::{Attempt, Commitments, JoinerRounds, Nonce, Prompt, Reveal};
use protocol::wire::{Append, Appended, Ask, LogPage, Put, Stage, Standing, ToDevice};
use protocol::{Form, Verified, cbor, code::SyncCode, limits};
use serde_json::Value;

use crate::reading::{bytes, file, id, items, text};

struct Join(Value);

impl Join {
    fn step(&self, name: &str) -> &Value {
        items(&self.0, "steps").iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step {name}"))
    }

    fn form<T: Form>(&self, name: &str) -> Verified<T> {
        Verified::from_bytes(&bytes(self.step(name), "bytes")).unwrap()
    }

    fn body<T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>>(&self, name: &str) -> T {
        cbor::decode("body", &bytes(self.step(name), "bytes"), limits::BODY_BYTES_MAX).unwrap()
    }

    fn pushed(&self, name: &str) -> ToDevice {
        ToDevice::from_bytes(&bytes(self.step(name), "bytes")).unwrap()
    }

    fn derived(&self, step: &str, name: &str) -> &str {
        let all = items(self.step(step), "derived").iter();
        text(all.clone().find(|derived| derived["name"] == name).unwrap(), "value")
    }

    fn device(&self, name: &str) -> DeviceKeys {
        let keys = &self.0["keys"][name];
        DeviceKeys {
            signing: SigningKey::from_seed(&id(keys, "signing_seed")),
            sealing: SealingSecret::from_bytes(&id(keys, "sealing_secret")),
        }
    }
}

#[test]
fn a_device_joins_by_these_bytes_and_is_read() {
    let join = Join(file("join.json"));
    let inputs = &join.0["inputs"];
    let code = SyncCode::from_words(text(inputs, "words")).unwrap();
    assert_eq!(SyncCode::from_payload(join.derived("sync-code", "payload")).unwrap().0, code);

    // The laptop founds, and knows its keys.
    let found: Verified<Entry> = join.form("found");
    let roster = Roster::found(&found).unwrap();
    let laptop = Keyring::open(&roster, EpochKey::from_bytes(id(inputs, "epoch_key"))).unwrap();
    assert_eq!(join.body::<Appended>("founded").head, roster.head());

    // The phone asks; the laptop reads what it says of itself.
    let ask: Ask = join.body("ask");
    let request = Verified::<JoinRequest>::from_bytes(&ask.request).unwrap();
    assert!(request.names(&ask.description));
    assert_eq!(request.join_key, roster.join_key());
    let description = Description::open(laptop.code(), &request.device.signing, &ask.description).unwrap();
    assert_eq!(description.name, "phone");
    let ToDevice::Requested(open_request) = join.pushed("requested") else { panic!("a request") };
    assert_eq!((open_request.request, open_request.description), (ask.request, ask.description));

    // One round; the code is typed.
    let nonce: Verified<Nonce> = join.form("nonce");
    let phone = join.device("phone");
    let mut rounds = JoinerRounds::new(request.clone(), Commitments::from_bytes(id(inputs, "c8")));
    let answer = rounds.answer(nonce.clone(), &phone.signing).unwrap();
    let reveal: Verified<Reveal> = join.form("reveal");
    assert_eq!(answer.reveal.bytes(), reveal.bytes());
    assert_eq!(answer.code.digits().replace(' ', ""), join.derived("reveal", "check code"));
    let prompt = Prompt::new(request.clone(), nonce, &reveal).unwrap();
    assert!(matches!(prompt.type_code(join.derived("typed", "typed")), Attempt::Right(_)));

    // The laptop admits; the phone believes it.
    let append: Append = join.body("admit");
    let admit = Verified::<Entry>::from_bytes(&append.entries[0]).unwrap();
    let ToDevice::Standing(Standing { stage: Stage::Admitted, .. }) = join.pushed("admitted") else {
        panic!("admitted")
    };
    let page: LogPage = join.body("log");
    assert_eq!([&page.entries[0][..], &page.entries[1][..]], [&found.bytes()[..], &admit.bytes()[..]]);
    let roster = roster.apply(&admit).unwrap();
    assert_eq!((page.head, page.seq), (roster.head(), roster.seq()));
    let showed = |device: &protocol::DeviceId| rounds.showed_code_for(device);
    let keyring = accept_admission(&roster, &admit, &phone, &request, &[Accepts::TypedBy(&showed)]).unwrap();
    assert_eq!(keyring.epoch_key(), laptop.epoch_key());

    // It writes; the laptop reads.
    let put: Put = join.body("put");
    let record = Verified::<Record>::from_bytes(&put.records[0].record).unwrap();
    let ciphertext = put.records[0].ciphertext.clone().unwrap();
    gate(&roster, Line::default(), None, &record, Some(&ciphertext)).unwrap();
    let ToDevice::Records(feed) = join.pushed("records") else { panic!("records") };
    assert_eq!(feed.rows[0].sealed, put.records[0]);
    assert_eq!(&*open(&laptop, &record, &ciphertext).unwrap().value, b"hello");
}

#[test]
fn every_connect_answers_its_challenge() {
    let join = Join(file("join.json"));
    for (challenge, connect) in [
        ("laptop-challenge", "laptop-connect"),
        ("phone-challenge", "phone-connect"),
        ("member-challenge", "member-connect"),
    ] {
        let ToDevice::Challenge(challenge) = join.pushed(challenge) else { panic!("a challenge") };
        let connect: Verified<Connect> = join.form(connect);
        assert_eq!(connect.relay_nonce, challenge.nonce);
        assert_eq!(connect.origin, text(&join.0["inputs"], "origin"));
    }
}

#[test]
fn the_log_is_read_by_a_signed_read() {
    let join = Join(file("join.json"));
    let step = join.step("read-log");
    let header = |name: &str| {
        let lines = items(step, "headers").iter().map(|line| line.as_str().unwrap());
        lines.filter_map(|line| line.split_once(": ")).find(|(known, _)| *known == name).unwrap().1
    };
    let target = text(step, "via").replace("GET ", text(&join.0["inputs"], "origin"));
    let (input, signature) = (header("Signature-Input"), header("Signature"));
    let device = http_signature::verify(Some(input), Some(signature), "GET", &[target], 1_790_000_061).unwrap();
    assert_eq!(device, join.device("phone").id());
}

#[test]
fn the_forms_of_every_step_are_taken() {
    let join = Join(file("join.json"));
    let mut taken = 0;
    let made = items(&join.0, "steps").iter().filter_map(|step| step["forms"].as_array()).flatten();
    for form in made.chain(items(&join.0, "besides")) {
        let accepted = crate::forms::take(text(form, "form"), &bytes(form, "bytes")).ok().unwrap();
        assert_eq!(accepted.hash, id(form, "hash"));
        assert_eq!(accepted.payload, bytes(form, "payload"));
        taken += 1;
    }
    assert_eq!(taken, 12, "found, request, nonce, reveal, admit, record, three Connects, and three besides");
}
