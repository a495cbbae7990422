//! Opening a prompt and typing its code: what this device signs, how often, and what it counts.

use protocol::id::Random;
use protocol::policy::How;
use protocol::request::{Description, JoinRequest};
use protocol::roster::{Outcome, Refusal};
use protocol::round::{Attempt, Confirmed, Nonce, Prompt, Reveal};
use protocol::signed::Verified;
use protocol::{RequestId, limits as bounds};

use super::Core;
use crate::error::{AgentError, Missing};
use crate::store::{OpenedRow, Setting};
use crate::{clock, limits};

/// A nonce that may be sent: it is on the disk.
#[derive(Debug, Clone)]
pub(crate) struct Nonced {
    /// To be sent, always the same bytes.
    pub(crate) nonce: Verified<Nonce>,
    /// Whether the joiner's answer is here already.
    pub(crate) answered: Answered,
}

/// Whether a prompt has its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The joiner's value is here: a code can be typed.
    Yes,
    /// It has not come.
    NotYet,
}

/// What became of a typed code.
pub(crate) enum Typed {
    /// It is right: what may now be admitted.
    Right(Box<Shown>),
    /// The last wrong one: the request must be denied.
    Burned,
}

/// Exactly what was shown at the prompt whose code was typed.
#[derive(Clone)]
pub(crate) struct Shown {
    /// Proof that the code was typed.
    pub(crate) confirmed: Confirmed,
    /// The description that was shown.
    pub(crate) description: Description,
}

impl Core {
    /// Signs this device's nonce for a request, or finds the one that it signed before. A person must have asked for it.
    ///
    /// What the relay says cannot raise the limits: they are counted in the store.
    pub(crate) fn open_prompt(&mut self, id: &RequestId) -> Result<Nonced, AgentError> {
        self.may_decide()?;
        self.must_be_open(id)?;
        // Nobody should read a code out that can let nobody in.
        if !self.roster.policy().ways.contains(&How::Typed) {
            return Err(AgentError::OwnRefused(Refusal::WayNotAllowed));
        }
        if let Some(opened) = self.store.opened(id)? {
            return nonced(&opened);
        }
        let now = clock::now();
        let day = u64::try_from(bounds::PROMPT_DAY.as_millis()).unwrap_or(u64::MAX);
        let opened = self.store.prompts_since(&self.roster.join_key(), now.saturating_sub(day))?;
        if opened >= bounds::PROMPTS_PER_DAY_MAX as u64 {
            return Err(AgentError::PromptLimit { opened });
        }
        let open = self.rounds_open(now)?;
        if open >= bounds::OPEN_ROUNDS_MAX as u64 {
            return Err(AgentError::OpenLimit { open });
        }
        self.sign_nonce(id, now)
    }

    /// When prompts come again, unix milliseconds, if those of a day are used up: the ones that this device opens, or those that the relay
    /// shows, as far as this device saw them.
    pub(crate) fn prompts_again_at(&self, now: u64) -> Result<Option<u64>, AgentError> {
        let day = u64::try_from(bounds::PROMPT_DAY.as_millis()).unwrap_or(u64::MAX);
        let latest = self.store.prompts_latest(&self.roster.join_key(), bounds::PROMPTS_PER_DAY_MAX)?;
        let seen = self.seen_with_this_code(now.saturating_sub(day))?;
        let oldest = [&latest, &seen].map(|times| times.get(bounds::PROMPTS_PER_DAY_MAX - 1).copied());
        let again_at = oldest.into_iter().flatten().map(|at| at.saturating_add(day)).max();
        Ok(again_at.filter(|again_at| *again_at > now))
    }

    /// When requests were first seen here that were made with the current sync code and let nobody in, the latest first. The relay counts
    /// them too, and shows no sixth of a day to anybody: without this count nobody would know why.
    fn seen_with_this_code(&self, since: u64) -> Result<Vec<u64>, AgentError> {
        let Some(code_since) = self.sighted()? else { return Ok(Vec::new()) };
        let mut seen = self.store.sightings_since(since.max(code_since.saturating_sub(1)))?;
        let admitted = |id: &RequestId| self.roster.decision(id).is_some_and(|it| it.outcome == Outcome::Admitted);
        seen.retain(|(id, _)| !admitted(id));
        Ok(seen.into_iter().map(|(_, at)| at).collect())
    }

