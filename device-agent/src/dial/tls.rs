//! TLS to the relay: whom it trusts, and until when the relay's certificate is valid.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig};

use super::Security;
use crate::error::AgentError;

/// The last second of the year 9999: later than any certificate is valid.
const NEVER: Duration = Duration::from_secs(253_402_300_799);

/// TLS with a host; nothing if TLS cannot name it.
pub(super) fn security(host: &str, ca: Option<&[u8]>) -> Result<Option<Security>, AgentError> {
    let Ok(name) = ServerName::try_from(host.to_owned()) else { return Ok(None) };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = verifier(ca, &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier))
        .with_no_client_auth();
    Ok(Some(Security::Tls { config: Arc::new(config), verifier, name }))
}

/// Trust in a private authority alone if one is named, else in the roots of the system (`SSL_CERT_FILE` is honoured).
fn verifier(
    ca: Option<&[u8]>,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, AgentError> {
    let provider = Arc::clone(provider);
    let Some(pem) = ca else {
        let verifier = rustls_platform_verifier::Verifier::new(provider).map_err(|error| wrong(error.to_string()))?;
        return Ok(Arc::new(verifier));
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| wrong("the CA file is not PEM".to_owned()))?;
        roots.add(certificate).map_err(|error| wrong(format!("the CA file: {error}")))?;
    }
    if roots.is_empty() {
        return Err(wrong("the CA file holds no certificate".to_owned()));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    Ok(verifier.map_err(|error| wrong(error.to_string()))?)
}

fn wrong(what: String) -> AgentError {
    AgentError::Usage { what, hint: "--relay-ca FILE".to_owned() }
}

/// When a chain that was accepted expires, unix milliseconds: the verifier is asked about the end of time, and says.
pub(super) fn valid_until(
    verifier: &dyn ServerCertVerifier,
    name: &ServerName<'_>,
    chain: &[CertificateDer<'_>],
) -> Option<u64> {
    let (own, others) = chain.split_first()?;
    let at_the_end = UnixTime::since_unix_epoch(NEVER);
    match verifier.verify_server_cert(own, others, name, &[], at_the_end) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(not_after.as_secs().saturating_mul(1000))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_the_one_that_stands_in_it() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(["relay.example".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let made = parameters.self_signed(&key).unwrap();
        let Some(Security::Tls { verifier, name, .. }) =
            security("relay.example", Some(made.pem().as_bytes())).unwrap()
        else {
            panic!("a host that TLS can name")
        };
        let until = valid_until(verifier.as_ref(), &name, &[made.der().clone()]);
        assert_eq!(until.map(crate::clock::show), Some("2031-02-03 00:00:00 UTC".to_owned()));
    }
}
