//! `messages.json`.

use minicbor::{Decode, Encode};
use protocol::wire::{
    Append, Appended, Approvals, Ask, ChainOfKey, FromDevice, LogPage, OpenRequests, Put, RecordPage, RecordRow,
    ResetStanding, Standing, Stored, ToDevice, Whereabouts,
};
use protocol::{FormError, cbor, limits};

use crate::reading::{Disagreements, bytes, error, file, items, number, text};

/// Reads bytes as the message of a CDDL rule, and writes it again.
fn take(rule: &str, bytes: &[u8]) -> Result<Vec<u8>, FormError> {
    fn body<T: Encode<()> + for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<Vec<u8>, FormError> {
        cbor::decode::<T>("body", bytes, limits::BODY_BYTES_MAX).map(|value| cbor::encode(&value))
    }
    match rule {
        "to-device" => ToDevice::from_bytes(bytes).map(|message| message.to_bytes()),
        "from-device" => FromDevice::from_bytes(bytes).map(|message| message.to_bytes()),
        "append" => body::<Append>(bytes),
        "appended" => body::<Appended>(bytes),
        "ask" => body::<Ask>(bytes),
        "standing" => body::<Standing>(bytes),
        "log-page" => body::<LogPage>(bytes),
        "open-requests" => body::<OpenRequests>(bytes),
        "put" => body::<Put>(bytes),
        "stored" => body::<Stored>(bytes),
        "record-row" => body::<RecordRow>(bytes),
        "record-page" => body::<RecordPage>(bytes),
        "whereabouts" => body::<Whereabouts>(bytes),
        "chain-of-key" => body::<ChainOfKey>(bytes),
        "approvals-kept" => body::<Approvals>(bytes),
        "reset-standing" => body::<ResetStanding>(bytes),
        other => panic!("no message {other}"),
    }
}

#[test]
fn every_message_is_taken_or_refused_as_its_case_says() {
    let mut wrong = Disagreements::default();
    for case in items(&file("messages.json"), "cases") {
        let received = match case.get("fill") {
            Some(fill) => vec![bytes(fill, "byte")[0]; usize::try_from(number(fill, "count")).unwrap()],
            None => bytes(case, "bytes"),
        };
        let taken = take(text(case, "rule"), &received);
        wrong.compare(case, taken.as_ref().err().map(FormError::code), error(case));
        if let Ok(again) = taken {
            wrong.compare(case, again, received);
        }
    }
    wrong.none();
}
