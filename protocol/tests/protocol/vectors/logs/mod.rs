//! `docs/vectors/logs.json`: whole logs, good ones with the roster that follows, bad ones with the code that stops them.

mod decisions;
mod foundings;
mod alone;
mod lives;
mod pairs;
mod places;
mod quorums;
mod rules;

use protocol::Verified;
use protocol::cbor;
use protocol::entry::{Admit, Body, Entry};
use protocol::keys::{DeviceKeys, SigningKey};
use protocol::policy::{Policy, Role};
use protocol::roster::{Outcome, Roster, Why};

use super::json::{Json, hex, list, object};
use super::making::{Made, Pool, Ring};
use super::{compare, note};
use crate::forms::forms;
use crate::world::{Chain, Joiner, keys};

pub(super) const ENTRY: &str = "countersign/v1/entry";

/// A case's name, what is wrong, its code, and how to make it from something good.
type Defect<'a, T> = (&'a str, &'a str, &'static str, &'a dyn Fn(&mut T));

/// A log: entries that are good, and perhaps one more that is not.
pub(crate) struct Case {
    pub(crate) name: String,
    says: String,
    pub(crate) good: Vec<Verified<Entry>>,
    pub(crate) bad: Option<(Made, &'static str)>,
    /// What follows the bad entry.
    rest: Vec<Verified<Entry>>,
}

pub(super) struct Cases(Vec<Case>);

impl Cases {
    /// A log whose last entry is refused, after the good ones of `chain`.
    fn after(&mut self, chain: &Chain, name: &str, says: &str, expected: &'static str, bad: Made) {
        let bad = Some((bad, expected));
        self.0.push(Case {
            name: name.to_owned(),
            says: says.to_owned(),
            good: chain.log.clone(),
            bad,
            rest: Vec::new(),
        });
    }

    /// A founding entry that is refused.
    fn founding(&mut self, name: &str, says: &str, expected: &'static str, bad: Made) {
        let bad = Some((bad, expected));
        self.0.push(Case { name: name.to_owned(), says: says.to_owned(), good: Vec::new(), bad, rest: Vec::new() });
    }

    /// Lets entries follow the last case's bad one.
    fn followed_by(&mut self, rest: Vec<Verified<Entry>>) {
        self.0.last_mut().unwrap().rest = rest;
    }

