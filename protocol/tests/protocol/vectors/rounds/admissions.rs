//! What a joiner believes of a log that a relay shows it.

use protocol::decision::{Accepts, accept_admission};
use protocol::entry::{Body, Entry, WelcomePlace, seal_welcome};
use protocol::keys::{DeviceKeys, EpochKey};
use protocol::policy::{How, Policy, Role, Totp, TotpMode};
use protocol::request::JoinRequest;
use protocol::roster::Roster;
use protocol::seal::Wrapped;
use protocol::{DeviceId, Hash, Verified, cbor::Blob};

use super::Book;
use crate::admission::reproven;
use crate::support::SeededRng;
use crate::vectors::json::{Json, hex, list, object};
use crate::vectors::making::Pool;
use crate::world::{Chain, Joiner, asks_with, keys};

/// What the joiner did itself, and the log that it is shown.
struct Shown {
    name: &'static str,
    says: &'static str,
    error: Option<&'static str>,
    log: Vec<Verified<Entry>>,
    keys: DeviceKeys,
    request: Verified<JoinRequest>,
    approvers: Vec<DeviceId>,
    ways: Vec<How>,
}

impl Shown {
    fn of(name: &'static str, says: &'static str, error: Option<&'static str>, chain: &Chain, phone: &Joiner) -> Self {
        let approvers = vec![keys("laptop").id()];
        Self {
            name,
            says,
            error,
            log: chain.log.clone(),
            keys: phone.keys.clone(),
            request: phone.request.clone(),
            approvers,
            ways: vec![How::Typed],
        }
    }
}

/// A chain whose admit of the phone was changed before it was signed.
fn admitted(chain: &mut Chain, change: impl FnOnce(&Chain, &Joiner, &mut protocol::entry::Admit)) -> Joiner {
    let phone = chain.asks("phone");
    let good = chain.admits(&chain.laptop, &phone, Role::Approver);
    let admit = chain.changed(&chain.laptop, &good, |entry| {
        let Body::Admit(admit) = &mut entry.body else { panic!("an admit is an admit") };
        change(chain, &phone, admit);
    });
    chain.append(&admit);
    phone
}

fn welcome(chain: &Chain, phone: &Joiner, prev: Hash, key: &EpochKey, seed: &str) -> Blob {
    let place = WelcomePlace {
        chain: chain.roster.chain(),
        request: phone.request.id(),
        approver: chain.laptop.id(),
        epoch: 1,
        prev,
    };
    seal_welcome(&phone.request.device.sealing, &place, key, &mut SeededRng::new(seed)).unwrap()
}

/// A chain in whose founding entry another sync code is sealed than the one that the join key is made from.
fn with_another_code() -> Chain {
    let mut chain = Chain::founded();
    let mut form = (*chain.log[0]).clone();
    let Body::Found(found) = &mut form.body else { panic!("found is found") };
    let anchor = [found.join_key.as_bytes().as_slice()];
    let mut rng = SeededRng::new("other code");
    found.sync_code = chain.founding.epoch_key.wrap(1, Wrapped::SyncCode, &anchor, &[9; 32], &mut rng).unwrap();
    let entry = Verified::sign(form, &chain.laptop.signing, &[&chain.founding.code.join_key()]).unwrap();
    chain.roster = Roster::found(&entry).unwrap();
    chain.log = vec![entry];
    chain
}

fn who() -> Vec<Shown> {
    let mut chain = Chain::founded();
    let phone = admitted(&mut chain, |_, _, _| {});
    let mut shown = vec![Shown::of("admitted", "the log admits what asked", None, &chain, &phone)];
    let mut proven = Chain::founded();
    admitted(&mut proven, |chain, phone, admit| {
        admit.request = Blob(reproven(&phone.request, &chain.founding.code.join_key()));
    });
    let says = "the request in the log has another proof that is as valid: it is the same request";
    shown.push(Shown::of("another-proof", says, None, &proven, &phone));
    let mut later = chain.clone();
    let deny = later.denies(&later.laptop, &later.asks("tablet"));
    later.append(&deny);
    shown.push(Shown::of("admitted-earlier", "the log went on since", None, &later, &phone));
    let mut strange = Shown::of(
        "no-code-shown",
        "the signer of the admit was shown no code",
        Some("not-the-approver"),
        &chain,
        &phone,
    );
    strange.approvers = vec![keys("tablet").id()];
    shown.push(strange);
    let mut alone = Shown::of("not-admitted", "the log ends before it", Some("not-admitted"), &chain, &phone);
    alone.log.truncate(1);
    shown.push(alone);
    let mut denied = Chain::founded();
    let deny = denied.denies(&denied.laptop, &phone);
    denied.append(&deny);
    shown.push(Shown::of("denied", "the log denies it", Some("not-admitted"), &denied, &phone));
    let mut again =
        Shown::of("another-request", "its keys, but another request of theirs", Some("other-keys"), &chain, &phone);
    again.request = asks_with("phone again", &phone.keys, &chain.founding.code).request;
    shown.push(again);
    let mut swapped = Shown::of(
        "another-sealing-key",
        "admitted with a sealing key that is not its own",
        Some("other-keys"),
        &chain,
        &phone,
    );
    swapped.keys.sealing = keys("stranger").sealing;
    shown.push(swapped);
    let mut other = Chain::founded_with("stranger", Policy::default());
    let there = asks_with("phone", &phone.keys, &other.founding.code);
    let admit = other.admits(&other.laptop, &there, Role::Approver);
    other.append(&admit);
    shown.push(Shown::of(
        "another-sync-code",
        "a chain with another sync code",
        Some("other-join-key"),
        &other,
        &phone,
    ));
    shown
}

