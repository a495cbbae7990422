//! Signing what changes the membership after its members are in: removals, roles, leaving, new epochs.

use protocol::DeviceId;
use protocol::approval::{RoleSubject, Subject};
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::cut::{Cut, CutAt, Removal};
use protocol::entry::{DenyReason, Entry, RemoveReason};
use protocol::policy::Role;
use protocol::record::{Line, Record};
use protocol::roster::Refusal;
use protocol::signed::Verified;
use protocol::{RequestId, decision, keyring::Acting};

use super::Core;
use super::decide::Terms;
use super::view::{AdmittedView, RemovalView, RemovedView};
use crate::error::{AgentError, Missing};
use crate::{clock, text};

/// A removal that a person decided on. It is signed again by itself as long as everybody whom it must speak of is spoken of.
#[derive(Debug, Clone)]
pub(crate) struct RemovalOrder {
    /// The devices that go.
    pub(crate) devices: Vec<DeviceId>,
    /// Devices that one of them admitted, and that stay.
    pub(crate) keep: Vec<DeviceId>,
    /// Why.
    pub(crate) reason: RemoveReason,
    /// From where on what they wrote is distrusted.
    pub(crate) from: Option<Since>,
}

/// From where on a device is distrusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// From one of its records on: what it wrote before it counts.
    Record {
        /// The writer.
        writer: DeviceId,
        /// The end of what counts.
        before: Line,
    },
    /// From an entry of the log on: what it wrote when it knew that entry does not count.
    Entry(u64),
}

/// Where a line is cut for which nothing else was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exactness {
    /// At the last record that the relay has.
    Last,
    /// At the last record that is here: its writer goes on writing, faster than anybody can say which one is the last.
    Here,
}

impl Core {
    /// The member that a name or a prefix of an id names.
    pub(crate) fn find_device(&self, named: &str) -> Result<DeviceId, AgentError> {
        let devices = self.roster.members().map(|member| member.device.signing);
        device_called(named, devices.map(|device| (device, self.bare_name_of(&device))))
    }

    /// What a removal comes to: who goes, where their records end, and whom they admitted.
    pub(crate) fn removal_view(&self, devices: &[DeviceId], from: Option<Since>) -> Result<RemovalView, AgentError> {
        self.may_remove(devices)?;
        let mut view = RemovalView { devices: Vec::new(), admitted: Vec::new() };
        for device in devices {
            let line = self.store.line(device)?;
            let cut = self.cut_of(device, from, Exactness::Last)?;
            view.devices.push(RemovedView {
                device: device.to_string(),
                name: self.bare_name_of(device),
                role: self.roster.known(device).map_or("none", |member| member.role.name()).to_owned(),
                records: line.counter,
                counted: cut.counter,
            });
        }
        for device in self.admitted_by(devices) {
            let Some(member) = self.roster.member(&device) else { continue };
            let after = matches!(from, Some(Since::Entry(seq)) if member.admission.seq >= seq);
            view.admitted.push(AdmittedView {
                device: device.to_string(),
                name: self.bare_name_of(&device),
                by: self.bare_name_of(&member.admission.by),
                seq: member.admission.seq,
                at: member.admission.at,
                proposed: if after { "remove" } else { "ask" }.to_owned(),
            });
        }
        view.admitted.sort_by_key(|admitted| admitted.seq);
        Ok(view)
    }

    /// Signs and keeps a removal.
    pub(crate) fn remove(
        &mut self,
        order: &RemovalOrder,
        exactness: Exactness,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        let removals = self.removals(order, exactness)?;
        self.sign_removal(removals, order.reason)
    }

    /// The devices of a removal with the end of each one's line, ascending.
    pub(crate) fn removals(&self, order: &RemovalOrder, exactness: Exactness) -> Result<Vec<Removal>, AgentError> {
        self.may_remove(&order.devices)?;
        let spoken_of = |device: &DeviceId| order.keep.contains(device) || order.devices.contains(device);
        if !self.admitted_by(&order.devices).iter().all(spoken_of) {
            return Err(AgentError::ChangedMeanwhile);
        }
        let mut removals = Vec::with_capacity(order.devices.len());
        for device in &order.devices {
            removals.push(Removal { device: *device, cut: self.cut_of(device, order.from, exactness)? });
        }
        removals.sort_by_key(|removal| removal.device);
        removals.dedup_by_key(|removal| removal.device);
        Ok(removals)
    }

