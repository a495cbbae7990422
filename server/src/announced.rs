//! PROXY protocol, versions 1 and 2: a proxy that only passes bytes on says first for whom.
//!
//! What it says is a claim like a forwarding header, and comes before anything that proves anything. So it is believed only from a proxy
//! that the operator named; and where the operator switched it on every connection must begin with it, or a client that gets past the
//! proxy could say who it likes.

use std::io;
use std::net::IpAddr;

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::address::Client;

/// Bytes of a line of version 1, by its specification.
const LINE_BYTES_MAX: usize = 107;
/// Bytes of version 2 before its addresses.
const START_BYTES: usize = 16;
/// Bytes of addresses and extensions of version 2. The largest that HAProxy sends are a few hundred.
const REST_BYTES_MAX: usize = 2048;

/// Reads the header, and no byte further: who is at the other end, and through which proxy.
///
/// A proxy that speaks for itself (`UNKNOWN`, `LOCAL`: it checks whether the relay lives) is the client.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] for anything that is no such header, else what reading says.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), proxy: IpAddr) -> io::Result<Client> {
    let bytes = read_bytes(stream).await?;
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let (header, length) = ProxyHeader::parse(&bytes, config).map_err(|_| invalid())?;
    if length != bytes.len() {
        return Err(invalid());
    }
    match header.proxied_address() {
        None => Ok(Client { address: proxy, proxy: None }),
        Some(announced) if announced.protocol == Protocol::Stream => {
            Ok(Client { address: announced.source.ip().to_canonical(), proxy: Some(proxy) })
        }
        Some(_) => Err(invalid()),
    }
}

async fn read_bytes(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut bytes = vec![stream.read_u8().await?];
    match bytes.as_slice() {
        b"P" => {
            while bytes.last() != Some(&b'\n') {
                if bytes.len() >= LINE_BYTES_MAX {
                    return Err(invalid());
                }
                bytes.push(stream.read_u8().await?);
            }
        }
        b"\r" => {
            bytes.resize(START_BYTES, 0);
            stream.read_exact(bytes.get_mut(1..).unwrap_or_default()).await?;
            let rest = match bytes.as_slice() {
                [.., high, low] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => 0,
            };
            if rest > REST_BYTES_MAX {
                return Err(invalid());
            }
            bytes.resize(START_BYTES + rest, 0);
            stream.read_exact(bytes.get_mut(START_BYTES..).unwrap_or_default()).await?;
        }
        _ => return Err(invalid()),
    }
    Ok(bytes)
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    /// Who is announced, and what is left on the stream.
    async fn announced(bytes: &[u8]) -> Result<(String, Vec<u8>), io::ErrorKind> {
        let mut stream = bytes;
        let client = read(&mut stream, PROXY).await.map_err(|error| error.kind())?;
        let through = client.proxy.map(|proxy| format!(" via {proxy}")).unwrap_or_default();
        Ok((format!("{}{through}", client.address), stream.to_vec()))
    }

    /// Version 2: command and family, addresses, extensions.
    fn version_2(command: u8, family: u8, addresses: &[u8], extensions: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len() + extensions.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length, addresses, extensions, b"GET"].concat()
    }

    #[tokio::test]
    async fn version_1_names_the_client_over_both_families_and_nothing_after_it_is_taken() {
        let v4 = announced(b"PROXY TCP4 203.0.113.7 10.0.0.9 4711 443\r\nGET").await;
        assert_eq!(v4, Ok(("203.0.113.7 via 10.0.0.1".to_owned(), b"GET".to_vec())));
        let v6 = announced(b"PROXY TCP6 2001:db8::7 2001:db8::9 4711 443\r\nGET").await;
        assert_eq!(v6, Ok(("2001:db8::7 via 10.0.0.1".to_owned(), b"GET".to_vec())));
        let mapped = announced(b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:10.0.0.9 4711 443\r\n").await;
        assert_eq!(mapped.map(|(client, _)| client), Ok("203.0.113.7 via 10.0.0.1".to_owned()));
    }

    #[tokio::test]
    async fn version_2_names_the_client_over_both_families_and_its_extensions_are_passed_over() {
        let v4 = version_2(0x21, 0x11, &[203, 0, 113, 7, 10, 0, 0, 9, 18, 103, 1, 187], &[4, 0, 1, 0]);
        assert_eq!(announced(&v4).await, Ok(("203.0.113.7 via 10.0.0.1".to_owned(), b"GET".to_vec())));
        let mut addresses = [0; 36];
        addresses[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        addresses[15] = 7;
        let v6 = version_2(0x21, 0x21, &addresses, &[]);
        assert_eq!(announced(&v6).await, Ok(("2001:db8::7 via 10.0.0.1".to_owned(), b"GET".to_vec())));
    }

    #[tokio::test]
    async fn a_proxy_that_speaks_for_itself_is_the_client() {
        for own in [b"PROXY UNKNOWN\r\n".to_vec(), version_2(0x20, 0x00, &[], &[])] {
            assert_eq!(announced(&own).await.map(|(client, _)| client), Ok("10.0.0.1".to_owned()));
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let datagram = version_2(0x21, 0x12, &[203, 0, 113, 7, 10, 0, 0, 9, 18, 103, 1, 187], &[]);
        let long_line = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200], b"\r\n"].concat();
        let too_long = [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x21, 0x11, 0xff, 0xff], &[0; 70_000]].concat();
        for garbage in [
            b"GET / HTTP/1.1\r\n\r\n".as_slice(),
            b"\x16\x03\x01\x02\x00\x01",
            b"PROXY TCP4 203.0.113.7\r\n",
            b"PROXY TCP4 2001:db8::7 2001:db8::9 4711 443\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.9 4711 99999\r\n",
            b"PROXY UDP4 203.0.113.7 10.0.0.9 4711 443\r\n",
            b"PROXY \n",
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x00",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x04\x01\x02\x03\x04",
            &datagram,
            &long_line,
            &too_long,
        ] {
            assert_eq!(announced(garbage).await, Err(io::ErrorKind::InvalidData), "{garbage:?}");
        }
        for cut in [b"".as_slice(), b"PROXY TCP4 203", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x01"] {
            assert_eq!(announced(cut).await, Err(io::ErrorKind::UnexpectedEof), "{cut:?}");
        }
    }
}
