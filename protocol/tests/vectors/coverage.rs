//! No refusal without a vector, and no vector whose refusal the page does not name.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::reading::{file, repository};

const FILES: [&str; 12] = [
    "credentials.json",
    "derivations.json",
    "epochs.json",
    "forms.json",
    "join.json",
    "logs.json",
    "messages.json",
    "reads.json",
    "records.json",
    "resets.json",
    "rounds.json",
    "sealing.json",
];

/// Every code that a function `code` of the crate can answer.
fn codes_of_the_crate() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    let folders = ["protocol/src", "protocol/src/roster", "protocol/src/entry"];
    let sources = folders.iter().flat_map(|folder| std::fs::read_dir(repository(folder)).unwrap());
    for source in sources.map(|source| source.unwrap().path()).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(source).unwrap();
        for (at, _) in text.match_indices("pub fn code(&self) -> &'static str {") {
            let body = text[at..].split("\n    }\n").next().unwrap();
            codes.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    assert!(codes.contains("bad-signature") && codes.contains("chain-full") && codes.len() > 30, "{codes:?}");
    codes
}

/// Every error that stands in the files.
fn errors_of_the_vectors() -> BTreeSet<String> {
    fn collect(value: &Value, errors: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, errors)),
            Value::Object(members) => {
                errors.extend(members.get("error").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| collect(member, errors));
            }
            _ => {}
        }
    }
    let mut errors = BTreeSet::new();
    for name in FILES {
        collect(&file(name), &mut errors);
    }
    errors
}

#[test]
fn every_code_of_the_crate_stands_in_a_vector() {
    let errors = errors_of_the_vectors();
    let missing: Vec<String> = codes_of_the_crate().into_iter().filter(|code| !errors.contains(code)).collect();
    assert!(missing.is_empty(), "no vector shows {missing:?}");
}

#[test]
fn every_error_of_a_vector_is_explained() {
    let page = std::fs::read_to_string(repository("docs/protocol.md")).unwrap();
    let readme = std::fs::read_to_string(repository("docs/vectors/README.md")).unwrap();
    for error in errors_of_the_vectors() {
        let quoted = format!("`{error}`");
        assert!(page.contains(&quoted) || readme.contains(&quoted), "{quoted} is explained nowhere");
    }
}

#[test]
fn every_file_of_vectors_is_read_here() {
    let mut kept: Vec<String> = std::fs::read_dir(repository("docs/vectors"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    kept.sort();
    assert_eq!(kept, FILES);
}
