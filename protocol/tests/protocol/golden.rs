//! Golden bytes: every signed form and every wire message, made from fixed keys, compared byte for byte with annotated files.
//!
//! An implementation in another language reads the same files. `COUNTERSIGN_REGENERATE=1 cargo test -p countersign-protocol`
//! writes them anew; a difference is a break of the protocol.

use protocol::connect::{Connect, Cursor, Standing};
use protocol::decision;
use protocol::entry::{Body, DenyReason, Entry, Recovery};
use protocol::keys::DeviceKeys;
use protocol::policy::Role;
use protocol::record::{self, Draft, Line, Record};
use protocol::request::{JoinRequest, Withdrawal};
use protocol::round::{Nonce, Reveal};
use protocol::seal;
use protocol::{Form, SUBPROTOCOL, VERSION, Verified, cbor::Blob, http_signature, id::Random};

use crate::annotate::{annotate, bytes_of};
use crate::support::{SeededRng, compare, tests_path};
use crate::world::{AT, Chain, keys};

/// Every signed form once, from one world.
pub(crate) struct Forms {
    pub(crate) chain: Chain,
    pub(crate) found: Verified<Entry>,
    pub(crate) found_with_recovery: Verified<Entry>,
    pub(crate) admit: Verified<Entry>,
    pub(crate) deny: Verified<Entry>,
    pub(crate) request: Verified<JoinRequest>,
    pub(crate) description: Blob,
    pub(crate) withdrawal: Verified<Withdrawal>,
    pub(crate) nonce: Verified<Nonce>,
    pub(crate) reveal: Verified<Reveal>,
    pub(crate) put: Verified<Record>,
    pub(crate) ciphertext: Blob,
    pub(crate) delete: Verified<Record>,
    pub(crate) connect_member: Verified<Connect>,
    pub(crate) connect_joiner: Verified<Connect>,
}

pub(crate) fn forms() -> Forms {
    let mut chain = Chain::founded();
    let found = chain.founding.entry.clone();
    let phone = chain.asks("phone");
    let tablet = chain.asks("tablet");
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let reveal = phone.answers(&nonce).reveal;
    let admit = chain.admits(&chain.laptop, &phone, Role::Approver);
    chain.append(&admit);
    let deny = decision::deny(
        &chain.roster,
        &phone.keys,
        (tablet.request.id(), tablet.keys.id()),
        DenyReason::NotMe,
        3600,
        AT,
    )
    .unwrap();
    let withdrawal = Withdrawal { version: VERSION, request: tablet.request.id() };
    let withdrawal = Verified::sign(withdrawal, &tablet.keys.signing, &[]).unwrap();
    let mut rng = SeededRng::new("records");
    let draft = Draft { collection: "notes", id: "first", value: Some(b"hello"), base: None, at: AT };
    let acting = chain.acting(&phone.keys);
    let (put, ciphertext) = record::write(acting, Line::default(), &draft, &mut rng).unwrap();
    let line = Line::default().follow(&put).unwrap();
    let draft = Draft { value: None, base: Some(put.hash()), ..draft };
    let (delete, _) = record::write(acting, line, &draft, &mut rng).unwrap();
    let member = Connect {
        version: VERSION,
        offered: vec![SUBPROTOCOL.to_owned()],
        origin: "http://127.0.0.1:7370".to_owned(),
        relay_nonce: Random([0x11; 32]),
        own_nonce: Random([0x22; 32]),
        chain: Some(chain.roster.chain()),
        device: phone.keys.id(),
        standing: Standing::Member,
        request: None,
        head: Some(chain.roster.head()),
        cursor: Some(Cursor { store: 7, number: 300 }),
    };
    let joiner = Connect {
        chain: None,
        device: tablet.keys.id(),
        standing: Standing::Joiner,
        request: Some(tablet.request.id()),
        head: None,
        cursor: None,
        ..member.clone()
    };
    Forms {
        found_with_recovery: found_with_recovery(&chain),
        request: phone.request.clone(),
        description: phone.sealed.clone(),
        connect_member: Verified::sign(member, &phone.keys.signing, &[]).unwrap(),
        connect_joiner: Verified::sign(joiner, &tablet.keys.signing, &[]).unwrap(),
        ciphertext: ciphertext.unwrap(),
        chain,
        found,
        admit,
        deny,
        withdrawal,
        nonce,
        reveal,
        put,
        delete,
    }
}

