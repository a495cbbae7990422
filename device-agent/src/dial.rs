//! One way to dial the relay: TCP, from a chosen address if one is named, and TLS. HTTP and WebSocket both run over it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use protocol::limits::ORIGIN_CHARS_MAX;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::error::AgentError;
use crate::limits;

/// A byte stream to the relay.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Whether a plain connection over a network was accepted by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plaintext {
    /// Only to this machine itself.
    LoopbackOnly,
    /// Everywhere, as somebody asked for it by name.
    Accepted,
}

/// A relay's address, and how it is dialled.
#[derive(Clone)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    origin: String,
    source: Option<IpAddr>,
    security: Security,
}

#[derive(Clone)]
enum Security {
    Plain,
    Tls { config: Arc<rustls::ClientConfig>, name: ServerName<'static> },
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({})", self.origin)
    }
}

impl Endpoint {
    /// Reads a relay's URL: scheme, host and port, nothing else.
    pub(crate) fn parse(
        url: &str,
        ca: Option<&[u8]>,
        source: Option<IpAddr>,
        plaintext: Plaintext,
    ) -> Result<Self, AgentError> {
        let wrong = |what: &str| AgentError::Usage {
            what: format!("the relay's address {url:?}: {what}"),
            hint: "--relay https://relay.example.org".to_owned(),
        };
        let uri: http::Uri = url.trim().parse().map_err(|_| wrong("it is no URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong("it has more than scheme, host and port"));
        }
        let host = authority.host().to_ascii_lowercase();
        let (scheme, default_port) = match uri.scheme_str() {
            Some("https") => ("https", 443),
            Some("http") => ("http", 80),
            _ => return Err(wrong("it begins with neither https:// nor http://")),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let security = if scheme == "https" {
            let name = ServerName::try_from(bare.clone()).map_err(|_| wrong("TLS cannot name this host"))?;
            Security::Tls { config: tls_config(ca)?, name }
        } else {
            if plaintext == Plaintext::LoopbackOnly && !is_loopback(&bare) {
                return Err(AgentError::Usage {
                    what: format!("{url} would send everything unencrypted over a network"),
                    hint: "use https://, or add --accept-risk=plaintext".to_owned(),
                });
            }
            Security::Plain
        };
        let port = authority.port_u16().unwrap_or(default_port);
        let origin =
            if port == default_port { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") };
        if origin.len() > ORIGIN_CHARS_MAX || !origin.is_ascii() {
            return Err(wrong("it is too long, or not ASCII"));
        }
        Ok(Self { host: bare, port, origin, source, security })
    }

    /// The origin (RFC 6454 §6.2): scheme, host, and port unless it is the default one.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Host and port for the `Host` header.
    pub(crate) fn authority(&self) -> &str {
        self.origin.split_once("://").map_or(self.origin.as_str(), |(_, authority)| authority)
    }

    /// Scheme, host and port for a WebSocket.
    pub(crate) fn socket_url(&self, path: &str) -> String {
        let scheme = if matches!(self.security, Security::Plain) { "ws" } else { "wss" };
        format!("{scheme}://{}{path}", self.authority())
    }

    /// Dials: the stream, and the address of this device on it.
    pub(crate) async fn dial(&self) -> Result<(Box<dyn Stream>, IpAddr), AgentError> {
        let tcp = within(self.connect()).await.map_err(|why| self.unreachable(why))?;
        let own = tcp.local_addr().map_err(|error| self.unreachable(error.to_string()))?.ip();
        let _ = tcp.set_nodelay(true);
        match &self.security {
            Security::Plain => Ok((Box::new(tcp), own)),
            Security::Tls { config, name } => {
                let connector = TlsConnector::from(Arc::clone(config));
                let tls = within(connector.connect(name.clone(), tcp)).await;
                Ok((Box::new(tls.map_err(|why| self.unreachable(format!("TLS: {why}")))?), own))
            }
        }
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let mut last = None;
        for address in tokio::net::lookup_host((self.host.as_str(), self.port)).await? {
            match self.connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("the host has no address")))
    }

    async fn connect_to(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        socket.connect(address).await
    }

    /// The error that says why this relay is not reachable.
    pub(crate) fn unreachable(&self, why: impl Into<String>) -> AgentError {
        AgentError::Unreachable { relay: self.origin.clone(), why: why.into() }
    }
}

async fn within<T>(work: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match timeout(limits::CONNECT_WAIT, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", limits::CONNECT_WAIT.as_secs())),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Trust in a private authority alone if one is named, else in the roots of the system (`SSL_CERT_FILE` is honoured).
fn tls_config(ca: Option<&[u8]>) -> Result<Arc<rustls::ClientConfig>, AgentError> {
    let wrong = |what: String| AgentError::Usage { what, hint: "--relay-ca FILE".to_owned() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    let config = match ca {
        None => builder.with_platform_verifier().map_err(|error| wrong(error.to_string()))?.with_no_client_auth(),
        Some(pem) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| wrong("the CA file is not PEM".to_owned()))?;
                roots.add(certificate).map_err(|error| wrong(format!("the CA file: {error}")))?;
            }
            if roots.is_empty() {
                return Err(wrong("the CA file holds no certificate".to_owned()));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, plaintext: Plaintext) -> Result<Endpoint, AgentError> {
        Endpoint::parse(url, None, None, plaintext)
    }

    #[test]
    fn plaintext_over_a_network_is_refused_unless_accepted_by_name() {
        assert!(parse("http://192.0.2.1:7370", Plaintext::LoopbackOnly).is_err());
        assert!(parse("http://192.0.2.1:7370", Plaintext::Accepted).is_ok());
        for loopback in ["http://127.0.0.1:7370", "http://[::1]:7370", "http://localhost:7370"] {
            assert!(parse(loopback, Plaintext::LoopbackOnly).is_ok(), "{loopback}");
        }
    }

    #[test]
    fn the_origin_leaves_out_the_default_port() {
        let origin = |url: &str| parse(url, Plaintext::LoopbackOnly).unwrap().origin().to_owned();
        assert_eq!(origin("http://LOCALHOST:80/"), "http://localhost");
        assert_eq!(origin("http://127.0.0.1:7370"), "http://127.0.0.1:7370");
        assert_eq!(origin("http://[::1]:7370"), "http://[::1]:7370");
    }

    #[test]
    fn an_address_with_more_than_an_origin_is_refused() {
        for url in ["http://localhost/x", "ftp://localhost", "localhost:7370", "http://a@localhost", "http://localhost?x"] {
            assert!(parse(url, Plaintext::LoopbackOnly).is_err(), "{url}");
        }
    }
}
