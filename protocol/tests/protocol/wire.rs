//! Wire messages: broken in every way, and none is read as another. Their bytes stand in `docs/vectors/messages.json`.

use minicbor::{Decode, Encode};
use protocol::cbor::{self, Blob};
use protocol::connect::Cursor;
use protocol::id::Random;
use protocol::limits;
use protocol::wire::{
    Ack, Append, Appended, Approved, Ask, Challenge, Ended, Ending, FromDevice, LogPage, OpenRequest, OpenRequests,
    Purpose, Put, Ready, RecordPage, RecordRow, ResetStanding, Round, SealedRecord, Seen, Stage, Standing, Stored,
    ToDevice,
};

use crate::forms::forms;
use crate::world::AT;

/// Breaks a body in every way that keeps its length or shortens it.
fn body<T>(name: &str, value: &T)
where
    T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + core::fmt::Debug,
{
    let kept = cbor::encode(value);
    let decode = |bytes: &[u8]| cbor::decode::<T>("body", bytes, limits::BODY_BYTES_MAX);
    assert_eq!(decode(&kept).as_ref(), Ok(value));
    for length in 0..kept.len() {
        assert_eq!(decode(&kept[..length]).unwrap_err().code(), "malformed", "{name} cut at {length}");
    }
    assert_eq!(decode(&[kept.as_slice(), &[0]].concat()).unwrap_err().code(), "not-canonical");
    assert_eq!(cbor::decode::<T>("body", &kept, kept.len() - 1).unwrap_err().code(), "too-large");
    for at in 0..kept.len() {
        let mut broken = kept.clone();
        broken[at] ^= 1;
        if let Ok(other) = decode(&broken) {
            assert_ne!(&other, value, "two encodings of one {name}: byte {at}");
            assert_eq!(cbor::encode(&other), broken);
        }
    }
}

#[test]
fn every_wire_message_has_one_encoding_and_none_is_half() {
    let all = forms();
    let blob = |bytes: &[u8]| Blob(bytes.to_vec());
    let head = all.chain.roster.head();
    let request = all.request.id();
    let sealed = SealedRecord { record: blob(all.put.bytes()), ciphertext: Some(all.ciphertext.clone()) };
    let tombstone = SealedRecord { record: blob(all.delete.bytes()), ciphertext: None };
    let nonce = blob(all.nonce.bytes());
    let open = OpenRequest {
        request: blob(all.request.bytes()),
        description: all.description.clone(),
        seen: Seen { address: "2001:db8::7".to_owned(), proxy: Some("127.0.0.1".to_owned()), at: AT },
        remaining: 890_000,
        rounds: vec![
            Round { nonce: nonce.clone(), reveal: Some(blob(all.reveal.bytes())) },
            Round { nonce: nonce.clone(), reveal: None },
        ],
    };
    let page = LogPage { entries: vec![blob(all.admit.bytes())], head, seq: 1 };
    let rows = RecordPage {
        rows: vec![
            RecordRow { number: 9, sealed: sealed.clone() },
            RecordRow { number: 10, sealed: tombstone.clone() },
        ],
        cursor: Cursor { store: 7, number: 10 },
        last: 300,
    };
    let standing = Standing {
        request,
        stage: Stage::Code,
        remaining: 890_000,
        online: true,
        nonces: vec![nonce],
        chain: Some(protocol::ChainId([5; 32])),
    };
    body("append", &Append { entries: vec![blob(all.deny.bytes())], purpose: Purpose::Heal });
    body("appended", &Appended { head, seq: 1 });
    body("ask", &Ask { request: blob(all.request.bytes()), description: all.description.clone() });
    body("open-requests", &OpenRequests { requests: vec![open.clone()] });
    body("put", &Put { records: vec![sealed, tombstone], refill: None });
    body("stored", &Stored { numbers: vec![9, 10] });
    body("challenge", &ToDevice::Challenge(Challenge { nonce: Random([0x11; 32]), at: AT }));
    body("ready", &ToDevice::Ready(Ready { head, seq: 1, knows_your_head: true }));
    body("entries", &ToDevice::Entries(page));
    body("records", &ToDevice::Records(rows));
    body("requested", &ToDevice::Requested(open));
    body("ended", &ToDevice::Ended(Ended { request, ending: Ending::Withdrawn }));
    body("standing", &ToDevice::Standing(standing));
    body("approved", &ToDevice::Approved(Approved { approval: blob(all.deny.bytes()) }));
    let form = blob(all.deny.bytes());
    body("reset", &ToDevice::Reset(ResetStanding { reset: form, remaining: 604_800_000 }));
    body("ack", &FromDevice::Ack(Ack { seq: 1, number: 300 }));
}

#[test]
fn a_message_of_an_unknown_kind_is_malformed() {
    assert_eq!(ToDevice::from_bytes(&[0x82, 0x09, 0xa0]).unwrap_err().code(), "malformed");
    assert_eq!(FromDevice::from_bytes(&[0x82, 0x01, 0xa0]).unwrap_err().code(), "malformed");
    assert_eq!(FromDevice::from_bytes(&[]).unwrap_err().code(), "malformed");
}

#[test]
fn a_message_longer_than_its_frame_is_refused_before_it_is_parsed() {
    let long = vec![0xff; limits::FRAME_FROM_DEVICE_BYTES_MAX + 1];
    assert_eq!(FromDevice::from_bytes(&long).unwrap_err().code(), "too-large");
    let long = vec![0xff; limits::FRAME_TO_DEVICE_BYTES_MAX + 1];
    assert_eq!(ToDevice::from_bytes(&long).unwrap_err().code(), "too-large");
}

/// Four million empty items fit into one body and cost a second to decode: the bound stands at the array's head.
#[test]
fn an_array_of_more_items_than_allowed_is_refused_at_its_head() {
    let append = |count: u32| {
        let mut bytes = vec![0xa2, 0x00, 0x9a];
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.resize(bytes.len() + count as usize, 0x40);
        bytes.extend_from_slice(&[0x01, 0x00]);
        cbor::decode::<Append>("append", &bytes, limits::BODY_BYTES_MAX)
    };
    let refused = append(4_000_000).unwrap_err();
    assert!(refused.to_string().contains("at most 64 items"), "{refused}");
}
