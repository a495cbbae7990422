//! Changing the policy: what it would come to, what must be known first, and the entry that does it.

use protocol::approval::Subject;
use protocol::change;
use protocol::entry::Entry;
use protocol::policy::{How, Policy, TotpMode};
use protocol::roster::Refusal;
use protocol::signed::Verified;
use protocol::totp::TotpSecret;
use serde::{Deserialize, Serialize};

use super::Core;
use super::settings::{Field, SECRET, differences, settings};
use super::view::{CautionView, FieldView, PolicyPlanView, PolicyView, SettingView};
use crate::error::AgentError;
use crate::{clock, exit, text};

/// The risk of a policy by which whoever has the sync code is let in.
pub(crate) const NO_CHECK: &str = "no-check";

/// What a policy is to become. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyWish {
    /// Ways of admission, by name.
    pub(crate) ways: Option<Vec<String>>,
    /// Approvers to admit.
    pub(crate) quorum_admit: Option<u8>,
    /// Approvers to remove.
    pub(crate) quorum_remove: Option<u8>,
    /// Approvers to change policy or roles.
    pub(crate) quorum_policy: Option<u8>,
    /// Approvers to close.
    pub(crate) quorum_closing: Option<u8>,
    /// Lifetime of a request, seconds.
    pub(crate) request_lifetime: Option<u32>,
    /// Most members.
    pub(crate) members_max: Option<u8>,
    /// Delay of closing, seconds.
    pub(crate) closing_delay: Option<u32>,
    /// Delay of reset, seconds.
    pub(crate) reset_delay: Option<u32>,
    /// Risks that are taken, by name.
    pub(crate) accepted: Vec<String>,
}

impl PolicyWish {
    fn of(&self, now: &Policy) -> Result<Policy, AgentError> {
        let mut policy = now.clone();
        if let Some(ways) = &self.ways {
            policy.ways = ways.iter().map(|way| read_way(way)).collect::<Result<_, _>>()?;
            policy.ways.sort();
            policy.ways.dedup();
        }
        fn put<T: Copy>(place: &mut T, wanted: Option<T>) {
            *place = wanted.unwrap_or(*place);
        }
        put(&mut policy.quorums.admit, self.quorum_admit);
        put(&mut policy.quorums.remove, self.quorum_remove);
        put(&mut policy.quorums.policy, self.quorum_policy);
        put(&mut policy.quorums.closing, self.quorum_closing);
        put(&mut policy.request_lifetime, self.request_lifetime);
        put(&mut policy.members_max, self.members_max);
        put(&mut policy.closing_delay, self.closing_delay);
        put(&mut policy.reset_delay, self.reset_delay);
        Ok(policy)
    }
}

fn read_way(way: &str) -> Result<How, AgentError> {
    way.parse().map_err(|()| AgentError::Usage {
        what: format!("{} is no way of admission", text::quote(way)),
        hint: "countersign policy set --ways typed   (or totp, or none; several with commas)".to_owned(),
    })
}

impl Core {
    /// The policy in force.
    pub(crate) fn policy_view(&self) -> PolicyView {
        let policy = self.roster.policy();
        let view = |setting: super::settings::Setting| SettingView {
            name: setting.option.to_owned(),
            value: setting.value,
            meaning: setting.meaning.to_owned(),
        };
        let mut cautions: Vec<CautionView> = self.blockable(policy).into_iter().chain(self.ways_that(policy)).collect();
        cautions.extend(self.known_secret());
        cautions.extend(outflanked(policy));
        PolicyView {
            seq: self.roster.policy_seq(),
            approvers: self.roster.approver_count() as u64,
            settings: settings(policy).into_iter().map(view).collect(),
            cautions,
        }
    }

    /// The policy that a wish makes of the one in force. A secret that was sealed in an epoch before is sealed anew: the new entry's
    /// readers open it with the key of the epoch in which that stands.
    pub(crate) fn wished(&self, wish: &PolicyWish) -> Result<Policy, AgentError> {
        let mut policy = wish.of(self.roster.policy())?;
        let changes = policy != *self.roster.policy();
        let current = self.roster.policy_epoch() == self.roster.epoch() && self.roster.policy_seq() > 0;
        if let Some(totp) = policy.totp.as_mut().filter(|_| changes && !current)
            && let Some(secret) = self.secret()?
        {
            let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
            totp.secret = secret.wrap(self.acting(), &mut rng).map_err(|_| AgentError::SecretUnopened)?;
        }
        Ok(policy)
    }

