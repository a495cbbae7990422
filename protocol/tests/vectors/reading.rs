//! Reading a file of vectors.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::Value;

/// A file or folder of the repository.
pub(crate) fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// A file of vectors.
pub(crate) fn file(name: &str) -> Value {
    let path = repository("docs/vectors").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The items of a list.
pub(crate) fn items<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap_or_else(|| panic!("a list {name} in {value}"))
}

/// A text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("a text {name} in {value}"))
}

/// Bytes that stand as hexadecimal digits.
pub(crate) fn bytes(value: &Value, name: &str) -> Vec<u8> {
    HEXLOWER.decode(text(value, name).as_bytes()).unwrap_or_else(|error| panic!("{name} in {value}: {error}"))
}

/// 32 bytes that stand as hexadecimal digits.
pub(crate) fn id(value: &Value, name: &str) -> [u8; 32] {
    bytes(value, name).try_into().unwrap_or_else(|_| panic!("32 bytes {name} in {value}"))
}

/// A number.
pub(crate) fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("a number {name} in {value}"))
}

/// The code that a case must be refused with; `None` if it must be accepted.
pub(crate) fn error(case: &Value) -> Option<&str> {
    assert!(case.get("error").is_some(), "every case says what it expects: {case}");
    case["error"].as_str()
}

/// Collects what does not agree, so that one run shows all of it.
#[derive(Default)]
pub(crate) struct Disagreements(Vec<String>);

impl Disagreements {
    pub(crate) fn compare<T: PartialEq + core::fmt::Debug>(&mut self, case: &Value, got: T, expected: T) {
        if got != expected {
            self.0.push(format!("{}: expected {expected:?}, got {got:?}", text(case, "name")));
        }
    }

    pub(crate) fn none(self) {
        assert!(self.0.is_empty(), "{} disagree:\n{}", self.0.len(), self.0.join("\n"));
    }
}
