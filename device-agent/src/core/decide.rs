//! Signing decisions. An own entry is kept before it is sent; nothing else is signed for the same place while it is under way.

use std::sync::Arc;

use protocol::approval::{AdmitSubject, Subject};
use protocol::entry::{DenyReason, Entry};
use protocol::policy::{Policy, Role};
use protocol::request::{Description, JoinRequest};
use protocol::roster::Roster;
use protocol::signed::Verified;
use protocol::{DeviceId, JoinKey, RequestId, decision};

use super::Core;
use super::prompt::Shown;
use crate::clock;
use crate::error::{AgentError, Missing};

/// What must be unchanged for a decision to be signed again by itself after another entry came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    join_key: JoinKey,
    epoch: u64,
    policy: Policy,
    role: Option<Role>,
}

/// What approvers agree to who let a device in whose code they typed.
pub(crate) fn admit_subject(request: RequestId, role: Role) -> Subject {
    Subject::Admit(AdmitSubject { request, role })
}

impl Core {
    /// The terms of a decision that is made now.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            join_key: self.roster.join_key(),
            epoch: self.roster.epoch(),
            policy: self.roster.policy().clone(),
            role: self.roster.member(&self.keys.id()).map(|member| member.role),
        }
    }

    /// Signs and keeps the admission of exactly what was shown.
    pub(crate) fn admit(
        &mut self,
        shown: &Shown,
        role: Role,
        terms: &Terms,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        let id = shown.confirmed.request().id();
        self.must_be_decidable(&id, terms)?;
        self.must_be_open(&id)?;
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let approvals = self.approvals_for(&admit_subject(id, role));
        let entry = decision::admit_together(
            self.acting(),
            &shown.confirmed,
            &shown.description,
            role,
            approvals,
            clock::now(),
            &mut rng,
        )
        .map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// Signs and keeps the admission of a device of which nothing was checked. The log takes it only where the policy says so.
    pub(crate) fn admit_unchecked(
        &mut self,
        id: &RequestId,
        role: Role,
        terms: &Terms,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.must_be_decidable(id, terms)?;
        self.must_be_open(id)?;
        let not_found = || AgentError::NotFound { of: Missing::Request, what: format!("request {}", id.short()) };
        let pending = self.pending.get(id).ok_or_else(not_found)?;
        let request = Arc::new(pending.request.clone());
        let nothing =
            || Description { name: String::new(), platform: String::new(), version: String::new(), totp: None };
        let description = pending.description.clone().unwrap_or_else(nothing);
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let (acting, now) = (self.acting(), clock::now());
        let entry = decision::admit_unchecked(acting, &request, &description, role, now, &mut rng)
            .map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// Signs and keeps a denial.
    pub(crate) fn deny(
        &mut self,
        request: (RequestId, DeviceId),
        reason: DenyReason,
        block: u32,
        terms: &Terms,
    ) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.must_be_decidable(&request.0, terms)?;
        let entry = decision::deny(&self.roster, &self.keys, request, reason, block, clock::now())
            .map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// Which device asked, of a request that is open or was opened here.
    pub(crate) fn asking_device(&self, id: &RequestId) -> Result<DeviceId, AgentError> {
        if let Some(pending) = self.pending.get(id) {
            return Ok(pending.request.device.signing);
        }
        let opened = self
            .store
            .opened(id)?
            .ok_or(AgentError::NotFound { of: Missing::Request, what: format!("request {}", id.short()) })?;
        let request = Verified::<JoinRequest>::from_bytes(&opened.ask)
            .map_err(|_| AgentError::Damaged { what: "an opened prompt does not verify" })?;
        Ok(request.device.signing)
    }

    /// The own entries under way.
    pub(crate) fn staged(&self) -> Result<Vec<Verified<Entry>>, AgentError> {
        let bytes = self.store.staged_entries()?;
        bytes.iter().map(|bytes| Verified::from_bytes(bytes).map_err(AgentError::OwnForm)).collect()
    }

    pub(super) fn must_be_decidable(&self, id: &RequestId, terms: &Terms) -> Result<(), AgentError> {
        self.may_decide()?;
        if let Some(decided) = self.decided(id) {
            return Err(decided);
        }
        if *terms == self.terms() { Ok(()) } else { Err(AgentError::ChangedMeanwhile) }
    }

    /// Keeps entries that belong together, if the log would take them in this order.
    pub(super) fn stage(&mut self, entries: Vec<Verified<Entry>>) -> Result<Vec<Verified<Entry>>, AgentError> {
        let next = |roster: Roster, entry| roster.apply(entry).map_err(AgentError::OwnRefused);
        entries.iter().try_fold(self.roster.clone(), next)?;
        self.store.stage_entries(&entries)?;
        Ok(entries)
    }
}
