//! The one way in: a router that every command calls, over the daemon's socket or inside its own process. Two faces, one body.

pub(crate) mod wiped;
pub(crate) mod body;
mod approvals;
mod membership;
mod policy;
mod totp;
mod relay;
mod ending;
mod forks;
mod serve;
mod export;
pub(crate) mod recovery;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::BASE64;
use futures_util::stream;
use protocol::entry::DenyReason;
use tokio::sync::broadcast;
use zeroize::Zeroizing;

use crate::agent::{Agent, Link};
use crate::core::Draft;
use crate::core::view::{
    ApprovedView, DecisionView, Event, ItemView, LostView, MemberView, QueuedView, RekeyView, RequestView, StepView,
};
use crate::error::AgentError;
use crate::told::{Exit, Told};
use crate::{clock, exit, limits};

pub(crate) use serve::bind;
use wiped::Wiped;

/// Whether the router stands in a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind the socket of `countersign run`.
    Daemon,
    /// In a command that took the lock.
    Command,
}

#[derive(Clone)]
struct Local {
    agent: Agent,
    place: Place,
}

type Answer<T> = Result<Json<T>, Failed>;
/// One that holds a secret.
type Secret<T> = Result<Wiped<T>, Failed>;

/// An error on its way out.
struct Failed(Told);

impl From<AgentError> for Failed {
    fn from(error: AgentError) -> Self {
        Self(exit::tell(&error))
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let status = match self.0.exit {
            Exit::Usage => StatusCode::BAD_REQUEST,
            Exit::Refused | Exit::Verification => StatusCode::CONFLICT,
            Exit::NotAMember => StatusCode::FORBIDDEN,
            Exit::NotFound => StatusCode::NOT_FOUND,
            Exit::Expired => StatusCode::GONE,
            Exit::Unreachable => StatusCode::BAD_GATEWAY,
            Exit::Done | Exit::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self.0)).into_response()
    }
}

/// The router.
pub(crate) fn router(agent: Agent, place: Place) -> Router {
    let local = Local { agent, place };
    Router::new()
        .route("/status", get(status))
        .route("/requests", get(requests))
        .route("/requests/held", get(held))
        .route("/requests/open", post(open))
        .route("/requests/approve", post(approve))
        .route("/requests/admit-unchecked", post(admit_unchecked))
        .route("/requests/deny", post(deny))
        .route("/devices", get(devices))
        .route("/devices/removal", post(membership::removal))
        .route("/devices/remove", post(membership::remove))
        .route("/devices/role", post(membership::role))
        .route("/approvals", get(approvals::list))
        .route("/approvals/find", post(approvals::find))
        .route("/approvals/agree", post(approvals::agree))
        .route("/totp/begin", post(totp::begin))
        .route("/totp/finish", post(totp::finish))
        .route("/totp/off", post(totp::off))
        .route("/totp/verify", post(totp::verify))
        .route("/totp/unlock", post(totp::unlock))
        .route("/policy", get(policy::show))
        .route("/policy/plan", post(policy::plan))
        .route("/policy/set", post(policy::set))
        .route("/leave", post(membership::leave))
        .route("/code", get(code))
        .route("/code/rotate", post(membership::rotate))
        .route("/recovery", get(recovery::show))
        .route("/recovery/check", get(recovery::check))
        .route("/recovery/new", post(recovery::renew))
        .route("/records/write", post(write))
        .route("/records/get", post(read))
        .route("/records/list", post(list))
        .route("/records/rekey", post(rekey))
        .route("/records/export", post(export::export))
        .route("/records/queue", post(queue))
        .route("/records/queued", get(queued))
        .route("/records/lost", get(lost))
        .route("/records/lost/forget", post(forget_lost))
        .route("/records/queued/get", post(queued_value))
        .route("/records/queued/replace", post(replace_with_queued))
        .route("/records/queued/drop", post(drop_queued))
        .route("/log", get(diary))
        .route("/log/verify", post(verify))
        .route("/credential", post(credential))
        .route("/chain/closing", get(ending::closing))
        .route("/chain/closing/announce", post(ending::announce))
        .route("/chain/closing/end", post(ending::end))
        .route("/chain/veto", post(ending::veto))
        .route("/log/fork", get(forks::show))
        .route("/log/settle", post(forks::settle))
        .route("/relay", get(relay::show))
        .route("/relay/move", post(relay::move_to))
        .route("/events", get(events))
        .layer(DefaultBodyLimit::max(limits::LOCAL_BODY_BYTES))
        .layer(from_fn_with_state(local.clone(), heed_reset))
        .with_state(local)
}

