//! `docs/vectors/forms.json`: every signed form with how it comes about, and every way to be none, in the order of the checks.

mod broken;
mod faults;
mod later;
mod pairs;

use protocol::{Form, Verified};

use super::json::{Json, hex, object};
use super::making::{Made, Ring};
use super::notation::{fields, names_of};
use super::{compare, note};
use crate::forms::{Forms, forms};

/// A form, good or bad.
pub(super) struct Case {
    name: String,
    says: String,
    /// The CDDL rule of the payload that the receiver expects.
    rule: &'static str,
    error: Option<&'static str>,
    content: Content,
}

/// What the receiver gets.
enum Content {
    Signed(Box<Made>),
    /// One byte, many times: too large to be written down.
    Fill {
        byte: u8,
        count: usize,
    },
}

pub(super) struct Cases(Vec<Case>);

impl Cases {
    fn good(&mut self, specimen: &Specimen, says: &str) {
        let content = Content::Signed(Box::new(specimen.made.clone()));
        self.0.push(Case {
            name: specimen.name.to_owned(),
            says: says.to_owned(),
            rule: specimen.rule,
            error: None,
            content,
        });
    }

    /// Another good form of a specimen's shape.
    fn also_good(&mut self, specimen: &Specimen, what: &str, says: &str, made: Made) {
        let content = Content::Signed(Box::new(made));
        let name = format!("{}-{what}", specimen.name);
        self.0.push(Case { name, says: says.to_owned(), rule: specimen.rule, error: None, content });
    }

    /// A fault of a specimen.
    fn bad(&mut self, specimen: &Specimen, fault: &str, says: &str, error: &'static str, made: Made) {
        let content = Content::Signed(Box::new(made));
        let name = format!("{}/{fault}", specimen.name);
        self.0.push(Case { name, says: says.to_owned(), rule: specimen.rule, error: Some(error), content });
    }

    fn fill(&mut self, specimen: &Specimen, fault: &str, says: &str, error: &'static str, count: usize) {
        let content = Content::Fill { byte: 0xff, count };
        let name = format!("{}/{fault}", specimen.name);
        self.0.push(Case { name, says: says.to_owned(), rule: specimen.rule, error: Some(error), content });
    }
}

/// A good form, and what is known of its kind.
pub(super) struct Specimen {
    name: &'static str,
    rule: &'static str,
    made: Made,
    bytes_max: usize,
    /// Whether the form names its signer.
    names_signer: bool,
}

impl Specimen {
    fn new<T: Form>(
        ring: &Ring,
        name: &'static str,
        rule: &'static str,
        form: &Verified<T>,
        names_signer: bool,
    ) -> Self {
        Self { name, rule, made: ring.made(form), bytes_max: T::BYTES_MAX, names_signer }
    }

    /// Signed again over another payload.
    fn over(&self, payload: Vec<u8>) -> Made {
        Made { payload, ..self.made.clone() }
    }

    /// Signed again with these bytes of the payload replaced. They must stand there once.
    fn with(&self, old: &[u8], new: &[u8]) -> Made {
        let at: Vec<usize> = self
            .made
            .payload
            .windows(old.len())
            .enumerate()
            .filter(|(_, window)| *window == old)
            .map(|(at, _)| at)
            .collect();
        assert_eq!(at.len(), 1, "{}: {old:x?} stands {} times", self.name, at.len());
        let mut payload = self.made.payload.clone();
        payload.splice(at[0]..at[0] + old.len(), new.iter().copied());
        self.over(payload)
    }
}

pub(super) fn ring() -> Ring {
    Ring::family()
}

/// Every form once.
fn specimens(all: &Forms, ring: &Ring) -> Vec<(Specimen, &'static str)> {
    vec![
        (Specimen::new(ring, "found", "entry", &all.found, true), "a laptop founds a chain"),
        (
            Specimen::new(ring, "found-with-recovery", "entry", &all.found_with_recovery, true),
            "the same with a recovery device: two proofs",
        ),
        (Specimen::new(ring, "admit", "entry", &all.admit, false), "the laptop admits the phone, whose code was typed"),
        (
            Specimen::new(ring, "deny", "entry", &all.deny, false),
            "the phone denies the tablet: not me, blocked for an hour",
        ),
        (Specimen::new(ring, "remove", "entry", &all.later.remove, false), "the laptop removes the phone"),
        (
            Specimen::new(ring, "rotate", "entry", &all.later.rotate, false),
            "a new epoch, the same sync code, and a recovery device, which proves itself",
        ),
        (Specimen::new(ring, "leave", "entry", &all.later.leave, false), "the phone leaves"),
        (Specimen::new(ring, "change-role", "entry", &all.later.change_role, false), "the phone only reads"),
        (Specimen::new(ring, "change-policy", "entry", &all.later.change_policy, false), "two admit together"),
        (
            Specimen::new(ring, "closing", "entry", &all.later.closing, false),
            "the end is announced; the approval in it is a good form, and one too many",
        ),
        (Specimen::new(ring, "veto", "entry", &all.later.veto, false), "something is stopped"),
        (Specimen::new(ring, "close", "entry", &all.later.close, false), "the end"),
        (Specimen::new(ring, "settle", "entry", &all.later.settle, false), "a fork ends"),
        (Specimen::new(ring, "approval", "approval", &all.later.approval, false), "the laptop agrees to a removal"),
        (Specimen::new(ring, "refill", "refill", &all.later.refill, false), "the phone gives a record back"),
        (
            Specimen::new(ring, "reset", "reset", &all.later.reset, false),
            "whoever has the sync code wants the chain gone",
        ),
        (Specimen::new(ring, "join-request", "join-request", &all.request, true), "the phone asks"),
        (Specimen::new(ring, "withdrawal", "withdrawal", &all.withdrawal, false), "the tablet takes its request back"),
        (Specimen::new(ring, "nonce", "nonce", &all.nonce, false), "the laptop opens the prompt: round 1"),
        (Specimen::new(ring, "reveal", "reveal", &all.reveal, false), "the phone answers"),
        (Specimen::new(ring, "record-put", "record", &all.put, false), "the phone's first record"),
        (Specimen::new(ring, "record-delete", "record", &all.delete, false), "its second: a tombstone for the first"),
        (Specimen::new(ring, "connect-member", "connect", &all.connect_member, true), "the phone connects as a member"),
        (
            Specimen::new(ring, "connect-joiner", "connect", &all.connect_joiner, true),
            "the tablet connects as a joiner",
        ),
    ]
}

