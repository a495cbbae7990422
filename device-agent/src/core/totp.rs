//! One-time codes of an authenticator: compared before anybody is asked, or in the place of a person, and counted where they fail.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use protocol::entry::Entry;
use protocol::policy::{How, Policy, Role, Totp, TotpMode};
use protocol::request::{Description, JoinRequest};
use protocol::signed::Verified;
use protocol::totp::{TotpAttempt, TotpConfirmed, TotpSecret};
use protocol::{RequestId, decision};
use zeroize::Zeroizing;

use super::Core;
use super::decide::Terms;
use super::view::{CodeView, Event, NewSecretView, TotpView};
use crate::error::AgentError;
use crate::store::CodeVerdict;
use crate::{clock, limits};

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// People are asked. Named is what became of its code, if codes are asked for.
    Shown(Option<&'static str>),
    /// Nobody sees it.
    Hidden,
}

/// Whether the policy in force names a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// It does.
    ByPolicy,
    /// It does not.
    NotByPolicy,
    /// It does, and asks for so many approvers. Every device knows the secret: a code would be a second voice of whichever was stolen.
    NotAlone {
        /// Approvers that must agree to admit.
        quorum: u8,
    },
    /// Whatever it says: this device lets nobody in.
    NotAnApprover,
}

/// A request whose code was right, to be admitted without a person.
#[derive(Debug, Clone)]
pub(crate) struct CodeRight {
    confirmed: TotpConfirmed,
    description: Description,
    terms: Terms,
}

impl CodeRight {
    /// The request.
    pub(crate) fn id(&self) -> RequestId {
        self.confirmed.request().id()
    }
}

fn seconds() -> u64 {
    clock::now() / 1000
}

impl Core {
    /// From now on this device admits by a right code alone, where the policy allows it.
    pub(crate) fn admit_by_code(&mut self, role: Role) -> Allowed {
        self.admits_by_code = Some(role);
        self.code_alone()
    }

    /// Whether a right code alone lets anybody in.
    fn code_alone(&self) -> Allowed {
        let policy = self.roster.policy();
        match policy.quorums.admit {
            _ if self.roster.approver(&self.keys.id()).is_none() => Allowed::NotAnApprover,
            _ if !policy.ways.contains(&How::Totp) => Allowed::NotByPolicy,
            1 => Allowed::ByPolicy,
            quorum => Allowed::NotAlone { quorum },
        }
    }

    /// The role in which this device lets in by a right code alone, if it does.
    fn admits_alone_as(&self) -> Option<Role> {
        self.admits_by_code.filter(|_| self.code_alone() == Allowed::ByPolicy)
    }

    /// Refuses a mode that would let nobody in.
    fn must_be_of_use(&self, mode: TotpMode) -> Result<(), AgentError> {
        match self.roster.policy().quorums.admit {
            quorum @ 2.. if mode == TotpMode::Way => Err(AgentError::CodeIsNoVoice { quorum }),
            _ => Ok(()),
        }
    }

    /// The secret in force.
    pub(super) fn secret(&self) -> Result<Option<TotpSecret>, AgentError> {
        TotpSecret::open(&self.roster, &self.keyring).map_err(|_| AgentError::SecretUnopened)
    }

    /// Looks at the code of a request that was not seen before. Where nothing depends on it here, it is compared with nothing: each
    /// comparison is a guess for whoever made it up.
    pub(super) fn gate(
        &mut self,
        request: &Verified<JoinRequest>,
        description: Option<&Description>,
        elapsed: u64,
    ) -> Result<Gate, AgentError> {
        let Some(mode) = self.roster.policy().totp.as_ref().map(|totp| totp.mode) else {
            return Ok(Gate::Shown(None));
        };
        if mode == TotpMode::Way && self.admits_alone_as().is_none() {
            return Ok(Gate::Shown(None));
        }
        let said = match self.look_at_code(request, description, elapsed)? {
            Some(verdict) => verdict.name(),
            None => "not compared",
        };
        match mode {
            TotpMode::BeforePrompt if said != CodeVerdict::Right.name() => {
                tracing::info!(request = request.id().short(), code = said, "a request is shown to nobody");
                Ok(Gate::Hidden)
            }
            TotpMode::Way | TotpMode::BeforePrompt => Ok(Gate::Shown(Some(said))),
        }
    }

