//! Resets: what a member is told of the wish of whoever has the sync code, and what it can check of it.

use minicbor::{Decode, Encode};
use protocol::Hash;
use protocol::cbor;
use protocol::entry::VetoOf;
use protocol::reset::Reset;
use protocol::signed::Verified;
use protocol::wire::ResetStanding;

use super::Core;
use super::view::{Event, ResetView};
use crate::error::AgentError;
use crate::store::Setting;
use crate::{clock, limits};

/// A reset that the relay told of, as it is kept until the next connection.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
struct Kept {
    #[n(0)]
    standing: ResetStanding,
    /// When it was told, by this device's clock, unix milliseconds.
    #[n(1)]
    at: u64,
}

impl Core {
    /// Forgets what the relay told of a reset: at each connect it tells it again, as long as one stands.
    pub(crate) fn begin_connection(&self) -> Result<(), AgentError> {
        self.store.unset(Setting::Reset)?;
        self.note_look_for_reset()
    }

    /// Notes that it was asked whether a reset stands, or tried to: where no session comes about, not every command should try.
    pub(crate) fn note_look_for_reset(&self) -> Result<(), AgentError> {
        self.store.set(Setting::ResetLooked, &clock::now().to_be_bytes())
    }

    /// Whether it is so long ago that a session began, which is told of resets, that one should be asked for.
    pub(crate) fn should_look_for_reset(&self) -> Result<bool, AgentError> {
        let looked = self.store.setting(Setting::ResetLooked)?;
        let looked = looked.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        let now = clock::now();
        // A clock that was set back would else keep it from asking for as long.
        Ok(looked.is_none_or(|at| at > now || now - at >= limits::RESET_LOOK_AGAIN))
    }

    /// Takes a reset that the relay tells of: it must be signed by the current join key, or it could stand in no relay's log.
    pub(crate) fn take_reset(&self, standing: ResetStanding) -> Result<(), AgentError> {
        let reset = Verified::<Reset>::from_bytes(&standing.reset).map_err(AgentError::BadForm)?;
        if reset.chain != self.roster.chain() || reset.join_key() != self.roster.join_key() {
            return Err(AgentError::Lie {
                what: "the relay tells of a reset that the sync code did not sign".to_owned(),
            });
        }
        self.store.set(Setting::Reset, &cbor::encode(&Kept { standing, at: clock::now() }))?;
        if let Some(view) = self.reset()? {
            self.emit(Event::Reset { reset: Box::new(view) });
        }
        Ok(())
    }

    /// The reset that stands, as far as this device was told.
    pub(crate) fn reset(&self) -> Result<Option<ResetView>, AgentError> {
        let Some(bytes) = self.store.setting(Setting::Reset)? else { return Ok(None) };
        let damaged = AgentError::Damaged { what: "the reset that was told of is none" };
        let Ok(Kept { standing, at }) = cbor::decode::<Kept>("reset", &bytes, 4096) else { return Err(damaged) };
        let Ok(reset) = Verified::<Reset>::from_bytes(&standing.reset) else { return Err(damaged) };
        let over = reset.join_key() != self.roster.join_key() || self.roster.is_closed();
        if over || self.vetoed(VetoOf::Reset, &reset.hash()).is_some() {
            return Ok(None);
        }
        let due_at = at.saturating_add(standing.remaining);
        Ok(Some(ResetView {
            id: reset.hash().to_string(),
            wait: reset.wait,
            due_at,
            remaining: due_at.saturating_sub(clock::now()),
        }))
    }

    /// Hash of the reset that stands.
    pub(crate) fn reset_hash(&self) -> Result<Option<Hash>, AgentError> {
        Ok(self.reset()?.and_then(|view| view.id.parse().ok()))
    }

    /// The relay says that the chain was reset. If what it shows may be so, no reset stands any more: it was carried out.
    pub(crate) fn take_end_by_reset(&self, form: &[u8]) -> AgentError {
        let judged = self.judge_reset(form);
        let forgotten = match judged {
            AgentError::Reset { .. } => self.store.unset(Setting::Reset),
            _ => Ok(()),
        };
        forgotten.err().unwrap_or(judged)
    }

    /// Compares what the relay says was signed with the pinned log. Whatever comes of it, the end is the relay's word.
    pub(crate) fn judge_reset(&self, form: &[u8]) -> AgentError {
        let lie = |what: &str| AgentError::Lie { what: format!("the relay says that the chain was reset, {what}") };
        let Ok(reset) = Verified::<Reset>::from_bytes(form) else {
            return lie("and shows nothing that was signed");
        };
        if reset.chain != self.roster.chain() {
            return lie("and shows the reset of another chain");
        }
        let known = self.roster.position(&reset.head).is_some();
        let signed = if reset.join_key() == self.roster.join_key() {
            // A policy that came while this device was away brought the terms.
            if known {
                "verified: signed by the sync code that this device knows as the current one"
            } else {
                "verified: signed by the sync code that this device knows; on terms that came after its log"
            }
        } else if self.roster.was_join_key(&reset.join_key()) {
            // A new sync code ends every reset that the old one signed.
            return lie("and shows one that a sync code signed which was replaced before");
        } else {
            "signed by a sync code that this device does not know: it was replaced while this device was away, or the relay lies"
        };
        AgentError::Reset { wait: reset.wait, signed }
    }
}
