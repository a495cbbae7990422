//! One WebSocket to the relay: the handshake of challenge and Connect, then messages.

use futures_util::{SinkExt as _, StreamExt as _};
use http::header;
use protocol::connect::{Connect, Cursor, Standing};
use protocol::id::Random;
use protocol::keys::DeviceKeys;
use protocol::signed::Verified;
use protocol::wire::{Ack, FromDevice, ResetStanding, ToDevice, close};
use protocol::{ChainId, Hash, RequestId, SUBPROTOCOL, limits as bounds};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::dial::{Endpoint, Stream};
use crate::error::AgentError;
use crate::{clock, limits};

/// What the ping carries whose answer ends what the relay tells by itself.
const TOLD: &[u8] = b"told";

/// As what a device connects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Identity {
    /// A member, where it stands.
    Member {
        /// Its chain.
        chain: ChainId,
        /// Its pinned head.
        head: Hash,
        /// Its place in the feed.
        cursor: Option<Cursor>,
    },
    /// The joiner of a request.
    Joiner {
        /// The request.
        request: RequestId,
    },
}

/// An open, proven socket.
pub(crate) struct Socket {
    inner: WebSocketStream<Box<dyn Stream>>,
    endpoint: Endpoint,
    /// When anything came last.
    heard: Instant,
    /// When a sign of life was asked for last, or came.
    asked: Instant,
}