    /// What became of a code; nothing where none is compared: this device is locked, or the code cannot be right any more.
    fn look_at_code(
        &mut self,
        request: &Verified<JoinRequest>,
        description: Option<&Description>,
        elapsed: u64,
    ) -> Result<Option<CodeVerdict>, AgentError> {
        let (id, now) = (request.id(), clock::now());
        let known = self.store.code_verdict(&id)?;
        let code = description.and_then(|described| Some((described, described.totp.as_deref()?)));
        let Some((description, code)) = code else {
            self.store.keep_verdict(&id, CodeVerdict::Missing, now)?;
            return Ok(Some(CodeVerdict::Missing));
        };
        if !matches!(known, None | Some(CodeVerdict::Right)) {
            return Ok(known);
        }
        if known.is_none() && (elapsed > limits::CODE_AGE || self.store.failed_codes()? >= limits::FAILED_CODES_MAX) {
            return Ok(None);
        }
        let secret = match self.secret() {
            Ok(Some(secret)) => secret,
            Ok(None) => return Ok(None),
            // Whoever signed the policy sealed something else: no code is right, nobody guessed, and everything else goes on.
            Err(error) => {
                tracing::warn!(%error, request = id.short(), "a code is not compared");
                return Ok(None);
            }
        };
        let request = Arc::new(request.clone());
        let (verdict, confirmed) = match secret.confirm(&request, code, seconds(), self.roster.totp_step()) {
            TotpAttempt::Right(confirmed) => (CodeVerdict::Right, Some(confirmed)),
            // It was right when it was first seen, and is too old now.
            _ if known == Some(CodeVerdict::Right) => (CodeVerdict::Right, None),
            TotpAttempt::Used => (CodeVerdict::Used, None),
            TotpAttempt::Wrong => (CodeVerdict::Wrong, None),
        };
        // On the disk before anything follows from it.
        let failed = self.store.keep_verdict(&id, verdict, now)?;
        if let Some(confirmed) = confirmed {
            self.code_right(confirmed, description);
        }
        if verdict != CodeVerdict::Right {
            self.tell_failure(&id, verdict.name());
            if failed >= limits::FAILED_CODES_MAX {
                self.emit(Event::Alarm { message: AgentError::CodesLocked { failed }.to_string() });
            }
        }
        Ok(Some(verdict))
    }

    fn code_right(&mut self, confirmed: TotpConfirmed, description: &Description) {
        if self.admits_alone_as().is_some() && self.codes_right.len() < limits::OPEN_REQUESTS_KEPT {
            let terms = self.terms();
            self.codes_right.push_back(CodeRight { confirmed, description: description.clone(), terms });
        }
    }

    /// Tells that a code let nobody in, where one could have. Where codes are asked for before a prompt, nobody is disturbed.
    pub(crate) fn tell_failure(&self, id: &RequestId, why: &str) {
        if self.admits_alone_as().is_some() {
            self.emit(Event::CodeFailed { request: id.to_string(), why: why.to_owned() });
        }
    }

    /// The next request whose code was right and that nobody has admitted yet. The others wait here for their turn.
    pub(crate) fn take_code_right(&mut self) -> Option<CodeRight> {
        self.codes_right.pop_front()
    }

    /// Puts one back whose admission could not be sent.
    pub(crate) fn put_back(&mut self, right: CodeRight) {
        self.codes_right.push_front(right);
    }

