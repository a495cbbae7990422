//! TLS from certificate files, also after they were replaced.

use std::path::Path;
use std::sync::Arc;

use countersign_relay::config::TlsFiles;
use countersign_relay::tls::Certificates;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::House;

fn write_files(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("c.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// Whether the relay answers over TLS with a certificate that is trusted.
async fn answers(house: &House, trusted: CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(house.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else { return false };
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer.starts_with("HTTP/1.1 200")
}

#[tokio::test]
async fn tls_serves_the_certificate_of_the_files_and_the_new_one_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_files(folder.path());
    let files = TlsFiles { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem") };
    let certificates = Arc::new(Certificates::load(files.clone()).unwrap());
    let house = House::start_tls(Arc::clone(&certificates)).await;
    assert!(answers(&house, first.clone()).await);

    std::fs::write(folder.path().join("c.pem"), "nothing").unwrap();
    assert!(certificates.reload().is_err());
    assert!(answers(&house, first.clone()).await, "the old certificate stays in force");

    let second = write_files(folder.path());
    certificates.reload().unwrap();
    assert!(answers(&house, second).await);
    assert!(!answers(&house, first).await);
}
