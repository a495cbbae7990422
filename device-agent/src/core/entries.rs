//! Following the log: entry by entry, verified, applied, pinned, and only then told.

use protocol::Hash;
use protocol::cbor::Blob;
use protocol::entry::{Body, Entry, EntryEvidence};
use protocol::roster::{Outcome, Roster};
use protocol::signed::{Signed, Verified};

use super::view::{DecisionView, Event, Here, MemberView, StepView};
use super::{Core, LogStanding};
use crate::error::AgentError;
use crate::store::Ended;
use crate::{clock, text};

/// How a page of entries stands to the pinned log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Divergence {
    /// It continued the log, or held nothing new.
    None,
    /// Its first new entry does not follow the pinned head: the whole log must be compared.
    NotNext,
}

/// Applies a whole log from `found`.
pub(crate) fn replay(bytes: &[impl AsRef<[u8]>]) -> Result<(Vec<Verified<Entry>>, Roster), AgentError> {
    let mut log: Vec<Verified<Entry>> = Vec::with_capacity(bytes.len());
    let mut roster: Option<Roster> = None;
    for bytes in bytes {
        let (entry, after) = next_of(roster, bytes.as_ref(), None)?;
        roster = Some(after);
        log.push(entry);
    }
    let roster = roster.ok_or(AgentError::Damaged { what: "the log is empty" })?;
    Ok((log, roster))
}

/// Verifies the next entry of a log, `found` where there is none yet, and applies it. `known` may be the request inside it.
pub(crate) fn next_of(
    roster: Option<Roster>,
    bytes: &[u8],
    known: Option<&EntryEvidence>,
) -> Result<(Verified<Entry>, Roster), AgentError> {
    let entry =
        Signed::<Entry>::decode(bytes).and_then(|entry| entry.verify_knowing(known)).map_err(AgentError::BadForm)?;
    let after = match roster {
        None => Roster::found(&entry),
        Some(roster) => roster.apply(&entry),
    };
    Ok((entry, after.map_err(AgentError::BadEntry)?))
}

impl Core {
    /// Takes entries in order. Those that continue the log are verified, applied, pinned and told; known ones are passed over.
    pub(crate) fn take_entries(&mut self, entries: &[Blob]) -> Result<Divergence, AgentError> {
        let mut roster = self.roster.clone();
        let mut fresh = Vec::new();
        let mut divergence = Divergence::None;
        for bytes in entries {
            let entry = Verified::<Entry>::from_bytes(bytes).map_err(AgentError::BadForm)?;
            if roster.position(&entry.hash()).is_some() {
                continue;
            }
            if entry.prev != Some(roster.head()) {
                divergence = Divergence::NotNext;
                break;
            }
            roster = roster.apply(&entry).map_err(AgentError::BadEntry)?;
            fresh.push(entry);
        }
        if !fresh.is_empty() {
            self.store.pin(&fresh)?;
            self.roster = roster;
            for entry in fresh {
                self.log.push(entry.clone());
                self.announce(&entry)?;
            }
            self.retry_aside()?;
        }
        Ok(divergence)
    }

    /// Judges an entry that stands where the pinned log has another: a fork if it is validly signed by somebody who could.
    pub(crate) fn judge(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        let entry = Verified::<Entry>::from_bytes(bytes).map_err(AgentError::BadForm)?;
        if self.roster.position(&entry.hash()).is_some() {
            return Ok(());
        }
        let parent = entry.prev.and_then(|prev| self.roster.position(&prev));
        let Some(parent) = parent.filter(|parent| parent.seq < self.roster.seq()) else {
            return Err(AgentError::Lie { what: "the relay shows another log than the one pinned here".to_owned() });
        };
        let before: Vec<&[u8]> =
            self.log.iter().take_while(|pinned| pinned.seq <= parent.seq).map(|pinned| &**pinned.bytes()).collect();
        let (_, roster) = replay(&before)?;
        roster.apply(&entry).map_err(AgentError::BadEntry)?;
        self.store.keep_evidence(&entry, clock::now())?;
        self.standing = LogStanding::Forked { seq: entry.seq };
        let alarm = AgentError::Fork { seq: entry.seq };
        self.emit(Event::Alarm { message: alarm.to_string() });
        Err(alarm)
    }

    /// The hash that is pinned at a position.
    pub(crate) fn pinned(&self, seq: u64) -> Result<Option<Hash>, AgentError> {
        self.store.pinned(seq)
    }

