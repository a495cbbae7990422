//! The policy, for every caller.

use axum::Json;
use axum::extract::State;

use super::{Answer, Local, body, fresh_if_reachable};
use crate::core::PolicyWish;
use crate::core::view::{OutcomeView, PolicyPlanView, PolicyView};

pub(super) async fn show(State(local): State<Local>) -> Answer<PolicyView> {
    fresh_if_reachable(local.agent.catch_up_log().await)?;
    Ok(Json(local.agent.policy().await?))
}

pub(super) async fn plan(State(local): State<Local>, Json(wish): Json<PolicyWish>) -> Answer<PolicyPlanView> {
    Ok(Json(local.agent.policy_plan(wish).await?))
}

pub(super) async fn set(State(local): State<Local>, Json(order): Json<body::PolicyOrdered>) -> Answer<OutcomeView> {
    Ok(Json(local.agent.set_policy(order.wish, order.base).await?))
}
