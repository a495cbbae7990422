//! What approvers agree to together, for every caller.

use axum::Json;
use axum::extract::State;

use super::{Answer, Local, body};
use crate::agent::Agreement;
use crate::core::view::{OutcomeView, ProposalView};
use crate::error::AgentError;
use crate::text;

pub(super) async fn list(State(local): State<Local>) -> Answer<Vec<ProposalView>> {
    Ok(Json(local.agent.proposals().await?))
}

pub(super) async fn find(State(local): State<Local>, Json(named): Json<body::Named>) -> Answer<ProposalView> {
    Ok(Json(local.agent.proposal(named.id).await?))
}

pub(super) async fn agree(State(local): State<Local>, Json(agreed): Json<body::Agreed>) -> Answer<OutcomeView> {
    let body::Agreed { id, reason, accepted } = agreed;
    let no_reason = |()| AgentError::Usage {
        what: format!("{} is no reason for a removal", text::quote(&reason)),
        hint: String::new(),
    };
    let reason = reason.parse().map_err(no_reason)?;
    Ok(Json(local.agent.agree(Agreement { id, reason, accepted }).await?))
}
