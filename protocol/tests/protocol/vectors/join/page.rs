//! The section "A join, byte by byte" of `docs/protocol.md`, made of what `join.json` says.

use std::path::PathBuf;

use data_encoding::HEXLOWER;

use super::annotated::{annotate, annotate_form};
use crate::vectors::json::Json;

const HEADING: &str = "## A join, byte by byte\n";

const INTRODUCTION: &str = "\
The same join as in [`vectors/join.json`](vectors/join.json), from the founding of a chain to the first record that the new member writes. This section is made of
that file by a test, so it is what the programs do. All secrets in it are published.

In the blocks every byte stands on the left, in order; `;` begins a comment, and `‹name›` stands for bytes that were shown before. What a sealed value
is made of stands before the block that has it; [Sealing](#sealing) says how. Sig_structure is what is signed, and what the hash is of.

";

impl Json {
    fn member(&self, name: &str) -> Option<&Json> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn items(&self, name: &str) -> &[Json] {
        match self.member(name) {
            Some(Self::List(items)) => items,
            _ => &[],
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.member(name) {
            Some(Self::Text(text)) => text,
            _ => "",
        }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        HEXLOWER.decode(self.text(name).as_bytes()).unwrap()
    }
}

/// Compares the page's last section with what is made now, or writes it.
pub(super) fn compare(file: &Json) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let before = page.split(HEADING).next().unwrap();
    let section = section(file);
    crate::support::compare_file(&path, &format!("{}\n\n{HEADING}\n{}\n", before.trim_end(), section.trim_end()));
}

fn section(file: &Json) -> String {
    let mut out = String::from(INTRODUCTION);
    out.push_str(&secrets(file));
    let mut known = Vec::new();
    for (index, step) in file.items("steps").iter().enumerate() {
        out.push_str(&step_text(index + 1, step, &mut known));
    }
    out.push_str("**Besides**: the forms that this join has no need of. The tablet asked as well, and its request is denied or withdrawn; the record is deleted.\n\n");
    for form in file.items("besides") {
        out.push_str(&form_text(form, &mut known));
    }
    out
}

fn secrets(file: &Json) -> String {
    let mut out = String::from("| drawn | value |\n|---|---|\n");
    let inputs = file.member("inputs").unwrap();
    for (name, what) in [
        ("sync_code", "sync code"),
        ("epoch_key", "epoch key of epoch 1"),
        ("name_key", "name key"),
        ("c8", "the phone's c8"),
    ] {
        out.push_str(&format!("| {what} | `{}` |\n", inputs.text(name)));
    }
    for device in ["laptop", "phone"] {
        let keys = file.member("keys").unwrap().member(device).unwrap();
        out.push_str(&format!("| {device}: Ed25519 seed | `{}` |\n", keys.text("signing_seed")));
        out.push_str(&format!("| {device}: X25519 secret | `{}` |\n", keys.text("sealing_secret")));
    }
    out.push('\n');
    out
}

fn step_text(number: usize, step: &Json, known: &mut Vec<(String, Vec<u8>)>) -> String {
    let (from, to, via) = (step.text("from"), step.text("to"), step.text("via"));
    let mut out = format!("**{number}. {from} → {to}, {via}**: {}.\n\n", step.text("comment"));
    let header = |header: &Json| match header {
        Json::Text(line) => format!("{line}\n"),
        other => panic!("a header is a text: {other:?}"),
    };
    let headers: String = step.items("headers").iter().map(header).collect();
    if !headers.is_empty() {
        out.push_str(&format!("```text\n{headers}```\n\n"));
    }
    out.push_str(&derived(step));
    for seal in step.items("seals") {
        out.push_str(&sealed(seal));
    }
    for form in step.items("forms") {
        out.push_str(&form_text(form, known));
    }
    let bytes = step.bytes("bytes");
    let seals: Vec<_> = step.items("seals").iter().map(|seal| (sealed_name(seal), seal.bytes("sealed"))).collect();
    let shown = known.iter().any(|(_, form)| *form == bytes);
    if !bytes.is_empty() && !shown {
        out.push_str(&format!("```text\n{}```\n\n", annotate(step.text("rule"), &bytes, known)));
    }
    known.extend(seals);
    out
}

fn derived(step: &Json) -> String {
    let mut out = String::new();
    for derived in step.items("derived") {
        let (name, formula, value) = (derived.text("name"), derived.text("formula"), derived.text("value"));
        out.push_str(&format!("- {name}, {formula}: `{value}`\n"));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// What goes into a sealed value; the value itself stands in the block that follows.
fn sealed(seal: &Json) -> String {
    let name = sealed_name(seal);
    let mut lines = Vec::new();
    let how = if seal.text("suite") == "01" {
        lines.extend([("ikm", "ikm"), ("skE", "ephemeral_secret"), ("info", "info"), ("aad", "aad")]);
        let (info, aad) = (formula(seal, "info_of"), formula(seal, "aad_of"));
        format!("suite `01` to the sealing key, `info` = {info}, `aad` = {aad}")
    } else {
        lines.extend([("key", "key"), ("nonce", "nonce"), ("aad", "aad")]);
        format!("suite `02` under the {}, associated data = {}", seal.text("key_of"), formula(seal, "aad_of"))
    };
    let lines: Vec<String> =
        lines.iter().flat_map(|(name, member)| wrap(&format!("{name:<11}{}", seal.text(member)))).collect();
    format!("Sealed, ‹{name}›: {how}.\n\n```text\n{}{}\n```\n\n", plaintext(seal), lines.join("\n"))
}

fn sealed_name(seal: &Json) -> String {
    match seal.text("name") {
        "record/notes-first" => "ciphertext".to_owned(),
        name => name.rsplit('/').next().unwrap().replace('-', " "),
    }
}

/// A formula with its labels marked as text.
fn formula(seal: &Json, member: &str) -> String {
    let part = |part: &str| if part.starts_with("countersign/") { format!("`{part}`") } else { part.to_owned() };
    seal.text(member).split(" ‖ ").map(part).collect::<Vec<_>>().join(" ‖ ")
}

/// The plaintext of a sealed value: a key, or a map that is annotated.
fn plaintext(seal: &Json) -> String {
    let bytes = seal.bytes("plaintext");
    match bytes.len() {
        32 => format!("plaintext  {}\n", seal.text("plaintext")),
        _ if seal.text("name").starts_with("record") => annotate("content", &bytes, &[]),
        _ => annotate("description", &bytes, &[]),
    }
}

/// Wraps a line of a name and many digits.
fn wrap(line: &str) -> Vec<String> {
    let (name, digits) = line.split_at(11);
    let digits = digits.as_bytes().chunks(96).map(|chunk| core::str::from_utf8(chunk).unwrap());
    digits
        .enumerate()
        .map(|(index, digits)| format!("{}{digits}", if index == 0 { name } else { "           " }))
        .collect()
}

fn form_text(form: &Json, known: &mut Vec<(String, Vec<u8>)>) -> String {
    let (name, label, bytes) = (form.text("name"), form.text("label"), form.bytes("bytes"));
    let signers = core::iter::once(form).chain(form.items("proofs"));
    let signers: Vec<String> = signers.map(|signer| signer.text("signer").to_owned()).collect();
    let block = annotate_form(form.text("form"), &bytes, &signers, known);
    let payload = form.bytes("payload").len();
    let structure = form.text("sig_structure");
    let head = &structure[..structure.len() - payload * 2];
    let mut out = format!("Form ‹{name}›, {} bytes, label `{label}`:\n\n```text\n{block}```\n\n", bytes.len());
    let lines = wrap(&format!("signed     {head}")).join("\n");
    let hash = form.text("hash");
    out.push_str(&format!("Its Sig_structure and hash:\n\n```text\n{lines} ‖ payload\nhash       {hash}\n```\n\n"));
    known.push((name.to_owned(), bytes));
    out
}
