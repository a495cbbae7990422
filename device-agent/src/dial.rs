//! One way to dial the relay: TCP, from a chosen address if one is named, through a proxy if the environment names one, and TLS. HTTP and
//! WebSocket both run over it.

mod tls;
mod proxy;

use std::net::IpAddr;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use protocol::limits::ORIGIN_CHARS_MAX;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::error::AgentError;
use crate::limits;
use proxy::Proxy;

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
    proxy: Option<Proxy>,
}

#[derive(Clone)]
enum Security {
    Plain,
    Tls { config: Arc<rustls::ClientConfig>, verifier: Arc<dyn ServerCertVerifier>, name: ServerName<'static> },
}

/// A stream to the relay, before HTTP is spoken on it.
pub(crate) struct Secured {
    /// The stream.
    pub(crate) stream: Box<dyn Stream>,
    /// The certificates that were accepted, the relay's own first; none without TLS.
    certificates: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Endpoint({})", self.origin)
    }
}

impl Endpoint {
    /// Reads a relay's URL: scheme, host and port, nothing else. The environment may name a proxy for it.
    pub(crate) fn parse(
        url: &str,
        ca: Option<&[u8]>,
        source: Option<IpAddr>,
        plaintext: Plaintext,
    ) -> Result<Self, AgentError> {
        // A simulated network has no proxies, whatever the environment of the simulation says.
        #[cfg(feature = "simulation")]
        let proxies = Matcher::builder().build();
        #[cfg(not(feature = "simulation"))]
        let proxies = Matcher::from_env();
        Self::parse_with(url, ca, source, plaintext, &proxies)
    }

    fn parse_with(
        url: &str,
        ca: Option<&[u8]>,
        source: Option<IpAddr>,
        plaintext: Plaintext,
        proxies: &Matcher,
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
            tls::security(&bare, ca)?.ok_or_else(|| wrong("TLS cannot name this host"))?
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
        let proxy = Proxy::of(proxies, &origin, &bare)?;
        Ok(Self { host: bare, port, origin, source, security, proxy })
    }

    /// The origin (RFC 6454 §6.2): scheme, host, and port unless it is the default one.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The address to dial from, if one was chosen.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.source
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

    /// Whether it is dialled over TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        !matches!(self.security, Security::Plain)
    }

    /// The proxy on the way, without its password.
    pub(crate) fn proxy(&self) -> Option<&str> {
        self.proxy.as_ref().map(|proxy| proxy.shown.as_str())
    }

    /// Dials: the stream, and the address of this device on it.
    pub(crate) async fn dial(&self) -> Result<(Box<dyn Stream>, IpAddr), AgentError> {
        let (stream, own) = self.reach().await?;
        Ok((self.secure(stream).await?.stream, own))
    }

    /// The first step of dialling: TCP, and the tunnel through a proxy.
    pub(crate) async fn reach(&self) -> Result<(Box<dyn Stream>, IpAddr), AgentError> {
        let (host, port) = match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.host, self.port),
        };
        let tcp = within(self.connect(host, port)).await.map_err(|why| self.not_reached(&why))?;
        let own = tcp.local_addr().map_err(|error| self.unreachable(error.to_string()))?.ip();
        let _ = tcp.set_nodelay(true);
        let Some(proxy) = &self.proxy else { return Ok((Box::new(tcp), own)) };
        let tunnel = async {
            let secured = proxy.security.secure(Box::new(tcp)).await?;
            let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
            proxy.tunnel(secured.stream, &format!("{host}:{}", self.port)).await
        };
        Ok((within(tunnel).await.map_err(|why| self.not_reached(&why))?, own))
    }

    /// The second step: TLS, where the relay speaks it.
    pub(crate) async fn secure(&self, stream: Box<dyn Stream>) -> Result<Secured, AgentError> {
        within(self.security.secure(stream)).await.map_err(|why| self.unreachable(format!("TLS: {why}")))
    }

    /// When the relay's certificate expires, unix milliseconds, if it has one and that can be told.
    pub(crate) fn valid_until(&self, secured: &Secured) -> Option<u64> {
        match &self.security {
            Security::Plain => None,
            Security::Tls { verifier, name, .. } => tls::valid_until(verifier.as_ref(), name, &secured.certificates),
        }
    }

    #[cfg(feature = "simulation")]
    async fn connect(&self, host: &str, port: u16) -> std::io::Result<turmoil::net::TcpStream> {
        turmoil::net::TcpStream::connect((host, port)).await
    }

    #[cfg(not(feature = "simulation"))]
    async fn connect(&self, host: &str, port: u16) -> std::io::Result<tokio::net::TcpStream> {
        let mut last = None;
        for address in tokio::net::lookup_host((host, port)).await? {
            match self.connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("the host has no address")))
    }

    #[cfg(not(feature = "simulation"))]
    async fn connect_to(&self, address: std::net::SocketAddr) -> std::io::Result<tokio::net::TcpStream> {
        use std::net::SocketAddr;

        use tokio::net::TcpSocket;

        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        socket.connect(address).await
    }

    fn not_reached(&self, why: &str) -> AgentError {
        match &self.proxy {
            Some(proxy) => self.unreachable(format!("proxy {}: {why}", proxy.shown)),
            None => self.unreachable(why),
        }
    }

    /// The error that says why this relay is not reachable.
    pub(crate) fn unreachable(&self, why: impl Into<String>) -> AgentError {
        AgentError::Unreachable { relay: self.origin.clone(), why: why.into() }
    }
}

