//! `docs/vectors/join.json`: a whole join, every byte that travels, in order; and the section of `docs/protocol.md` that shows it.

mod annotated;
mod page;
mod steps;

use protocol::{Form, Verified};

use super::json::{Json, hex, list, object};
use super::making::Ring;
use super::notation::{fields, names_of};
use super::{compare, note};
use crate::forms::{Forms, forms};
use crate::world::{Chain, Joiner};

/// What passes between two who take part.
pub(super) struct Step {
    name: &'static str,
    says: String,
    from: &'static str,
    to: &'static str,
    via: String,
    /// The CDDL rule of the bytes; absent where there are none.
    rule: Option<&'static str>,
    bytes: Vec<u8>,
    /// Header lines of HTTP that matter.
    headers: Vec<String>,
    /// Forms that are made for this step, by name.
    forms: Vec<Json>,
    /// Values that are sealed for this step.
    seals: Vec<Json>,
    /// What either side works out: name, formula, value.
    derived: Vec<(&'static str, String, String)>,
}

impl Step {
    fn new(name: &'static str, from: &'static str, to: &'static str, via: &str, says: &str) -> Self {
        Self {
            name,
            says: says.to_owned(),
            from,
            to,
            via: via.to_owned(),
            rule: None,
            bytes: Vec::new(),
            headers: Vec::new(),
            forms: Vec::new(),
            seals: Vec::new(),
            derived: Vec::new(),
        }
    }

    fn carries(mut self, rule: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        self.rule = Some(rule);
        self.bytes = bytes.as_ref().to_vec();
        self
    }

    fn makes<T: Form>(mut self, ring: &Ring, name: &str, rule: &'static str, form: &Verified<T>) -> Self {
        self.forms.push(form_json(ring, name, rule, form));
        self
    }

    fn derives(mut self, name: &'static str, formula: &str, value: impl Into<String>) -> Self {
        self.derived.push((name, formula.to_owned(), value.into()));
        self
    }

    fn seals(mut self, seals: Vec<Json>) -> Self {
        self.seals = seals;
        self
    }

    fn to_json(&self) -> Json {
        let derived = |(name, formula, value): &(&str, String, String)| {
            object! { "name": *name, "formula": formula.clone(), "value": value.clone() }
        };
        let mut json = object! {
            "name": self.name, "comment": self.says.clone(), "from": self.from, "to": self.to, "via": self.via.clone(), "rule": self.rule,
        };
        if !self.headers.is_empty() {
            json.push("headers", list(self.headers.clone()));
        }
        if !self.seals.is_empty() {
            json.push("seals", list(self.seals.clone()));
        }
        if !self.forms.is_empty() {
            json.push("forms", list(self.forms.clone()));
        }
        if !self.derived.is_empty() {
            json.push("derived", list(self.derived.iter().map(derived)));
        }
        json.push("bytes", hex(&self.bytes));
        json
    }
}

/// A form with everything that it is made of.
fn form_json<T: Form>(ring: &Ring, name: &str, rule: &'static str, form: &Verified<T>) -> Json {
    let made = ring.made(form);
    let mut json = object! { "name": name, "form": rule, "cddl": rule, "fields": fields(rule, &made.payload).unwrap() };
    let Json::Object(members) = &mut json else { unreachable!() };
    members.extend(made.members(ring));
    json.push("sig_structure", hex(made.sig_structure()));
    json
}

/// The people and machines of the join.
struct Story {
    all: Forms,
    /// The chain as it was founded.
    founded: Chain,
    phone: Joiner,
    ring: Ring,
}

fn inputs(story: &Story) -> Json {
    let founding = &story.founded.founding;
    object! {
        "sync_code": hex(founding.code.expose()),
        "words": founding.code.words().as_str(),
        "epoch_key": hex(founding.epoch_key.expose()),
        "name_key": hex(story.founded.keyring.name_key().expose()),
        "c8": hex(story.phone.commitments.expose()),
        "origin": steps::ORIGIN,
    }
}

#[test]
fn a_whole_join_is_made_of_the_same_bytes_as_ever_and_the_page_shows_them() {
    let founded = Chain::founded();
    let phone = founded.asks("phone");
    let story = Story { all: forms(), founded, phone, ring: Ring::family() };
    let steps = steps::all(&story);
    let rules = [
        "description",
        "join-request",
        "device",
        "nonce",
        "reveal",
        "record",
        "content",
        "connect",
        "cursor",
        "entry",
        "found",
        "policy",
        "quorums",
        "admit",
        "append",
        "appended",
        "log-page",
        "ask",
        "standing",
        "seen",
        "open-request",
        "round",
        "sealed-record",
        "put",
        "stored",
        "record-row",
        "record-page",
        "challenge",
        "ready",
        "ended",
        "ack",
    ];
    let file = object! {
        "about": note("A whole join: every byte that travels, in order, and everything that goes into it."),
        "names": names_of(&rules),
        "keys": story.ring.to_json(),
        "inputs": inputs(&story),
        "steps": list(steps.iter().map(Step::to_json)),
        "besides": list([
            form_json(&story.ring, "deny", "entry", &story.all.deny),
            form_json(&story.ring, "withdrawal", "withdrawal", &story.all.withdrawal),
            form_json(&story.ring, "record-delete", "record", &story.all.delete),
        ]),
    };
    compare("join.json", &file);
    page::compare(&file);
}
