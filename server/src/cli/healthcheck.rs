//! `healthcheck`: asks the configured address whether the relay is ready.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{Config, ProxyProtocol};

/// For everything: a check that hangs must count as failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of the answer that are read.
const ANSWER_BYTES_MAX: u64 = 4096;

pub(super) fn healthcheck(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { timeout(PATIENCE, check(config)).await.context("no answer in 5 seconds")? })
}

async fn check(config: &Config) -> anyhow::Result<()> {
    let address = dialled(config.listen);
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
    if config.proxy_protocol == ProxyProtocol::Required {
        // For itself, as a proxy asks that checks whether the relay lives.
        stream.write_all(b"PROXY UNKNOWN\r\n").await?;
    }
    let answer = if config.tls.are_set() {
        let name = ServerName::from(address.ip());
        let connector = tokio_rustls::TlsConnector::from(Arc::new(pinned(config)?));
        ask(connector.connect(name, stream).await?).await?
    } else {
        ask(stream).await?
    };
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => bail!("the relay at {address} is not ready"),
    }
}

/// The unspecified address is listened on, not dialled.
fn dialled(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> anyhow::Result<String> {
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    // A relay that closes without close_notify has answered all the same.
    let _ = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn pinned(config: &Config) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificate = CertificateDer::from_pem_file(&config.tls.certificate)
        .with_context(|| format!("cannot read {}", config.tls.certificate.display()))?;
    let verifier = Arc::new(Pinned { certificate, provider: Arc::clone(&provider) });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// Accepts exactly the certificate that the relay is configured with. Its name is not compared: it is dialled by address.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