/// The same founding, with a recovery device and so with two proofs.
fn found_with_recovery(chain: &Chain) -> Verified<Entry> {
    let recovery = keys("recovery words");
    let mut form = (*chain.founding.entry).clone();
    let Body::Found(found) = &mut form.body else { panic!("found is found") };
    let info = recovery_info(chain, &recovery);
    let mut rng = SeededRng::new("recovery seal");
    let key = chain.founding.epoch_key.expose();
    let epoch_key = seal::seal_to(&recovery.sealing.public(), &info, b"", key, &mut rng).unwrap();
    found.recovery = Some(Recovery { device: recovery.public(), epoch_key });
    let join = chain.founding.code.join_key();
    Verified::sign(form, &chain.laptop.signing, &[&join, &recovery.signing]).unwrap()
}

/// The HPKE `info` of the epoch key that is sealed to a recovery device.
pub(crate) fn recovery_info(chain: &Chain, recovery: &DeviceKeys) -> Vec<u8> {
    let join_key = chain.founding.code.join_key().public();
    let label = b"countersign/v1/recovery-seal".as_slice();
    [label, &join_key, &recovery.id().0, &1u64.to_be_bytes()].concat()
}

fn form<T: Form>(file: &str, what: &str, says: &str, form: &Verified<T>) {
    let text = format!("# {says}\n# label {}, hash {}\n{}", T::LABEL, form.hash(), annotate(what, form.bytes()));
    compare(&format!("golden/{file}.hex"), &text);
    let kept = bytes_of(&std::fs::read_to_string(tests_path(&format!("golden/{file}.hex"))).unwrap());
    let again = Verified::<T>::from_bytes(&kept).unwrap();
    assert_eq!((again.hash(), again.signer()), (form.hash(), form.signer()));
}

#[test]
fn every_signed_form_is_made_of_the_same_bytes_as_ever() {
    let all = forms();
    form("found", "entry", "A laptop founds a chain; proven by the join key", &all.found);
    form("found-with-recovery", "entry", "The same with a recovery device: two proofs", &all.found_with_recovery);
    form("admit", "entry", "The laptop admits the phone after its code was typed", &all.admit);
    form("deny", "entry", "The phone denies the tablet: \"not me\", blocked for an hour", &all.deny);
    form("join-request", "join request", "The phone asks; proven by the join key", &all.request);
    form("withdrawal", "withdrawal", "The tablet takes its request back", &all.withdrawal);
    form("nonce", "nonce", "The laptop opens the prompt: round 1", &all.nonce);
    form("reveal", "reveal", "The phone answers the nonce", &all.reveal);
    form("record-put", "record", "The phone's first record", &all.put);
    form("record-delete", "record", "The phone's second record: a tombstone for the first", &all.delete);
    form("connect-member", "connect", "The phone connects as a member", &all.connect_member);
    form("connect-joiner", "connect", "The tablet connects as a joiner", &all.connect_joiner);
}

#[test]
fn the_headers_of_a_signed_read_are_the_same_as_ever() {
    let key = keys("phone").signing;
    let uri = "https://relay.example/v1/chains/00/log?after=3";
    let headers = http_signature::sign(&key, "GET", uri, AT / 1000, Random([0x33; 32]));
    let text = format!(
        "# GET {uri}\n# RFC 9421; key {}\nSignature-Input: {}\nSignature: {}\n",
        key.device_id(),
        headers.input,
        headers.signature
    );
    compare("golden/http-signature.txt", &text);
}

#[test]
fn what_two_sides_derive_is_the_same_as_ever() {
    let chain = Chain::founded();
    let phone = chain.asks("phone");
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let code = &chain.founding.code;
    let name_key = chain.keyring.name_key();
    let collection = record::blind_collection(name_key, "notes");
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    // These secrets protect nothing: they are drawn from a published seed.
    let text = format!(
        "# What follows from secrets of the golden world. None of them protects anything.\n\
         sync-code {}\nwords {}\npayload {}\njoin-key-public {}\ndescription-key {}\nepoch-key {}\nkey-id-of-epoch-1 {}\n\
         name-key {}\ncollection-notes {collection}\nrecord-first {}\nc8 {}\nc1 {}\nc0 {}\ncheck-code {}\n",
        hex(code.expose()),
        *code.words(),
        *code.payload("https://relay.example"),
        code.join_key().join_key(),
        hex(code.description_key().expose()),
        hex(chain.founding.epoch_key.expose()),
        chain.roster.key_id(),
        hex(name_key.expose()),
        record::blind_id(name_key, &collection, "first"),
        hex(phone.commitments.expose()),
        phone.commitments.value(1),
        phone.commitments.public(),
        *phone.answers(&nonce).code.digits(),
    );
    compare("golden/derived.txt", &text);
}
