//! How a command reaches the agent: over the daemon's socket if one runs, else the lock is taken and the router called here.

use std::net::IpAddr;
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use bytes::BytesMut;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt as _;

use crate::agent::Agent;
use crate::core::Core;
use crate::core::view::Event;
use crate::dial::{Endpoint, Plaintext};
use crate::error::AgentError;
use crate::home::{Home, Lock};
use crate::local::{self, Place};
use crate::relay_client::RelayClient;
use crate::store::Setting;
use crate::told::Told;
use crate::{clock, limits, session};

/// Bytes of one answer: a list of items may be long.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of one line, and of what came with it: a record of the largest size in base64.
const LINE_BYTES: usize = 1024 * 1024;

/// A way to the agent.
pub(crate) enum Door {
    /// A daemon's socket.
    Daemon(PathBuf),
    /// The router in this process.
    Here(Box<Here>),
}

/// The agent in this process.
pub(crate) struct Here {
    router: Router,
    _session: Option<AbortOnDropHandle<()>>,
    _lock: Option<Lock>,
}

/// Whether a command needs pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// It asks and is done.
    NotNeeded,
    /// It waits for something to happen.
    Needed,
}

impl Door {
    /// Opens the door of a home.
    pub(crate) async fn open(home: &Home, source: Option<IpAddr>, session: Session) -> Result<Self, AgentError> {
        let begun = clock::instant();
        loop {
            if let Some(door) = Self::of_daemon(home).await {
                return Ok(door);
            }
            match home.try_lock()? {
                Some(lock) => {
                    let agent = agent_of(home, source)?;
                    let kept = (session == Session::Needed).then(|| start_session(&agent));
                    let router = local::router(agent.clone(), Place::Command);
                    return Ok(Self::Here(Box::new(Here { router, _session: kept, _lock: Some(lock) })));
                }
                None if clock::instant().duration_since(begun) > limits::LOCK_WAIT => {
                    return Err(AgentError::Locked { home: home.dir().to_owned() });
                }
                None => tokio::time::sleep(limits::LOCK_POLL).await,
            }
        }
    }

    /// The door of the daemon, if one runs.
    pub(crate) async fn of_daemon(home: &Home) -> Option<Self> {
        for path in home.sockets() {
            if UnixStream::connect(&path).await.is_ok() {
                return Some(Self::Daemon(path));
            }
        }
        None
    }

    /// The door of an agent that runs in this process already.
    pub(crate) fn within(agent: &Agent, place: Place) -> Self {
        let router = local::router(agent.clone(), place);
        Self::Here(Box::new(Here { router, _session: None, _lock: None }))
    }

    /// Reads.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AgentError> {
        self.answer(Method::GET, path, Body::empty()).await
    }

    /// Does.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, AgentError> {
        self.answer(Method::POST, path, wiped(body)?).await
    }

    /// Listens: the open requests first, then everything that happens.
    pub(crate) async fn events(&self) -> Result<Events, AgentError> {
        Ok(Events { lines: self.lines(Method::GET, "/events", Body::empty()).await? })
    }

    /// Reads what is told line by line.
    pub(crate) async fn post_for_lines(&self, path: &str, body: &impl Serialize) -> Result<Lines, AgentError> {
        self.lines(Method::POST, path, wiped(body)?).await
    }

    async fn lines(&self, method: Method, path: &str, body: Body) -> Result<Lines, AgentError> {
        let (response, driver) = self.send(method, path, body).await?;
        if response.status().is_success() {
            return Ok(Lines { body: response.into_body(), buffer: BytesMut::new(), _driver: driver });
        }
        Err(failure(response).await)
    }

    async fn answer<T: DeserializeOwned>(&self, method: Method, path: &str, body: Body) -> Result<T, AgentError> {
        let broken = |what: &dyn std::fmt::Display| AgentError::Daemon { what: what.to_string() };
        let (response, _driver) = self.send(method, path, body).await?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), ANSWER_BYTES).collect().await.map_err(|error| broken(&error))?;
        let bytes = bytes.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| broken(&error));
        }
        Err(told(&bytes, status))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<(Response<Body>, Option<AbortOnDropHandle<()>>), AgentError> {
        let broken = |what: &dyn std::fmt::Display| AgentError::Daemon { what: what.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "countersign")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| broken(&error))?;
        match self {
            Self::Here(here) => {
                let response = here.router.clone().oneshot(request).await.map_err(|error| broken(&error))?;
                Ok((response, None))
            }
            Self::Daemon(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(|error| broken(&error))?;
                let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| broken(&error))?;
                let driver = AbortOnDropHandle::new(tokio::spawn(async move {
                    let _ = connection.await;
                }));
                let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
                Ok((response.map(Body::new), Some(driver)))
            }
        }
    }
}

/// It may hold words or a code.
fn wiped(body: &impl Serialize) -> Result<Body, AgentError> {
    local::wiped::body(body).map_err(|error| AgentError::Task { what: error.to_string() })
}

async fn failure(response: Response<Body>) -> AgentError {
    let status = response.status();
    match Limited::new(response.into_body(), ANSWER_BYTES).collect().await {
        Ok(bytes) => told(&bytes.to_bytes(), status),
        Err(error) => AgentError::Daemon { what: error.to_string() },
    }
}

fn told(bytes: &[u8], status: StatusCode) -> AgentError {
    match serde_json::from_slice::<Told>(bytes) {
        Ok(told) => AgentError::Told(told),
        Err(_) => AgentError::Daemon { what: status.to_string() },
    }
}

/// What the agent tells, line by line.
pub(crate) struct Lines {
    body: Body,
    buffer: BytesMut,
    _driver: Option<AbortOnDropHandle<()>>,
}

impl Lines {
    /// The next line with its end; nothing after the last. It may be cancelled.
    pub(crate) async fn next(&mut self) -> Result<Option<BytesMut>, AgentError> {
        let broken = |what: &dyn std::fmt::Display| AgentError::Daemon { what: what.to_string() };
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.buffer.split_to(end + 1)));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() {
                if self.buffer.len() + data.len() > LINE_BYTES {
                    return Err(broken(&"a line of it is too long"));
                }
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// What happens, one event after the other.
pub(crate) struct Events {
    lines: Lines,
}

impl Events {
    /// The next event; nothing once the daemon is gone. It may be cancelled.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            match serde_json::from_slice(&self.lines.next().await.ok()??) {
                Ok(event) => return Some(event),
                // A later daemon may tell more than this command knows.
                Err(error) => tracing::debug!(%error, "an event is passed over"),
            }
        }
    }
}

/// The member that lives in a home. The caller holds its lock.
pub(crate) fn agent_of(home: &Home, source: Option<IpAddr>) -> Result<Agent, AgentError> {
    let core = Core::open(home)?;
    let missing = AgentError::Damaged { what: "it names no relay" };
    let url = core.store().text_setting(Setting::Relay)?.ok_or(missing)?;
    let ca = core.store().setting(Setting::RelayCa)?;
    // Whether plain text over a network is accepted was asked when the address was first given.
    let endpoint = Endpoint::parse(&url, ca.as_deref(), source, Plaintext::Accepted)?;
    Ok(Agent::new(core, RelayClient::new(endpoint)))
}

/// A session in the background; it ends with its handle.
pub(crate) fn start_session(agent: &Agent) -> AbortOnDropHandle<()> {
    let agent = agent.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        session::keep(agent).await;
    }))
}
