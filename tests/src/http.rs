//! HTTP as a stranger speaks it: any bytes, any headers, any source address.

use std::net::{IpAddr, SocketAddr};

use ::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use minicbor::Decode;
use tokio::net::{TcpSocket, TcpStream};

use crate::wait::{self, PATIENCE};

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as CBOR.
    ///
    /// # Panics
    ///
    /// With the answer, if it is a problem.
    #[must_use]
    pub fn cbor<T: for<'b> Decode<'b, ()>>(&self) -> T {
        assert!(self.status.is_success(), "{} {}", self.status, String::from_utf8_lossy(&self.body));
        assert_eq!(
            self.headers.get("content-type").map(|value| value.as_bytes()),
            Some(b"application/cbor".as_slice())
        );
        minicbor::decode(&self.body).expect("a CBOR answer")
    }

    /// Status and code of a problem, such as `409 head-moved`; the bare status of anything else.
    #[must_use]
    pub fn told(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let Some(code) = json.get("code").and_then(|code| code.as_str()) else {
            return self.status.as_u16().to_string();
        };
        assert_eq!(
            self.headers.get("content-type").map(|v| v.as_bytes()),
            Some(b"application/problem+json".as_slice())
        );
        assert_eq!(
            json.get("type").and_then(|kind| kind.as_str()),
            Some(format!("urn:countersign:problem:{code}").as_str())
        );
        assert_eq!(json.get("status").and_then(serde_json::Value::as_u64), Some(u64::from(self.status.as_u16())));
        format!("{} {code}", self.status.as_u16())
    }
}

/// Where a caller stands: which relay it dials, from where, with which headers besides.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Address of the relay.
    pub to: SocketAddr,
    /// Address to dial from.
    pub from: Option<IpAddr>,
    /// Headers of every request.
    pub headers: Vec<(&'static str, String)>,
}

impl Caller {
    /// Dials from wherever the system likes.
    #[must_use]
    pub fn new(to: SocketAddr) -> Self {
        Self { to, from: None, headers: Vec::new() }
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub async fn dial(&self) -> std::io::Result<TcpStream> {
        let socket = if self.to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(from) = self.from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        socket.connect(self.to).await
    }

    /// One exchange.
    #[must_use]
    pub fn exchange(&self, method: Method, path: &str, headers: &[(&str, String)], body: Vec<u8>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", self.to.to_string());
        for (name, value) in
            self.headers.iter().map(|(name, value)| (*name, value)).chain(headers.iter().map(|(n, v)| (*n, v)))
        {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        wait::run(path, self.send(request)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// One exchange that may fail on the way, as when the relay is killed in between.
    ///
    /// # Errors
    ///
    /// What happened.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TokioIo::new(self.dial().await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        let both = async {
            tokio::pin!(exchange);
            tokio::select! {
                answer = &mut exchange => answer,
                _ = connection => exchange.await,
            }
        };
        tokio::time::timeout(PATIENCE, both).await?
    }

    /// Posts bytes.
    #[must_use]
    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.exchange(Method::POST, path, &[("content-type", "application/cbor".to_owned())], body.to_vec())
    }

    /// Gets a path, unsigned.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.exchange(Method::GET, path, &[], Vec::new())
    }
}