/// No daemon hears of a reset where none runs: then a command that reached the relay asks, and tells. `status` and `veto` do by themselves.
async fn heed_reset(State(local): State<Local>, request: Request, next: Next) -> Response {
    let by_itself = ["/status", "/chain/veto"].contains(&request.uri().path());
    let response = next.run(request).await;
    if local.place == Place::Command && !by_itself {
        local.agent.heed_reset().await;
    }
    response
}

async fn status(State(local): State<Local>) -> Answer<body::Status> {
    let agent = &local.agent;
    let reached = agent.refresh_requests().await;
    // It answers whoever it shuts out, and that is told below.
    let shut_out = reached.as_ref().err().filter(|error| exit::tell(error).exit == Exit::NotAMember);
    let shut_out = shut_out.map(exit::tell);
    let relay_state = match &reached {
        Err(error) if shut_out.is_none() => error.to_string(),
        // By the log it is known that it would give nothing.
        Err(_) if agent.relay().own_address().is_none() => "not asked".to_owned(),
        Err(_) => "it answers, and gives this device nothing".to_owned(),
        _ => "reachable".to_owned(),
    };
    if local.place == Place::Command
        && shut_out.is_none()
        && agent.relay().own_address().is_some()
        && let Err(error) = agent.look_for_reset().await
    {
        tracing::info!("whether a reset stands is not known: {error}");
    }
    let link = match agent.link() {
        Link::NoSession => "no-session".to_owned(),
        Link::Connected => "connected".to_owned(),
        Link::Away { why } => why,
        Link::Stopped { told } => told.message,
    };
    let relay = agent.relay().endpoint().origin().to_owned();
    let daemon = if local.place == Place::Daemon { "running" } else { "not-running" }.to_owned();
    let work = move |core: &mut crate::core::Core| {
        let roster = core.roster();
        let (gone, gone_said_by) = match (core.gone(), shut_out) {
            (Some(gone), _) => (Some(exit::tell(&gone)), Some("log")),
            (None, Some(said)) => (Some(said), Some("relay")),
            (None, None) => (None, None),
        };
        Ok::<_, AgentError>(body::Status {
            chain: roster.chain().to_string(),
            fingerprint: protocol::id::fingerprint(roster.chain().as_bytes()),
            device: core.keys().id().to_string(),
            name: core.bare_name_of(&core.keys().id()),
            role: roster.member(&core.keys().id()).map_or("none", |member| member.role.name()).to_owned(),
            head: roster.head().to_string(),
            seq: roster.seq(),
            epoch: roster.epoch(),
            members: roster.people_count() as u64,
            recovery: core.recovery()?,
            relay,
            relay_state,
            daemon,
            link,
            fork_at: core.fork(),
            closing: core.closing(),
            reset: core.reset()?,
            closed_at: core.closed_at(),
            gone: gone.as_ref().map(|gone| gone.message.clone()),
            gone_code: gone.map(|gone| gone.code),
            gone_said_by: gone_said_by.map(str::to_owned),
            alarm: core.key_alarm().map(|alarm| alarm.to_string()),
            records_aside: core.store().aside_count()?,
            records_lost: core.store().lost_count()?,
            outbox: core.outbox()?,
            requests: core.requests()?,
            approvals: core.proposals(),
            totp: core.totp_view()?,
            prompts_again_at: core.prompts_again_at(clock::now())?,
        })
    };
    Ok(Json(agent.core(work).await??))
}

async fn requests(State(local): State<Local>) -> Answer<Vec<RequestView>> {
    Ok(Json(local.agent.requests().await?))
}

/// When prompts come again, if those of a day are used up.
async fn held(State(local): State<Local>) -> Answer<Option<u64>> {
    Ok(Json(local.agent.core(|core| core.prompts_again_at(clock::now())).await??))
}

