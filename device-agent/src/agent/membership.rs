//! Removing, leaving, roles and new sync codes, over the network: records are fetched first, so that a line is cut where it ends.

use protocol::approval::Subject;
use protocol::entry::{Entry, RemoveReason};
use protocol::policy::Role;
use protocol::signed::Verified;

use super::Agent;
use super::approvals::Carried;
use crate::core::view::{ChangeView, OutcomeView, RemovalView};
use crate::core::{Core, Exactness, RemovalOrder};
use crate::error::AgentError;
use crate::limits;

/// The problem with which a relay says that it has later records of the line that is cut.
const CUT_BEHIND: &str = "cut-behind";

impl Agent {
    /// What a removal comes to.
    pub(crate) async fn removal(&self, names: Vec<String>, from: Option<String>) -> Result<RemovalView, AgentError> {
        self.catch_up().await?;
        self.core(move |core| {
            let mut devices = Vec::new();
            for name in &names {
                let device = core.find_device(name)?;
                if !devices.contains(&device) {
                    devices.push(device);
                }
            }
            let from = from.map(|from| core.read_from(&from, &devices)).transpose()?;
            core.removal_view(&devices, from)
        })
        .await?
    }

    /// Removes devices.
    pub(crate) async fn remove(&self, order: RemovalOrder) -> Result<OutcomeView, AgentError> {
        self.catch_up().await?;
        if self.core(|core| core.roster().policy().quorums.remove > 1).await? {
            // Cut at what is read now, not at the last record that there is: the device may go on writing while others agree, and they
            // agree to exactly one cut.
            let (reason, order) = (order.reason, order);
            let removals = self.core(move |core| core.removals(&order, Exactness::Here)).await??;
            return self.propose_removal(removals, reason).await;
        }
        let order = Box::new(order);
        let goes_on = if order.reason == RemoveReason::Retired { None } else { Some(Exactness::Here) };
        let seq = self.append_cut(goes_on, move |core, exactness| core.remove(&order, exactness)).await?;
        self.outcome(Carried::Landed(seq)).await
    }

    /// Gives a member another role.
    pub(crate) async fn change_role(&self, name: String, role: Role) -> Result<OutcomeView, AgentError> {
        self.catch_up().await?;
        let (device, before) = self
            .core(move |core| {
                let device = core.find_device(&name)?;
                let before = core.roster().member(&device).map(|member| member.role);
                Ok::<_, AgentError>((device, before.unwrap_or(role)))
            })
            .await??;
        let change = (device, before, role);
        if self.core(|core| core.roster().policy().quorums.policy > 1).await? {
            let change = self.core(move |core| core.role_subject(change, Exactness::Here)).await??;
            let carried = self.carry_out(Subject::Role(change), move |core| core.sign_role(change)).await?;
            return self.outcome(carried).await;
        }
        let seq = self.append_cut(None, move |core, exactness| core.change_role(change, exactness)).await?;
        self.outcome(Carried::Landed(seq)).await
    }

    /// Leaves the chain. Own records that are under way go first: they count.
    pub(crate) async fn leave(&self) -> Result<ChangeView, AgentError> {
        self.catch_up().await?;
        let _writing = self.shared.writing.lock().await;
        let seq = self.append_cut(None, |core, _| core.leave()).await?;
        self.change(seq).await
    }

    /// Begins a new epoch with a new sync code.
    pub(crate) async fn rotate(&self) -> Result<ChangeView, AgentError> {
        self.catch_up_log().await?;
        let terms = self.core(|core| core.terms()).await?;
        let seq = self.append(move |core| core.rotate(&terms)).await?;
        self.change(seq).await
    }

    /// Begins a new epoch if a device left that knows the keys of this one. Whoever else does so first has done it.
    pub(crate) async fn rotate_if_owed(&self) -> Result<(), AgentError> {
        if !self.core(|core| core.owes_rotation()).await? {
            return Ok(());
        }
        match self.append(Core::rotate_if_owed).await {
            // It can wait: this device comes back to it with the next connection.
            Err(error @ (AgentError::Problem { .. } | AgentError::HeadKeepsMoving | AgentError::OwnRefused(_))) => {
                tracing::warn!("a device left, and the keys could not be replaced yet: {error}");
                Ok(())
            }
            done => done.map(|_| ()),
        }
    }

    /// Lands an entry that cuts a line. While the relay has later records of it, they are fetched and the entry is signed again; at last
    /// as `goes_on` says.
    async fn append_cut(
        &self,
        goes_on: Option<Exactness>,
        sign: impl Fn(&mut Core, Exactness) -> Result<Vec<Verified<Entry>>, AgentError> + Send + Sync + Clone + 'static,
    ) -> Result<u64, AgentError> {
        let exact = std::iter::repeat_n(Exactness::Last, limits::CUT_TRIES);
        for exactness in exact.chain(goes_on) {
            let sign = sign.clone();
            match self.append(move |core| sign(core, exactness)).await {
                Err(AgentError::Problem { code, .. }) if code == CUT_BEHIND => self.meet_records().await?,
                done => return done,
            }
        }
        Err(AgentError::CutBehind)
    }

    /// Brings the lines here and at the relay to the same end: fetches what the relay has; if that is nothing new, it lost something.
    pub(super) async fn meet_records(&self) -> Result<(), AgentError> {
        let before = self.core(|core| core.cursor()).await??;
        self.catch_up_records().await?;
        if self.core(|core| core.cursor()).await?? == before {
            self.refill_records().await?;
        }
        Ok(())
    }

    /// A change that landed.
    pub(super) async fn change(&self, seq: u64) -> Result<ChangeView, AgentError> {
        let found = self.core(move |core| core.change_at(seq)).await?;
        found.ok_or(AgentError::Damaged { what: "a change is not in the log" })
    }
}
