//! What devices sign: right as a rule, wrong in one thing where a bit of the input says so.

use protocol::cbor::{self, Blob};
use protocol::cut::{Cut, CutAt};
use protocol::entry::{Admit, Body, Deny, DenyReason, Entry, Leave, WelcomePlace, seal_welcome};
use protocol::keyring::Acting;
use protocol::policy::{How, Role};
use protocol::record::{self, Draft, Line};
use protocol::refill::{self, Refill};
use protocol::request::Withdrawal;
use protocol::roster::Roster;
use protocol::round::{Nonce, Reveal};
use protocol::wire::{Append, Purpose, Put, SealedRecord};
use protocol::{VERSION, Verified};

use super::World;
use super::book::Route;
use super::cast::{Asking, Chain};
use crate::fuzz::Choices;

const DAY: u32 = 24 * 60 * 60;
/// How long a denial blocks an address, in seconds: the last is more than it may.
const BLOCKS: [u32; 4] = [0, 60, DAY, 8 * DAY];

impl World {
    /// The chain that a request asks to join: the founded one with its join key.
    fn chain_of(&self, asking: &Asking) -> &'static Chain {
        let same = |chain: &&Chain| chain.keyring.code().join_key().join_key() == asking.form.join_key;
        let founded = |chain: &&Chain| self.book.chain(&chain.entry.hash().into()).is_some();
        let mut chains = self.cast.chains.iter().filter(same);
        chains.clone().find(founded).or_else(|| chains.next()).expect("a chain for every code")
    }

    /// The roster of a chain as its members know it, also where the relay does not.
    fn roster(&self, chain: &Chain) -> Roster {
        let known = self.book.chain(&chain.entry.hash().into()).map(|chain| chain.roster.clone());
        known.unwrap_or_else(|| Roster::found(&chain.entry).expect("a roster"))
    }

    pub(super) fn withdraws(&mut self, which: u8, how: u8) {
        let asking = self.cast.asking(which);
        let signer = if how % 4 == 3 { self.cast.device(how >> 2) } else { &self.cast.devices[asking.device] };
        let form = Withdrawal { version: VERSION, request: asking.form.id() };
        if let Ok(form) = Verified::sign(form, &signer.keys.signing, &[]) {
            self.posts(Route::Withdrawals, form.bytes());
        }
    }

    /// A device opens the prompt of a request.
    pub(super) fn opens(&mut self, who: u8, which: u8, how: u8) {
        let asking = self.cast.asking(which);
        let chain = if how & 1 == 0 { self.chain_of(asking) } else { self.cast.chain(how >> 1) };
        let roster = self.roster(chain);
        let taken = self.book.asked(&asking.form.id()).map_or(0, |asked| asked.rounds.len());
        let next = u8::try_from(taken + 1).expect("few rounds");
        let form = Nonce {
            version: VERSION,
            chain: roster.chain(),
            request: asking.form.id(),
            round: if how & 8 == 0 { next } else { how >> 4 },
            head: if how & 2 == 0 { roster.head() } else { self.cast.chain(how >> 4).entry.hash() },
            epoch: roster.epoch() + u64::from(how & 12 == 12),
            nonce: self.random(),
        };
        if let Ok(nonce) = Verified::sign(form, &self.cast.device(who).keys.signing, &[]) {
            self.nonces.push(nonce.clone());
            self.posts(Route::Nonces, nonce.bytes());
        }
    }

    /// A device answers a nonce.
    pub(super) fn reveals(&mut self, which: u8, how: u8) {
        let Some(nonce) = Choices(&[which]).of(&self.nonces).cloned() else { return };
        let honest = self.cast.asking.iter().find(|asking| asking.form.id() == nonce.request).expect("one of the cast");
        let honest = &self.cast.devices[honest.device];
        let other = self.cast.device(how >> 3);
        let signer = if how & 1 == 0 { honest } else { other };
        let values = if how & 2 == 0 { honest } else { other };
        let round = if how & 4 == 0 { nonce.round } else { 1 + nonce.round % 8 };
        let form = Reveal {
            version: VERSION,
            request: nonce.request,
            nonce: nonce.hash(),
            value: values.commitments.value(round),
        };
        if let Ok(reveal) = Verified::sign(form, &signer.keys.signing, &[]) {
            self.posts(Route::Reveals, reveal.bytes());
        }
    }

    /// A device decides over a request, or leaves; with the highest bit it keeps the entry for later, and loses a race perhaps.
    pub(super) fn decides(&mut self, who: u8, which: u8, how: u8) {
        let asking = self.cast.asking(which);
        let chain = if who & 0xf0 == 0xf0 { self.cast.chain(who >> 3) } else { self.chain_of(asking) };
        let keys = &self.cast.device(who).keys;
        let roster = self.roster(chain);
        let body = if who & 0xf0 == 0xe0 {
            // Of a cut that says *last* the tests know: healed, it would take records away.
            let line = self.book.chain(&roster.chain()).map(|chain| chain.line(&keys.id())).unwrap_or_default();
            let line = if how & 4 == 0 { line } else { Line::default() };
            Body::Leave(Leave { cut: Cut { counter: line.counter, last: line.last, at: CutAt::Earlier } })
        } else if how & 1 == 0 {
            self.admit(asking, chain, &roster, keys.id(), how)
        } else {
            let device = if how & 4 == 0 { asking.form.signer() } else { self.cast.device(how >> 4).keys.id() };
            let block = BLOCKS[usize::from(how >> 4) % 4];
            Body::Deny(Deny { request: asking.form.id(), device, reason: DenyReason::Denied, block })
        };
        let (seq, prev) = (roster.seq() + 1, Some(roster.head()));
        let form = Entry { version: VERSION, chain: Some(roster.chain()), seq, prev, at: u64::from(how), body };
        let Ok(entry) = Verified::sign(form, &keys.signing, &[]) else { return };
        self.entries.push(entry.clone());
        if how & 0x80 == 0 {
            let purpose = if how & 2 == 0 { Purpose::New } else { Purpose::Heal };
            let append = Append { entries: vec![Blob(entry.bytes().to_vec())], purpose };
            self.posts(Route::Log, &cbor::encode(&append));
        }
    }

    /// An admission. Nobody typed a code: the relay cannot know, a member could have signed it all the same.
    fn admit(
        &mut self,
        asking: &Asking,
        chain: &Chain,
        roster: &Roster,
        approver: protocol::DeviceId,
        how: u8,
    ) -> Body {
        let request = asking.form.id();
        let place =
            WelcomePlace { chain: roster.chain(), request, approver, epoch: roster.epoch(), prev: roster.head() };
        let key = chain.keyring.epoch_key();
        let welcome = seal_welcome(&asking.form.device.sealing, &place, key, &mut self.rng).expect("a welcome");
        let role = [Role::Approver, Role::Writer, Role::Reader, Role::Recovery][usize::from(how >> 2) % 4];
        Body::Admit(Box::new(Admit {
            request: Blob(asking.form.bytes().to_vec()),
            role,
            epoch: roster.epoch() + u64::from(how & 0x70 == 0x70),
            how: if how & 0x70 == 0x60 { How::None } else { How::Typed },
            description: Blob(vec![0; 32]),
            welcome,
            approvals: if how & 0x70 == 0x50 { vec![Blob(vec![1])] } else { Vec::new() },
            ticket: None,
            totp_step: None,
        }))
    }

    /// A device writes one record or a few.
    pub(super) fn writes(&mut self, who: u8, which: u8, how: u8) {
        let (chain, device) = (self.cast.chain(which), self.cast.device(who));
        let roster = self.roster(chain);
        let book = self.book.chain(&roster.chain());
        // Bits of `how`: an old line, no base, another ciphertext, an old head; then the item, and how many.
        let mut line = book.filter(|_| how & 1 == 0).map_or(Line::default(), |chain| chain.line(&device.keys.id()));
        let old = Roster::found(&chain.entry).expect("a roster");
        let roster = if how & 8 == 0 { roster } else { old };
        let acting = Acting { keys: &device.keys, roster: &roster, keyring: &chain.keyring };
        let content = [how; 3];
        let (mut records, mut signed) = (Vec::new(), Vec::new());
        for step in 0..=(how >> 6) {
            let id = if how & 0x10 == 0 { "first" } else { "second" };
            let id = if step == 0 { id.to_owned() } else { format!("{id} {step}") };
            let value = if how & 0x20 == 0 { Some(content.as_slice()) } else { None };
            let mut draft = Draft { collection: "notes", id: &id, value, base: None, at: 0 };
            let (bare, _) = record::write(acting, line, &draft, &mut self.rng).expect("a record");
            draft.base = book.filter(|_| how & 2 == 0).and_then(|chain| chain.base(&bare));
            let (record, mut ciphertext) = record::write(acting, line, &draft, &mut self.rng).expect("a record");
            if how & 4 != 0 {
                ciphertext = if which & 0x80 == 0 { Some(Blob(vec![how])) } else { None };
            }
            line = Line { counter: line.counter + 1, last: Some(record.hash()) };
            records.push(SealedRecord { record: Blob(record.bytes().to_vec()), ciphertext });
            signed.push(record);
        }
        // Somebody gives them back, who may be a member, and may name others.
        let form = Refill { version: VERSION, chain: roster.chain(), records: refill::hash_of(&signed) };
        let form = if which & 0x20 == 0 { form } else { Refill { records: roster.head(), ..form } };
        let refill = Verified::sign(form, &self.cast.device(which >> 3).keys.signing, &[]).ok();
        let refill = refill.filter(|_| which & 0x40 != 0).map(|refill| Blob(refill.bytes().to_vec()));
        self.posts(Route::Records, &cbor::encode(&Put { records, refill }));
    }
}
