//! The current items, line by line: however many there are, few of them are in memory.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;

use super::{Failed, Local, body};
use crate::agent::Agent;
use crate::core::view::Freshness;
use crate::error::AgentError;
use crate::told::Exit;
use crate::{exit, limits};

/// The header, then every item that was current when it was read.
pub(super) async fn export(
    State(local): State<Local>,
    Json(wanted): Json<body::Collection>,
) -> Result<Response, Failed> {
    let agent = local.agent;
    // Whatever is wrong between this device and its relay, what is here can be taken out.
    let relay = match agent.catch_up().await {
        Ok(()) => Freshness::CaughtUp,
        Err(error) => {
            tracing::info!(%error, "exporting what this device has");
            match exit::tell(&error).exit {
                Exit::Unreachable => Freshness::NotReached,
                _ => Freshness::Refused,
            }
        }
    };
    let collection = wanted.collection.clone();
    let begin = move |core: &mut crate::core::Core| {
        Ok::<_, AgentError>((core.export_header(relay), core.export_places(collection.as_deref())?))
    };
    let (header, places) = agent.core(begin).await??;
    let lines = Lines { agent, collection: wanted.collection, places: places.into() };
    let lines = stream::unfold((Some(line(&header)?), lines), |(first, lines)| async move {
        match first {
            Some(first) => Some((Ok(first), (None, lines))),
            None => lines.next().await.map(|(page, lines)| (page, (None, lines))),
        }
    });
    Ok(Body::from_stream(lines).into_response())
}

struct Lines {
    agent: Agent,
    collection: Option<String>,
    places: std::collections::VecDeque<u64>,
}

impl Lines {
    /// The next lines. A failure of the store ends the stream as a failure, so that nobody takes half for the whole.
    async fn next(mut self) -> Option<(Result<Vec<u8>, AgentError>, Self)> {
        if self.places.is_empty() {
            return None;
        }
        let page: Vec<u64> = self.places.drain(..self.places.len().min(limits::EXPORT_PAGE)).collect();
        let collection = self.collection.clone();
        let work = move |core: &mut crate::core::Core| {
            let mut bytes = Vec::new();
            for place in page {
                if let Some(item) = core.exported(place, collection.as_deref())? {
                    bytes.extend(line(&item)?);
                }
            }
            Ok(bytes)
        };
        let bytes = self.agent.core(work).await.and_then(|done| done);
        Some((bytes, self))
    }
}

fn line(value: &impl Serialize) -> Result<Vec<u8>, AgentError> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| AgentError::Task { what: error.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}