    /// Signs and keeps a removal with these cuts.
    pub(crate) fn sign_removal(
        &mut self,
        removals: Vec<Removal>,
        reason: RemoveReason,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        let devices: Vec<DeviceId> = removals.iter().map(|removal| removal.device).collect();
        self.may_remove(&devices)?;
        let approvals = self.approvals_for(&Subject::Remove(removals.clone()));
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let (acting, keep) = (self.acting(), RecoveryChange::Keep);
        let entry = change::remove(acting, removals, reason, keep, approvals, clock::now(), &mut rng)
            .map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    fn may_remove(&self, devices: &[DeviceId]) -> Result<(), AgentError> {
        self.may_decide()?;
        for device in devices {
            if *device == self.keys.id() {
                return Err(AgentError::OwnRefused(Refusal::SelfRemoval));
            }
            if self.roster.member(device).is_none() {
                return Err(AgentError::NotFound {
                    of: Missing::Device,
                    what: format!("{}, as a member,", self.name_of(device)),
                });
            }
        }
        Ok(())
    }

    /// Signs and keeps that this device leaves.
    pub(crate) fn leave(&mut self) -> Result<Vec<Verified<Entry>>, AgentError> {
        if self.fork().is_some() {
            return Err(AgentError::Forked);
        }
        if let Some(gone) = self.gone() {
            return Err(gone);
        }
        let Line { counter, last } = self.store.line(&self.keys.id())?;
        let cut = Cut { counter, last, at: CutAt::Last };
        let entry = change::leave(self.acting(), cut, clock::now()).map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// Signs and keeps another role for a member that had `before` when a person decided so.
    pub(crate) fn change_role(
        &mut self,
        (device, before, role): (DeviceId, Role, Role),
        exactness: Exactness,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_decide()?;
        let now = self.roster.member(&device).map(|member| member.role);
        if now.is_some_and(|now| now != before) {
            return Err(AgentError::ChangedMeanwhile);
        }
        let change = self.role_subject((device, before, role), exactness)?;
        self.sign_role(change)
    }

    /// A change of role with the end of the member's line, where writing is taken away.
    pub(crate) fn role_subject(
        &self,
        (device, before, role): (DeviceId, Role, Role),
        exactness: Exactness,
    ) -> Result<RoleSubject, AgentError> {
        let stops = before.writes() && !role.writes();
        let cut = if stops { Some(self.cut_of(&device, None, exactness)?) } else { None };
        Ok(RoleSubject { device, role, cut })
    }

    /// Signs and keeps a change of role.
    pub(crate) fn sign_role(&mut self, change: RoleSubject) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_decide()?;
        let approvals = self.approvals_for(&Subject::Role(change));
        let entry = change::change_role(self.acting(), change, approvals, clock::now()).map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// Signs and keeps a new epoch with a new sync code.
    pub(crate) fn rotate(&mut self, terms: &Terms) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_decide()?;
        if *terms != self.terms() {
            return Err(AgentError::ChangedMeanwhile);
        }
        let entry = drawn(self.acting())?;
        self.stage(vec![entry])
    }

    /// Whether a device left that knows the current keys, and this one can draw others.
    pub(crate) fn owes_rotation(&self) -> bool {
        self.roster.is_rotation_owed() && !self.roster.is_closed() && self.may_decide().is_ok()
    }

    /// The same because a device left, unless another approver has done it. Nothing then.
    pub(crate) fn rotate_if_owed(&mut self) -> Result<Vec<Verified<Entry>>, AgentError> {
        if !self.owes_rotation() {
            return Ok(Vec::new());
        }
        let entry = drawn(self.acting())?;
        self.stage(vec![entry])
    }

    /// Signs and keeps a denial, and behind it a new sync code: the one that the request was made with has leaked.
    pub(crate) fn deny_as_not_me(
        &mut self,
        request: (RequestId, DeviceId),
        block: u32,
        terms: &Terms,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.must_be_decidable(&request.0, terms)?;
        let deny = decision::deny(&self.roster, &self.keys, request, DenyReason::NotMe, block, clock::now())
            .map_err(AgentError::OwnForm)?;
        let after = self.roster.clone().apply(&deny).map_err(AgentError::OwnRefused)?;
        let rotation = drawn(Acting { roster: &after, ..self.acting() })?;
        self.stage(vec![deny, rotation])
    }

    /// Where a device's line is cut.
    fn cut_of(&self, device: &DeviceId, from: Option<Since>, exactness: Exactness) -> Result<Cut, AgentError> {
        let earlier = |line: Line| Cut { counter: line.counter, last: line.last, at: CutAt::Earlier };
        match (from, exactness) {
            (Some(Since::Record { writer, before }), _) if writer == *device => Ok(earlier(before)),
            (Some(Since::Entry(seq)), _) => {
                let mut counts = Line::default();
                for record in self.line_of(device)? {
                    if self.roster.position(&record.head).is_none_or(|position| position.seq >= seq) {
                        break;
                    }
                    counts = Line { counter: record.counter, last: Some(record.hash()) };
                }
                Ok(earlier(counts))
            }
            (_, Exactness::Here) => self.store.line(device).map(earlier),
            (_, Exactness::Last) => {
                let Line { counter, last } = self.store.line(device)?;
                Ok(Cut { counter, last, at: CutAt::Last })
            }
        }
    }

    /// Reads where distrust begins: the number of an entry, or a prefix of a record's version that one of these devices wrote.
    pub(crate) fn read_from(&self, text: &str, devices: &[DeviceId]) -> Result<Since, AgentError> {
        let wanted = text.trim().to_ascii_lowercase();
        if let Some(seq) = wanted.parse::<u64>().ok().filter(|seq| *seq <= self.roster.seq()) {
            return Ok(Since::Entry(seq));
        }
        let mut found = None;
        for device in devices {
            for record in self.line_of(device)? {
                if wanted.is_empty() || !record.hash().to_string().starts_with(&wanted) {
                    continue;
                }
                let before = Line { counter: record.counter - 1, last: record.last };
                if found.replace(Since::Record { writer: *device, before }).is_some() {
                    return Err(AgentError::AmbiguousDevice { name: format!("the record {}", text::quote(text)) });
                }
            }
        }
        found.ok_or_else(|| AgentError::NotFound {
            of: Missing::Other,
            what: format!("an entry of the log, or a record of these devices, called {}", text::quote(text)),
        })
    }

    /// Every record of a writer, in order.
    fn line_of(&self, writer: &DeviceId) -> Result<Vec<Verified<Record>>, AgentError> {
        let damaged = |_| AgentError::Damaged { what: "a record does not verify" };
        let headers = self.store.headers_of(writer)?;
        headers.iter().map(|header| Verified::<Record>::from_bytes(header).map_err(damaged)).collect()
    }
}

/// The device that a name or a prefix of an id names, among devices with their names.
pub(crate) fn device_called(
    named: &str,
    devices: impl Iterator<Item = (DeviceId, String)>,
) -> Result<DeviceId, AgentError> {
    let (wanted, prefix) = (text::clean(named), named.trim().to_ascii_lowercase());
    let fits = |(device, name): &(DeviceId, String)| {
        let by_id = !prefix.is_empty() && device.to_string().starts_with(&prefix);
        by_id || (!wanted.is_empty() && *name == wanted)
    };
    let found: Vec<(DeviceId, String)> = devices.filter(fits).collect();
    match found.as_slice() {
        [(one, _)] => Ok(*one),
        [] => Err(AgentError::NotFound {
            of: Missing::Device,
            what: format!("a device called {}, or whose id begins so,", text::quote(named)),
        }),
        _ => Err(AgentError::AmbiguousDevice { name: text::quote(named) }),
    }
}

fn drawn(acting: Acting<'_>) -> Result<Verified<Entry>, AgentError> {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    change::rotate(acting, CodeChange::Draw, RecoveryChange::Keep, clock::now(), &mut rng).map_err(AgentError::OwnForm)
}
