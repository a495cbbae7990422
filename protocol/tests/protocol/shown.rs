//! What is read off a value: by a person, in a message, by the programs around the crate.

use protocol::cbor::{self, Blob};
use protocol::entry::{Body, Entry};
use protocol::limits::ENTRY_BYTES_MAX;
use protocol::policy::{Policy, Role};
use protocol::record::{Line, RecordRefusal};
use protocol::signed::ProofKind;
use protocol::{Signed, Verified};

use crate::world::{AT, Chain};

#[test]
fn a_fingerprint_is_the_first_half_in_groups_of_four() {
    let bytes: [u8; 32] = core::array::from_fn(|at| u8::try_from(at).unwrap() * 7);
    assert_eq!(protocol::id::fingerprint(&bytes), "0007 0e15 1c23 2a31 383f 464d 545b 6269");
}

#[test]
fn a_blob_shows_its_size_and_nothing_of_itself() {
    assert_eq!(format!("{:?}", Blob::from(b"hidden".to_vec())), "Blob(6 bytes)");
    assert_eq!(Blob::from(b"same".to_vec()), Blob::from(&b"same"[..]));
}

#[test]
fn a_bound_is_the_last_size_that_passes() {
    let bytes = cbor::encode(&Blob(vec![0; 30]));
    assert_eq!(cbor::decode::<Blob>("blob", &bytes, bytes.len()).unwrap().len(), 30);
    assert_eq!(cbor::decode::<Blob>("blob", &bytes, bytes.len() - 1).unwrap_err().code(), "too-large");
}

#[test]
fn a_roster_tells_what_found_said() {
    let policy = Policy { members_max: 7, ..Policy::default() };
    let mut chain = Chain::founded_with("laptop", policy.clone());
    let phone = chain.joined("phone", Role::Reader);
    let roster = &chain.roster;
    assert_eq!((roster.founded_at(), roster.policy(), roster.epoch()), (AT, &policy, 1));
    let mut members: Vec<_> = roster.members().map(|member| (member.device.signing, member.role)).collect();
    members.sort();
    let mut expected = vec![(chain.laptop.id(), Role::Approver), (phone.keys.id(), Role::Reader)];
    expected.sort();
    assert_eq!(members, expected);
    assert!(roster.decision(&phone.request.id()).is_some());
}

#[test]
fn a_message_names_the_number_that_was_due() {
    let mut chain = Chain::founded();
    let phone = chain.joined("phone", Role::Writer);
    let draft = protocol::record::Draft { collection: "c", id: "i", value: None, base: None, at: AT };
    let mut rng = crate::support::SeededRng::new("a gap");
    let (gap, _) = protocol::record::write(
        chain.acting(&phone.keys),
        Line { counter: 8, last: Some(chain.roster.head()) },
        &draft,
        &mut rng,
    )
    .unwrap();
    let line = Line { counter: 4, last: None };
    assert_eq!(line.follow(&gap).unwrap_err(), RecordRefusal::BrokenLine { expected: 5 });
}

#[test]
fn a_proof_is_called_by_its_name() {
    assert_eq!((ProofKind::Join.name(), ProofKind::Recovery.name()), ("join proof", "recovery proof"));
}

#[test]
fn a_form_says_what_it_is_and_whether_it_was_verified() {
    let chain = Chain::founded();
    let (entry, who) = (&chain.founding.entry, chain.laptop.id());
    assert_eq!(format!("{entry:?}"), format!("Verified<entry>({:?} by {who:?})", entry.hash()));
    let claim = Signed::<Entry>::decode(entry.bytes()).unwrap();
    assert_eq!(format!("{claim:?}"), format!("Signed({:?} by {who:?}, not verified)", entry.hash()));
}

/// An approval that is none fills an entry to the byte; whether it counts is asked by the log.
#[test]
fn nothing_is_signed_that_is_too_large_to_be_received() {
    let chain = Chain::founded();
    let admit = chain.admits(&chain.laptop, &chain.asks("phone"), Role::Writer);
    let filled = |filling: usize| {
        let mut entry = (*admit).clone();
        if let Body::Admit(admit) = &mut entry.body {
            admit.approvals = vec![Blob(vec![0; filling])];
        }
        entry
    };
    let envelope = admit.bytes().len() - cbor::encode(&*admit).len();
    let size = |filling: usize| cbor::encode(&filled(filling)).len() + envelope;
    let largest = (0..ENTRY_BYTES_MAX).rev().find(|filling| size(*filling) <= ENTRY_BYTES_MAX).unwrap();
    let signed = |filling: usize| {
        let form = Verified::sign(filled(filling), &chain.laptop.signing, &[]);
        form.map(|form| form.bytes().len()).map_err(|error| error.code())
    };
    assert_eq!((signed(largest), signed(largest + 1)), (Ok(ENTRY_BYTES_MAX), Err("too-large")));
}