/// What an approver can agree to besides a removal.
fn approvals(all: &Forms, ring: &Ring) -> Vec<(Specimen, &'static str)> {
    let [admit, _, role, policy, closing, settle] = &all.later.approvals[..] else { panic!("one of each kind") };
    let specimen = |name, form| Specimen::new(ring, name, "approval", form, false);
    vec![
        (specimen("approval-admit", admit), "the laptop agrees to the tablet"),
        (specimen("approval-change-role", role), "to another role"),
        (specimen("approval-change-policy", policy), "to another policy"),
        (specimen("approval-closing", closing), "to the end of the chain"),
        (specimen("approval-settle", settle), "to the end of a fork"),
    ]
}

/// Forms of which another one of the same shape is broken in every way.
const OF_A_SHAPE_SEEN: [&str; 17] = [
    "found",
    "admit",
    "leave",
    "change-role",
    "change-policy",
    "closing",
    "veto",
    "close",
    "settle",
    "rotate",
    "record-delete",
    "connect-joiner",
    "approval-admit",
    "approval-change-role",
    "approval-change-policy",
    "approval-closing",
    "approval-settle",
];

fn cases(ring: &Ring) -> Vec<Case> {
    let all = forms();
    let mut specimens = specimens(&all, ring);
    specimens.extend(approvals(&all, ring));
    let mut cases = Cases(Vec::new());
    for (specimen, says) in &specimens {
        cases.good(specimen, says);
    }
    let specimens: Vec<Specimen> = specimens.into_iter().map(|(specimen, _)| specimen).collect();
    // One form of each shape is broken in every way: what an entry is told by its body is a matter of its own.
    for specimen in specimens.iter().filter(|specimen| !OF_A_SHAPE_SEEN.contains(&specimen.name)) {
        broken::all(&mut cases, specimen);
    }
    let named = |name: &str| specimens.iter().find(|specimen| specimen.name == name).unwrap();
    faults::all(&mut cases, &named);
    later::all(&mut cases, &named);
    pairs::all(&mut cases, &named);
    cases.0
}

fn case_json(case: &Case, ring: &Ring, good: &[Vec<u8>]) -> Json {
    let mut json =
        object! { "name": case.name.clone(), "comment": case.says.clone(), "form": case.rule, "error": case.error };
    let made = match &case.content {
        Content::Fill { byte, count } => {
            json.push("cddl", Json::Null);
            json.push("fill", object! { "byte": hex([*byte]), "count": *count });
            return json;
        }
        Content::Signed(made) => made,
    };
    // A payload that stands in a good form is of its shape whoever signs it; of the others nothing is said.
    json.push("cddl", good.contains(&made.payload).then_some(case.rule));
    if case.error.is_none() {
        json.push("fields", fields(case.rule, &made.payload).unwrap());
    }
    let Json::Object(members) = &mut json else { unreachable!() };
    members.extend(made.members(ring));
    if case.error.is_none() {
        json.push("sig_structure", hex(made.sig_structure()));
    }
    json
}

#[test]
fn forms_are_the_same_as_ever() {
    let ring = ring();
    let cases = cases(&ring);
    let payload = |case: &Case| match &case.content {
        Content::Signed(made) if case.error.is_none() => Some(made.payload.clone()),
        _ => None,
    };
    let good: Vec<Vec<u8>> = cases.iter().filter_map(payload).collect();
    let rules = [
        "join-request",
        "device",
        "nonce",
        "reveal",
        "withdrawal",
        "record",
        "connect",
        "cursor",
        "entry",
        "found",
        "recovery",
        "policy",
        "quorums",
        "totp",
        "admit",
        "deny",
        "remove",
        "removal",
        "cut",
        "rotation",
        "recipient",
        "rotate",
        "leave",
        "change-role",
        "change-policy",
        "closing",
        "veto",
        "close",
        "settle",
        "approval",
        "admit-subject",
        "role-subject",
        "settle-subject",
        "refill",
        "reset",
    ];
    let file = object! {
        "about": note("Signed forms, good and bad. The first check that fails names the error."),
        "names": names_of(&rules),
        "keys": ring.to_json(),
        "cases": cases.iter().map(|case| case_json(case, &ring, &good)).collect::<Vec<_>>(),
    };
    compare("forms.json", &file);
}
