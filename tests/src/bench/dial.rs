//! Connections of devices: each from an address of its own, kept open.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use protocol::SUBPROTOCOL;
use protocol::wire::{Ack, FromDevice, ToDevice};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::child::{Relay, Transport};

/// A stream of bytes, with or without TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
type Stream = Box<dyn Duplex>;

/// Where devices dial, and which origin they sign.
#[derive(Clone)]
pub(super) struct Place {
    address: SocketAddr,
    pub(super) origin: String,
    tls: Option<TlsConnector>,
}

/// The address of device number so-and-so, below 127.0.0.0/8.
pub(super) fn address_of(number: u32) -> IpAddr {
    // From 127.1.0.0: the relay and the bare servers listen on 127.0.0.1.
    IpAddr::V4(Ipv4Addr::from(0x7f01_0000 + number % 0x00fe_0000))
}

/// Small buffers: thousands of clients live in one process.
pub(super) fn small() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0).max_write_buffer_size(1 << 20)
}

impl Place {
    pub(super) fn of(relay: &Relay) -> Self {
        let (scheme, tls) = match relay.transport {
            Transport::Plain => ("http", None),
            Transport::Tls => ("https", Some(connector(relay))),
        };
        Self { address: relay.address, origin: format!("{scheme}://{}", relay.address), tls }
    }

    pub(super) fn bare(port: u16) -> Self {
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Self { address, origin: format!("http://{address}"), tls: None }
    }

    pub(super) async fn dial(&self, from: IpAddr) -> Stream {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("an address of our own");
        let stream = socket.connect(self.address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::from(self.address.ip());
                Box::new(Box::pin(tls.connect(name, stream)).await.expect("a TLS session"))
            }
        }
    }

    pub(super) async fn http(&self, from: IpAddr) -> Http {
        let stream = TokioIo::new(self.dial(from).await);
        let (sender, connection) = http1::handshake(stream).await.expect("HTTP");
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        Http { sender, host: self.address.to_string(), task: task.abort_handle() }
    }

    pub(super) async fn socket(&self, from: IpAddr) -> Socket {
        let stream = self.dial(from).await;
        let mut request = format!("ws://{}/v1/socket", self.address).into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().expect("a header"));
        let handshake = tokio_tungstenite::client_async_with_config(request, stream, Some(small()));
        Socket(Box::pin(handshake).await.expect("a WebSocket").0)
    }

    /// The same to the hub without Countersign.
    pub(super) async fn socket_to_hub(&self, from: IpAddr) -> Socket {
        let stream = self.dial(from).await;
        let request = format!("ws://{}/", self.address);
        let handshake = tokio_tungstenite::client_async_with_config(request, stream, Some(small()));
        Socket(Box::pin(handshake).await.expect("a WebSocket").0)
    }
}

fn connector(relay: &Relay) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(relay.certificate()).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    TlsConnector::from(Arc::new(config.expect("versions").with_root_certificates(roots).with_no_client_auth()))
}

/// One HTTP connection that is kept.
pub(super) struct Http {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    task: AbortHandle,
}

impl Drop for Http {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Http {
    pub(super) async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> (StatusCode, Bytes) {
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        self.sender.ready().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let response = self.sender.send_request(request).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let status = response.status();
        (status, response.into_body().collect().await.expect("a body").to_bytes())
    }

    /// Posts what must be taken.
    pub(super) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Bytes {
        let headers = [("content-type", "application/cbor")];
        let (status, body) = self.exchange(Method::POST, path, &headers, body.into()).await;
        assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        body
    }
}

/// One WebSocket.
pub(super) struct Socket(WebSocketStream<Stream>);

impl Socket {
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.0.send(Message::Binary(Bytes::copy_from_slice(bytes))).await.expect("an open socket");
    }

    /// The next message; pings are answered on the way.
    pub(super) async fn next_bytes(&mut self) -> Bytes {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => return bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a socket ended with {other:?}"),
            }
        }
    }

    /// The next message of a relay, acknowledged where it must be.
    pub(super) async fn next(&mut self) -> ToDevice {
        let message = ToDevice::from_bytes(&self.next_bytes().await).expect("a message of the relay");
        let ack = match &message {
            ToDevice::Entries(page) => Some(Ack { seq: page.seq, number: 0 }),
            ToDevice::Records(page) => Some(Ack { seq: 0, number: page.cursor.number }),
            _ => None,
        };
        if let Some(ack) = ack {
            self.send(&FromDevice::Ack(ack).to_bytes()).await;
        }
        message
    }
}
