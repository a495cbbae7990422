//! Every bound of the protocol: its unit, its reason, and what happens at it.

use core::time::Duration;

/// Bytes of one sealed description (name, platform, version). Longer is refused as malformed: a name is not a file.
pub const DESCRIPTION_BYTES_MAX: usize = 512;
/// Characters of a device's name and platform before sealing. The agent cuts longer ones.
pub const DESCRIPTION_TEXT_MAX: usize = 64;
/// Bytes of a signed join request with its proof. Larger is refused before it is parsed.
pub const REQUEST_BYTES_MAX: usize = 1024;
/// Bytes of the small signed forms (nonce, reveal, withdrawal, connect). Larger is refused before it is parsed.
pub const SMALL_FORM_BYTES_MAX: usize = 1024;
/// Bytes of a signed entry with its proofs. Room for a rotation to [`MEMBERS_MAX`] devices; larger is refused before it is parsed.
pub const ENTRY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a signed approval: it names what it agrees to whole. Larger is refused before it is parsed.
pub const APPROVAL_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a signed record header. Larger is refused before it is parsed.
pub const RECORD_BYTES_MAX: usize = 1024;
/// Bytes of a record's ciphertext. Larger is refused with `too-large`: Countersign moves records, not files.
pub const CIPHERTEXT_BYTES_MAX: usize = 256 * 1024;
/// Characters of a collection's or a record's name. The agent refuses longer ones.
pub const NAME_CHARS_MAX: usize = 256;
/// Records in one batch. A larger batch is refused whole.
pub const BATCH_RECORDS_MAX: usize = 256;
/// Entries in one append. A larger list is refused whole; healing sends several.
pub const APPEND_ENTRIES_MAX: usize = 64;
/// Bytes of a credential: a whole log, so a thousand rotations among thirty devices. Larger is refused before it is parsed, and cannot
/// be made.
pub const CREDENTIAL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Entries of a credential. Checked before any is read: empty ones would cost a stranger one byte each.
pub const CREDENTIAL_ENTRIES_MAX: usize = 65_536;
/// Bytes of an HTTP body. Larger is answered 413 before it is read to its end.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one WebSocket message from a device: nothing a device sends there is longer. The socket is closed at more.
pub const FRAME_FROM_DEVICE_BYTES_MAX: usize = 4 * 1024;
/// Bytes of one WebSocket message from the relay: one page, or one record of the largest size, and its envelope.
pub const FRAME_TO_DEVICE_BYTES_MAX: usize = 512 * 1024;
/// Bytes that the relay aims at for one page of entries or records. At least one item is always sent.
pub const PAGE_BYTES_TARGET: usize = 64 * 1024;
/// Items in one page of entries or records.
pub const PAGE_ITEMS_MAX: usize = 256;
/// Members a chain can have, whatever its policy says. More is refused by `apply`.
pub const MEMBERS_MAX: usize = 128;
/// Devices that a rotation seals its key to: every member, and the recovery device.
pub const RECIPIENTS_MAX: usize = MEMBERS_MAX + 1;
/// Code rounds of one join request: each approver that opens the prompt uses one. The next is refused with `round-taken`.
pub const ROUNDS_MAX: u8 = 8;
/// Join requests of one join key that wait at a time. The next is refused with 429 until one ends or its lifetime is over.
pub const PENDING_PER_JOIN_KEY_MAX: usize = 3;
/// Prompts a day for one join key that did not end in an admission, counted by the relay and by each device for itself. After
/// that the request waits unseen: whoever has the code cannot wear its owner down.
pub const PROMPTS_PER_DAY_MAX: usize = 5;
/// Rounds that a device keeps open at a time. With [`PROMPTS_PER_DAY_MAX`] it bounds the codes a thief can guess at.
pub const OPEN_ROUNDS_MAX: usize = 3;
/// The day over which prompts are counted.
pub const PROMPT_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Wrong check codes on one device for one request. The last one makes it append a deny.
pub const WRONG_CODES_MAX: u8 = 3;
/// Approvals that a relay keeps for a chain. The next is refused until an entry makes them void.
pub const APPROVALS_KEPT_MAX: usize = 64;
/// Approvals that a relay keeps of one approver. At the next its oldest goes, so that one alone cannot use up what all share.
pub const APPROVALS_OF_ONE_MAX: usize = 8;
/// Lifetime of a join request where the policy says nothing else.
pub const REQUEST_LIFETIME_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// Shortest and longest lifetime of a join request that a policy may name.
pub const REQUEST_LIFETIME_RANGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
/// Members of a chain where the policy says nothing else.
pub const MEMBERS_DEFAULT: u8 = 32;
/// Delay of a purge and of a reset where the policy says nothing else.
pub const DELAY_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest delay that a policy may name.
pub const DELAY_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Longest time for which a deny may block an address range at the relay.
pub const BLOCK_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Difference between a signed read's `created` and the relay's clock, either way. Beyond it the read is refused with `clock`.
pub const READ_SKEW_MAX: Duration = Duration::from_secs(60);
/// Time that a relay's challenge may be answered in. Later the socket is closed with 4401.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(30);
/// Subprotocol versions that one Connect may offer.
pub const VERSIONS_OFFERED_MAX: usize = 8;
/// Characters of an origin in a Connect.
pub const ORIGIN_CHARS_MAX: usize = 300;
