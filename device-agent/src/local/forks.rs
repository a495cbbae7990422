//! A fork and its end, for every caller.

use axum::Json;
use axum::extract::State;

use super::{Answer, Local, body};
use crate::core::view::{ForkView, OutcomeView};

pub(super) async fn show(State(local): State<Local>) -> Answer<ForkView> {
    Ok(Json(local.agent.fork().await?))
}

pub(super) async fn settle(State(local): State<Local>, Json(order): Json<body::SettleOrdered>) -> Answer<OutcomeView> {
    Ok(Json(local.agent.settle(order.keep).await?))
}
