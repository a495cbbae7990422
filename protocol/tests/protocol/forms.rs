//! Every signed form once, from one world: what the vectors, the broken forms and the oracles begin with.

use protocol::approval::{AdmitSubject, Approval, RoleSubject, SettleSubject, Subject};
use protocol::change;
use protocol::connect::{Connect, Cursor, Standing};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::decision;
use protocol::entry::{Body, DenyReason, Entry, Recovery, VetoOf};
use protocol::keys::DeviceKeys;
use protocol::policy::{Policy, Quorums, Role};
use protocol::record::{self, Draft, Line, Record};
use protocol::refill::{self, Refill};
use protocol::request::{JoinRequest, Withdrawal};
use protocol::reset::Reset;
use protocol::round::{Nonce, Reveal};
use protocol::seal;
use protocol::{Hash, SUBPROTOCOL, VERSION, Verified, cbor::Blob, id::Random};

use crate::support::SeededRng;
use crate::world::{AT, Chain, keys};

/// Every signed form once, from one world.
pub(crate) struct Forms {
    pub(crate) chain: Chain,
    pub(crate) found: Verified<Entry>,
    pub(crate) found_with_recovery: Verified<Entry>,
    pub(crate) admit: Verified<Entry>,
    pub(crate) deny: Verified<Entry>,
    pub(crate) request: Verified<JoinRequest>,
    pub(crate) description: Blob,
    pub(crate) withdrawal: Verified<Withdrawal>,
    pub(crate) nonce: Verified<Nonce>,
    pub(crate) reveal: Verified<Reveal>,
    pub(crate) put: Verified<Record>,
    pub(crate) ciphertext: Blob,
    pub(crate) delete: Verified<Record>,
    pub(crate) connect_member: Verified<Connect>,
    pub(crate) connect_joiner: Verified<Connect>,
    pub(crate) later: Later,
}

/// The entries of a chain's later life, each signed where the phone has joined, and what belongs to them.
pub(crate) struct Later {
    pub(crate) remove: Verified<Entry>,
    pub(crate) rotate: Verified<Entry>,
    pub(crate) leave: Verified<Entry>,
    pub(crate) change_role: Verified<Entry>,
    pub(crate) change_policy: Verified<Entry>,
    pub(crate) closing: Verified<Entry>,
    pub(crate) veto: Verified<Entry>,
    pub(crate) close: Verified<Entry>,
    pub(crate) settle: Verified<Entry>,
    pub(crate) approval: Verified<Approval>,
    pub(crate) refill: Verified<Refill>,
    pub(crate) reset: Verified<Reset>,
    /// An approval of each kind of entry that a quorum is asked for, in the order of the kinds.
    pub(crate) approvals: Vec<Verified<Approval>>,
}

fn later(chain: &Chain, put: &Verified<Record>) -> Later {
    let (laptop, phone) = (&chain.laptop, keys("phone"));
    let cut = Cut { counter: 1, last: Some(put.hash()), at: CutAt::Last };
    let gone = vec![Removal { device: phone.id(), cut }];
    let quorums = Quorums { admit: 2, ..Policy::default().quorums };
    let refill = Refill { version: VERSION, chain: chain.roster.chain(), records: refill::hash_of([put]) };
    Later {
        remove: chain.removes_together(laptop, gone.clone(), Vec::new()),
        rotate: chain.recovers_with(laptop, &keys("recovery words")),
        leave: change::leave(chain.acting(&phone), cut, AT).unwrap(),
        change_role: chain.makes(laptop, "phone", Role::Reader, Some(cut)),
        change_policy: chain.rules(laptop, Policy { quorums, ..Policy::default() }, Vec::new()),
        closing: chain.announces(laptop, vec![chain.agrees(&phone, Subject::Closing)]),
        veto: chain.vetoes(&phone, VetoOf::Closing, chain.roster.head()),
        close: chain.closes(&phone, chain.roster.head()),
        settle: chain.settles(laptop, Hash([9; 32])),
        approval: change::approve(chain.acting(laptop), Subject::Remove(gone)).unwrap(),
        refill: Verified::sign(refill, &phone.signing, &[]).unwrap(),
        reset: reset(chain),
        approvals: approvals(chain, cut),
    }
}

/// Whoever has the sync code wants the chain deleted, after the wait that the policy asks for.
fn reset(chain: &Chain) -> Verified<Reset> {
    let wait = u64::from(chain.roster.policy().reset_delay);
    let form = Reset { version: VERSION, chain: chain.roster.chain(), head: chain.log[0].hash(), wait };
    Verified::sign(form, &chain.founding.code.join_key(), &[]).unwrap()
}

