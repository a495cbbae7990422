//! The relay of this device, and the move to another.

use axum::Json;
use axum::extract::State;

use super::{Answer, Local, body};
use crate::agent::Destination;
use crate::core::view::{MovedView, RelayView};
use crate::dial::{Endpoint, Plaintext};
use crate::error::AgentError;
use crate::store::Setting;

pub(super) async fn show(State(local): State<Local>) -> Answer<RelayView> {
    let agent = &local.agent;
    let state = match agent.catch_up_log().await {
        Ok(()) => "reachable".to_owned(),
        Err(error) => error.to_string(),
    };
    let client = agent.relay();
    let endpoint = client.endpoint().clone();
    let work = move |core: &mut crate::core::Core| {
        let authority = if core.store().setting(Setting::RelayCa)?.is_some() { "own" } else { "system" };
        Ok::<_, AgentError>(RelayView {
            relay: endpoint.origin().to_owned(),
            state,
            transport: if endpoint.is_encrypted() { "tls" } else { "plain" }.to_owned(),
            authority: endpoint.is_encrypted().then(|| authority.to_owned()),
            proxy: endpoint.proxy().map(str::to_owned),
            seq: core.roster().seq(),
            head: core.roster().head().to_string(),
        })
    };
    Ok(Json(agent.core(work).await??))
}

pub(super) async fn move_to(State(local): State<Local>, Json(asked): Json<body::MoveAsked>) -> Answer<MovedView> {
    let ca = asked.ca.map(String::into_bytes);
    let plaintext = if asked.plaintext { Plaintext::Accepted } else { Plaintext::LoopbackOnly };
    let source = local.agent.relay().endpoint().source();
    let endpoint = Endpoint::parse(&asked.relay, ca.as_deref(), source, plaintext)?;
    Ok(Json(local.agent.move_to(Destination { endpoint, ca }).await?))
}
