//! The diary: every entry in words, as `log show` lists it and as it is told when it comes.

use protocol::DeviceId;
use protocol::entry::{Entry, VetoOf};
use protocol::policy::How;
use protocol::roster::{Outcome, Roster};
use protocol::signed::Verified;

use super::deed::{Code, Deed, NewEpoch, disputed};
use super::replay::replay_verified;
use super::view::{ChangeView, DecisionView, DeviceView, Event, FieldView, StepView, short};
use super::{Core, Telling};
use crate::error::AgentError;
use crate::store::Ended;
use crate::{clock, limits, text};

/// An entry that was pinned just now.
pub(super) struct Fresh {
    pub(super) entry: Verified<Entry>,
    pub(super) deed: Deed,
    /// Members after it.
    pub(super) members: usize,
}

/// A sentence in its parts: in the diary the verb stands second, where it is told at once it comes first, in capitals.
struct Words {
    subject: String,
    verb: &'static str,
    rest: String,
}

impl Core {
    /// From now on what happens is told to a person. What was pinned since that was so the last time, by commands that looked at
    /// something else, is told first.
    pub(crate) fn begin_telling(&mut self) -> Result<(), AgentError> {
        self.telling = Telling::Daemon;
        let head = self.roster.seq();
        let told = self.store.told()?.unwrap_or(head).max(head.saturating_sub(limits::UNTOLD));
        if told >= head {
            return self.store.keep_told(head);
        }
        let mut roster: Option<Roster> = None;
        for entry in &self.log {
            let deed = Deed::of(roster.as_ref(), entry);
            let after = match roster {
                None => Roster::found(entry),
                Some(roster) => roster.apply(entry),
            };
            let after = after.map_err(AgentError::BadEntry)?;
            if entry.seq > told {
                self.tell_entry(&Fresh { entry: entry.clone(), deed, members: after.people_count() });
            }
            roster = Some(after);
        }
        self.store.keep_told(head)
    }

    fn tell_entry(&self, Fresh { entry, deed, members }: &Fresh) {
        match self.decision_of(entry, *members) {
            Some(decision) => self.emit(Event::Decided { decision: Box::new(decision) }),
            None => self.emit(Event::Changed { change: Box::new(self.change_view(entry, deed, *members)) }),
        }
    }

    /// Tells an entry that was pinned.
    pub(super) fn announce(&mut self, fresh: &Fresh) -> Result<(), AgentError> {
        let Fresh { entry, deed, .. } = fresh;
        if let Some(request) = deed.request() {
            self.pending.remove(&request);
            let admitted = matches!(deed, Deed::Admitted { .. });
            self.store.end_round(&request, if admitted { Ended::Admitted } else { Ended::Denied })?;
        }
        self.tell_entry(fresh);
        if self.telling == Telling::Daemon {
            self.store.keep_told(entry.seq)?;
        }
        self.end_stale_requests()
    }