fn approvals(chain: &Chain, cut: Cut) -> Vec<Verified<Approval>> {
    let (phone, tablet) = (keys("phone"), chain.asks("tablet"));
    let subjects = [
        Subject::Admit(AdmitSubject { request: tablet.request.id(), role: Role::Writer }),
        Subject::Remove(vec![Removal { device: phone.id(), cut }]),
        Subject::Role(RoleSubject { device: phone.id(), role: Role::Reader, cut: Some(cut) }),
        Subject::Policy(Box::new(Policy { members_max: 9, ..Policy::default() })),
        Subject::Closing,
        Subject::Settle(SettleSubject { abandoned: Hash([9; 32]) }),
    ];
    subjects.map(|subject| change::approve(chain.acting(&chain.laptop), subject).unwrap()).into()
}

pub(crate) fn forms() -> Forms {
    let mut chain = Chain::founded();
    let found = chain.founding.entry.clone();
    let phone = chain.asks("phone");
    let tablet = chain.asks("tablet");
    let nonce = chain.opens(&chain.laptop, &phone, 1);
    let reveal = phone.answers(&nonce).reveal;
    let admit = chain.admits(&chain.laptop, &phone, Role::Approver);
    chain.append(&admit);
    let deny = decision::deny(
        &chain.roster,
        &phone.keys,
        (tablet.request.id(), tablet.keys.id()),
        DenyReason::NotMe,
        3600,
        AT,
    )
    .unwrap();
    let withdrawal = Withdrawal { version: VERSION, request: tablet.request.id() };
    let withdrawal = Verified::sign(withdrawal, &tablet.keys.signing, &[]).unwrap();
    let mut rng = SeededRng::new("records");
    let draft = Draft { collection: "notes", id: "first", value: Some(b"hello"), base: None, at: AT };
    let acting = chain.acting(&phone.keys);
    let (put, ciphertext) = record::write(acting, Line::default(), &draft, &mut rng).unwrap();
    let line = Line::default().follow(&put).unwrap();
    let draft = Draft { value: None, base: Some(put.hash()), ..draft };
    let (delete, _) = record::write(acting, line, &draft, &mut rng).unwrap();
    let member = Connect {
        version: VERSION,
        offered: vec![SUBPROTOCOL.to_owned()],
        origin: "http://127.0.0.1:7370".to_owned(),
        relay_nonce: Random([0x11; 32]),
        own_nonce: Random([0x22; 32]),
        chain: Some(chain.roster.chain()),
        device: phone.keys.id(),
        standing: Standing::Member,
        request: None,
        head: Some(chain.roster.head()),
        cursor: Some(Cursor { store: 7, number: 300 }),
    };
    let joiner = Connect {
        chain: None,
        device: tablet.keys.id(),
        standing: Standing::Joiner,
        request: Some(tablet.request.id()),
        head: None,
        cursor: None,
        ..member.clone()
    };
    let later = later(&chain, &put);
    Forms {
        later,
        found_with_recovery: found_with_recovery(&chain),
        request: phone.request.clone(),
        description: phone.sealed.clone(),
        connect_member: Verified::sign(member, &phone.keys.signing, &[]).unwrap(),
        connect_joiner: Verified::sign(joiner, &tablet.keys.signing, &[]).unwrap(),
        ciphertext: ciphertext.unwrap(),
        chain,
        found,
        admit,
        deny,
        withdrawal,
        nonce,
        reveal,
        put,
        delete,
    }
}

/// The same founding, with a recovery device and so with two proofs.
fn found_with_recovery(chain: &Chain) -> Verified<Entry> {
    let recovery = keys("recovery words");
    let mut form = (*chain.founding.entry).clone();
    let Body::Found(found) = &mut form.body else { panic!("found is found") };
    let info = recovery_info(chain, &recovery);
    let mut rng = SeededRng::new("recovery seal");
    let key = chain.founding.epoch_key.expose();
    let epoch_key = seal::seal_to(&recovery.sealing.public(), &info, b"", key, &mut rng).unwrap();
    found.recovery = Some(Recovery { device: recovery.public(), epoch_key });
    let join = chain.founding.code.join_key();
    Verified::sign(form, &chain.laptop.signing, &[&join, &recovery.signing]).unwrap()
}

/// The HPKE `info` of the epoch key that is sealed to a recovery device.
pub(crate) fn recovery_info(chain: &Chain, recovery: &DeviceKeys) -> Vec<u8> {
    let join_key = chain.founding.code.join_key().public();
    let label = b"countersign/v1/recovery-seal".as_slice();
    [label, &join_key, &recovery.id().0, &1u64.to_be_bytes()].concat()
}