    fn good(&mut self, chain: &Chain, name: &str, says: &str) {
        self.0.push(Case {
            name: name.to_owned(),
            says: says.to_owned(),
            good: chain.log.clone(),
            bad: None,
            rest: Vec::new(),
        });
    }
}

/// Signs any entry, valid or not.
fn raw(key: &SigningKey, form: &Entry) -> Made {
    Made::new(ENTRY, key, cbor::encode(form), Vec::new())
}

/// The chain that most defects are tried on: a laptop, a phone that approves, a writer and a reader.
pub(crate) fn family() -> Chain {
    let mut chain = Chain::founded();
    chain.joined("phone", Role::Approver);
    chain.joined("writer", Role::Writer);
    chain.joined("reader", Role::Reader);
    chain
}

/// An admit of a joiner with its body changed.
fn admit_with(chain: &Chain, joiner: &Joiner, approver: &DeviceKeys, change: impl FnOnce(&mut Admit)) -> Made {
    let mut form = (*chain.admits(&chain.laptop, joiner, Role::Approver)).clone();
    let Body::Admit(admit) = &mut form.body else { panic!("an admit is an admit") };
    change(admit);
    raw(&approver.signing, &form)
}

/// Every key that signs an entry or a proof here.
pub(super) fn ring() -> Ring {
    let devices =
        ["laptop", "phone", "writer", "reader", "tablet", "watch", "stranger", "recovery words", "new recovery words"];
    let join = Chain::founded().founding.code.join_key();
    let other = Chain::founded_with("stranger", Policy::default()).founding.code.join_key();
    Ring::new(&devices, &[("join key", join), ("join key of the stranger's chain", other)])
}

pub(crate) fn cases(ring: &Ring) -> Vec<Case> {
    let mut all = Cases(Vec::new());
    good(&mut all);
    places::all(&mut all);
    decisions::all(&mut all);
    foundings::all(&mut all);
    pairs::all(&mut all);
    lives::all(&mut all, ring);
    alone::all(&mut all, ring);
    rules::all(&mut all, ring);
    quorums::all(&mut all, ring);
    all.0
}

fn good(all: &mut Cases) {
    all.good(&Chain::founded(), "founded", "a founder alone");
    let mut chain = family();
    all.good(&chain, "family", "an approver, a writer and a reader are admitted");
    let deny = chain.denies(&keys("phone"), &chain.asks("tablet"));
    chain.append(&deny);
    all.good(&chain, "denied", "an approver that was admitted denies");
    let mut early = chain.deny_body();
    early.at = 0;
    chain.append(&Verified::sign(early, &chain.laptop.signing, &[]).unwrap());
    all.good(
        &chain,
        "denied-unseen",
        "a request that nobody made is denied, by a clock that stands at 0: neither is a fault",
    );
    let mut chain = Chain::founded_with("laptop", Policy { members_max: 2, ..Policy::default() });
    chain.joined("phone", Role::Reader);
    all.good(&chain, "full", "as many members as the policy allows");
    let mut recovery = Chain::founded();
    recovery.log = vec![forms().found_with_recovery];
    all.good(&recovery, "recovery-device", "a recovery device is a member that decides nothing");
}

/// Reads a log as anybody would.
pub(super) fn roster_of(log: &[Verified<Entry>]) -> Roster {
    let first = Roster::found(&log[0]).unwrap();
    log[1..].iter().fold(first, |roster, entry| roster.apply(entry).unwrap())
}

fn roster_json(roster: &Roster, log: &[Verified<Entry>]) -> Json {
    let member = |member: &protocol::roster::Member| {
        object! {
            "signing": hex(member.device.signing.0),
            "sealing": hex(member.device.sealing.as_bytes()),
            "role": member.role.name(),
            "seq": member.admission.seq,
            "by": hex(member.admission.by.0),
            "how": member.admission.how.map(|how| how.name()),
        }
    };
    let former = |former: &protocol::roster::Former| {
        let departure = &former.departure;
        let why = match departure.why {
            Why::Removed(reason) => reason.name(),
            Why::Left => "left",
            Why::Replaced => "replaced",
        };
        object! { "signing": hex(former.member.device.signing.0), "seq": departure.seq, "by": hex(departure.by.0), "why": why }
    };
    let request = |entry: &Verified<Entry>| match (&entry.body, entry.evidence()) {
        (_, evidence) if evidence.request().is_some() => evidence.request().map(|request| request.id()),
        (Body::Deny(deny), _) => Some(deny.request),
        _ => None,
    };
    let decision = |id: protocol::RequestId| {
        let decision = roster.decision(&id).unwrap();
        let outcome = match decision.outcome {
            Outcome::Admitted => "admitted",
            Outcome::Denied(reason) => reason.name(),
        };
        object! { "request": hex(id.0), "device": hex(decision.device.0), "outcome": outcome, "seq": decision.seq }
    };
    object! {
        "chain": hex(roster.chain().0),
        "head": hex(roster.head().0),
        "seq": roster.seq(),
        "epoch": roster.epoch(),
        "key_id": hex(roster.key_id().0),
        "join_key": hex(roster.join_key().0),
        "members": list(roster.members().map(member)),
        "former": list(roster.former_members().map(former)),
        "rotation_owed": roster.is_rotation_owed(),
        "closing": roster.closing().map(|closing| hex(closing.hash.0)),
        "closed": roster.is_closed(),
        "totp_step": roster.totp_step(),
        "decisions": list(log.iter().filter_map(request).map(decision)),
    }
}

#[test]
fn logs_are_the_same_as_ever() {
    let ring = ring();
    let mut pool = Pool::default();
    let mut cases_json = Vec::new();
    for case in cases(&ring) {
        let mut log = pool.keep_log(&ring, &case.good);
        let error = case.bad.as_ref().map(|(_, code)| *code);
        let index = case.bad.as_ref().map(|_| log.len());
        if let Some((made, _)) = &case.bad {
            log.push(pool.keep(&ring, &case.name, made).into());
        }
        log.extend(pool.keep_log(&ring, &case.rest));
        let mut json = object! { "name": case.name, "comment": case.says, "error": error, "index": index, "log": log };
        if case.bad.is_none() {
            json.push("roster", roster_json(&roster_of(&case.good), &case.good));
        }
        cases_json.push(json);
    }
    let file = object! {
        "about": note("Whole logs. `log` names `entries`, in order; the roster of a good log; the code and the place of a refusal."),
        "keys": ring.to_json(),
        "entries": pool.into_json(),
        "cases": cases_json,
    };
    compare("logs.json", &file);
}

#[test]
fn a_refused_entry_leaves_no_trace() {
    let chain = family();
    let before = chain.roster.clone();
    let mut tried = 0;
    for case in cases(&ring()).iter().filter(|case| case.good.len() == chain.log.len()) {
        let Some((bad, _)) = &case.bad else { continue };
        if let Ok(entry) = Verified::<Entry>::from_bytes(&bad.bytes()) {
            assert!(before.clone().apply(&entry).is_err(), "{}", case.name);
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried} refusals of the log");
    let deny = chain.denies(&chain.laptop, &chain.asks("tablet"));
    assert!(before.apply(&deny).is_ok(), "the good entry is taken after all the bad ones");
}

#[test]
fn approve_against_deny_has_one_outcome_in_either_order() {
    let chain = family();
    let tablet = chain.asks("tablet");
    let admit = chain.admits(&chain.laptop, &tablet, Role::Writer);
    let deny = chain.denies(&keys("phone"), &tablet);
    for (first, second) in [(&admit, &deny), (&deny, &admit)] {
        let roster = chain.roster.clone().apply(first).unwrap();
        assert_eq!(roster.clone().apply(second).unwrap_err().code(), "head-moved");
        // Signed anew at the new head, the loser is still too late.
        let again = Entry { seq: roster.seq() + 1, prev: Some(roster.head()), ..(**second).clone() };
        let key = if second.hash() == admit.hash() { &chain.laptop } else { &keys("phone") };
        let again = Verified::sign(again, &key.signing, &[]).unwrap();
        assert_eq!(roster.apply(&again).unwrap_err().code(), "already-decided");
    }
}
