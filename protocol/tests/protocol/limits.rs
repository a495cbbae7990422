//! The bounds, as numbers: what two programs must agree on is changed on purpose, and on docs/protocol.md too.

use std::time::Duration;

use protocol::limits::*;

const KIB: usize = 1_024;
const MIB: usize = 1_024 * KIB;

/// What the page says, and where it is kept here. A phrase that is no longer there fails, and so does another number.
#[test]
fn bounds_of_the_page_are_those_of_the_program() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md")).unwrap();
    let says = [
        ("| HTTP body | 4 MiB |", BODY_BYTES_MAX, 4 * MIB),
        ("| message from a device on a socket | 4 KiB |", FRAME_FROM_DEVICE_BYTES_MAX, 4 * KIB),
        ("No message from the relay is longer than 512 KiB", FRAME_TO_DEVICE_BYTES_MAX, 512 * KIB),
        ("| entries in one append | 64 |", APPEND_ENTRIES_MAX, 64),
        ("| records in one put | 256 |", BATCH_RECORDS_MAX, 256),
        ("| ciphertext of a record | 256 KiB |", CIPHERTEXT_BYTES_MAX, 256 * KIB),
        ("| credential | 4 MiB, 65,536 entries |", CREDENTIAL_BYTES_MAX, 4 * MIB),
        ("2: [1*65536 form]", CREDENTIAL_ENTRIES_MAX, 65_536),
        ("| members of a chain | 128, by default 32 |", MEMBERS_MAX, 128),
        ("| members of a chain | 128, by default 32 |", usize::from(MEMBERS_DEFAULT), 32),
        ("| rounds of a request | 8 |", usize::from(ROUNDS_MAX), 8),
        ("| approvals kept for a chain | 64 |", APPROVALS_KEPT_MAX, 64),
        ("| approvals kept of one approver | 8 |", APPROVALS_OF_ONE_MAX, 8),
        ("| pending requests of a join key | 3 |", PENDING_PER_JOIN_KEY_MAX, 3),
        ("that were not admitted, withdrawn ones included | 5 |", PROMPTS_PER_DAY_MAX, 5),
        ("keeps at most three rounds open", OPEN_ROUNDS_MAX, 3),
        ("| wrong check codes for a request on a device | 3 |", usize::from(WRONG_CODES_MAX), 3),
        ("if it brings a recovery device | 65,536 |", ENTRY_BYTES_MAX, 64 * KIB),
        ("| the device it names | join proof | 1,024 |", REQUEST_BYTES_MAX, KIB),
        ("| a member that writes | none | 1,024 |", RECORD_BYTES_MAX, KIB),
        ("| an approver | none | 1,024 |", SMALL_FORM_BYTES_MAX, KIB),
        ("a sealed description at most 512", DESCRIPTION_BYTES_MAX, 512),
        ("; name, at most 64 characters", DESCRIPTION_TEXT_MAX, 64),
    ];
    for (phrase, kept, number) in says {
        assert!(page.contains(phrase), "docs/protocol.md no longer says: {phrase}");
        assert_eq!(kept, number, "{phrase}");
    }
}

#[test]
fn times_of_the_page_are_those_of_the_program() {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    assert_eq!(REQUEST_LIFETIME_DEFAULT, Duration::from_secs(900));
    assert_eq!(REQUEST_LIFETIME_RANGE, (Duration::from_secs(1), hours(24)));
    assert_eq!(PROMPT_DAY, hours(24));
    assert_eq!(BLOCK_MAX, hours(7 * 24));
    assert_eq!(DELAY_DEFAULT, hours(7 * 24));
    assert_eq!(DELAY_MAX, hours(365 * 24));
    assert_eq!(READ_SKEW_MAX, Duration::from_secs(60));
    assert_eq!(CHALLENGE_LIFETIME, Duration::from_secs(30));
}

/// A page of the relay's choosing fits into a message, whatever record it ends with, and its message into what a device takes.
#[test]
fn a_page_fits_into_a_message() {
    assert_eq!((PAGE_BYTES_TARGET, PAGE_ITEMS_MAX), (64 * KIB, 256));
    let envelopes = PAGE_ITEMS_MAX * 64;
    let page_of_records = PAGE_BYTES_TARGET + CIPHERTEXT_BYTES_MAX + RECORD_BYTES_MAX + envelopes;
    let page_of_entries = PAGE_BYTES_TARGET + ENTRY_BYTES_MAX + envelopes;
    let largest = page_of_records.max(page_of_entries);
    assert!(largest <= FRAME_TO_DEVICE_BYTES_MAX, "{largest}");
}
