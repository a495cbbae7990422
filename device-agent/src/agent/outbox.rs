//! Sending own writes, in order: each until the relay has it, or will not have it.

use std::convert::Infallible;

use super::{Agent, Link};
use crate::core::{Draft, Sealing};
use crate::error::AgentError;
use crate::limits;

/// Times that records are compared for one write: what is new in the feed, and then all of it.
const COMPARED_MAX: usize = 2;
/// Times that one write follows the log: others may rotate as fast as this device can follow. A relay that lies ends it too.
const FOLLOWED_MAX: usize = 15;

/// What was done about the refusals of one write. Each remedy has its own count: a log that moves says nothing of the records.
#[derive(Default)]
struct Tried {
    followed: usize,
    compared: usize,
}

/// What became of a draft.
enum Fate {
    /// The relay has it, or it was dropped.
    Settled,
    /// It is set aside.
    Refused(AgentError),
}

/// What may be done about a refusal.
enum Remedy {
    /// The log moved: the draft is sealed anew.
    FollowTheLog,
    /// The relay has another version or line than this device believes, and one of the two lacks something.
    Compare,
    /// Nothing: this draft will never be taken.
    SetAside,
    /// Nothing here: the refusal is not about this draft.
    Wait,
}

impl Remedy {
    fn of(status: u16, code: &str) -> Self {
        match (status, code) {
            (_, "unknown-head" | "stale-epoch") => Self::FollowTheLog,
            (_, "conflict" | "broken-line" | "replayed") => Self::Compare,
            (400 | 409 | 413, _) => Self::SetAside,
            _ => Self::Wait,
        }
    }
}

impl Agent {
    /// Keeps a write until the relay is reached.
    pub(crate) async fn queue(&self, draft: Draft) -> Result<(), AgentError> {
        // No relay ever takes it.
        self.must_be_member().await?;
        self.core(move |core| core.queue_for_later(&draft)).await??;
        self.shared.outbox.notify_one();
        Ok(())
    }

    /// Lets the refused writes of an item be sent after all.
    pub(crate) async fn replace_with_queued(&self, collection: String, id: String) -> Result<(), AgentError> {
        self.core(move |core| core.replace_with_queued(&collection, &id)).await??;
        self.shared.outbox.notify_one();
        Ok(())
    }

    /// Sends what waits. What the relay cannot take now goes on waiting.
    pub(crate) async fn flush_records(&self) -> Result<(), AgentError> {
        match self.send_queued().await {
            Err(AgentError::Problem { code, .. }) => {
                tracing::warn!(
                    "a record that was written earlier is not taken by the relay ({code}): it is kept   (countersign status)"
                );
                Ok(())
            }
            // Reading goes on where writing does not: on a forked log too, which a write meets as a head that the relay does not know.
            Err(
                error @ (AgentError::NotAWriter
                | AgentError::OtherEpochKey { .. }
                | AgentError::Fork { .. }
                | AgentError::Forked),
            ) => {
                tracing::warn!("what was written earlier is kept, and not sent: {error}");
                Ok(())
            }
            done => done,
        }
    }

    /// Sends what waits whenever something does, for as long as a session is up.
    pub(crate) async fn keep_sending(&self) -> Infallible {
        loop {
            self.shared.outbox.notified().await;
            let (mut wait, longest) = limits::RECONNECT_WAIT;
            while self.link() == Link::Connected {
                match self.send_queued().await {
                    Ok(()) => break,
                    Err(error) => tracing::info!(%error, "what was queued is not sent yet"),
                }
                tokio::time::sleep(wait).await;
                wait = longest.min(wait * 2);
            }
        }
    }

    async fn send_queued(&self) -> Result<(), AgentError> {
        let _turn = self.shared.writing.lock().await;
        self.send_until(None).await
    }

    /// Sends drafts in order, up to one of them or to the last. A refusal of that one is an error; of another, it is set aside. The
    /// caller has the turn of writing.
    pub(super) async fn send_until(&self, last: Option<u64>) -> Result<(), AgentError> {
        while let Some(number) = self.core(|core| core.next_draft()).await?? {
            let fate = self.deliver(number).await?;
            if last == Some(number) {
                return match fate {
                    Fate::Settled => Ok(()),
                    Fate::Refused(error) => Err(error),
                };
            }
            // Nobody waits for this one.
            if let Fate::Refused(error) = fate {
                tracing::warn!("a write is set aside: {error}   (countersign record queue)");
            }
        }
        Ok(())
    }

    async fn deliver(&self, number: u64) -> Result<Fate, AgentError> {
        let mut tried = Tried::default();
        loop {
            let sealed = match self.core(move |core| core.seal(number)).await?? {
                Sealing::Sealed(sealed) => sealed,
                Sealing::Refused(error) => return Ok(Fate::Refused(error)),
                Sealing::Gone => return Ok(Fate::Settled),
            };
            let refused = match self.relay().put(vec![sealed.clone()]).await {
                Ok(_) => {
                    self.core(move |core| core.take_record(&sealed)).await??;
                    return Ok(Fate::Settled);
                }
                // The relay may have it: the same bytes are sent again, and nothing else in their place.
                Err(error) if leaves_it_open(&error) => return Err(error),
                Err(error) => error,
            };
            if let Some(fate) = self.remedy(number, refused, &mut tried).await? {
                return Ok(fate);
            }
        }
    }

    /// Does what a refusal asks for. Nothing is returned where the draft may be tried again.
    async fn remedy(&self, number: u64, refused: AgentError, tried: &mut Tried) -> Result<Option<Fate>, AgentError> {
        let AgentError::Problem { status, code, .. } = &refused else { return Err(refused) };
        match Remedy::of(*status, code) {
            Remedy::FollowTheLog if tried.followed < FOLLOWED_MAX => {
                tried.followed += 1;
                self.core(move |core| core.unseal(number)).await??;
                self.catch_up_log().await?;
                Ok(None)
            }
            Remedy::Compare if tried.compared < COMPARED_MAX => {
                tried.compared += 1;
                let nothing_lost = if tried.compared == 1 {
                    self.catch_up_records().await?;
                    false
                } else {
                    let refilled = self.refill_records().await?;
                    refilled.given == 0 && refilled.gone == 0
                };
                // Not before: a record that the relay has after all is in its feed, and is settled by it.
                if self.core(move |core| core.draft_state(number)).await??.is_none() {
                    return Ok(Some(Fate::Settled));
                }
                if nothing_lost {
                    return self.give_up(number, refused).await.map(Some);
                }
                self.core(move |core| core.unseal(number)).await??;
                Ok(None)
            }
            Remedy::SetAside => self.set_aside(number, refused).await.map(Some),
            Remedy::FollowTheLog | Remedy::Compare | Remedy::Wait => self.give_up(number, refused).await.map(Some),
        }
    }

    /// A conflict is its person's to decide. Anything else may pass: the draft waits, and is sealed anew.
    async fn give_up(&self, number: u64, refused: AgentError) -> Result<Fate, AgentError> {
        if matches!(&refused, AgentError::Problem { code, .. } if code == "conflict") {
            return self.set_aside(number, refused).await;
        }
        self.core(move |core| core.unseal(number)).await??;
        Err(refused)
    }

    async fn set_aside(&self, number: u64, refused: AgentError) -> Result<Fate, AgentError> {
        self.core(move |core| core.refuse(number, refused)).await?.map(Fate::Refused)
    }
}

/// Whether the relay may have what it was sent.
fn leaves_it_open(error: &AgentError) -> bool {
    match error {
        AgentError::Problem { status, .. } => *status >= 500 || *status == 429,
        _ => true,
    }
}
