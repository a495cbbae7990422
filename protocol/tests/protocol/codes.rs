//! The sync code as words and as a payload: what people mistype, and what they are told.

use protocol::code::{CodeError, SyncCode, WORDS};

use crate::world::Chain;

fn code() -> SyncCode {
    Chain::founded().founding.code
}

#[test]
fn words_are_read_in_any_case_and_spacing() {
    let words = code().words();
    assert_eq!(words.split(' ').count(), WORDS);
    let shouted = words.to_uppercase().replace(' ', " \n\t ");
    assert_eq!(SyncCode::from_words(&shouted), Ok(code()));
}

#[test]
fn a_wrong_word_is_named_by_position_with_the_nearest() {
    let mut words: Vec<String> = code().words().split(' ').map(str::to_owned).collect();
    words[4] = "abandn".to_owned();
    let error = SyncCode::from_words(&words.join(" ")).unwrap_err();
    assert_eq!(error, CodeError::UnknownWord { position: 5, nearest: "abandon" });
    words[4] = "x".repeat(100_000);
    assert!(matches!(SyncCode::from_words(&words.join(" ")), Err(CodeError::UnknownWord { position: 5, .. })));
}

/// The slowest way to say what an edit distance is.
fn edits(a: &[char], b: &[char]) -> usize {
    match (a, b) {
        ([], rest) | (rest, []) => rest.len(),
        ([x, a @ ..], [y, b @ ..]) if x == y => edits(a, b),
        ([_, a_rest @ ..], [_, b_rest @ ..]) => 1 + edits(a_rest, b_rest).min(edits(a_rest, b)).min(edits(a, b_rest)),
    }
}

#[test]
fn no_word_of_the_list_is_nearer_than_the_one_that_is_named() {
    let mut words: Vec<String> = code().words().split(' ').map(str::to_owned).collect();
    let list = bip39::Language::English.word_list();
    for typo in ["zooo", "wlad", "ftre", "eanh", "zeb", "xyz", "rais"] {
        words[0] = typo.to_owned();
        let Err(CodeError::UnknownWord { nearest, .. }) = SyncCode::from_words(&words.join(" ")) else {
            panic!("{typo} is a word")
        };
        let typed: Vec<char> = typo.chars().collect();
        let to = |word: &str| edits(&word.chars().collect::<Vec<_>>(), &typed);
        assert_eq!(Some(to(nearest)), list.iter().map(|word| to(word)).min(), "{typo}: {nearest}");
    }
}

#[test]
fn swapped_missing_and_superfluous_words_are_told_apart() {
    let words: Vec<String> = code().words().split(' ').map(str::to_owned).collect();
    assert_eq!(SyncCode::from_words(&words[..23].join(" ")), Err(CodeError::WordCount { got: 23 }));
    assert_eq!(SyncCode::from_words(""), Err(CodeError::WordCount { got: 0 }));
    let more = [words.clone(), words.clone()].concat();
    assert_eq!(SyncCode::from_words(&more.join(" ")), Err(CodeError::WordCount { got: 48 }));
    let mut swapped = words;
    swapped.swap(0, 1);
    assert_eq!(SyncCode::from_words(&swapped.join(" ")), Err(CodeError::Checksum));
}

/// The published test vector of BIP-39 for 256 zero bits: the list and the checksum are the standard's.
#[test]
fn the_words_are_those_of_bip_39() {
    let words = SyncCode::from_bytes([0; 32]).words();
    assert_eq!(*words, format!("{}art", "abandon ".repeat(23)));
}

#[test]
fn a_payload_has_each_part_once() {
    let payload = code().payload("https://relay.example");
    let (relay, code) = payload.split_once('&').unwrap();
    assert!(SyncCode::from_payload(&format!("{relay}&{code}&{code}")).is_err());
    assert!(SyncCode::from_payload(&format!("{relay}&relay=https://other.example&{code}")).is_err());
}

#[test]
fn a_payload_that_is_cut_or_changed_is_no_payload() {
    let payload = code().payload("https://relay.example:8443/a?b=c&d=e");
    let (read, relay) = SyncCode::from_payload(&payload).unwrap();
    assert_eq!((read, relay.as_str()), (code(), "https://relay.example:8443/a?b=c&d=e"));
    for length in 0..payload.len() {
        assert!(SyncCode::from_payload(&payload[..length]).is_err(), "cut at {length}");
    }
    let secret_from = payload.rfind('=').unwrap() + 1;
    for at in secret_from..payload.len() {
        let mut changed = payload.to_string();
        let new = if payload.as_bytes()[at] == b'A' { "B" } else { "A" };
        changed.replace_range(at..=at, new);
        assert!(SyncCode::from_payload(&changed).is_err(), "changed at {at}");
    }
    for other in ["", "countersign:join?", "countersign:join?relay=x", "countersign:ticket?relay=x&code=y"] {
        assert!(SyncCode::from_payload(other).is_err(), "{other}");
    }
    let twice = format!("{}&relay=other", *payload);
    assert!(SyncCode::from_payload(&twice).is_err(), "two relays");
}

/// A relay whose address held `%26` came out with `&`, and the joiner dialled another address than the payload named.
#[test]
fn a_payload_gives_back_every_relay_as_it_was() {
    for relay in ["https://r/%26", "https://r/%2526", "https://r/%&%%26&25", "https://r/a=b&c=d"] {
        assert_eq!(SyncCode::from_payload(&code().payload(relay)), Ok((code(), relay.to_owned())));
    }
}
