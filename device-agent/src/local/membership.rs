//! Removing, roles and leaving, for every caller.

use axum::Json;
use axum::extract::State;
use protocol::DeviceId;
use protocol::policy::Role;

use super::{Answer, Local, body};
use crate::core::RemovalOrder;
use crate::core::view::{ChangeView, OutcomeView, RemovalView};
use crate::error::AgentError;

pub(super) async fn removal(State(local): State<Local>, Json(asked): Json<body::RemovalAsked>) -> Answer<RemovalView> {
    Ok(Json(local.agent.removal(asked.devices, asked.from).await?))
}

pub(super) async fn remove(State(local): State<Local>, Json(order): Json<body::RemovalOrdered>) -> Answer<OutcomeView> {
    let read = |ids: Vec<String>| ids.iter().map(|id| id_of(id)).collect::<Result<Vec<DeviceId>, _>>();
    let (devices, keep) = (read(order.devices)?, read(order.keep)?);
    let reason = order.reason.parse().map_err(|()| usage("no reason for a removal", &order.reason))?;
    let from = match order.from {
        None => None,
        Some(text) => {
            let devices = devices.clone();
            Some(local.agent.core(move |core| core.read_from(&text, &devices)).await??)
        }
    };
    Ok(Json(local.agent.remove(RemovalOrder { devices, keep, reason, from }).await?))
}

pub(super) async fn role(State(local): State<Local>, Json(asked): Json<body::RoleAsked>) -> Answer<OutcomeView> {
    Ok(Json(local.agent.change_role(asked.device, role_of(&asked.role)?).await?))
}

pub(super) async fn leave(State(local): State<Local>) -> Answer<ChangeView> {
    Ok(Json(local.agent.leave().await?))
}

pub(super) async fn rotate(State(local): State<Local>) -> Answer<ChangeView> {
    Ok(Json(local.agent.rotate().await?))
}

/// A role by its name.
pub(super) fn role_of(text: &str) -> Result<Role, AgentError> {
    text.parse().map_err(|()| usage("no role", text))
}

fn id_of(text: &str) -> Result<DeviceId, AgentError> {
    text.parse().map_err(|_| usage("no id of a device", text))
}

fn usage(what: &str, text: &str) -> AgentError {
    AgentError::Usage { what: format!("{} is {what}", crate::text::quote(text)), hint: String::new() }
}