    /// Since when requests with the current sync code are seen here.
    fn sighted(&self) -> Result<Option<u64>, AgentError> {
        let kept = self.store.setting(Setting::Sighted)?;
        let key = self.roster.join_key();
        let since = kept.as_deref().and_then(|kept| kept.strip_prefix(key.as_bytes().as_slice()));
        Ok(since.and_then(|since| since.try_into().ok()).map(u64::from_be_bytes))
    }

    /// Begins to count where the sync code is another one than before: its requests are counted anew.
    pub(super) fn begin_sighting(&self, now: u64) -> Result<(), AgentError> {
        if self.sighted()?.is_some() {
            return Ok(());
        }
        let key = self.roster.join_key();
        self.store.set(Setting::Sighted, &[key.as_bytes().as_slice(), &now.to_be_bytes()].concat())
    }

    /// Signs for the next free round, after the relay said that ours was taken. It is believed only if it shows who took it.
    pub(crate) fn reopen_prompt(&mut self, id: &RequestId, taken: &Verified<Nonce>) -> Result<Nonced, AgentError> {
        self.may_decide()?;
        self.must_be_open(id)?;
        // Another caller of this device may have signed anew in the meantime: that nonce is repeated, not replaced.
        if let Some(opened) = self.store.opened(id)?.filter(|opened| *opened.nonce != **taken.bytes()) {
            return nonced(&opened);
        }
        // Whoever could make this device sign again by showing it its own nonce would have eight codes to search among, for one
        // prompt that a person opened.
        if self
            .pending
            .get(id)
            .is_some_and(|pending| pending.rounds.iter().any(|round| *round.nonce == **taken.bytes()))
        {
            return Err(AgentError::Lie {
                what: "the relay says that a code round is taken, and shows this device's own nonce in it".to_owned(),
            });
        }
        if self.next_free_round(id)? <= taken.round {
            return Err(AgentError::Lie {
                what: "the relay says that a code round is taken, but shows no nonce of it".to_owned(),
            });
        }
        self.sign_nonce(id, clock::now())
    }

    fn sign_nonce(&mut self, id: &RequestId, now: u64) -> Result<Nonced, AgentError> {
        let round = self.next_free_round(id)?;
        if round > bounds::ROUNDS_MAX {
            return Err(AgentError::NoRoundLeft);
        }
        let form = Nonce {
            version: protocol::VERSION,
            chain: self.roster.chain(),
            request: *id,
            round,
            head: self.roster.head(),
            epoch: self.roster.epoch(),
            nonce: Random::draw(&mut rand_core::UnwrapErr(getrandom::SysRng)),
        };
        let nonce = Verified::sign(form, &self.keys.signing, &[]).map_err(AgentError::OwnForm)?;
        let not_found = || AgentError::NotFound { of: Missing::Request, what: format!("request {}", id.short()) };
        let pending = self.pending.get(id).ok_or_else(not_found)?;
        let shown = (&**pending.request.bytes(), &*pending.sealed);
        self.store.keep_opened(id, &pending.request.join_key, shown, nonce.bytes(), now)?;
        Ok(Nonced { nonce, answered: Answered::NotYet })
    }

    /// One more than the rounds whose nonces verify and are signed by devices of this log. A signer may have been removed, or have lost
    /// its role, since: its round is taken all the same.
    fn next_free_round(&self, id: &RequestId) -> Result<u8, AgentError> {
        let Some(pending) = self.pending.get(id) else {
            return Ok(1);
        };
        let mut next = 1;
        for round in &pending.rounds {
            let nonce = Verified::<Nonce>::from_bytes(&round.nonce).map_err(AgentError::BadForm)?;
            let by_member = self.roster.known(&nonce.signer()).is_some();
            if !by_member || nonce.request != *id || nonce.round != next {
                return Err(AgentError::Lie {
                    what: "the relay shows a code round that no device of this chain opened".to_owned(),
                });
            }
            next += 1;
        }
        Ok(next)
    }

    /// Prompts that were opened here, are undecided, and whose lifetime is not over.
    fn rounds_open(&self, now: u64) -> Result<u64, AgentError> {
        let lifetime = u64::from(self.roster.policy().request_lifetime) * 1000;
        let open = self.store.rounds_open_since(now.saturating_sub(lifetime))?;
        Ok(open.iter().filter(|id| self.roster.decision(id).is_none()).count() as u64)
    }