    /// Signs and keeps the admission of a request whose code was right.
    pub(crate) fn admit_by_right_code(&mut self, right: &CodeRight) -> Result<Vec<Verified<Entry>>, AgentError> {
        let id = right.id();
        self.must_be_decidable(&id, &right.terms)?;
        self.must_be_open(&id)?;
        let role = self.admits_by_code.ok_or(AgentError::NotAnApprover)?;
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let (acting, described) = (self.acting(), &right.description);
        let entry = decision::admit_totp(acting, &right.confirmed, described, role, clock::now(), &mut rng)
            .map_err(AgentError::OwnForm)?;
        self.stage(vec![entry])
    }

    /// A new secret, for an authenticator. Nothing is kept of it here.
    pub(crate) fn draw_secret(&self, mode: TotpMode) -> Result<NewSecretView, AgentError> {
        self.may_decide()?;
        self.must_be_of_use(mode)?;
        let secret = TotpSecret::draw(&mut rand_core::UnwrapErr(getrandom::SysRng));
        Ok(NewSecretView {
            line: secret.otpauth(&protocol::id::fingerprint(self.roster.chain().as_bytes())),
            secret: Zeroizing::new(HEXLOWER.encode(secret.expose())),
        })
    }

    /// The policy with a secret whose code was typed back.
    pub(crate) fn policy_with_secret(&self, secret: &str, typed: &str, mode: TotpMode) -> Result<Policy, AgentError> {
        self.may_decide()?;
        self.must_be_of_use(mode)?;
        let bytes = HEXLOWER.decode(secret.as_bytes()).ok().map(Zeroizing::new);
        let bytes = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
        let secret = TotpSecret::from_bytes(bytes.ok_or(AgentError::WrongOneTimeCode)?);
        secret.step_of(typed, seconds()).ok_or(AgentError::WrongOneTimeCode)?;
        let mut policy = self.roster.policy().clone();
        policy.ways.retain(|way| *way != How::Totp);
        if mode == TotpMode::Way {
            policy.ways.push(How::Totp);
            policy.ways.sort();
        } else if policy.ways.is_empty() {
            policy.ways.push(How::Typed);
        }
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let secret = secret.wrap(self.acting(), &mut rng).map_err(|_| AgentError::SecretUnopened)?;
        policy.totp = Some(Totp { mode, secret });
        Ok(policy)
    }

    /// The policy without one-time codes.
    pub(crate) fn policy_without_secret(&self) -> Result<Policy, AgentError> {
        let mut policy = self.roster.policy().clone();
        policy.totp.take().ok_or(AgentError::NoOneTimeCodes)?;
        policy.ways.retain(|way| *way != How::Totp);
        if policy.ways.is_empty() {
            policy.ways.push(How::Typed);
        }
        Ok(policy)
    }

    /// Compares a code that the owner types, and changes nothing.
    pub(crate) fn verify_code(&self, typed: &str) -> Result<CodeView, AgentError> {
        self.must_hold_keys()?;
        let secret = self.secret()?.ok_or(AgentError::NoOneTimeCodes)?;
        let step = secret.step_of(typed, seconds()).ok_or(AgentError::WrongOneTimeCode)?;
        let used = self.roster.totp_step().is_some_and(|last| step <= last);
        let verdict = if used { CodeVerdict::Used } else { CodeVerdict::Right };
        Ok(CodeView { verdict: verdict.name().to_owned(), step })
    }

    /// Where one-time codes stand on this device; nothing if the policy asks for none.
    pub(crate) fn totp_view(&self) -> Result<Option<TotpView>, AgentError> {
        let Some(totp) = &self.roster.policy().totp else { return Ok(None) };
        let failed = self.store.failed_codes()?;
        let state = match self.secret() {
            Err(_) => "unopened",
            Ok(_) if failed >= limits::FAILED_CODES_MAX => "locked",
            Ok(_) => "open",
        };
        Ok(Some(TotpView {
            mode: totp.mode.name().to_owned(),
            failed,
            failed_max: limits::FAILED_CODES_MAX,
            state: state.to_owned(),
            admits_as: self.admits_alone_as().map(|role| role.name().to_owned()),
        }))
    }
}
