//! The end of the chain, for every caller.

use axum::Json;
use axum::extract::State;

use super::{Answer, Local, body};
use crate::core::view::{ChangeView, ClosingView, OutcomeView};

pub(super) async fn closing(State(local): State<Local>) -> Answer<Option<ClosingView>> {
    Ok(Json(local.agent.closing().await?))
}

pub(super) async fn announce(State(local): State<Local>) -> Answer<OutcomeView> {
    Ok(Json(local.agent.announce_end().await?))
}

pub(super) async fn end(State(local): State<Local>, Json(order): Json<body::EndOrdered>) -> Answer<ChangeView> {
    Ok(Json(local.agent.end(order.closing).await?))
}

pub(super) async fn veto(State(local): State<Local>, Json(order): Json<body::VetoOrdered>) -> Answer<ChangeView> {
    Ok(Json(local.agent.veto(order.id).await?))
}
