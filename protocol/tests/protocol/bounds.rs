//! The last value that passes, and the first that does not.

use protocol::cbor::{self, Blob};
use protocol::entry::Body;
use protocol::limits::{BLOCK_MAX, DESCRIPTION_BYTES_MAX, ENTRY_BYTES_MAX};
use protocol::policy::Role;
use protocol::{Verified, entry::Entry};

use crate::world::Chain;

#[test]
fn a_value_of_the_limit_passes() {
    let bytes = cbor::encode(&Blob(vec![0; 30]));
    assert_eq!(cbor::decode::<Blob>("blob", &bytes, bytes.len()).unwrap().len(), 30);
    assert_eq!(cbor::decode::<Blob>("blob", &bytes, bytes.len() - 1).unwrap_err().code(), "too-large");
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
