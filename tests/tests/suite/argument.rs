//! The security argument names a check and a test for each claim: all of them are where it says, and what it calls a test is one.

use std::fs;

use super::layers::root;

/// What stands where nothing is built.
const NOT_BUILT: &str = "not built yet";

/// The three cells of each row that makes a claim.
fn claims(text: &str) -> Vec<[&str; 3]> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        <[&str; 3]>::try_from(cells).unwrap_or_else(|cells| panic!("not three cells: {cells:?}"))
    });
    cells.filter(|[what, _, _]| *what != "what holds").collect()
}

/// Words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Definition,
    Test,
}

/// What a name like `folder/file.rs::Type::name` is in a text, by the text's language.
fn find(path: &str, code: &str, name: &str) -> Found {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let starts = |line: &str, head: &str| {
        line.strip_prefix(head)
            .is_some_and(|rest| !rest.starts_with(|character: char| character.is_alphanumeric() || character == '_'))
    };
    if path.ends_with(".py") {
        if !lines.iter().any(|line| starts(line, &format!("def {name}"))) {
            return Found::Nothing;
        }
        return if name.starts_with("test_") { Found::Test } else { Found::Definition };
    }
    let plain = |line: &str| -> String {
        let words = line.split(' ').skip_while(|word| word.starts_with("pub") || ["async", "const"].contains(word));
        words.collect::<Vec<_>>().join(" ")
    };
    let kinds = ["fn", "struct", "enum", "trait"].map(|kind| format!("{kind} {name}"));
    let Some(at) = lines.iter().position(|line| kinds.iter().any(|kind| starts(&plain(line), kind))) else {
        return Found::Nothing;
    };
    let mut above = lines.iter().take(at).rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let is_test = above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    if is_test { Found::Test } else { Found::Definition }
}

fn look_up(word: &str) -> Found {
    let (path, name) = word.split_once("::").unwrap_or_else(|| panic!("`{word}` names nothing in a file"));
    let code = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    find(path, &code, name.rsplit("::").next().unwrap_or_default())
}

#[test]
fn every_claim_names_a_check_and_a_test_that_exist() {
    let text = fs::read_to_string(root().join("docs/security-argument.md")).unwrap();
    let claims = claims(&text);
    let mut wrong = Vec::new();
    for [what, checked, carried] in &claims {
        if [*checked, *carried] == [NOT_BUILT; 2] {
            continue;
        }
        if quoted(checked).next().is_none() || quoted(carried).next().is_none() {
            wrong.push(format!("no check or no test: {what}"));
        }
        for word in quoted(checked).filter(|word| look_up(word) != Found::Definition) {
            wrong.push(format!("no check: {word}"));
        }
        for word in quoted(carried).filter(|word| look_up(word) != Found::Test) {
            wrong.push(format!("no test: {word}"));
        }
    }
    for word in quoted(&text).filter(|word| word.contains("::") && look_up(word) == Found::Nothing) {
        wrong.push(format!("nowhere: {word}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(claims.len() > 40, "{}", claims.len());
}

#[test]
fn every_attacker_has_claims_and_what_remains() {
    let text = fs::read_to_string(root().join("docs/security-argument.md")).unwrap();
    let attackers: Vec<&str> = text.split("\n## ").filter(|section| section.contains("| what holds |")).collect();
    assert_eq!(attackers.len(), 10);
    for attacker in attackers {
        let title = attacker.lines().next().unwrap_or_default();
        assert!(!claims(attacker).is_empty() && attacker.contains("**Remains:**"), "{title}");
    }
}

#[test]
fn the_check_tells_tests_from_other_functions() {
    let code =
        "#[test]\n// why\nfn claim() {\n}\nfn claim_of() {}\n    pub(super) async fn step(&self) {}\nenum Refusal {}";
    assert_eq!(find("a.rs", code, "claim"), Found::Test);
    assert_eq!(find("a.rs", code, "claim_of"), Found::Definition);
    assert_eq!(find("a.rs", code, "step"), Found::Definition);
    assert_eq!(find("a.rs", code, "Refusal"), Found::Definition);
    assert_eq!(find("a.rs", code, "clai"), Found::Nothing);
    let python = "    def answer(self):\n        pass\ndef test_answer(relay):\n    pass";
    assert_eq!(find("a.py", python, "answer"), Found::Definition);
    assert_eq!(find("a.py", python, "test_answer"), Found::Test);
    assert_eq!(find("a.py", python, "test"), Found::Nothing);
    let text = "| what holds | checked in | carried by |\n|---|---|---|\n| a claim | `a.rs::b` | `c.rs::d` |\n";
    assert_eq!(claims(text), [["a claim", "`a.rs::b`", "`c.rs::d`"]]);
}