async fn open(State(local): State<Local>, Json(named): Json<body::Named>) -> Answer<RequestView> {
    let id = local.agent.find(&named.id).await?;
    Ok(Json(local.agent.open(id).await?))
}

async fn approve(State(local): State<Local>, Json(typed): Json<body::Approve>) -> Answer<ApprovedView> {
    let role = membership::role_of(&typed.role)?;
    let id = local.agent.find(&typed.id).await?;
    Ok(Json(local.agent.approve(id, typed.code, role).await?))
}

async fn admit_unchecked(State(local): State<Local>, Json(named): Json<body::AdmitUnchecked>) -> Answer<ApprovedView> {
    let role = membership::role_of(&named.role)?;
    let id = local.agent.find(&named.id).await?;
    Ok(Json(local.agent.admit_unchecked(id, role).await?))
}

async fn deny(State(local): State<Local>, Json(named): Json<body::DenyRequest>) -> Answer<DecisionView> {
    let id = local.agent.find(&named.id).await?;
    let reason = match named.reason {
        body::Denial::Denied => DenyReason::Denied,
        body::Denial::NotMe => DenyReason::NotMe,
    };
    Ok(Json(local.agent.deny(id, reason, named.block).await?))
}

async fn devices(State(local): State<Local>) -> Answer<Vec<MemberView>> {
    fresh_if_reachable(local.agent.catch_up_log().await)?;
    Ok(Json(local.agent.core(|core| core.members()).await?))
}

async fn code(State(local): State<Local>) -> Secret<body::Code> {
    let relay = local.agent.relay().endpoint().origin().to_owned();
    let caught_up = local.agent.catch_up_log().await;
    let reset = caught_up.as_ref().err().filter(|error| matches!(error, AgentError::Reset { .. }));
    let reset = reset.map(ToString::to_string);
    let shown = move |core: &mut crate::core::Core| {
        core.must_hold_keys()?;
        let closed = core.roster().is_closed().then(|| AgentError::Closed.to_string());
        let (code, over) = (core.keyring().code(), reset.or(closed));
        Ok::<_, AgentError>(body::Code { words: code.words(), payload: code.payload(&relay), relay, over })
    };
    fresh_if_reachable(caught_up)?;
    Ok(Wiped(local.agent.core(shown).await??))
}

async fn write(State(local): State<Local>, Json(write): Json<body::Write>) -> Answer<()> {
    Ok(Json(local.agent.write(draft(write)?).await?))
}

async fn queue(State(local): State<Local>, Json(write): Json<body::Write>) -> Answer<()> {
    Ok(Json(local.agent.queue(draft(write)?).await?))
}

fn draft(write: body::Write) -> Result<Draft, AgentError> {
    let decode = |text: Zeroizing<String>| BASE64.decode(text.as_bytes()).map(Zeroizing::new);
    let value = write
        .value
        .map(decode)
        .transpose()
        .map_err(|_| AgentError::Usage { what: "the value is not base64".to_owned(), hint: String::new() })?;
    Ok(Draft { collection: write.collection, id: write.id, value })
}

async fn queued(State(local): State<Local>) -> Answer<Vec<QueuedView>> {
    Ok(Json(local.agent.core(|core| core.queued()).await??))
}

async fn lost(State(local): State<Local>) -> Answer<Vec<LostView>> {
    Ok(Json(local.agent.core(|core| core.lost()).await??))
}

async fn forget_lost(State(local): State<Local>) -> Answer<usize> {
    Ok(Json(local.agent.core(|core| core.store().forget_lost()).await??))
}

async fn queued_value(State(local): State<Local>, Json(item): Json<body::Item>) -> Secret<body::QueuedValue> {
    let value = local.agent.core(move |core| core.queued_value(&item.collection, &item.id)).await??;
    Ok(Wiped(body::QueuedValue { value: value.map(|value| Zeroizing::new(BASE64.encode(&value))) }))
}

async fn replace_with_queued(State(local): State<Local>, Json(item): Json<body::Item>) -> Answer<()> {
    Ok(Json(local.agent.replace_with_queued(item.collection, item.id).await?))
}

