//! Credentials, and the example server that gates its own writes by them.

use protocol::cbor::Blob;
use protocol::credential::{Credential, CredentialError, Known, verify};
use protocol::entry::{Entry, RemoveReason};
use protocol::id::Random;
use protocol::policy::Role;
use protocol::roster::{Departure, Why};
use protocol::{ChainId, FormError, Verified, limits};

use crate::support::SeededRng;
use crate::world::{AT, Chain, keys};

#[path = "../../examples/gate.rs"]
mod gate;

use gate::{Refused, Server, Write, signed};

fn family() -> Chain {
    let mut chain = Chain::founded();
    chain.joined("phone", Role::Writer);
    chain.joined("reader", Role::Reader);
    chain
}

fn shown(device: &str, log: &[Verified<Entry>]) -> Vec<u8> {
    Credential::of(keys(device).id(), log).unwrap().to_bytes()
}

/// What [`Credential::of`] makes for no device that the log does not bear out.
fn naming(device: &str, log: &[Verified<Entry>]) -> Vec<u8> {
    let entries = log.iter().flat_map(|entry| protocol::cbor::encode(&Blob(entry.bytes().to_vec())));
    let head = [&[0xa3, 0, 1, 1, 0x58, 0x20][..], &keys(device).id().0, &[2, 0x80 + u8::try_from(log.len()).unwrap()]];
    head.concat().into_iter().chain(entries).collect()
}

fn server_of(chain: &Chain) -> Server {
    let mut server = Server::default();
    server.register(chain.roster.chain());
    server
}

fn writes(server: &mut Server, device: &str, log: &[Verified<Entry>], text: &str) -> Result<(), Refused> {
    let nonce = server.nonce(&mut SeededRng::new(text));
    let chain = ChainId::from(log[0].hash());
    let (credential, write) = signed(&keys(device), log, chain, nonce, text)?;
    server.write(&credential, &write)
}

#[test]
fn the_example_plays_its_story() {
    gate::main().unwrap();
}

#[test]
fn a_member_writes_on_the_server_of_somebody_else() {
    let chain = family();
    let mut server = server_of(&chain);
    writes(&mut server, "phone", &chain.log, "milk").unwrap();
    assert_eq!(server.read(chain.roster.chain(), "groceries"), Some("milk"));
}

#[test]
fn a_reader_and_a_chain_that_is_not_registered_write_nothing() {
    let chain = family();
    let mut server = server_of(&chain);
    assert_eq!(writes(&mut server, "reader", &chain.log, "beer"), Err(Refused::MayNotWrite(Role::Reader)));
    let other = Chain::founded_with("stranger", protocol::policy::Policy::default());
    assert_eq!(writes(&mut server, "stranger", &other.log, "beer"), Err(Refused::UnknownChain));
    assert_eq!(server.read(chain.roster.chain(), "groceries"), None);
}

#[test]
fn a_write_is_taken_once() {
    let chain = family();
    let mut server = server_of(&chain);
    let nonce = server.nonce(&mut SeededRng::new("once"));
    let (credential, write) = signed(&keys("phone"), &chain.log, chain.roster.chain(), nonce, "milk").unwrap();
    assert_eq!(server.write(&credential, &write), Ok(()));
    assert_eq!(server.write(&credential, &write), Err(Refused::Replayed));
    let own = Random::draw(&mut SeededRng::new("the device's own"));
    let (credential, write) = signed(&keys("phone"), &chain.log, chain.roster.chain(), own, "milk").unwrap();
    assert_eq!(server.write(&credential, &write), Err(Refused::Replayed));
}

#[test]
fn a_copied_credential_does_not_help_another_device() {
    let chain = family();
    let mut server = server_of(&chain);
    let nonce = server.nonce(&mut SeededRng::new("copied"));
    let (_, write) = signed(&keys("reader"), &chain.log, chain.roster.chain(), nonce, "beer").unwrap();
    assert_eq!(server.write(&shown("phone", &chain.log), &write), Err(Refused::AnotherDevice));
}

#[test]
fn a_removed_device_writes_nothing_once_anybody_has_shown_a_newer_head() {
    let mut chain = family();
    let mut server = server_of(&chain);
    writes(&mut server, "phone", &chain.log, "milk").unwrap();
    let old = chain.log.clone();
    chain.append(&chain.removes(&chain.laptop, &["phone"]));
    assert_eq!(writes(&mut server, "phone", &old, "still"), Ok(()), "nobody has told this server");
    writes(&mut server, "laptop", &chain.log, "bread").unwrap();
    let behind = CredentialError::Behind { seq: 2, known: 3 };
    assert_eq!(writes(&mut server, "phone", &old, "again"), Err(behind.into()));
    let refused = Credential::of(keys("phone").id(), &chain.log).unwrap_err();
    let by = keys("laptop").id();
    let former = Departure { seq: 3, by, why: Why::Removed(RemoveReason::Lost), at: AT };
    let newest = Known { chain: Some(chain.roster.chain()), head: Some((chain.roster.head(), 3)) };
    assert_eq!(refused, CredentialError::NotAMember { former: Some(former), newest: newest.into() });
    let sentence = format!("the device was removed by device {} at entry 3 (lost)", by.short());
    assert_eq!(refused.to_string(), sentence);
}