impl Socket {
    /// Upgrades a dialled stream and answers the relay's challenge.
    pub(super) async fn open(
        endpoint: &Endpoint,
        stream: Box<dyn Stream>,
        keys: &DeviceKeys,
        identity: Identity,
    ) -> Result<Self, AgentError> {
        let garbled = |error: &dyn std::fmt::Display| AgentError::Garbled { what: error.to_string() };
        let mut request = endpoint.socket_url("/v1/socket").into_client_request().map_err(|error| garbled(&error))?;
        let subprotocol = header::HeaderValue::from_static(SUBPROTOCOL);
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        let config = WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0)
            .max_write_buffer_size(bounds::FRAME_FROM_DEVICE_BYTES_MAX * 4)
            .max_message_size(Some(bounds::FRAME_TO_DEVICE_BYTES_MAX))
            .max_frame_size(Some(bounds::FRAME_TO_DEVICE_BYTES_MAX));
        let upgraded = timeout(limits::CONNECT_WAIT, client_async_with_config(request, stream, Some(config))).await;
        let (inner, _) = upgraded
            .map_err(|_| endpoint.unreachable("the socket was not opened in time"))?
            .map_err(|error| refused_upgrade(endpoint, &error))?;
        let now = clock::instant().into();
        let mut socket = Self { inner, endpoint: endpoint.clone(), heard: now, asked: now };
        socket.prove(keys, identity).await?;
        Ok(socket)
    }

    async fn prove(&mut self, keys: &DeviceKeys, identity: Identity) -> Result<(), AgentError> {
        let first = timeout(limits::CONNECT_WAIT, self.next()).await;
        let challenge = match first.map_err(|_| self.endpoint.unreachable("the relay sent no challenge"))?? {
            ToDevice::Challenge(challenge) => challenge,
            _ => return Err(AgentError::Garbled { what: "the socket did not begin with a challenge".to_owned() }),
        };
        let (standing, chain, head, cursor, request) = match identity {
            Identity::Member { chain, head, cursor } => (Standing::Member, Some(chain), Some(head), cursor, None),
            Identity::Joiner { request } => (Standing::Joiner, None, None, None, Some(request)),
        };
        let connect = Connect {
            version: protocol::VERSION,
            offered: vec![SUBPROTOCOL.to_owned()],
            origin: self.endpoint.origin().to_owned(),
            relay_nonce: challenge.nonce,
            own_nonce: Random::draw(&mut rand_core::UnwrapErr(getrandom::SysRng)),
            chain,
            device: keys.id(),
            standing,
            request,
            head,
            cursor,
        };
        let connect = Verified::sign(connect, &keys.signing, &[]).map_err(AgentError::OwnForm)?;
        self.send(Message::binary(connect.bytes().to_vec())).await
    }

    /// The next message. The socket is given up after [`limits::SOCKET_SILENCE`]; a third of it before, the relay is pinged.
    ///
    /// It may be cancelled: a message that was not returned is still there, and silence is counted on by the next call.
    pub(crate) async fn next(&mut self) -> Result<ToDevice, AgentError> {
        loop {
            let silence = limits::SOCKET_SILENCE;
            let Ok(message) = timeout_at(self.asked + silence / 3, self.inner.next()).await else {
                if self.heard.elapsed() > silence {
                    return Err(self.endpoint.unreachable("it fell silent"));
                }
                self.asked = clock::instant().into();
                self.send(Message::Ping(bytes::Bytes::new())).await?;
                continue;
            };
            self.heard = clock::instant().into();
            self.asked = self.heard;
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    return ToDevice::from_bytes(&bytes)
                        .map_err(|error| AgentError::Garbled { what: error.to_string() });
                }
                Some(Ok(Message::Close(frame))) => return Err(self.closed(frame.as_ref())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.endpoint.unreachable(error.to_string())),
                None => return Err(self.endpoint.unreachable("it closed the socket")),
            }
        }
    }

    /// The reset that stands, if the relay tells of one before it answers a ping: that comes after what it tells by itself at the beginning.
    pub(crate) async fn reset_told(&mut self) -> Result<Option<ResetStanding>, AgentError> {
        self.send(Message::Ping(bytes::Bytes::from_static(TOLD))).await?;
        loop {
            match self.inner.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    let garbled = |error: protocol::FormError| AgentError::Garbled { what: error.to_string() };
                    if let ToDevice::Reset(standing) = ToDevice::from_bytes(&bytes).map_err(garbled)? {
                        return Ok(Some(standing));
                    }
                }
                Some(Ok(Message::Pong(payload))) if *payload == *TOLD => return Ok(None),
                Some(Ok(Message::Close(frame))) => return Err(self.closed(frame.as_ref())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.endpoint.unreachable(error.to_string())),
                None => return Err(self.endpoint.unreachable("it closed the socket")),
            }
        }
    }

    /// Says how far this device has stored what it was sent.
    pub(crate) async fn acknowledge(&mut self, ack: Ack) -> Result<(), AgentError> {
        self.send(Message::binary(FromDevice::Ack(ack).to_bytes())).await
    }

    /// Says goodbye. The relay need not hear it.
    pub(crate) async fn close(mut self) {
        let _ = timeout(std::time::Duration::from_secs(1), self.inner.close(None)).await;
    }

    async fn send(&mut self, message: Message) -> Result<(), AgentError> {
        match timeout(limits::EXCHANGE_WAIT, self.inner.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.endpoint.unreachable(error.to_string())),
            Err(_) => Err(self.endpoint.unreachable("it does not read")),
        }
    }

    fn closed(&self, frame: Option<&CloseFrame>) -> AgentError {
        let code = frame.map_or(1005, |frame| u16::from(frame.code));
        match code {
            close::NOT_A_MEMBER => AgentError::Problem {
                status: 403,
                code: "not-a-member".to_owned(),
                detail: "it closed the socket: this device is not a member".to_owned(),
            },
            // The form comes with the answer to the next read.
            close::RESET => AgentError::WasReset { form: Vec::new() },
            close::REFUSED => AgentError::Problem {
                status: 401,
                code: "connect-refused".to_owned(),
                detail: format!(
                    "it refused the signed Connect; if it does not know itself by {}, its operator must add that to \
                     public_origins (countersign doctor says whether)",
                    self.endpoint.origin()
                ),
            },
            _ => self.endpoint.unreachable(format!("it closed the socket ({code})")),
        }
    }
}

fn refused_upgrade(endpoint: &Endpoint, error: &WsError) -> AgentError {
    match error {
        WsError::Http(answer) if answer.status().is_client_error() => AgentError::Problem {
            status: answer.status().as_u16(),
            code: format!("status-{}", answer.status().as_u16()),
            detail: "it does not open the socket".to_owned(),
        },
        error => endpoint.unreachable(error.to_string()),
    }
}
