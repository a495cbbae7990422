//! A relay that lies: it stands between devices and a real relay, and changes what passes in either direction.
//!
//! Devices dial it as their relay, whose `public_origins` name it. It takes CBOR apart and puts it together again, so a lie is
//! written in the words of the protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use protocol::SUBPROTOCOL;
use protocol::wire::ToDevice;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::http::{Answer, Caller};
use crate::relay::{Relay, Setup};
use crate::wait;

/// What becomes of a request to the relay.
#[derive(Debug)]
pub enum Passed {
    /// It goes on, with this body.
    On(Vec<u8>),
    /// It is swallowed, and answered like this.
    Swallowed(Answer),
}

/// Whether a request arrives, and its answer comes back.
#[derive(Debug)]
pub enum Fate {
    /// Both.
    Arrives,
    /// Nothing of it: it hangs until it is released, and then the connection breaks.
    LostOnTheWay(Arc<Notify>),
    /// It arrives and is done; its answer hangs until it is released, and then the connection breaks.
    LostOnTheWayBack(Arc<Notify>),
}

/// What a relay lies about. Everything not overridden passes unchanged.
pub trait Lie: Send + Sync + 'static {
    /// What becomes of a request, before anything else is asked about it.
    fn fate(&self, path: &str) -> Fate {
        let _ = path;
        Fate::Arrives
    }

    /// A request on its way to the relay.
    fn request(&self, method: &Method, path: &str, body: Vec<u8>) -> Passed {
        let _ = (method, path);
        Passed::On(body)
    }

    /// A request whose answer is lost was done.
    fn arrived(&self) {}

    /// An answer on its way to the device.
    fn answer(&self, path: &str, answer: Answer) -> Answer {
        let _ = path;
        answer
    }

    /// A push on its way to the device: what it becomes, which may be nothing, or several.
    fn push(&self, message: ToDevice) -> Vec<ToDevice> {
        vec![message]
    }
}

/// A lie that a test keeps a hand on.
impl<L: Lie> Lie for Arc<L> {
    fn fate(&self, path: &str) -> Fate {
        L::fate(self, path)
    }

    fn arrived(&self) {
        L::arrived(self);
    }

    fn request(&self, method: &Method, path: &str, body: Vec<u8>) -> Passed {
        L::request(self, method, path, body)
    }

    fn answer(&self, path: &str, answer: Answer) -> Answer {
        L::answer(self, path, answer)
    }

    fn push(&self, message: ToDevice) -> Vec<ToDevice> {
        L::push(self, message)
    }
}

/// No lie at all: the proxy itself must not disturb.
#[derive(Debug)]
pub struct Honest;

impl Lie for Honest {}

/// A lying relay in front of a real one.
#[derive(Debug)]
pub struct Liar {
    /// The real relay.
    pub relay: Relay,
    address: SocketAddr,
    _accepting: wait::Task,
}

/// A success with a CBOR body, as the relay would answer.
#[must_use]
pub fn answered(status: StatusCode, body: Vec<u8>) -> Answer {
    let mut headers = ::http::HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, ::http::HeaderValue::from_static("application/cbor"));
    Answer { status, headers, body: Bytes::from(body) }
}

/// A refusal with status 409, as the relay would answer.
#[must_use]
pub fn conflict(code: &str) -> Answer {
    let problem = serde_json::json!({
        "type": format!("urn:countersign:problem:{code}"), "title": "Conflict", "status": 409, "code": code,
        "detail": "refused", "index": 0,
    });
    let mut refused = answered(StatusCode::CONFLICT, problem.to_string().into_bytes());
    refused.headers.insert(header::CONTENT_TYPE, ::http::HeaderValue::from_static("application/problem+json"));
    refused
}

impl Liar {
    /// Starts a relay and a lie in front of it.
    #[must_use]
    pub fn start(lie: impl Lie) -> Self {
        let listener = wait::run("binding", TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("its address");
        let origin = format!("http://{address}");
        let relay = Setup::default().known_as(&[&origin]).start();
        let (lie, to): (Arc<dyn Lie>, _) = (Arc::new(lie), relay.address());
        let accepting = wait::task(accept(listener, to, lie));
        Self { relay, address, _accepting: accepting }
    }

    /// The origin that devices dial.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, lie: Arc<dyn Lie>) {
    // Connections end with the proxy: the set aborts what is left when it is dropped.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let lie = Arc::clone(&lie);
        connections.spawn(async move {
            let sockets = Arc::new(tokio::sync::Mutex::new(tokio::task::JoinSet::new()));
            let service = service_fn(|request| serve(request, to, Arc::clone(&lie), Arc::clone(&sockets)));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let _ = connection.await;
            let mut sockets = sockets.lock().await;
            while sockets.join_next().await.is_some() {}
        });
    }
}

type Sockets = Arc<tokio::sync::Mutex<tokio::task::JoinSet<()>>>;
type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn serve(
    request: Request<Incoming>,
    to: SocketAddr,
    lie: Arc<dyn Lie>,
    sockets: Sockets,
) -> Result<Response<Full<Bytes>>, Failed> {
    if request.headers().contains_key(header::UPGRADE) {
        return upgrade(request, to, lie, sockets).await;
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes().to_vec();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let fate = lie.fate(&path);
    if let Fate::LostOnTheWay(released) = &fate {
        released.notified().await;
        return Err("lost on the way".into());
    }
    let answer = match lie.request(&parts.method, &path, body) {
        Passed::Swallowed(answer) => answer,
        Passed::On(body) => {
            let mut onward = Request::builder().method(parts.method).uri(&path);
            for (name, value) in parts.headers.iter().filter(|(name, _)| **name != header::CONTENT_LENGTH) {
                onward = onward.header(name, value);
            }
            Caller::new(to).send(onward.body(Full::new(Bytes::from(body)))?).await?
        }
    };
    if let Fate::LostOnTheWayBack(released) = &fate {
        lie.arrived();
        released.notified().await;
        return Err("lost on the way back".into());
    }
    let answer = lie.answer(&path, answer);
    let mut response = Response::builder().status(answer.status);
    let hop = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];
    for (name, value) in answer.headers.iter().filter(|(name, _)| !hop.contains(name)) {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(answer.body))?)
}

async fn upgrade(
    mut request: Request<Incoming>,
    to: SocketAddr,
    lie: Arc<dyn Lie>,
    sockets: Sockets,
) -> Result<Response<Full<Bytes>>, Failed> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).ok_or("no key")?;
    let accept = derive_accept_key(key.as_bytes());
    let mut onward = format!("ws://{to}/v1/socket").into_client_request()?;
    onward.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL.parse()?);
    let (relay, _) = tokio_tungstenite::client_async(onward, TcpStream::connect(to).await?).await?;
    let upgraded = hyper::upgrade::on(&mut request);
    sockets.lock().await.spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            let device = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            let _ = pump(device, relay, lie).await;
        }
    });
    Ok(Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Full::default())?)
}

async fn pump<D>(
    mut device: WebSocketStream<D>,
    mut relay: WebSocketStream<TcpStream>,
    lie: Arc<dyn Lie>,
) -> Result<(), tungstenite::Error>
where
    D: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        tokio::select! {
            message = device.next() => match message {
                Some(message) => relay.send(message?).await?,
                None => return relay.close(None).await,
            },
            message = relay.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let message = ToDevice::from_bytes(&bytes).expect("a message of the relay");
                    for message in lie.push(message) {
                        device.send(Message::Binary(message.to_bytes().into())).await?;
                    }
                }
                Some(message) => device.send(message?).await?,
                None => return device.close(None).await,
            },
        }
    }
}
