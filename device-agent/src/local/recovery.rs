//! The recovery device, for every caller.

use axum::Json;
use axum::extract::State;
use protocol::code::RecoveryCode;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Answer, Local, fresh_if_reachable};
use crate::core::RecoveryView;
use crate::error::AgentError;

/// The chain's recovery device.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recovery {
    /// Verified: fingerprint of the chain.
    pub(crate) fingerprint: String,
    /// The device, if there is one.
    pub(crate) recovery: Option<RecoveryView>,
}

/// Words that are on paper, to be put in the place of the ones before.
#[derive(Serialize, Deserialize)]
pub(crate) struct NewWords {
    /// The 24 words.
    pub(crate) words: Zeroizing<String>,
}

pub(super) async fn show(State(local): State<Local>) -> Answer<Recovery> {
    fresh_if_reachable(local.agent.catch_up_log().await)?;
    view(&local).await
}

async fn view(local: &Local) -> Answer<Recovery> {
    let shown = |core: &mut crate::core::Core| {
        Ok::<_, AgentError>(Recovery {
            fingerprint: protocol::id::fingerprint(core.roster().chain().as_bytes()),
            recovery: core.recovery()?,
        })
    };
    Ok(Json(local.agent.core(shown).await??))
}

/// Refuses what could not be done, before a person writes anything down.
pub(super) async fn check(State(local): State<Local>) -> Answer<Recovery> {
    local.agent.catch_up_log().await?;
    local.agent.core(|core| core.may_replace_recovery()).await??;
    view(&local).await
}

pub(super) async fn renew(State(local): State<Local>, Json(new): Json<NewWords>) -> Answer<RecoveryView> {
    let code = RecoveryCode::from_words(&new.words)
        .map_err(|error| AgentError::Usage { what: error.to_string(), hint: String::new() })?;
    Ok(Json(local.agent.replace_recovery(code).await?))
}