/// What is sealed for the joiner, and to whom.
fn sealed() -> Vec<Shown> {
    let mut shown = Vec::new();
    let mut chain = Chain::founded();
    let phone = admitted(&mut chain, |chain, phone, admit| {
        admit.welcome = welcome(chain, phone, Hash([9; 32]), &chain.founding.epoch_key, "elsewhere");
    });
    shown.push(Shown::of(
        "welcome-of-another-place",
        "a welcome that was made for another prev",
        Some("does-not-open"),
        &chain,
        &phone,
    ));
    let mut chain = Chain::founded();
    let phone = admitted(&mut chain, |chain, phone, admit| {
        admit.welcome = welcome(chain, phone, chain.roster.head(), &EpochKey::from_bytes([9; 32]), "other key");
    });
    shown.push(Shown::of(
        "another-epoch-key",
        "a key whose id is not the log's",
        Some("other-epoch-key"),
        &chain,
        &phone,
    ));
    let mut chain = with_another_code();
    let phone = admitted(&mut chain, |chain, phone, admit| {
        admit.welcome = welcome(chain, phone, chain.roster.head(), &chain.founding.epoch_key, "other code");
    });
    shown.push(Shown::of(
        "another-code-inside",
        "the sync code sealed in found is not the joiner's",
        Some("other-sync-code"),
        &chain,
        &phone,
    ));
    shown
}

/// Ways that ask for nothing that the joiner showed.
fn otherwise() -> Vec<Shown> {
    let secret = Blob([vec![2], vec![7; 60]].concat());
    let ways = vec![How::Typed, How::Totp, How::None];
    let policy = Policy { ways, totp: Some(Totp { mode: TotpMode::Way, secret }), ..Policy::default() };
    let log_with = |how, step| {
        let mut chain = Chain::founded();
        chain.append(&chain.rules(&chain.laptop, policy.clone(), Vec::new()));
        let phone = admitted(&mut chain, |_, _, admit| (admit.how, admit.totp_step) = (how, step));
        (chain, phone)
    };
    let mut shown = Vec::new();
    let mut case = |name, says, error, (chain, phone): &(Chain, Joiner), ways: &[How]| {
        let ways = ways.to_vec();
        shown.push(Shown { ways, approvers: Vec::new(), ..Shown::of(name, says, error, chain, phone) });
    };
    let (totp, none) = (log_with(How::Totp, Some(1)), log_with(How::None, None));
    let not = Some("not-the-approver");
    case("totp-sent", "it sent a one-time code, and one let it in", None, &totp, &[How::Typed, How::Totp]);
    case("totp-not-sent", "it sent none, and the admit says that one was right", not, &totp, &[How::Typed]);
    case(
        "unchecked-accepted",
        "nothing was checked, and its person took that risk",
        None,
        &none,
        &[How::Typed, How::None],
    );
    case("unchecked", "nothing was checked", not, &none, &[How::Typed, How::Totp]);
    shown
}

/// The entry that admits a device, if one does.
fn admitting(roster: &Roster, log: &[Verified<Entry>], device: &DeviceId) -> Verified<Entry> {
    let seq = roster.member(device).map_or(0, |member| member.admission.seq);
    log[usize::try_from(seq).unwrap()].clone()
}

pub(super) fn cases(book: &mut Book) -> (Json, Json) {
    let mut pool = Pool::default();
    let case = |shown: Shown| {
        let first = Roster::found(&shown.log[0]).unwrap();
        let roster = shown.log[1..].iter().fold(first, |roster, entry| roster.apply(entry).unwrap());
        let entry = admitting(&roster, &shown.log, &shown.keys.id());
        let showed = |id: &DeviceId| shown.approvers.contains(id);
        let accepts = shown.ways.iter().map(|way| match way {
            How::Totp => Accepts::Totp,
            How::None => Accepts::Unchecked,
            _ => Accepts::TypedBy(&showed),
        });
        let accepts: Vec<Accepts<'_>> = accepts.collect();
        let accepted = accept_admission(&roster, &entry, &shown.keys, &shown.request, &accepts);
        assert_eq!(
            accepted.as_ref().err().map(protocol::decision::AdmissionError::code),
            shown.error,
            "{}",
            shown.name
        );
        let mut json = object! {
            "name": shown.name, "comment": shown.says, "error": shown.error,
            "signing_seed": hex(shown.keys.signing.expose_seed().as_slice()),
            "sealing_secret": hex(shown.keys.sealing.expose().as_slice()),
            "request": book.request(&shown.request),
            "showed_code_for": list(shown.approvers.iter().map(|id| hex(id.0))),
            "accepts": list(shown.ways.iter().map(|way| way.name())),
            "log": pool.keep_log(&book.ring, &shown.log),
        };
        if let Ok(keyring) = accepted {
            json.push("epoch_key", hex(keyring.epoch_key().expose()));
            json.push("name_key", hex(keyring.name_key().expose()));
            json.push("sync_code", hex(keyring.code().expose()));
        }
        json
    };
    let cases: Vec<Json> = who().into_iter().chain(sealed()).chain(otherwise()).map(case).collect();
    (pool.into_json(), Json::List(cases))
}
