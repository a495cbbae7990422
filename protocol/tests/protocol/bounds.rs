//! The last value that passes, and the first that does not.

use protocol::cbor::{self, Blob};
use protocol::connect::Connect;
use protocol::entry::{Body, Entry};
use protocol::limits::{BLOCK_MAX, DESCRIPTION_BYTES_MAX, ENTRY_BYTES_MAX};
use protocol::policy::{How, Policy, Role};
use protocol::wire::{OpenRequest, Round, Seen};
use protocol::{SUBPROTOCOL, Verified};

use crate::forms::forms;
use crate::world::{Chain, keys};

/// Seconds.
const YEAR: u32 = 365 * 24 * 3_600;

#[test]
fn a_value_of_the_limit_passes() {
    let bytes = cbor::encode(&Blob(vec![0; 30]));
    assert_eq!(cbor::decode::<Blob>("blob", &bytes, bytes.len()).unwrap().len(), 30);
    assert_eq!(cbor::decode::<Blob>("blob", &bytes, bytes.len() - 1).unwrap_err().code(), "too-large");
}

/// Bytes that would begin something of indefinite length, were they not inside a string whose head is only longer than it must be.
#[test]
fn an_indefinite_length_is_looked_for_where_items_begin() {
    let refused = |head: &[u8], length: usize| {
        let bytes = [head, &vec![0x5f; length]].concat();
        cbor::decode::<Blob>("blob", &bytes, 1_000).unwrap_err().code()
    };
    assert_eq!(refused(&[0x58, 20], 20), "not-canonical");
    assert_eq!(refused(&[0x59, 0, 255], 255), "not-canonical");
    assert_eq!(refused(&[0x5a, 0, 0, 1, 44], 300), "not-canonical");
    assert_eq!(refused(&[0x5b, 0, 0, 0, 0, 0, 0, 1, 44], 300), "not-canonical");
    let seen = Seen { address: "192.0.2.7".to_owned(), proxy: None, at: 1 };
    let round = Round { nonce: Blob(vec![0; 10]), reveal: None };
    let open =
        OpenRequest { request: Blob(vec![1]), description: Blob(vec![2]), seen, remaining: 1, rounds: vec![round] };
    let bytes = cbor::encode(&open);
    let map = bytes.len() - 13;
    assert_eq!(bytes[map..map + 3], [0xa1, 0, 0x4a]);
    let endless = [&bytes[..map], &[0xbf], &bytes[map + 1..], &[0xff]].concat();
    assert_eq!(cbor::decode::<OpenRequest>("open request", &endless, 1_000).unwrap_err().code(), "malformed");
}

#[test]
fn a_description_is_the_one_that_the_request_names_and_no_longer_than_its_bound() {
    let phone = Chain::founded().asks("phone");
    assert!(phone.request.names(&phone.sealed));
    let mut other = phone.sealed.0.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(!phone.request.names(&other));
}

#[test]
fn an_entry_carries_a_description_of_512_bytes_and_blocks_for_seven_days() {
    let chain = Chain::founded();
    let admit = chain.admits(&chain.laptop, &chain.asks("phone"), Role::Writer);
    let signed = |entry: Entry| Verified::sign(entry, &chain.laptop.signing, &[]).map(|_| ()).map_err(|e| e.code());
    let described = |bytes: usize| {
        let mut entry = (*admit).clone();
        if let Body::Admit(admit) = &mut entry.body {
            admit.description = Blob(vec![2; bytes]);
        }
        signed(entry)
    };
    assert_eq!(described(DESCRIPTION_BYTES_MAX), Ok(()));
    assert_eq!(described(DESCRIPTION_BYTES_MAX + 1), Err("bad-field"));
    let blocked = |seconds: u32| {
        let mut entry = chain.deny_body();
        if let Body::Deny(deny) = &mut entry.body {
            deny.block = seconds;
        }
        signed(entry)
    };
    let week = u32::try_from(BLOCK_MAX.as_secs()).unwrap();
    assert_eq!((blocked(week), blocked(week + 1)), (Ok(()), Err("bad-field")));
}

/// A ticket that is none fills an entry to the byte; whether it counts is asked by the log.
#[test]
fn nothing_is_signed_that_is_too_large_to_be_received() {
    let chain = Chain::founded();
    let admit = chain.admits(&chain.laptop, &chain.asks("phone"), Role::Writer);
    let filled = |filling: usize| {
        let mut entry = (*admit).clone();
        if let Body::Admit(admit) = &mut entry.body {
            admit.how = How::Ticket;
            admit.ticket = Some(Blob(vec![0; filling]));
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

#[test]
fn a_policy_may_name_its_limits_and_nothing_beyond() {
    let allowed = |change: fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        policy.check().is_ok()
    };
    assert!(allowed(|policy| policy.members_max = 1), "a quorum of one in a chain of one");
    assert!(!allowed(|policy| policy.members_max = 0));
    assert!(allowed(|policy| policy.members_max = 128));
    assert!(!allowed(|policy| policy.members_max = 129));
    assert!(allowed(|policy| (policy.closing_delay, policy.reset_delay) = (YEAR, YEAR)));
    assert!(!allowed(|policy| policy.closing_delay = YEAR + 1));
    assert!(!allowed(|policy| policy.reset_delay = YEAR + 1));
}

#[test]
fn a_connect_offers_eight_versions_and_names_an_origin_of_300_characters() {
    let forms = forms();
    let signed = |offered: usize, origin: usize| {
        let form = Connect {
            offered: vec![SUBPROTOCOL.to_owned(); offered],
            origin: "o".repeat(origin),
            ..(*forms.connect_joiner).clone()
        };
        let key = &keys("tablet").signing;
        Verified::sign(form, key, &[]).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(signed(8, 300), Ok(()));
    assert_eq!((signed(9, 300), signed(8, 301)), (Err("bad-field"), Err("bad-field")));
}
