//! One-time codes, for every caller.

use axum::Json;
use axum::extract::State;
use protocol::policy::TotpMode;

use super::wiped::Wiped;
use super::{Answer, Local, Secret, body};
use crate::core::view::{CodeView, NewSecretView, OutcomeView};
use crate::error::AgentError;
use crate::text;

pub(super) async fn begin(State(local): State<Local>, Json(wish): Json<body::SecretWish>) -> Secret<NewSecretView> {
    Ok(Wiped(local.agent.new_secret(read_mode(&wish.mode)?).await?))
}

fn read_mode(mode: &str) -> Result<TotpMode, AgentError> {
    let no_mode = |()| AgentError::Usage { what: format!("{} is no mode", text::quote(mode)), hint: String::new() };
    mode.parse().map_err(no_mode)
}

pub(super) async fn finish(State(local): State<Local>, Json(typed): Json<body::NewSecret>) -> Answer<OutcomeView> {
    let body::NewSecret { secret, code, mode } = typed;
    Ok(Json(local.agent.set_secret(secret, code, read_mode(&mode)?).await?))
}

pub(super) async fn off(State(local): State<Local>) -> Answer<OutcomeView> {
    Ok(Json(local.agent.end_secret().await?))
}

pub(super) async fn verify(State(local): State<Local>, Json(typed): Json<body::OneTimeCode>) -> Answer<CodeView> {
    Ok(Json(local.agent.core(move |core| core.verify_code(&typed.code)).await??))
}

pub(super) async fn unlock(State(local): State<Local>) -> Answer<()> {
    Ok(Json(local.agent.core(|core| core.store().unlock_codes()).await??))
}
