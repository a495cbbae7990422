//! What is read off a value: by a person, in a message, by the programs around the crate.

use protocol::cbor::Blob;
use protocol::entry::Entry;
use protocol::error::FormError;
use protocol::policy::{Policy, Role};
use protocol::record::{Line, RecordRefusal};
use protocol::round::Prompt;
use protocol::signed::ProofKind;
use protocol::{Signed, Verified};

use crate::world::{AT, Chain, keys};

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

#[test]
fn an_entry_of_a_later_kind_is_called_by_its_name() {
    let chain = Chain::founded();
    let named = |kind: u64, wanted: &str| {
        let mut entry = chain.deny_body();
        entry.body = protocol::entry::Body::Unknown { kind, raw: Blob(vec![0xa0]) };
        match Verified::sign(entry, &chain.laptop.signing, &[]) {
            Err(FormError::UnknownKind { kind: got, name }) => assert_eq!((got, name), (kind, wanted)),
            other => panic!("{other:?}"),
        }
    };
    named(0, "unknown");
    named(13, "unknown");
}

#[test]
fn a_prompt_tells_its_round_and_a_code_nothing() {
    let chain = Chain::founded();
    let phone = chain.asks("phone");
    let first = chain.opens(&chain.laptop, &phone, 1);
    let mut rounds = phone.rounds();
    rounds.answer(first, &phone.keys.signing).unwrap();
    let second = chain.opens(&keys("other"), &phone, 2);
    let answer = rounds.answer(second.clone(), &phone.keys.signing).unwrap();
    let prompt = Prompt::new(phone.request.clone(), second, &answer.reveal).unwrap();
    assert_eq!(prompt.round(), 2);
    assert_eq!(format!("{:?}", answer.code), "CheckCode(secret)");
}
