//! Forks: what devices signed that the relay does not have, and how that ends.

use protocol::approval::{SettleSubject, Subject};
use protocol::entry::{Body, Entry, Settle};
use protocol::roster::Roster;
use protocol::wire::Purpose;
use protocol::{Hash, Verified};

use super::World;
use super::book::log::roster_of;
use super::cast::Chain;
use super::rotations::Turn;

/// A branch that leaves the relay's log.
#[derive(Debug)]
pub(super) struct Branch {
    chain: &'static Chain,
    /// Position of the last entry that the relay had when the branch began.
    common: usize,
    entries: Vec<Verified<Entry>>,
    roster: Roster,
}

impl World {
    /// A member signs an entry of a branch: a new one that leaves the relay's log some entries before its head, or the one there is.
    pub(super) fn forks(&mut self, who: u8, what: u8, which: u8, how: u8) {
        let chain = self.cast.chain(what >> 4 & 3);
        let known = self.branch.take().filter(|branch| std::ptr::eq(branch.chain, chain) && what & 0x80 == 0);
        let Some(mut branch) = known.or_else(|| self.begins_branch(chain, usize::from(who >> 3) % 4)) else { return };
        let keys = self.cast.signer(who).clone();
        let body = self.body((chain, &branch.roster), &keys, what % 16, which, how);
        if let Some(entry) = self.signs(&branch.roster, &keys, body, how)
            && let Ok(roster) = branch.roster.clone().apply(&entry)
        {
            branch.roster = roster;
            branch.entries.push(entry);
        }
        self.branch = Some(branch);
    }

    fn begins_branch(&self, chain: &'static Chain, back: usize) -> Option<Branch> {
        let log = &self.book.known(&chain.entry.hash().into())?.log;
        let common = (log.len() - 1).saturating_sub(back + 1);
        Some(Branch { chain, common, entries: Vec::new(), roster: roster_of(&log[..=common]) })
    }

    /// The head of the branch that the relay does not have, and the entry of the relay's log that it leaves out.
    pub(super) fn fork(&self) -> Option<(Hash, Hash)> {
        let branch = self.branch.as_ref()?;
        let served = self.book.known(&branch.roster.chain())?;
        Some((branch.roster.head(), served.log.get(branch.common + 1)?.hash()))
    }

    /// A member ends a fork: the branch goes on at the relay, or with a bit the relay's own log, or an entry is named that is none.
    pub(super) fn ends_fork(&mut self, who: u8, what: u8, how: u8) {
        let Some(branch) = self.branch.take() else { return };
        let Some(served) = self.book.known(&branch.roster.chain()) else { return };
        let first = branch.entries.first().map_or(branch.roster.head(), Verified::hash);
        let (mut entries, roster) = match what & 1 {
            0 => (branch.entries, branch.roster),
            _ => (Vec::new(), served.roster.clone()),
        };
        let theirs = served.log.get(branch.common + 1).map_or(roster.head(), Verified::hash);
        let abandoned = match what & 0x0f {
            0x01 => first,
            0x02 => served.roster.head(),
            _ => theirs,
        };
        let keys = self.cast.signer(who).clone();
        let Turn { rotation, provers } = self.turn(branch.chain, &roster, keys.id(), &[], how);
        let subject = Subject::Settle(SettleSubject { abandoned });
        let approvals = self.approvals_for(&roster, keys.id(), &subject, how);
        let body = Body::Settle(Box::new(Settle { abandoned, rotation, approvals }));
        entries.extend(self.signs(&roster, &keys, (body, provers), how));
        let purpose = if what & 0x10 == 0 { Purpose::New } else { Purpose::Heal };
        self.posts_entries(&entries, purpose);
    }
}