    /// What a wish would come to. Nothing is changed.
    pub(crate) fn policy_plan(&self, wish: &PolicyWish) -> Result<PolicyPlanView, AgentError> {
        let policy = self.wished(wish)?;
        let refused = self.policy_refused(&policy, &wish.accepted).err();
        Ok(self.plan_of(&policy, refused))
    }

    /// What replacing the policy by this one comes to.
    pub(super) fn plan_of(&self, policy: &Policy, refused: Option<AgentError>) -> PolicyPlanView {
        let now = self.roster.policy();
        let field = |field: Field| FieldView {
            field: field.name.to_owned(),
            from: field.from,
            to: if field.name == SECRET { self.what_secret(policy).to_owned() } else { field.to },
        };
        PolicyPlanView {
            base: self.roster.policy_seq(),
            fields: differences(now, policy).into_iter().map(field).collect(),
            cautions: self.cautions(policy),
            others_needed: u64::from(now.quorums.policy).saturating_sub(1),
            refused: refused.map(|error| exit::tell(&error)),
        }
    }

    /// What a secret with other bytes is. Whoever agrees must know whether the authenticators of the chain go on.
    fn what_secret(&self, policy: &Policy) -> &'static str {
        let before = TotpSecret::open(&self.roster, &self.keyring);
        match (before, TotpSecret::open_proposed(policy, &self.roster, &self.keyring)) {
            (Ok(before), Ok(after)) if before == after => "the same, sealed anew",
            (_, Ok(_)) => "another: authenticators must be set up with it",
            (_, Err(_)) => "does not open here",
        }
    }

    /// Why the log, or this device, would not take this policy, approvals aside.
    pub(crate) fn policy_refused(&self, policy: &Policy, accepted: &[String]) -> Result<(), AgentError> {
        self.may_decide()?;
        self.must_open_secret(policy)?;
        let entry = change::change_policy(self.acting(), policy.clone(), Vec::new(), clock::now())
            .map_err(AgentError::OwnForm)?;
        match self.roster.clone().apply(&entry) {
            // Asked last by the log: everything else is right.
            Ok(_) | Err(Refusal::Quorum { .. }) => {}
            Err(refusal) => return Err(AgentError::OwnRefused(refusal)),
        }
        let risk = self.cautions(policy).into_iter().find_map(|caution| Some((caution.risk?, caution.text)));
        match risk.filter(|(risk, _)| !accepted.contains(risk)) {
            Some((risk, what)) => Err(AgentError::RiskNotTaken { risk, what }),
            None => Ok(()),
        }
    }

    /// Refuses a policy whose secret is none for this device. The log looks into no sealed value, so that each approver must.
    pub(super) fn must_open_secret(&self, policy: &Policy) -> Result<(), AgentError> {
        let opened = TotpSecret::open_proposed(policy, &self.roster, &self.keyring);
        opened.map(|_| ()).map_err(|_| AgentError::SecretUnopened)
    }

    /// Signs and keeps another policy, if the one that it is to replace is still in force.
    pub(crate) fn change_policy(&mut self, policy: &Policy, base: u64) -> Result<Vec<Verified<Entry>>, AgentError> {
        self.may_decide()?;
        if self.roster.policy_seq() != base {
            return Err(AgentError::ChangedMeanwhile);
        }
        self.must_open_secret(policy)?;
        let approvals = self.approvals_for(&Subject::Policy(Box::new(policy.clone())));
        let entry = change::change_policy(self.acting(), policy.clone(), approvals, clock::now())
            .map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// What is to be known before this policy replaces the one in force.
    fn cautions(&self, policy: &Policy) -> Vec<CautionView> {
        let now = self.roster.policy();
        let mut cautions = Vec::new();
        if policy.ways.contains(&How::None) && !now.ways.contains(&How::None) {
            cautions.push(CautionView {
                risk: Some(NO_CHECK.to_owned()),
                ..caution(
                    "no-check",
                    "with the way none nothing is checked: whoever has the sync code can be let in. The promise that a stolen code alone reads nothing is void",
                )
            });
        }
        cautions.extend(self.weaker(policy));
        if policy.quorums != now.quorums {
            cautions.extend(self.blockable(policy));
            cautions.extend(outflanked(policy));
        }
        if policy.ways != now.ways || policy.quorums != now.quorums {
            cautions.extend(self.ways_that(policy));
        }
        cautions
    }

    /// Settings that protect less than before.
    fn weaker(&self, policy: &Policy) -> Vec<CautionView> {
        let now = self.roster.policy();
        let (before, after) = (now.quorums, policy.quorums);
        let mut cautions = Vec::new();
        let fewer = [
            (before.admit, after.admit, "to let a device in"),
            (before.remove, after.remove, "to remove devices"),
            (before.policy, after.policy, "to change the policy or a role"),
            (before.closing, after.closing, "to end the chain"),
        ];
        for (_, after, what) in fewer.into_iter().filter(|(before, after, _)| after < before) {
            cautions.push(caution("fewer-approvers", &format!("weaker: {after} approvers suffice {what}")));
        }
        if policy.closing_delay < now.closing_delay {
            cautions.push(caution("shorter-delay", "weaker: there is less time to stop the end of the chain"));
        }
        if policy.reset_delay < now.reset_delay {
            cautions.push(caution("shorter-delay", "weaker: there is less time to veto a reset"));
        }
        let before_prompt =
            |policy: &Policy| policy.totp.as_ref().is_some_and(|totp| totp.mode == TotpMode::BeforePrompt);
        if before_prompt(now) && !before_prompt(policy) {
            cautions.push(caution("no-code-asked", "weaker: people are asked about devices without a one-time code"));
        }
        cautions
    }

    /// Quorums that ask for every approver that there is.
    fn blockable(&self, policy: &Policy) -> Option<CautionView> {
        let approvers = self.roster.approver_count();
        let most = usize::from(policy.quorums.most());
        (most > 1 && most == approvers).then(|| {
            caution(
                "all-approvers",
                &format!("all {approvers} approvers are needed: if one of these devices is lost, what asks for them cannot be done any more"),
            )
        })
    }

    /// Ways that let nobody in as they stand.
    fn ways_that(&self, policy: &Policy) -> Vec<CautionView> {
        let mut cautions = Vec::new();
        if !policy.ways.contains(&How::Typed) {
            cautions.push(caution("no-typed-code", "no device can be let in by typing its check code"));
        }
        if policy.ways.contains(&How::Totp) && policy.quorums.admit > 1 {
            cautions.push(caution(
                "totp-alone",
                &format!("the way totp lets nobody in: {}", AgentError::CodeIsNoVoice { quorum: policy.quorums.admit }),
            ));
        }
        cautions
    }

    /// A secret that devices know which are members no more, or that does not open.
    fn known_secret(&self) -> Option<CautionView> {
        self.roster.policy().totp.as_ref()?;
        if let Err(error) = self.secret() {
            return Some(caution("totp-unopened", &format!("{error}: 'countersign totp setup' makes another")));
        }
        let since = self.roster.policy_seq();
        let gone = self.roster.former_members().any(|former| former.departure.seq > since);
        gone.then(|| {
            caution(
                "known-secret",
                "devices that are members no more know the secret of one-time codes: 'countersign totp setup' makes a new one",
            )
        })
    }
}

/// Quorums that fewer approvers get round: by letting in devices of their own, or by another policy.
fn outflanked(policy: &Policy) -> Vec<CautionView> {
    let (most, quorums) = (policy.quorums.most(), policy.quorums);
    let who = |few: u8| match few {
        1 => "one approver alone".to_owned(),
        few => format!("{few} approvers"),
    };
    let mut cautions = Vec::new();
    if quorums.admit < most {
        let text = format!(
            "{} can let in devices of their own as approvers, and these then make up the {most} that something else asks for: quorum-admit should be {most} too",
            who(quorums.admit)
        );
        cautions.push(caution("admit-below", &text));
    }
    if quorums.policy < most {
        let text = format!(
            "{} can change the policy, so that it asks for fewer than {most}, and make approvers of others: quorum-policy should be {most} too",
            who(quorums.policy)
        );
        cautions.push(caution("policy-below", &text));
    }
    cautions
}

fn caution(code: &str, text: &str) -> CautionView {
    CautionView { code: code.to_owned(), text: text.to_owned(), risk: None }
}
