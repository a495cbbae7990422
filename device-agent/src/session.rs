//! A member's socket to the relay, for as long as the process lives: connect, prove, take what is pushed, dial again.

use backon::{BackoffBuilder as _, ExponentialBuilder};
use protocol::wire::{Ack, Ending, ToDevice};

use crate::agent::{Agent, Link, Moves};
use crate::error::AgentError;
use crate::exit;
use crate::limits;
use crate::relay_client::{Identity, Socket};
use crate::told::Exit;

/// Keeps a session, and sends what waits to be sent, until what the relay sends does not verify, or this device is a member no more.
/// Returns why.
pub(crate) async fn keep(agent: Agent) -> AgentError {
    tokio::select! {
        error = dial_again_and_again(&agent) => error,
        never = agent.keep_sending() => match never {},
    }
}

async fn dial_again_and_again(agent: &Agent) -> AgentError {
    // Before the first connection: a move is missed by none.
    let mut moves = agent.moves();
    loop {
        let (shortest, longest) = limits::RECONNECT_WAIT;
        let waits = ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
            .build();
        for wait in waits {
            let error = match connect(agent).await {
                Ok(socket) => pump(agent, socket, &mut moves).await,
                Err(error) => error,
            };
            let error = match passes(agent, error).await {
                Ok(error) => error,
                Err(last) => {
                    agent.set_link(Link::Stopped { told: exit::tell(&last) });
                    return last;
                }
            };
            let was_up = agent.link() == Link::Connected;
            agent.set_link(Link::Away { why: error.to_string() });
            tracing::info!(%error, "the session with the relay ended");
            let moved = tokio::select! {
                () = tokio::time::sleep(wait.mul_f64(jitter())) => false,
                _ = moves.changed() => true,
            };
            if was_up || moved {
                break;
            }
        }
    }
}

/// The error after which the relay is dialled again; as an error, the one that ends the session for good. A lie, or the end of the
/// membership, is never retried by itself; a fork only stops changes of membership.
async fn passes(agent: &Agent, error: AgentError) -> Result<AgentError, AgentError> {
    match exit::tell(&error).exit {
        Exit::Verification if !matches!(error, AgentError::Fork { .. } | AgentError::Forked) => Err(error),
        Exit::NotAMember => is_let_in_again(agent, error).await,
        _ => Ok(error),
    }
}

/// A relay that lost this member's admission shuts it out of its socket. Following the log tells it again; where that does not help, the
/// log says more of why than the relay did.
async fn is_let_in_again(agent: &Agent, error: AgentError) -> Result<AgentError, AgentError> {
    match agent.catch_up_log().await {
        Ok(()) => Ok(error),
        Err(why) if matches!(exit::tell(&why).exit, Exit::NotAMember | Exit::Verification) => Err(why),
        Err(away) => Ok(away),
    }
}

/// Between a half and one and a half, so that devices do not return all at once.
fn jitter() -> f64 {
    let mut byte = [128];
    let _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    0.5 + f64::from(byte) / 255.0
}

async fn connect(agent: &Agent) -> Result<Socket, AgentError> {
    let (keys, identity) = agent
        .core(|core| {
            let roster = core.roster();
            let identity =
                core.cursor().map(|cursor| Identity::Member { chain: roster.chain(), head: roster.head(), cursor });
            (core.keys().clone(), identity)
        })
        .await?;
    agent.relay().socket(&keys, identity?).await
}

/// Takes what is pushed until the socket ends. Returns why it ended.
async fn pump(agent: &Agent, mut socket: Socket, moves: &mut Moves) -> AgentError {
    loop {
        let next = tokio::select! {
            next = socket.next() => next,
            _ = moves.changed() => {
                socket.close().await;
                return AgentError::Moved { relay: agent.relay().endpoint().origin().to_owned() };
            }
        };
        let message = match next {
            Ok(message) => message,
            Err(error) => return error,
        };
        if let Err(error) = take(agent, &mut socket, message).await {
            socket.close().await;
            return error;
        }
    }
}

async fn take(agent: &Agent, socket: &mut Socket, message: ToDevice) -> Result<(), AgentError> {
    match message {
        ToDevice::Ready(ready) => {
            agent.core(|core| core.begin_connection()).await??;
            let (pinned, forked) = agent.core(move |core| (core.is_pinned(&ready.head), core.fork().is_some())).await?;
            let forked = forked && is_still_forked(agent).await?;
            // What the relay has beyond our head comes as a push; what it lacks, or has instead, is settled now.
            if !forked && (!ready.knows_your_head || pinned) {
                agent.catch_up_log().await?;
            }
            if !forked {
                agent.flush_entry().await?;
                agent.rotate_if_owed().await?;
                give_approvals(agent).await?;
            }
            // Before own writes go on: their line may have been lost with the rest.
            agent.look_for_loss().await?;
            agent.refill_if_owed().await?;
            agent.flush_records().await?;
            agent.set_link(Link::Connected);
            Ok(())
        }
        ToDevice::Entries(page) => {
            let forked = agent.core(|core| core.fork().is_some()).await?;
            if !forked {
                agent.take_pushed(page).await?;
            }
            acknowledge(agent, socket).await?;
            if forked {
                return Ok(());
            }
            agent.rotate_if_owed().await?;
            agent.refill_if_owed().await
        }
        ToDevice::Records(page) => {
            agent.take_pushed_records(page).await?;
            acknowledge(agent, socket).await
        }
        ToDevice::Requested(open) => agent.take_request(open).await,
        ToDevice::Ended(ended) => {
            let ending = match ended.ending {
                Ending::Expired => "expired",
                Ending::Withdrawn => "withdrawn",
                // The entry says how, and it comes as a push of its own.
                Ending::Decided => return Ok(()),
            };
            agent.core(move |core| core.end_request(&ended.request, ending)).await?
        }
        ToDevice::Approved(approved) => agent.take_approval(approved.approval.0).await,
        ToDevice::Reset(standing) => agent.core(move |core| core.take_reset(standing)).await?,
        ToDevice::Challenge(_) | ToDevice::Standing(_) => {
            Err(AgentError::Garbled { what: "a message that no member is sent".to_owned() })
        }
    }
}

/// At each connection a fork may turn out to be settled.
async fn is_still_forked(agent: &Agent) -> Result<bool, AgentError> {
    match agent.catch_up_log().await {
        Ok(()) => Ok(false),
        Err(AgentError::Fork { .. } | AgentError::Forked) => Ok(true),
        Err(other) => Err(other),
    }
}

/// An approval that the relay will not have is told to whoever gave it, and ends no session.
async fn give_approvals(agent: &Agent) -> Result<(), AgentError> {
    match agent.send_approvals().await {
        Err(AgentError::Problem { code, .. }) => {
            tracing::warn!("an approval that was given earlier is refused by the relay ({code})");
            Ok(())
        }
        done => done,
    }
}

async fn acknowledge(agent: &Agent, socket: &mut Socket) -> Result<(), AgentError> {
    let ack = agent
        .core(|core| {
            let number = core.cursor()?.map_or(0, |cursor| cursor.number);
            Ok::<_, AgentError>(Ack { seq: core.roster().seq(), number })
        })
        .await??;
    socket.acknowledge(ack).await
}
