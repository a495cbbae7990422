//! What devices sign: right as a rule, wrong in one thing where a bit of the input says so.

use protocol::approval::{AdmitSubject, Subject};
use protocol::cbor::Blob;
use protocol::cut::{Cut, CutAt};
use protocol::entry::{Admit, Body, Deny, DenyReason, Leave, WelcomePlace, seal_welcome};
use protocol::policy::How;
use protocol::record::Line;
use protocol::request::Withdrawal;
use protocol::roster::Roster;
use protocol::round::{Nonce, Reveal};
use protocol::wire::Purpose;
use protocol::{VERSION, Verified};

use super::World;
use super::book::Route;
use super::cast::{Asking, Chain};
use super::subjects::role;
use crate::fuzz::Choices;

const DAY: u32 = 24 * 60 * 60;
/// How long a denial blocks an address, in seconds: the last is more than it may.
const BLOCKS: [u32; 4] = [0, 60, DAY, 8 * DAY];

impl World {
    /// The chain that a request asks to join: of those with its sync code the founded one.
    fn chain_of(&self, asking: &Asking) -> &'static Chain {
        let founded = |chain: &&Chain| self.book.known(&chain.entry.hash().into()).is_some();
        let mut chains = self.cast.chains.iter().filter(|chain| chain.family == asking.family);
        chains.clone().find(founded).or_else(|| chains.next()).expect("a chain for every code")
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
            let line = self.book.known(&roster.chain()).map(|chain| chain.line(&keys.id())).unwrap_or_default();
            let line = if how & 4 == 0 { line } else { Line::default() };
            Body::Leave(Leave { cut: Cut { counter: line.counter, last: line.last, at: CutAt::Earlier } })
        } else if how & 1 == 0 {
            self.admit(asking, &roster, keys.id(), how)
        } else {
            let device = if how & 4 == 0 { asking.form.signer() } else { self.cast.device(how >> 4).keys.id() };
            let block = BLOCKS[usize::from(how >> 4) % 4];
            Body::Deny(Deny { request: asking.form.id(), device, reason: DenyReason::Denied, block })
        };
        let Some(entry) = self.signs(&roster, keys, (body, Vec::new()), how) else { return };
        if how & 0x80 == 0 {
            self.posts_entries(&[entry], if how & 2 == 0 { Purpose::New } else { Purpose::Heal });
        }
    }

    /// An admission. Nobody typed a code: the relay cannot know, a member could have signed it all the same.
    pub(super) fn admit(&mut self, asking: &Asking, roster: &Roster, approver: protocol::DeviceId, how: u8) -> Body {
        let request = asking.form.id();
        let place =
            WelcomePlace { chain: roster.chain(), request, approver, epoch: roster.epoch(), prev: roster.head() };
        let keyring = self.keyring(roster);
        let key = keyring.epoch_key();
        let welcome = seal_welcome(&asking.form.device.sealing, &place, key, &mut self.rng).expect("a welcome");
        let subject = Subject::Admit(AdmitSubject { request, role: role(how >> 2) });
        let by_recovery = self.cast.papers.iter().any(|paper| paper.id() == approver);
        let approvals = self.approvals_for(roster, approver, &subject, 0);
        Body::Admit(Box::new(Admit {
            request: Blob(asking.form.bytes().to_vec()),
            role: role(how >> 2),
            epoch: roster.epoch() + u64::from(how & 0x70 == 0x70),
            how: match how & 0x70 {
                0x60 => How::None,
                _ if by_recovery => How::Recovery,
                _ => How::Typed,
            },
            description: Blob(vec![0; 32]),
            welcome,
            approvals: if how & 0x70 == 0x50 { vec![Blob(vec![1])] } else { approvals },
            ticket: None,
            totp_step: None,
        }))
    }
}