async fn drop_queued(State(local): State<Local>, Json(item): Json<body::Item>) -> Answer<()> {
    Ok(Json(local.agent.core(move |core| core.drop_queued(&item.collection, &item.id)).await??))
}

async fn read(State(local): State<Local>, Json(item): Json<body::Item>) -> Answer<ItemView> {
    fresh_if_reachable(local.agent.catch_up().await)?;
    Ok(Json(local.agent.item(item.collection, item.id).await?))
}

async fn list(State(local): State<Local>, Json(wanted): Json<body::Collection>) -> Answer<Vec<ItemView>> {
    fresh_if_reachable(local.agent.catch_up().await)?;
    Ok(Json(local.agent.core(move |core| core.items(wanted.collection.as_deref())).await??))
}

async fn rekey(State(local): State<Local>, Json(from): Json<body::Rekey>) -> Answer<RekeyView> {
    Ok(Json(local.agent.rekey(from.after).await?))
}

async fn diary(State(local): State<Local>) -> Answer<Vec<StepView>> {
    fresh_if_reachable(local.agent.catch_up_log().await)?;
    Ok(Json(local.agent.core(|core| core.diary()).await??))
}

async fn verify(State(local): State<Local>) -> Answer<body::VerifiedCounts> {
    if local.agent.core(|core| core.fork()).await?.is_some() {
        return Err(AgentError::Forked.into());
    }
    fresh_if_reachable(local.agent.catch_up().await)?;
    let work = |core: &mut crate::core::Core| {
        let (entries, records) = core.verify_all()?;
        Ok::<_, AgentError>(body::VerifiedCounts { entries, records, head: core.roster().head().to_string() })
    };
    Ok(Json(local.agent.core(work).await??))
}

/// Whatever is wrong between this device and its relay, what the log says can be shown to others.
async fn credential(State(local): State<Local>, Json(of): Json<body::CredentialOf>) -> Answer<body::Credential> {
    let not_caught_up = local.agent.catch_up_log().await.err().map(|error| error.to_string());
    let work = move |core: &mut crate::core::Core| {
        let (device, credential) = core.credential(of.device.as_deref())?;
        let roster = core.roster();
        Ok::<_, AgentError>(body::Credential {
            device: device.to_string(),
            chain: roster.chain().to_string(),
            head: roster.head().to_string(),
            seq: roster.seq(),
            not_caught_up,
            credential: BASE64.encode(&credential.to_bytes()),
        })
    };
    Ok(Json(local.agent.core(work).await??))
}

/// What is kept here can be shown while the relay is away, and while the log is forked.
fn fresh_if_reachable(caught_up: Result<(), AgentError>) -> Result<(), AgentError> {
    match caught_up {
        Err(
            error @ (AgentError::Unreachable { .. }
            | AgentError::Fork { .. }
            | AgentError::Forked
            | AgentError::Reset { .. }
            | AgentError::AsideFull),
        ) => {
            tracing::warn!("{error}; this is what this device has");
            Ok(())
        }
        other => other,
    }
}

/// The open requests, then everything that happens, as JSON lines.
async fn events(State(local): State<Local>) -> Result<Response, Failed> {
    let receiver = local.agent.listen();
    let open = local.agent.core(|core| core.requests()).await??;
    let snapshot: Vec<Event> =
        open.into_iter().map(|request| Event::Requested { request: Box::new(request) }).collect();
    let lines = stream::unfold((snapshot.into_iter(), receiver), |(mut snapshot, mut receiver)| async move {
        let event = match snapshot.next() {
            Some(event) => event,
            None => next_event(&mut receiver).await?,
        };
        let line = serde_json::to_string(&event).map(|line| line + "\n");
        Some((line, (snapshot, receiver)))
    });
    Ok(Body::from_stream(lines).into_response())
}

/// A listener that was too slow goes on with what comes next: it reads the state anew when it acts.
async fn next_event(receiver: &mut broadcast::Receiver<Event>) -> Option<Event> {
    loop {
        match receiver.recv().await {
            Ok(event) => return Some(event),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!("a listener was too slow, and missed {missed} events")
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}
