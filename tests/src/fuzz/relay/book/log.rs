//! The log, as it must be: founded, followed, and replaced where a fork ends.

use countersign_relay::clock::Moment;
use protocol::cbor;
use protocol::entry::{Body, Entry, Settle};
use protocol::roster::Roster;
use protocol::wire::{Append, Appended, Purpose};
use protocol::{ChainId, Verified, limits};

use super::refused::ask;
use super::{Book, Chain, Refused, Taken};

impl Book {
    pub(super) fn found(&mut self, bytes: &[u8]) -> Taken<Appended> {
        let entry = Verified::<Entry>::from_bytes(bytes)?;
        let roster = Roster::found(&entry)?;
        let appended = Appended { head: entry.hash(), seq: 0 };
        if self.find(&roster.chain())?.is_some() {
            return Ok(appended);
        }
        let key = roster.join_key();
        ask(!self.chains.iter().any(|chain| chain.keys.contains(&key)), "join-key-taken")?;
        self.chains.push(Chain::new(entry, roster));
        Ok(appended)
    }

    pub(super) fn append(&mut self, bytes: &[u8], now: Moment) -> Taken<Appended> {
        let append: Append = cbor::decode("append", bytes, limits::BODY_BYTES_MAX)?;
        let (id, entries) = of_one_chain(&append)?;
        let at = self.find(&id)?.ok_or("not-a-member")?;
        let roster = &self.chains[at].roster;
        let known = entries.iter().take_while(|entry| roster.position(&entry.hash()).is_some()).count();
        let fresh = &entries[known..];
        if let Some(first) = fresh.first() {
            match self.chains[at].settled_by(fresh) {
                Some((common, settle)) => self.settle(at, (common, settle), fresh, now)?,
                None => {
                    ask(roster.member(&first.signer()).is_some(), "not-a-member")?;
                    if first.prev != Some(roster.head()) {
                        return Err(self.chains[at].has_moved());
                    }
                    self.follow(at, fresh, append.purpose, now)?;
                }
            }
        }
        let roster = &self.chains[at].roster;
        Ok(Appended { head: roster.head(), seq: roster.seq() })
    }

    /// Takes entries one by one.
    fn follow(&mut self, at: usize, entries: &[Verified<Entry>], purpose: Purpose, now: Moment) -> Taken<()> {
        let mut passed = false;
        for entry in entries {
            let chain = &mut self.chains[at];
            chain.roster = chain.roster.clone().apply(entry)?;
            match purpose {
                Purpose::New => chain.check_cuts(entry)?,
                Purpose::Heal => passed |= chain.is_passed(entry),
            }
            chain.log.push(entry.clone());
            self.carry(at, entry, purpose, now)?;
        }
        if passed {
            self.chains[at].drop_records();
        }
        Ok(())
    }

    /// A fork ends: these entries take the place of what follows the last common one.
    fn settle(
        &mut self,
        at: usize,
        (common, settle): (usize, &Settle),
        entries: &[Verified<Entry>],
        now: Moment,
    ) -> Taken<()> {
        let chain = &mut self.chains[at];
        let (first, last) = (entries.first().expect("a settle"), entries.last().expect("a settle"));
        chain.roster.gives_way_to(last)?;
        if chain.log[common + 1].hash() != settle.abandoned {
            return Err(chain.has_moved());
        }
        let before = chain.roster.clone();
        chain.past.push(chain.log.clone());
        chain.log.truncate(common + 1);
        chain.roster = roster_of(&chain.log);
        // The delay of a closing that stands in the new log begins anew.
        chain.closing = None;
        self.follow(at, entries, Purpose::Heal, now)?;
        let beside = before.goes_on_beside(&self.chains[at].roster, &settle.abandoned, &first.hash());
        ask(!beside, "not-abandoned")?;
        self.follow_join_key(at);
        let Chain { roster, reset, .. } = &mut self.chains[at];
        reset.take_if(|standing| {
            standing.form.join_key() != roster.join_key() || roster.position(&standing.form.head).is_none()
        });
        self.chains[at].drop_records();
        Ok(())
    }
}

impl Chain {
    fn new(entry: Verified<Entry>, roster: Roster) -> Self {
        Self {
            log: vec![entry],
            keys: vec![roster.join_key()],
            roster,
            feed: Vec::new(),
            numbered: Vec::new(),
            approvals: Vec::new(),
            reset: None,
            vetoed: Vec::new(),
            closing: None,
            past: Vec::new(),
            told: Vec::new(),
            gone: None,
        }
    }

    fn has_moved(&self) -> Refused {
        let head = self.roster.head().to_string();
        Refused::from("head-moved").with("head", head).with("seq", self.roster.seq())
    }

    /// Whether entries leave this log before its head, and end with a settle: then where, and which.
    fn settled_by<'a>(&self, fresh: &'a [Verified<Entry>]) -> Option<(usize, &'a Settle)> {
        let prev = fresh.first()?.prev?;
        let common = self.log.iter().position(|entry| entry.hash() == prev)?;
        let last = fresh.last()?;
        match &last.body {
            Body::Settle(settle) if common + 1 < self.log.len() => Some((common, settle)),
            _ => None,
        }
    }
}

/// The roster that follows from a log.
pub(in crate::fuzz::relay) fn roster_of(log: &[Verified<Entry>]) -> Roster {
    let (first, rest) = log.split_first().expect("a log begins");
    let founded = Roster::found(first).expect("a log begins with a founding");
    rest.iter().fold(founded, |roster, entry| roster.apply(entry).expect("an entry that was taken"))
}

/// The verified entries of an append, and their chain.
fn of_one_chain(append: &Append) -> Taken<(ChainId, Vec<Verified<Entry>>)> {
    ask((1..=limits::APPEND_ENTRIES_MAX).contains(&append.entries.len()), "malformed")?;
    let (mut chain, mut entries) = (None, Vec::new());
    for bytes in &append.entries {
        let entry = Verified::<Entry>::from_bytes(bytes)?;
        let of = match entry.body {
            Body::Found(_) => ChainId::from(entry.hash()),
            _ => entry.chain.ok_or("other-chain")?,
        };
        ask(chain.is_none_or(|chain| chain == of), "other-chain")?;
        chain = Some(of);
        entries.push(entry);
    }
    Ok((chain.expect("one entry at least"), entries))
}
