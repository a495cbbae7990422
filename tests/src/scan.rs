//! Secrets must show nowhere: not in what our children write, nor in what the system tells about them.
//!
//! Every secret that a test makes or reads is named here, and each child is searched for all of them when it ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Each secret's text, and what it is.
static SECRETS: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());

/// Names a secret that must show nowhere.
pub fn secret(what: &'static str, text: &str) {
    assert!(text.len() > 5, "too short to be told from chance");
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned(), what);
}

/// Names secret bytes, in the ways in which programs write bytes.
pub fn secret_bytes(what: &'static str, bytes: &[u8]) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    secret(what, &hex);
    secret(what, &hex.to_uppercase());
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    secret(what, &list.join(", "));
}

/// The secrets that a text shows.
#[must_use]
pub fn leaks(place: &str, text: &str) -> Vec<String> {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    secrets
        .iter()
        .filter(|(secret, _)| text.contains(secret.as_str()))
        .map(|(_, what)| format!("{place} shows {what}"))
        .collect()
}
