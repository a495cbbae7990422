//! `docs/vectors/resets.json`: resets after a log, as a relay takes or refuses them.

use protocol::change::CodeChange;
use protocol::entry::VetoOf;
use protocol::keys::SigningKey;
use protocol::policy::{Policy, Role};
use protocol::reset::Reset;
use protocol::{ChainId, Hash, VERSION, Verified};

use super::json::{list, object};
use super::making::{Pool, Ring};
use super::{compare, note};
use crate::world::{Chain, keys};

/// The wait that a policy asks for if nobody changed it.
const WEEK: u64 = 604_800;

struct Case {
    name: &'static str,
    says: &'static str,
    log: Vec<Verified<protocol::entry::Entry>>,
    /// The reset that stands there, if one does.
    stands: Option<Verified<Reset>>,
    /// Seconds that it still waits.
    left: Option<u64>,
    reset: Verified<Reset>,
    error: Option<&'static str>,
    least: Option<u64>,
}

struct Cases(Vec<Case>);

impl Cases {
    fn good(&mut self, chain: &Chain, name: &'static str, says: &'static str, reset: &Verified<Reset>) {
        self.push(chain, (name, says), None, (reset, None));
    }

    fn bad(
        &mut self,
        chain: &Chain,
        name: &'static str,
        says: &'static str,
        error: &'static str,
        reset: &Verified<Reset>,
    ) {
        self.push(chain, (name, says), None, (reset, Some(error)));
    }