    /// Whether an entry is in the pinned log.
    pub(crate) fn is_pinned(&self, hash: &Hash) -> bool {
        self.roster.position(hash).is_some()
    }

    fn announce(&mut self, entry: &Verified<Entry>) -> Result<(), AgentError> {
        let Some(decision) = self.decision_of(entry) else {
            return Ok(());
        };
        let request = decision.request.parse().map_err(|_| AgentError::Damaged { what: "an id is no id" })?;
        self.pending.remove(&request);
        let ended = if decision.outcome == "admitted" { Ended::Admitted } else { Ended::Denied };
        self.store.end_round(&request, ended)?;
        self.emit(Event::Decided { decision: Box::new(decision) });
        Ok(())
    }

    /// What an entry decided, as it is shown; nothing for `found`.
    pub(crate) fn decision_of(&self, entry: &Verified<Entry>) -> Option<DecisionView> {
        let (request, device) = match (&entry.body, entry.evidence().request()) {
            (Body::Admit(_), Some(request)) => (request.id(), request.device.signing),
            (Body::Deny(deny), _) => (deny.request, deny.device),
            _ => return None,
        };
        let decision = self.roster.decision(&request)?;
        let (outcome, reason) = match decision.outcome {
            Outcome::Admitted => ("admitted", None),
            Outcome::Denied(reason) => ("denied", Some(reason.name().to_owned())),
        };
        let member = self.roster.member(&device);
        let description = member.and_then(|member| self.keyring.describe(&self.roster, member).ok());
        let described = description.or_else(|| self.claims.get(&request).cloned());
        let name = described.as_ref().map(|described| text::clean(&described.name)).filter(|name| !name.is_empty());
        Some(DecisionView {
            request: request.to_string(),
            device: device.to_string(),
            outcome: outcome.to_owned(),
            reason,
            name: name.map_or_else(|| "a device".to_owned(), |name| text::quote(&name)),
            platform: described.map(|described| text::clean(&described.platform)).unwrap_or_default(),
            by: self.name_of(&entry.signer()),
            here: self.here(&entry.signer()),
            seq: entry.seq,
            members: self.roster.people_count() as u64,
        })
    }

    /// How a request was decided, if it was.
    pub(crate) fn decision_view(&self, id: &protocol::RequestId) -> Option<DecisionView> {
        let decision = self.roster.decision(id)?;
        self.decision_of(self.log.get(usize::try_from(decision.seq).ok()?)?)
    }

    pub(super) fn here(&self, device: &protocol::DeviceId) -> Here {
        if *device == self.keys.id() { Here::ThisDevice } else { Here::Other }
    }

    /// The members, oldest first.
    pub(crate) fn members(&self) -> Vec<MemberView> {
        let mut members: Vec<MemberView> = self
            .roster
            .members()
            .map(|member| {
                let described = self.keyring.describe(&self.roster, member).ok();
                let claim = |pick: fn(&protocol::request::Description) -> &String| {
                    described.as_ref().map(|described| text::clean(pick(described))).unwrap_or_default()
                };
                MemberView {
                    device: member.device.signing.to_string(),
                    name: claim(|described| &described.name),
                    platform: claim(|described| &described.platform),
                    version: claim(|described| &described.version),
                    role: member.role.name().to_owned(),
                    admitted_at_seq: member.admission.seq,
                    admitted_by: self.bare_name_of(&member.admission.by),
                    how: member.admission.how.map(|how| how.name().to_owned()),
                    admitted_at: member.admission.at,
                    here: self.here(&member.device.signing),
                }
            })
            .collect();
        members.sort_by_key(|member| member.admitted_at_seq);
        members
    }

    /// The diary: every pinned entry in words.
    pub(crate) fn diary(&self) -> Vec<StepView> {
        let step = |entry: &Verified<Entry>| StepView {
            seq: entry.seq,
            hash: entry.hash().to_string(),
            kind: entry.body.name().to_owned(),
            by: self.name_of(&entry.signer()),
            at: entry.at,
            what: self.decision_of(entry).map_or_else(
                || format!("founded by {}", self.name_of(&entry.signer())),
                |decision| match decision.outcome.as_str() {
                    "admitted" => format!("{} admitted by {}", decision.name, decision.by),
                    _ => format!(
                        "device {} denied by {} ({})",
                        super::view::short(&decision.device),
                        decision.by,
                        decision.reason.unwrap_or_default()
                    ),
                },
            ),
        };
        self.log.iter().map(step).collect()
    }
}
