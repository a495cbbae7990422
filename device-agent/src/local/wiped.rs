//! Bodies that hold a secret: what they travel in is wiped when the last reader lets go of it.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::Serialize;
use zeroize::Zeroizing;

/// An answer whose bytes are wiped. What the HTTP library copies them into, towards a socket, is not.
pub(super) struct Wiped<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Wiped<T> {
    fn into_response(self) -> Response {
        match body(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// A body in JSON whose bytes are wiped.
///
/// # Errors
///
/// What cannot be written as JSON.
pub(crate) fn body(value: &impl Serialize) -> Result<Body, serde_json::Error> {
    encode(value).map(|bytes| Body::from(Bytes::from_owner(bytes)))
}

/// Measures first: a buffer that grew would leave copies of words behind.
fn encode(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, value)?;
    Ok(bytes)
}

/// Counts what is written, and keeps nothing of it.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_written_into_one_buffer_that_never_grew() {
        for length in [0, 100, 1024, 300_000] {
            let bytes = encode(&"word ".repeat(length)).unwrap();
            assert_eq!((bytes.len(), bytes.capacity()), (length * 5 + 2, length * 5 + 2));
        }
    }

    #[tokio::test]
    async fn an_answer_is_json() {
        let response = Wiped(["a", "b"]).into_response();
        assert_eq!(
            (response.status(), &response.headers()[header::CONTENT_TYPE]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        let bytes = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(&bytes[..], br#"["a","b"]"#);
    }
}
