//! Secrets must show nowhere: not in what our children write, nor in what the system tells about them.
//!
//! Every secret that a test makes or reads is named here, and each child is searched for all of them when it ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How far a secret may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Never in arguments or environment of any process, nor in any log: sync codes and keys.
    Strict,
    /// Not in any log, nor in arguments or environment of a daemon; the person's own commands name it: check codes, collections.
    Private,
}

/// Each secret's text, what it is, and how far it may go.
static SECRETS: Mutex<BTreeMap<String, (&'static str, Secrecy)>> = Mutex::new(BTreeMap::new());

/// Names a secret.
///
/// # Panics
///
/// If it is so short that chance would find it everywhere.
pub fn secret(what: &'static str, secrecy: Secrecy, text: &str) {
    assert!(text.len() > 5, "too short to be told from chance");
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned(), (what, secrecy));
}

/// Names secret bytes, in the ways in which programs write bytes.
pub fn secret_bytes(what: &'static str, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    secret(what, Secrecy::Strict, &hex.to_uppercase());
    secret(what, Secrecy::Strict, &hex);
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    secret(what, Secrecy::Strict, &list.join(", "));
}

/// Names a check code, as it is shown and as it is typed.
pub fn check_code(digits: &str) {
    let bare: String = digits.chars().filter(char::is_ascii_digit).collect();
    secret("a check code", Secrecy::Private, &bare);
    let (left, right) = bare.split_at(3);
    secret("a check code", Secrecy::Private, &format!("{left} {right}"));
}

/// Names the words of a sync code.
pub fn words(words: &str) {
    secret("a sync code", Secrecy::Strict, words);
    // Three words in a row are no chance, and enough of a leak.
    let list: Vec<&str> = words.split(' ').collect();
    for three in list.windows(3) {
        secret("words of a sync code", Secrecy::Strict, &three.join(" "));
    }
}

/// The secrets that a text shows which a place of this secrecy must not show.
#[must_use]
pub fn leaks(place: &str, text: &str, strict_only: bool) -> Vec<String> {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let shown = secrets
        .iter()
        .filter(|(secret, (_, secrecy))| (!strict_only || *secrecy == Secrecy::Strict) && stands_alone(text, secret));
    shown.map(|(_, (what, _))| format!("{place} shows {what}")).collect()
}

/// Whether a secret stands in a text on its own: six digits in the middle of a hash are chance.
fn stands_alone(text: &str, secret: &str) -> bool {
    text.match_indices(secret).any(|(at, _)| {
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + secret.len()..).and_then(|text| text.chars().next());
        !joins(before) && !joins(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_found_and_chance_is_not() {
        check_code("482 913");
        assert_eq!(leaks("log", "code=482913", false).len(), 1);
        assert_eq!(leaks("log", "the code is 482 913.", false).len(), 1);
        assert!(leaks("log", "id ab482913ff", false).is_empty());
        assert!(leaks("log", "code=482913", true).is_empty());
    }
}