    /// Refuses a request that is decided, expired or unknown.
    pub(super) fn must_be_open(&self, id: &RequestId) -> Result<(), AgentError> {
        if let Some(decision) = self.decided(id) {
            return Err(decision);
        }
        match (self.remaining(id), self.store.sighting(id)?) {
            (Some(0), _) => Err(AgentError::Expired),
            (Some(_), _) => Ok(()),
            (None, None) => Err(AgentError::NotFound { of: Missing::Request, what: format!("request {}", id.short()) }),
            (None, Some(_)) if self.is_stale(id)? => Err(AgentError::StaleRequest),
            (None, Some(first)) => {
                let lifetime = u64::from(self.roster.policy().request_lifetime) * 1000;
                let over = clock::now().saturating_sub(first).saturating_add(limits::LIFETIME_SLACK) >= lifetime;
                Err(if over { AgentError::Expired } else { AgentError::Withdrawn })
            }
        }
    }

    /// Whether a request is known to have been made with a sync code of before.
    fn is_stale(&self, id: &RequestId) -> Result<bool, AgentError> {
        if self.stale.contains(id) {
            return Ok(true);
        }
        let Some(opened) = self.store.opened(id)? else {
            return Ok(false);
        };
        let request = Verified::<JoinRequest>::from_bytes(&opened.ask)
            .map_err(|_| AgentError::Damaged { what: "an opened prompt does not verify" })?;
        Ok(request.join_key != self.roster.join_key())
    }

    /// The error that says how a request was decided, if it was.
    pub(crate) fn decided(&self, id: &RequestId) -> Option<AgentError> {
        self.decision_view(id).map(|decision| AgentError::Decided { how: decision.how })
    }

    /// Compares a typed code with the one of the prompt that was opened here. A wrong one is counted before this returns.
    pub(crate) fn type_code(&mut self, id: &RequestId, typed: &str) -> Result<Typed, AgentError> {
        self.may_decide()?;
        if let Some(decided) = self.decided(id) {
            return Err(decided);
        }
        let short = id.short();
        let opened = self.store.opened(id)?.ok_or(AgentError::NotOpened { id: short.clone() })?;
        self.must_be_open(id)?;
        if opened.wrong >= bounds::WRONG_CODES_MAX {
            return Ok(Typed::Burned);
        }
        let (prompt, description) = self.prompt_of(id, &opened)?;
        match prompt.type_code(typed) {
            Attempt::Right(confirmed) => Ok(Typed::Right(Box::new(Shown { confirmed, description }))),
            Attempt::NotACode => Err(AgentError::NotACode),
            Attempt::Wrong => {
                let wrong = self.store.count_wrong(id)?;
                match bounds::WRONG_CODES_MAX.saturating_sub(wrong) {
                    0 => Ok(Typed::Burned),
                    left => Err(AgentError::WrongCode { left }),
                }
            }
        }
    }

    /// The prompt as it was opened, from the bytes that were shown then: nothing is fetched again.
    fn prompt_of(&self, id: &RequestId, opened: &OpenedRow) -> Result<(Prompt, Description), AgentError> {
        let reveal = opened.reveal.as_ref().ok_or_else(|| AgentError::NoAnswer { id: id.short() })?;
        let damaged = |_| AgentError::Damaged { what: "an opened prompt does not verify" };
        let request = Verified::<JoinRequest>::from_bytes(&opened.ask).map_err(damaged)?;
        let nonce = Verified::<Nonce>::from_bytes(&opened.nonce).map_err(damaged)?;
        let reveal = Verified::<Reveal>::from_bytes(reveal).map_err(damaged)?;
        let description =
            Description::open(self.keyring.code(), &request.device.signing, &opened.description).unwrap_or_else(|_| {
                Description { name: String::new(), platform: String::new(), version: String::new(), totp: None }
            });
        let prompt = Prompt::new(request, nonce, &reveal)
            .map_err(|_| AgentError::Damaged { what: "an opened prompt does not verify" })?;
        Ok((prompt, description))
    }
}

/// The nonce of a prompt that was opened here, to be repeated.
fn nonced(opened: &OpenedRow) -> Result<Nonced, AgentError> {
    let nonce = Verified::<Nonce>::from_bytes(&opened.nonce).map_err(AgentError::OwnForm)?;
    let answered = if opened.reveal.is_some() { Answered::Yes } else { Answered::NotYet };
    Ok(Nonced { nonce, answered })
}