/// Its own log told of the removal, or of the end, and was refused for that. The log of before must not be taken the next time.
#[test]
fn a_log_that_refuses_its_bearer_teaches_its_head() {
    let old = family();
    let bytes = shown("phone", &old.log);
    let mut removed = old.clone();
    removed.append(&removed.removes(&removed.laptop, &["phone"]));
    let mut closed = old.clone();
    closed.append(&closed.announces(&closed.laptop, Vec::new()));
    closed.append(&closed.closes(&closed.laptop, closed.roster.head()));
    for (code, chain) in [("not-a-member", removed), ("chain-closed", closed)] {
        let newer = naming("phone", &chain.log);
        let refused = verify(&newer, &Known::of(chain.roster.chain())).unwrap_err();
        assert_eq!(refused.code(), code);
        let newest = refused.newest().unwrap();
        let (id, seq) = (chain.roster.chain(), chain.roster.seq());
        assert_eq!(newest, Known { chain: Some(id), head: Some((chain.roster.head(), seq)) });
        assert_eq!(verify(&bytes, &newest).unwrap_err().code(), "behind");
        let mut server = server_of(&chain);
        assert_eq!(server.learn(id, &newer), Err(refused.into()));
        let behind = CredentialError::Behind { seq: 2, known: seq };
        assert_eq!(writes(&mut server, "phone", &old.log, "milk"), Err(behind.into()));
    }
    assert_eq!(verify(&bytes[1..], &Known::default()).unwrap_err().newest(), None);
}

#[test]
fn a_head_that_was_learned_is_kept_also_from_a_member_that_may_not_write() {
    let chain = family();
    let mut server = server_of(&chain);
    assert!(writes(&mut server, "reader", &chain.log, "beer").is_err());
    let behind = CredentialError::Behind { seq: 1, known: 2 };
    assert_eq!(writes(&mut server, "phone", &chain.log[..2], "milk"), Err(behind.into()));
}

#[test]
fn a_signature_for_the_server_is_none_for_a_chain() {
    let nonce = Random::draw(&mut SeededRng::new("labels"));
    let chain = family();
    let form = Write { version: 1, chain: chain.roster.chain(), nonce, name: String::new(), text: String::new() };
    let write = Verified::sign(form, &keys("phone").signing, &[]).unwrap();
    let log = [&chain.log[..], &[chain.changed(&keys("laptop"), &chain.deny_body(), |_| {})]].concat();
    assert!(Verified::<Entry>::from_bytes(write.bytes()).is_err());
    assert!(Verified::<Write>::from_bytes(log[3].bytes()).is_err());
    let later = Write { version: 2, ..(*write).clone() };
    let refused = Verified::sign(later, &keys("phone").signing, &[]).unwrap_err();
    assert_eq!(refused, FormError::UnknownVersion { form: "write", got: 2 });
}

#[test]
fn no_bit_of_a_credential_can_be_changed() {
    let mut chain = Chain::founded();
    chain.joined("phone", Role::Writer);
    let good = shown("phone", &chain.log);
    assert!(verify(&good, &Known::default()).is_ok());
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(verify(&changed, &Known::default()).is_err(), "byte {at}");
    }
    for length in (0..good.len()).step_by(7) {
        assert!(verify(&good[..length], &Known::default()).is_err(), "cut at {length}");
    }
}

#[test]
fn bytes_and_entries_of_a_credential_are_counted_before_any_entry_is_read() {
    let entries = |count: u32, entry: &[u8]| {
        let head = [&[0xa3, 0, 1, 1, 0x58, 0x20][..], &keys("phone").id().0, &[2, 0x9a]].concat();
        [&head[..], &count.to_be_bytes(), &entry.repeat(count as usize)].concat()
    };
    let whole = |error: Result<_, CredentialError>| matches!(error, Err(CredentialError::Form(_)));
    let most = limits::CREDENTIAL_ENTRIES_MAX as u32;
    assert!(whole(verify(&entries(most + 1, &[0x40]), &Known::default())));
    let last = verify(&entries(most, &[0x40]), &Known::default()).unwrap_err();
    assert!(matches!(last, CredentialError::Entry { index: 0, .. }), "as many as are allowed: {last}");
    assert_eq!(verify(&vec![0; limits::CREDENTIAL_BYTES_MAX + 1], &Known::default()).unwrap_err().code(), "too-large");
}

#[test]
fn a_log_that_is_too_long_makes_no_credential() {
    let chain = Chain::founded();
    let entry = chain.changed(&keys("laptop"), &chain.deny_body(), |_| {});
    // The size comes first, so it need not be a log.
    let count = limits::CREDENTIAL_BYTES_MAX / entry.bytes().len();
    assert!(count < limits::CREDENTIAL_ENTRIES_MAX, "{count} entries of the smallest kind fill it");
    let refused = Credential::of(keys("laptop").id(), &vec![entry; count]).unwrap_err();
    assert_eq!(refused.code(), "too-large");
}

#[test]
fn a_credential_is_made_only_of_a_log_that_bears_it_out() {
    let chain = family();
    assert!(Credential::of(keys("laptop").id(), &[]).is_err());
    assert_eq!(Credential::of(keys("laptop").id(), &chain.log[1..]).unwrap_err().code(), "other-chain");
    let nobody = Credential::of(keys("stranger").id(), &chain.log);
    let newest = Known { chain: Some(chain.roster.chain()), head: Some((chain.roster.head(), chain.roster.seq())) };
    assert_eq!(nobody.unwrap_err(), CredentialError::NotAMember { former: None, newest: newest.into() });
}
