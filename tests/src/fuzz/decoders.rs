//! Every decoder that takes a stranger's bytes. The first byte says which.

use minicbor::{Decode, Encode};
use protocol::approval::Approval;
use protocol::code::{RecoveryCode, SyncCode};
use protocol::connect::Connect;
use protocol::credential::{self, Known};
use protocol::entry::Entry;
use protocol::keys::SigningKey;
use protocol::policy::Policy;
use protocol::record::{Content, Record};
use protocol::refill::Refill;
use protocol::request::{Description, JoinRequest, Withdrawal};
use protocol::reset::Reset;
use protocol::roster::Roster;
use protocol::round::{Nonce, Reveal};
use protocol::wire::{
    Append, Appended, Approvals, Ask, ChainOfKey, FromDevice, LogPage, OpenRequests, Put, RecordPage, RecordRow,
    ResetStanding, Standing, Stored, ToDevice, Whereabouts,
};
use protocol::{Form, Signed, Verified, cbor, http_signature, limits};

/// Decodes bytes as what the first byte says.
pub fn decoders(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    match which {
        0 => form::<Entry>(bytes),
        1 => form::<JoinRequest>(bytes),
        2 => form::<Withdrawal>(bytes),
        3 => form::<Nonce>(bytes),
        4 => form::<Reveal>(bytes),
        5 => form::<Record>(bytes),
        6 => form::<Connect>(bytes),
        7 => payload::<Entry>(bytes),
        8 => payload::<JoinRequest>(bytes),
        9 => payload::<Record>(bytes),
        10 => payload::<Connect>(bytes),
        11 => payload::<Nonce>(bytes),
        12 => value::<Append>(bytes),
        13 => value::<Ask>(bytes),
        14 => value::<Put>(bytes),
        15 => value::<LogPage>(bytes),
        16 => value::<RecordPage>(bytes),
        17 => value::<OpenRequests>(bytes),
        18 => value::<Standing>(bytes),
        19 => value::<Content>(bytes),
        20 => drop(Description::from_opened(bytes)),
        21 => message(bytes),
        22 => text(bytes),
        24 => credential(bytes),
        25 => form::<Approval>(bytes),
        26 => form::<Refill>(bytes),
        27 => form::<Reset>(bytes),
        28 => payload::<Approval>(bytes),
        29 => payload::<Refill>(bytes),
        30 => payload::<Reset>(bytes),
        31 => payload::<Withdrawal>(bytes),
        32 => payload::<Reveal>(bytes),
        33 => value::<Approvals>(bytes),
        34 => value::<ChainOfKey>(bytes),
        35 => value::<ResetStanding>(bytes),
        36 => value::<Whereabouts>(bytes),
        37 => value::<Appended>(bytes),
        38 => value::<Stored>(bytes),
        39 => value::<RecordRow>(bytes),
        40 => policy(bytes),
        _ => read(bytes),
    }
}

/// A signed form: whatever is taken is kept as it came, and is taken again.
fn form<T: Form>(bytes: &[u8]) {
    let Ok(signed) = Signed::<T>::decode(bytes) else { return };
    let hash = signed.hash();
    let Ok(verified) = signed.verify() else { return };
    assert_eq!(**verified.bytes(), *bytes);
    assert_eq!(Verified::<T>::from_bytes(bytes).expect("taken before").hash(), hash);
}

/// A payload that a key of ours signs: what a dishonest member can say.
fn payload<T: Form + Clone>(bytes: &[u8]) {
    let key = SigningKey::from_seed(&[7; 32]);
    let prover = SigningKey::from_seed(&[8; 32]);
    let Ok(form) = cbor::decode::<T>(T::NAME, bytes, T::BYTES_MAX) else { return };
    assert_eq!(cbor::encode(&form), bytes, "one encoding");
    let Ok(verified) = Verified::sign(form, &key, &[&prover, &prover]) else { return };
    let again = Verified::<T>::from_bytes(verified.bytes()).expect("what may be signed may be read");
    assert_eq!(again.hash(), verified.hash());
    log(verified.bytes());
}

/// A log of one entry, where the bytes are one.
fn log(bytes: &[u8]) {
    let Ok(entry) = Verified::<Entry>::from_bytes(bytes) else { return };
    if let Some(request) = entry.evidence().request() {
        assert_eq!(request.signer(), request.device.signing);
    }
    let Ok(roster) = Roster::found(&entry) else { return };
    assert_eq!(roster.people_count(), 1);
    assert!(roster.apply(&entry).is_err(), "no chain is founded twice");
}

fn value<T: Encode<()> + for<'b> Decode<'b, ()>>(bytes: &[u8]) {
    if let Ok(value) = cbor::decode::<T>("value", bytes, limits::BODY_BYTES_MAX) {
        assert_eq!(cbor::encode(&value), bytes, "one encoding");
    }
}

/// A policy: one that may be in force asks for no more approvers than there may be members.
fn policy(bytes: &[u8]) {
    value::<Policy>(bytes);
    let Ok(policy) = cbor::decode::<Policy>("policy", bytes, limits::ENTRY_BYTES_MAX) else { return };
    if policy.check().is_ok() {
        let most = usize::from(policy.members_max);
        assert!((1..=limits::MEMBERS_MAX).contains(&most) && usize::from(policy.quorums.most()) <= most);
    }
}

fn message(bytes: &[u8]) {
    if let Ok(message) = ToDevice::from_bytes(bytes) {
        assert_eq!(message.to_bytes(), bytes);
    }
    if let Ok(message) = FromDevice::from_bytes(bytes) {
        assert_eq!(message.to_bytes(), bytes);
    }
}

fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(code) = SyncCode::from_words(&text) {
        assert_eq!(SyncCode::from_words(&code.words()).expect("its own words"), code);
        let recovery = RecoveryCode::from_words(&text).expect("words of the same kind");
        assert_eq!(recovery.words(), code.words());
    }
    if let Ok((code, relay)) = SyncCode::from_payload(&text) {
        let (again, address) = SyncCode::from_payload(&code.payload(&relay)).expect("its own payload");
        assert_eq!((again, address), (code, relay));
    }
}

/// A credential: what is proven once is proven to whoever knows its head, and its way ends at the founder.
fn credential(bytes: &[u8]) {
    let Ok(proven) = credential::verify(bytes, &Known::default()) else { return };
    assert_eq!(credential::verify(bytes, &proven.newest()).expect("proven before"), proven);
    let (first, last) = (proven.links().first().expect("the device"), proven.links().last().expect("the founder"));
    assert_eq!((first.device, last.device), (proven.device().signing, proven.founder()));
    assert!(first.ended.is_none() && proven.links().len() as u64 <= proven.seq() + 2);
}

fn read(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (input, signature) = text.split_once('\n').unwrap_or((&text, ""));
    let uris = ["https://relay.example/v1/chains".to_owned()];
    let refused = http_signature::verify(Some(input), Some(signature), "GET", &uris, 1_800_000_000);
    assert!(refused.is_err(), "nobody signed this");
}