    fn push(
        &mut self,
        chain: &Chain,
        (name, says): (&'static str, &'static str),
        stands: Option<&Verified<Reset>>,
        (reset, error): (&Verified<Reset>, Option<&'static str>),
    ) {
        let least = (error == Some("wait-too-short")).then(|| u64::from(chain.roster.policy().reset_delay));
        let (log, stands, reset) = (chain.log.clone(), stands.cloned(), reset.clone());
        let left = stands.as_ref().map(|stands| stands.wait);
        self.0.push(Case { name, says, log, stands, left, reset, error, least });
    }
}

fn signed(key: &SigningKey, chain: ChainId, head: Hash, wait: u64) -> Verified<Reset> {
    Verified::sign(Reset { version: VERSION, chain, head, wait }, key, &[]).unwrap()
}

impl Chain {
    /// A reset by the sync code that is current.
    fn resets(&self, head: Hash, wait: u64) -> Verified<Reset> {
        signed(&self.keyring.code().join_key(), self.roster.chain(), head, wait)
    }
}

fn ring() -> Ring {
    let join = Chain::founded().founding.code.join_key();
    let other = Chain::founded_with("stranger", Policy::default()).founding.code.join_key();
    let devices = ["laptop", "phone", "stranger"];
    Ring::new(&devices, &[("join key", join), ("join key of the stranger's chain", other)])
}

fn cases() -> Vec<Case> {
    let mut all = Cases(Vec::new());
    terms(&mut all);
    signers(&mut all);
    policies(&mut all);
    others(&mut all);
    ends(&mut all);
    all.0
}

fn family() -> Chain {
    let mut chain = Chain::founded();
    chain.joined("phone", Role::Approver);
    chain
}

fn terms(all: &mut Cases) {
    let chain = family();
    let founding = chain.log[0].hash();
    all.good(
        &chain,
        "taken",
        "the wait that the policy asks for, at the entry that brought it",
        &chain.resets(founding, WEEK),
    );
    all.good(&chain, "longer", "it may wait longer", &chain.resets(founding, WEEK + 1));
    all.good(&chain, "longest", "365 days", &chain.resets(founding, 31_536_000));
    let head = chain.roster.head();
    all.good(&chain, "at-the-head", "any head at which that policy was in force", &chain.resets(head, WEEK));
    all.bad(&chain, "shorter", "a second less", "wait-too-short", &chain.resets(founding, WEEK - 1));
    all.bad(&chain, "at-once", "no wait at all", "wait-too-short", &chain.resets(founding, 0));
    let nowhere = chain.resets(Hash([9; 32]), WEEK);
    all.bad(&chain, "unknown-head", "a head that is not in the log", "unknown-head", &nowhere);
    let pair = chain.resets(Hash([9; 32]), 0);
    all.bad(&chain, "unknown-head-and-wait-too-short", "the head before the wait", "unknown-head", &pair);
}

fn signers(all: &mut Cases) {
    let mut chain = family();
    let (id, founding) = (chain.roster.chain(), chain.log[0].hash());
    let other = Chain::founded_with("stranger", Policy::default());
    let foreign = signed(&other.founding.code.join_key(), id, founding, WEEK);
    all.bad(&chain, "other-code", "signed by another chain's sync code", "not-a-member", &foreign);
    let founder = signed(&chain.laptop.signing, id, founding, WEEK);
    all.bad(&chain, "by-the-founder", "a member has other ways", "not-a-member", &founder);
    let elsewhere = signed(&chain.founding.code.join_key(), other.roster.chain(), founding, WEEK);
    all.bad(&chain, "other-chain", "of a chain that is not here", "not-a-member", &elsewhere);
    let nowhere = signed(&keys("stranger").signing, id, Hash([9; 32]), 0);
    let says = "who signs is asked before anything is said of the chain";
    all.bad(&chain, "not-a-member-and-unknown-head", says, "not-a-member", &nowhere);
    let old = chain.resets(founding, WEEK);
    chain.append(&chain.rotates(&chain.laptop, CodeChange::Keep));
    all.good(&chain, "after-a-rotation", "a new epoch, and the sync code goes on", &old);
    chain.append(&chain.rotates(&chain.laptop, CodeChange::Draw));
    all.bad(&chain, "old-code", "the sync code was replaced", "not-a-member", &old);
    all.good(&chain, "new-code", "by the sync code that replaced it", &chain.resets(founding, WEEK));
}

fn policies(all: &mut Cases) {
    let mut chain = family();
    let founding = chain.log[0].hash();
    let policy = |reset_delay: u32| Policy { reset_delay, ..Policy::default() };
    let early = chain.resets(chain.roster.head(), WEEK);
    chain.append(&chain.rules(&chain.laptop, policy(60), Vec::new()));
    let head = chain.roster.head();
    all.good(&chain, "shorter-by-policy", "a minute is what this policy asks for", &chain.resets(head, 60));
    all.bad(&chain, "shorter-than-policy", "a second less", "wait-too-short", &chain.resets(head, 59));
    let says = "the policy has changed since, though it waits longer than both ask for";
    all.bad(&chain, "stale-terms", says, "stale-terms", &early);
    let pair = chain.resets(founding, 59);
    all.bad(&chain, "stale-terms-and-wait-too-short", "the terms before the wait", "stale-terms", &pair);
    let says = "it was taken before the policy changed, and its terms stay";
    all.push(&chain, ("again-after-a-policy", says), Some(&early), (&early, None));
    chain.append(&chain.rotates(&chain.laptop, CodeChange::Keep));
    all.good(&chain, "at-the-policy", "entries that bring no policy change no terms", &chain.resets(head, 60));
    chain.append(&chain.rules(&chain.laptop, policy(0), Vec::new()));
    let at_once = chain.resets(chain.roster.head(), 0);
    all.good(&chain, "at-once-by-policy", "a policy that asks for no wait", &at_once);
}

fn others(all: &mut Cases) {
    let mut chain = family();
    let founding = chain.log[0].hash();
    let (first, second) = (chain.resets(founding, WEEK), chain.resets(founding, WEEK + 1));
    all.push(&chain, ("again", "the same form is answered as before"), Some(&first), (&first, None));
    all.push(&chain, ("second", "it would end later"), Some(&first), (&second, Some("reset-stands")));
    all.push(&chain, ("sooner", "it ends earlier, and takes the other's place"), Some(&second), (&first, None));
    all.push(
        &chain,
        ("sooner-too-late", "the other one ends earlier by now"),
        Some(&second),
        (&first, Some("reset-stands")),
    );
    all.0.last_mut().unwrap().left = Some(WEEK);
    let short = chain.resets(founding, 1);
    let pair = ("wait-too-short-and-reset-stands", "the wait before the other one");
    all.push(&chain, pair, Some(&first), (&short, Some("wait-too-short")));
    chain.append(&chain.vetoes(&keys("phone"), VetoOf::Reset, first.hash()));
    all.bad(&chain, "vetoed", "a member stopped it, for good", "reset-over", &first);
    all.good(&chain, "another-after-a-veto", "a veto stops the one that it names", &second);
    let pair = ("vetoed-and-reset-stands", "it is over, whatever else stands");
    all.push(&chain, pair, Some(&second), (&first, Some("reset-over")));
    chain.append(&chain.rules(&chain.laptop, Policy { reset_delay: WEEK as u32 + 9, ..Policy::default() }, Vec::new()));
    all.bad(&chain, "vetoed-and-stale-terms", "it is over, whatever its terms", "reset-over", &first);
    let mut early = family();
    early.append(&early.vetoes(&early.laptop, VetoOf::Reset, first.hash()));
    all.bad(&early, "vetoed-before-it-came", "the veto came first: for good", "reset-over", &first);
    let mut closing = family();
    closing.append(&closing.announces(&closing.laptop, Vec::new()));
    let reset = closing.resets(founding, WEEK);
    closing.append(&closing.vetoes(&keys("phone"), VetoOf::Closing, closing.roster.head()));
    all.good(&closing, "after-a-veto-of-a-closing", "which names no reset", &reset);
}

fn ends(all: &mut Cases) {
    let mut chain = family();
    let reset = chain.resets(chain.log[0].hash(), WEEK);
    chain.append(&chain.announces(&chain.laptop, Vec::new()));
    all.good(&chain, "beside-a-closing", "an end that is announced stops no other", &reset);
    chain.append(&chain.closes(&keys("phone"), chain.roster.head()));
    all.bad(&chain, "closed", "nothing is left that could be deleted", "chain-closed", &reset);
    let nowhere = chain.resets(Hash([9; 32]), 0);
    all.bad(&chain, "chain-closed-and-unknown-head", "closed before its head", "chain-closed", &nowhere);
    let stranger = signed(&keys("stranger").signing, chain.roster.chain(), Hash([9; 32]), 0);
    all.bad(&chain, "not-a-member-and-chain-closed", "who signs before that", "not-a-member", &stranger);
}

#[test]
fn resets_are_the_same_as_ever() {
    let ring = ring();
    let (mut entries, mut resets) = (Pool::default(), Pool::default());
    let mut cases_json = Vec::new();
    for case in cases() {
        let log = entries.keep_log(&ring, &case.log);
        let stands = case.stands.map(|stands| resets.keep(&ring, &named(&stands), &ring.made(&stands)));
        let reset = resets.keep(&ring, &named(&case.reset), &ring.made(&case.reset));
        cases_json.push(object! {
            "name": case.name, "comment": case.says, "error": case.error, "least_s": case.least, "log": log,
            "stands": stands, "left_s": case.left, "reset": reset,
        });
    }
    let file = object! {
        "about": note("Resets after a log, as a relay takes them: `log` names `entries`, `reset` and `stands` name `resets`."),
        "keys": ring.to_json(),
        "entries": entries.into_json(),
        "resets": resets.into_json(),
        "cases": list(cases_json),
    };
    compare("resets.json", &file);
}

fn named(reset: &Verified<Reset>) -> String {
    format!("reset-{}", reset.hash().short())
}