    /// Requests that were made with a sync code that is dead now.
    fn end_stale_requests(&mut self) -> Result<(), AgentError> {
        let current = self.roster.join_key();
        let stale = self.pending.iter().filter(|(_, pending)| pending.request.join_key != current);
        for id in stale.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end_request(&id, "stale")?;
            if self.stale.len() >= limits::OPEN_REQUESTS_KEPT {
                self.stale.pop_first();
            }
            self.stale.insert(id);
        }
        Ok(())
    }

    /// The pinned entry at a position, as a change is shown.
    pub(crate) fn change_at(&self, seq: u64) -> Option<ChangeView> {
        let at = usize::try_from(seq).ok()?;
        let entry = self.log.get(at)?;
        let before = replay_verified(self.log.get(..at)?).ok();
        let deed = Deed::of(before.as_ref(), entry);
        Some(self.change_view(entry, &deed, self.roster.people_count()))
    }

    fn change_view(&self, entry: &Verified<Entry>, deed: &Deed, members: usize) -> ChangeView {
        let Words { subject, verb, rest } = self.words(entry, deed);
        let counted = match deed {
            Deed::Removed { .. } | Deed::Left => {
                format!("; {members} device{} now", if members == 1 { "" } else { "s" })
            }
            Deed::Closing { .. } => "; countersign chain veto stops it".to_owned(),
            Deed::Closed => "; what this device has stays readable".to_owned(),
            _ => String::new(),
        };
        ChangeView {
            seq: entry.seq,
            kind: entry.body.name().to_owned(),
            by: self.bare_name_of(&entry.signer()),
            approved_by: self.approvers_of(entry, Self::bare_name_of),
            here: self.here(&entry.signer()),
            at: entry.at,
            devices: self.device_views(entry, deed),
            reason: reason(deed),
            fields: field_views(deed),
            sentence: format!("{} {subject} {rest}{counted}", verb.to_uppercase()),
        }
    }

    fn device_views(&self, entry: &Verified<Entry>, deed: &Deed) -> Vec<DeviceView> {
        let devices = deed.devices(entry.signer());
        devices
            .iter()
            .map(|device| DeviceView { device: device.to_string(), name: self.bare_name_of(device) })
            .collect()
    }

    /// The diary, from the founding on.
    pub(crate) fn diary(&self) -> Result<Vec<StepView>, AgentError> {
        Ok(self.steps(None, &self.log))
    }

    /// Entries that were verified, and follow on a roster, in words.
    pub(super) fn steps(&self, mut roster: Option<Roster>, entries: &[Verified<Entry>]) -> Vec<StepView> {
        let mut steps = Vec::with_capacity(entries.len());
        for entry in entries {
            let deed = Deed::of(roster.as_ref(), entry);
            let Words { subject, verb, rest } = self.words(entry, &deed);
            steps.push(StepView {
                seq: entry.seq,
                hash: entry.hash().to_string(),
                kind: entry.body.name().to_owned(),
                by: self.bare_name_of(&entry.signer()),
                approved_by: self.approvers_of(entry, Self::bare_name_of),
                at: entry.at,
                what: format!("{subject} {verb} {rest}").trim().to_owned(),
                devices: self.device_views(entry, &deed),
                reason: reason(&deed),
                fields: field_views(&deed),
            });
            let after = match roster {
                None => Roster::found(entry),
                Some(roster) => roster.apply(entry),
            };
            roster = after.ok();
        }
        steps
    }

    /// Who signed an entry, and who approved it besides.
    fn approvers_of(&self, entry: &Verified<Entry>, name: fn(&Self, &DeviceId) -> String) -> Vec<String> {
        let others = entry.evidence().approvals().iter().map(|approval| approval.signer());
        std::iter::once(entry.signer()).chain(others).map(|device| name(self, &device)).collect()
    }

    fn words(&self, entry: &Verified<Entry>, deed: &Deed) -> Words {
        let by = list(&self.approvers_of(entry, Self::name_of));
        let one = |subject: &str, verb, rest| Words { subject: subject.to_owned(), verb, rest };
        match deed {
            Deed::Founded => one("", "founded", format!("by {by}")),
            Deed::Admitted { device, role, how, .. } => {
                let role = if *role == protocol::policy::Role::Approver { "" } else { role.name() };
                let role = if role.is_empty() { String::new() } else { format!(" as {role}") };
                let how = match how {
                    How::Totp => ", by a one-time code",
                    How::None => ", UNCHECKED",
                    How::Typed | How::Ticket | How::Recovery => "",
                };
                one(&self.name_of(device), "admitted", format!("by {by}{role}{how}"))
            }
            Deed::Denied { device, reason, .. } => {
                let device = format!("device {}", short(&device.to_string()));
                one(&device, "denied", format!("by {by} ({})", reason.name()))
            }
            Deed::Removed { devices, reason, epoch } => {
                let names: Vec<String> = devices.iter().map(|(device, _)| self.name_of(device)).collect();
                let mut rest = format!("by {by} ({}); {}", reason.name(), epoch_words(epoch));
                for (device, counted) in disputed(devices) {
                    rest += &self.counted_words(&device, counted);
                }
                Words { subject: list(&names), verb: "removed", rest }
            }
            Deed::Rotated { epoch } => one("the keys", "rotated", format!("by {by}; {}", epoch_words(epoch))),
            Deed::Left => one(&by, "left", "by itself; the next approver begins a new epoch".to_owned()),
            Deed::RoleChanged { device, from, to } => {
                let from = from.map(|role| format!("from {} ", role.name())).unwrap_or_default();
                one(&self.name_of(device), "changed", format!("{from}to {} by {by}", to.name()))
            }
            Deed::PolicyChanged { fields } => {
                let fields: Vec<String> =
                    fields.iter().map(|field| format!("{} from {} to {}", field.name, field.from, field.to)).collect();
                one("the policy", "changed", format!("by {by}: {}", fields.join("; ")))
            }
            Deed::Closing { delay } => {
                let delay = clock::span(u64::from(*delay) * 1000);
                one("the end of the chain", "announced", format!("by {by}: it may be carried out after {delay}"))
            }
            Deed::Vetoed { of: VetoOf::Closing } => one("the end of the chain", "stopped", format!("by {by}")),
            Deed::Vetoed { of: VetoOf::Reset } => one("a reset", "stopped", format!("by {by}")),
            Deed::Closed => one("the chain", "closed", format!("by {by}")),
            Deed::Settled { epoch } => {
                one("the fork", "settled", format!("by {by}: this branch goes on; {}", epoch_words(epoch)))
            }
            Deed::Unknown => one("something", "done", format!("by {by}")),
        }
    }

    /// What counts of what a device wrote that was cut at a place that was chosen.
    fn counted_words(&self, device: &DeviceId, counted: u64) -> String {
        let name = self.name_of(device);
        match (self.store.line(device).map(|line| line.counter), counted) {
            (Ok(0), 0) => format!("; {name} wrote nothing"),
            (_, 0) => format!("; everything that {name} wrote is disputed"),
            (_, 1) => format!("; the first record that {name} wrote counts, later ones are disputed"),
            (_, counted) => format!("; the first {counted} records that {name} wrote count, later ones are disputed"),
        }
    }

    /// What an entry decided, as it is shown; nothing for one that decided no request.
    pub(super) fn decision_of(&self, entry: &Verified<Entry>, members: usize) -> Option<DecisionView> {
        let deed = Deed::of(None, entry);
        let (request, device) = match &deed {
            Deed::Admitted { request, device, .. } | Deed::Denied { request, device, .. } => (*request, *device),
            _ => return None,
        };
        let decision = self.roster.decision(&request)?;
        let outcome = match decision.outcome {
            Outcome::Admitted => "admitted",
            Outcome::Denied(_) => "denied",
        };
        let member = self.roster.known(&device);
        let description = member.and_then(|member| self.keyring.describe(&self.roster, member).ok());
        let described = description.or_else(|| self.claims.get(&request).cloned());
        let name = described.as_ref().map(|described| text::clean(&described.name)).filter(|name| !name.is_empty());
        let checked = member.and_then(|member| member.admission.how).map(|how| how.name().to_owned());
        let done = match (decision.outcome, checked.as_deref()) {
            (Outcome::Admitted, Some("totp")) => "let in by a one-time code",
            (Outcome::Admitted, Some("none")) => "let in UNCHECKED",
            (Outcome::Admitted, _) => "approved",
            (Outcome::Denied(_), _) => "denied",
        };
        let how = format!("{done} on {}", list(&self.approvers_of(entry, Self::name_of)));
        let quoted = name.as_ref().map_or_else(|| "a device".to_owned(), |name| text::quote(name));
        let reason = reason(&deed);
        let sentence = match decision.outcome {
            Outcome::Admitted => format!("ADDED {quoted} (device {}), {how}; {members} devices now", device.short()),
            Outcome::Denied(_) => {
                let why = reason.as_deref().filter(|reason| *reason != "denied");
                let why = why.map_or_else(String::new, |reason| format!(" ({reason})"));
                format!("DENIED {quoted} (device {}), {how}{why}", device.short())
            }
        };
        Some(DecisionView {
            request: request.to_string(),
            device: device.to_string(),
            outcome: outcome.to_owned(),
            reason,
            name: name.unwrap_or_default(),
            platform: described.map(|described| text::clean(&described.platform)).unwrap_or_default(),
            checked,
            by: self.bare_name_of(&entry.signer()),
            approved_by: self.approvers_of(entry, Self::bare_name_of),
            how,
            sentence,
            here: self.here(&entry.signer()),
            seq: entry.seq,
            members: members as u64,
        })
    }

    /// How a request was decided, if it was.
    pub(crate) fn decision_view(&self, id: &protocol::RequestId) -> Option<DecisionView> {
        let decision = self.roster.decision(id)?;
        self.decision_of(self.log.get(usize::try_from(decision.seq).ok()?)?, self.roster.people_count())
    }

    /// Requests that the log decided.
    pub(super) fn decided_requests(&self) -> impl Iterator<Item = protocol::RequestId> {
        self.log.iter().filter_map(|entry| Deed::of(None, entry).request())
    }

    /// The members whose admission a device signed, and theirs in turn. What this device itself admitted is its own.
    pub(crate) fn admitted_by(&self, devices: &[DeviceId]) -> Vec<DeviceId> {
        let mut found: Vec<DeviceId> = Vec::new();
        let mut asked: Vec<DeviceId> = devices.to_vec();
        while let Some(by) = asked.pop() {
            let admitted = self.roster.members().map(|member| (member.device.signing, member));
            let former = self.roster.former_members().map(|former| (former.member.device.signing, &former.member));
            for (device, member) in admitted.chain(former) {
                let own = device == self.keys.id() || devices.contains(&device) || found.contains(&device);
                if member.admission.by == by && member.admission.how.is_some() && !own {
                    found.push(device);
                    asked.push(device);
                }
            }
        }
        found.retain(|device| self.roster.member(device).is_some());
        found
    }
}

fn reason(deed: &Deed) -> Option<String> {
    match deed {
        Deed::Denied { reason, .. } => Some(reason.name().to_owned()),
        Deed::Removed { reason, .. } => Some(reason.name().to_owned()),
        _ => None,
    }
}

fn field_views(deed: &Deed) -> Vec<FieldView> {
    let view =
        |field: super::settings::Field| FieldView { field: field.name.to_owned(), from: field.from, to: field.to };
    deed.fields().into_iter().map(view).collect()
}

fn epoch_words(epoch: &NewEpoch) -> String {
    let code = match epoch.code {
        Code::New => "new sync code",
        Code::Kept => "the sync code stays",
    };
    let recovery = if epoch.recovery.is_some() { ", new recovery device" } else { "" };
    format!("epoch {}, {code}{recovery}", epoch.number)
}

/// `a`, `a and b`, `a, b and c`.
fn list(names: &[String]) -> String {
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
