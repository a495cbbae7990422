//! The test vectors of `docs/vectors`, made from fixed seeds.
//!
//! Here they are *made* and compared with the files; another test binary, `tests/vectors`, reads nothing but the files and asks the
//! crate's public functions, as somebody else's program would. `COUNTERSIGN_REGENERATE=1 cargo test -p countersign-protocol`
//! writes the files anew.

pub(crate) mod json;
mod notation;
pub(crate) mod making;
mod derivations;
mod sealing;
mod forms;
pub(crate) mod logs;
mod epochs;
mod records;
mod rounds;
mod reads;
mod messages;
mod credentials;
mod resets;
mod join;

use std::path::PathBuf;

use json::Json;

use crate::support::compare_file;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/vectors").join(name)
}

fn compare(name: &str, json: &Json) {
    compare_file(&path(name), &json.to_file());
}

/// What a file begins with.
fn note(text: &str) -> String {
    format!("{text} README.md says what each member means. All secrets here are published, and protect nothing.")
}
