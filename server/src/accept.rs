//! The accept loop, and one connection's way through TLS, HTTP and WebSocket.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::address::Client;
use crate::announced;
use crate::config::ProxyProtocol;
use crate::gate::{Gate, Pass};
use crate::relay::Relay;
use crate::routes::{Peer, UpgradeSlot};
use crate::socket::{self, Link, Session};
use crate::stream::{Stream, TcpListener, TcpStream};
use crate::tls::Certificates;

/// Bytes of one request's headers. Ours are below one kilobyte.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Headers of one request.
const HEADERS_MAX: usize = 64;
/// Pause after the system refused a connection: out of descriptors now may be none a moment later.
const PAUSE: Duration = Duration::from_millis(50);

/// What each connection needs.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) relay: Arc<Relay>,
    pub(crate) router: Router,
    pub(crate) gate: Arc<Gate>,
    pub(crate) certificates: Option<Arc<Certificates>>,
}

/// Accepts until the relay drains. The connections' tasks are handed back: their owner waits for them, or aborts them.
pub(crate) async fn accept(listener: TcpListener, door: Arc<Door>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut accepting = Accepting::Well;
    loop {
        tokio::select! {
            () = door.relay.draining.cancelled() => return tasks,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    accepting = Accepting::Well;
                    let peer = peer.ip().to_canonical();
                    if let Some((pass, evicted)) = door.gate.enter(peer) {
                        tasks.spawn(connection(Box::pin(begin(Arc::clone(&door), stream, peer, pass, evicted))));
                    }
                }
                Err(error) => survive(&door, &error, &mut accepting).await,
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepting {
    Well,
    Failing,
}

/// A failed accept never ends the relay: too many descriptors is a state that passes, sooner if somebody is shown out.
async fn survive(door: &Door, error: &io::Error, accepting: &mut Accepting) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    // Said once for each time that it begins: whoever causes it must not fill the log too.
    if *accepting == Accepting::Well {
        tracing::warn!(%error, "cannot accept connections; cutting off those that proved nothing, and trying again");
        *accepting = Accepting::Failing;
    }
    door.gate.make_room();
    sleep(PAUSE).await;
}

/// A connection's whole life. All that comes before the session is one boxed future, gone when the session begins: an idle socket
/// does not carry the state of TLS handshakes and HTTP.
async fn connection(begun: Pin<Box<impl Future<Output = Option<(Session, Pass)>>>>) {
    let Some((session, pass)) = begun.await else { return };
    session.serve().await;
    drop(pass);
}

/// From the first byte to a device that has shown who it is, or to the end of whatever else the connection was.
async fn begin(
    door: Arc<Door>,
    mut stream: TcpStream,
    peer: IpAddr,
    mut pass: Pass,
    evicted: CancellationToken,
) -> Option<(Session, Pass)> {
    // A message is sent whole; waiting for company would delay every push by the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let patience = door.relay.config.timeouts.handshake;
    let begun = async {
        let peer = client(&door, &mut stream, peer, patience).await?;
        pass.count_for(peer.address).ok()?;
        let stream = secured(&door, stream, patience).await?;
        let (link, offered) = Box::pin(http(&door, stream, peer)).await?;
        Box::pin(socket::begin(&door.relay, link, &offered, || pass.prove())).await
    };
    let session = tokio::select! {
        () = evicted.cancelled() => {
            tracing::debug!("a connection that proved nothing was cut off");
            None
        }
        session = begun => session,
    };
    session.map(|session| (session, pass))
}

/// Who is at the other end: the socket's peer, or where the PROXY protocol is switched on whom a trusted proxy announces, and nobody else.
async fn client(door: &Door, stream: &mut TcpStream, peer: IpAddr, patience: Duration) -> Option<Client> {
    let config = &door.relay.config;
    match config.proxy_protocol {
        ProxyProtocol::Off => Some(Client { address: peer, proxy: None }),
        ProxyProtocol::Required if !config.trusted_proxies.iter().any(|net| net.contains(&peer)) => {
            tracing::debug!("a connection that came past the trusted proxies was closed");
            None
        }
        ProxyProtocol::Required => match timeout(patience, announced::read(stream, peer)).await {
            Ok(Ok(client)) => Some(client),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a trusted proxy did not say for whom it connects");
                None
            }
            Err(_) => None,
        },
    }
}

async fn secured(door: &Door, stream: TcpStream, patience: Duration) -> Option<Stream> {
    let Some(certificates) = &door.certificates else {
        return Some(Stream::Plain(stream));
    };
    let handshake = Box::pin(TlsAcceptor::from(certificates.current()).accept(stream));
    let stream = timeout(patience, handshake).await.ok()?.ok()?;
    Some(Stream::Tls(Box::new(stream)))
}

/// Serves HTTP until the connection ends, or becomes a WebSocket.
async fn http(door: &Door, stream: Stream, peer: Client) -> Option<(Link, Vec<String>)> {
    let slot = UpgradeSlot::default();
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(slot.clone());
        door.router.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(door.relay.config.timeouts.handshake)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = door.relay.draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    served.ok()?;
    let upgrade = slot.take()?;
    let upgraded = upgrade.on.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
    let link = Link::new(parts.io.into_inner(), &parts.read_buf, door.relay.config.timeouts.idle);
    Some((link, upgrade.offered))
}
