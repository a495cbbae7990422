//! What an entry changes beside the log, as it must be: requests, sync codes, approvals, records, the end of a chain.

use countersign_relay::clock::Moment;
use protocol::cut::{Cut, CutAt};
use protocol::entry::{Body, Deny, Entry, VetoOf};
use protocol::wire::Purpose;
use protocol::{DeviceId, JoinKey, RequestId, Verified};

use super::refused::ask;
use super::waits::Wait;
use super::{Block, Book, Chain, Refused, Taken};

impl Book {
    /// Carries an entry over that the log took.
    pub(super) fn carry(&mut self, at: usize, entry: &Verified<Entry>, purpose: Purpose, now: Moment) -> Taken<()> {
        if let Some(key) = entry.body.rotation().and_then(|rotation| rotation.join_key) {
            self.take_key(at, key)?;
        }
        if !matches!(entry.body, Body::Deny(_)) {
            let chain = &mut self.chains[at];
            let kept = std::mem::take(&mut chain.approvals);
            chain.approvals = kept.into_iter().filter(|approval| chain.counts(approval)).collect();
            self.follow_closing(at, now);
        }
        match &entry.body {
            Body::Admit(_) if purpose == Purpose::New => {
                let request = entry.evidence().request().expect("an admit has one");
                self.may_admit(at, &RequestId::from(request.hash()), now)
            }
            Body::Deny(deny) => {
                self.block(at, deny, now);
                Ok(())
            }
            Body::Veto(veto) if veto.of == VetoOf::Reset => {
                self.veto_reset(at, veto.hash);
                Ok(())
            }
            Body::Close(_) => self.close(at, now),
            _ => Ok(()),
        }
    }

    /// What the relay asks of an admission besides the law of the log.
    fn may_admit(&self, at: usize, id: &RequestId, now: Moment) -> Taken<()> {
        let asked = self.visible(&self.chains[at].roster.chain(), id).ok_or("request-unknown")?;
        ask(asked.is_kept(now), "request-closed")
    }

    fn block(&mut self, at: usize, deny: &Deny, now: Moment) {
        let chain = self.chains[at].roster.chain();
        let asked = self.asked(&deny.request).filter(|asked| asked.chain == chain);
        if let Some(asked) = asked.filter(|_| deny.block > 0) {
            let until = now.steady + u64::from(deny.block) * 1000;
            self.blocks.push(Block { key: asked.form.join_key, address: asked.from, until });
        }
    }

    /// A new join key is the chain's for ever; whoever has the one before has no word in it any more.
    fn take_key(&mut self, at: usize, key: JoinKey) -> Taken<()> {
        match self.chains.iter().position(|chain| chain.keys.contains(&key)) {
            Some(other) => ask(other == at, "join-key-taken")?,
            None => self.chains[at].keys.push(key),
        }
        self.chains[at].reset = None;
        self.follow_join_key(at);
        Ok(())
    }

    /// What was asked with another join key than the current one is dead, if nobody decided it before.
    pub(super) fn follow_join_key(&mut self, at: usize) {
        let roster = &self.chains[at].roster;
        for asked in self.asked.iter_mut().filter(|asked| asked.chain == roster.chain()) {
            if roster.decision(&asked.form.id()).is_none() {
                asked.dead = asked.form.join_key != roster.join_key();
            }
        }
    }

    /// The delay of a closing begins when it stands here, and ends with it.
    fn follow_closing(&mut self, at: usize, now: Moment) {
        let chain = &mut self.chains[at];
        let standing = chain.roster.closing().map(|closing| (closing.hash, closing.delay));
        if standing.map(|(hash, _)| hash) != chain.closing.map(|(hash, _)| hash) {
            let begin = |delay| Wait::begin(u64::from(delay), self.uptime, now);
            chain.closing = standing.map(|(hash, delay)| (hash, begin(delay)));
        }
    }

    /// The chain ends, if the delay has passed.
    fn close(&mut self, at: usize, now: Moment) -> Taken<()> {
        let (_, wait) = self.chains[at].closing.expect("the log takes no close without a closing");
        match wait.left(self.uptime, now) {
            0 => {
                self.empty(at);
                Ok(())
            }
            left => Err(Refused::from("closing-too-early").with("left", left)),
        }
    }

    /// Everything of a chain goes but its log and its join keys.
    pub(super) fn empty(&mut self, at: usize) {
        let chain = &mut self.chains[at];
        chain.feed.clear();
        chain.approvals.clear();
        (chain.reset, chain.closing) = (None, None);
        self.blocks.retain(|block| !chain.keys.contains(&block.key));
        let id = chain.roster.chain();
        self.asked.iter_mut().filter(|asked| asked.chain == id).for_each(|asked| asked.deleted = true);
    }
}

impl Chain {
    /// A new cut that says *last* is at the last record, or what its writer wrote meanwhile would be lost by accident.
    pub(super) fn check_cuts(&self, entry: &Verified<Entry>) -> Taken<()> {
        for (device, cut) in last_cuts(entry) {
            let line = self.line(&device);
            if (cut.counter, cut.last) != (line.counter, line.last) {
                let refused = Refused::from("cut-behind").with("device", device.to_string());
                let refused = refused.with("counter", line.counter);
                return Err(match line.last {
                    Some(last) => refused.with("hash", last.to_string()),
                    None => refused,
                });
            }
        }
        Ok(())
    }

    /// Whether a record lies past a cut that says *last*: it was taken while the entry was lost.
    pub(super) fn is_passed(&self, entry: &Verified<Entry>) -> bool {
        last_cuts(entry).any(|(device, cut)| {
            let line = self.line(&device);
            line.last.is_some_and(|last| cut.is_passed_by(line.counter, last))
        })
    }
}

/// Whose lines an entry ends at what it says is their last record.
fn last_cuts(entry: &Verified<Entry>) -> impl Iterator<Item = (DeviceId, Cut)> {
    let cuts: Vec<(DeviceId, Cut)> = match &entry.body {
        Body::Remove(remove) => remove.removals.iter().map(|removal| (removal.device, removal.cut)).collect(),
        Body::Leave(leave) => vec![(entry.signer(), leave.cut)],
        Body::ChangeRole(change) => change.cut.iter().map(|cut| (change.device, *cut)).collect(),
        _ => Vec::new(),
    };
    cuts.into_iter().filter(|(_, cut)| cut.at == CutAt::Last)
}
