//! What is signed beside the log: an approver's consent, and the wish that a chain is deleted.

use protocol::approval::{Approval, SettleSubject, Subject};
use protocol::reset::Reset;
use protocol::roster::Roster;
use protocol::{Hash, VERSION, Verified};

use super::World;
use super::book::Route;

/// Kinds of subjects.
const SUBJECTS: u8 = 5;

impl World {
    /// The reset that stands, or the one that was signed last.
    pub(super) fn some_reset(&self, roster: &Roster, how: u8) -> Hash {
        let standing = self.book.known(&roster.chain()).and_then(|chain| chain.reset.as_ref());
        let standing = standing.filter(|_| how & 1 == 0).map(|standing| standing.form.hash());
        standing.or(self.reset).unwrap_or(roster.head())
    }

    /// An approver agrees to what another one may sign, at this head or with a bit at an old one.
    pub(super) fn approves(&mut self, who: u8, what: u8, which: u8, how: u8) {
        let roster = self.roster(self.cast.chain(what >> 4 & 3));
        let (goes_on, subject) = match self.fork().filter(|_| what & 0x0f == 0x0f) {
            Some((goes_on, abandoned)) => (goes_on, Subject::Settle(SettleSubject { abandoned })),
            None => (roster.head(), self.subject(&roster, what % 16 % SUBJECTS, which, how)),
        };
        let head = match how & 0x60 {
            0x20 => Hash(roster.chain().0),
            0x40 => Hash(*self.random().as_bytes()),
            _ => goes_on,
        };
        let form = Approval { version: VERSION, chain: roster.chain(), head, subject };
        if let Ok(approval) = Verified::sign(form, &self.cast.signer(who).signing, &[]) {
            self.approvals.push(approval.clone());
            self.posts(Route::Approvals, approval.bytes());
        }
    }

    /// Whoever has a sync code wants the chain deleted: with the current one or an old one, on these terms or others.
    pub(super) fn wants_reset(&mut self, which: u8, how: u8) {
        let chain = self.cast.chain(which);
        let roster = self.roster(chain);
        let current = self.cast.code(&roster.join_key());
        let code = if how & 1 == 0 { current } else { &self.cast.codes[chain.family][usize::from(how >> 6)] };
        let log = self.book.known(&roster.chain()).map_or(std::slice::from_ref(&chain.entry), |chain| &chain.log);
        let terms = usize::try_from(roster.policy_seq()).expect("a short log");
        let head = match how & 0x06 {
            0x02 => log[0].hash(),
            0x04 => roster.head(),
            0x06 => Hash(*self.random().as_bytes()),
            _ => log[terms].hash(),
        };
        let least = u64::from(roster.policy().reset_delay);
        let wait = [least, least + 60, 0, 24 * 60 * 60][usize::from(how >> 3) % 4];
        let form = Reset { version: VERSION, chain: roster.chain(), head, wait };
        if let Ok(reset) = Verified::sign(form, &code.join_key(), &[]) {
            self.reset = Some(reset.hash());
            self.posts(Route::Resets, reset.bytes());
        }
    }
}