impl Security {
    async fn secure(&self, stream: Box<dyn Stream>) -> std::io::Result<Secured> {
        let Self::Tls { config, name, .. } = self else {
            return Ok(Secured { stream, certificates: Vec::new() });
        };
        let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Ok(Secured { stream: Box::new(stream), certificates })
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_util::task::AbortOnDropHandle;

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
        for url in
            ["http://localhost/x", "ftp://localhost", "localhost:7370", "http://a@localhost", "http://localhost?x"]
        {
            assert!(parse(url, Plaintext::LoopbackOnly).is_err(), "{url}");
        }
    }

    /// Answers one CONNECT with a head, then sends back what it hears. Hands over what it was asked.
    async fn proxy_that_says(head: &'static str) -> (String, AbortOnDropHandle<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(head.as_bytes()).await.unwrap();
            let (mut from, mut to) = stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
            String::from_utf8(asked).unwrap()
        });
        (address.to_string(), AbortOnDropHandle::new(task))
    }

    #[tokio::test]
    async fn a_tunnel_names_the_relay_and_carries_what_follows_the_proxys_answer() {
        let (address, proxy) = proxy_that_says("HTTP/1.1 200 OK\r\nVia: x\r\n\r\n").await;
        let named = Matcher::builder().all(format!("http://user:secret@{address}")).build();
        let endpoint = Endpoint::parse_with("http://relay.example", None, None, Plaintext::Accepted, &named).unwrap();
        assert_eq!(
            (endpoint.origin(), endpoint.proxy()),
            ("http://relay.example", Some(format!("http://{address}").as_str()))
        );
        let (mut stream, own) = endpoint.dial().await.unwrap();
        assert!(own.is_loopback());
        stream.write_all(b"GET").await.unwrap();
        let mut echo = [0; 3];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"GET");
        drop(stream);
        let asked = proxy.await.unwrap();
        assert!(asked.starts_with("CONNECT relay.example:80 HTTP/1.1\r\nHost: relay.example:80\r\n"), "{asked}");
        assert!(asked.contains("\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_named_without_its_password() {
        for (head, said) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
            ("SSH-2.0-x\r\n\r\n", "what no HTTP proxy answers"),
        ] {
            let (address, _proxy) = proxy_that_says(head).await;
            let named = Matcher::builder().all(format!("http://user:secret@{address}")).build();
            let endpoint =
                Endpoint::parse_with("http://relay.example", None, None, Plaintext::Accepted, &named).unwrap();
            let Err(error) = endpoint.dial().await else { panic!("a proxy that refuses") };
            let told = crate::exit::tell(&error);
            assert!(told.message.contains(&format!("proxy http://{address}: it answered {said}")), "{}", told.message);
            assert!(!told.message.contains("secret") && told.hint.is_some_and(|hint| hint.contains("NO_PROXY")));
        }
    }
}
