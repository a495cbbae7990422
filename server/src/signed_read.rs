//! Who signed a read (RFC 9421), against the origins that the relay is configured with.

use http::HeaderMap;
use http::request::Parts;
use protocol::DeviceId;
use protocol::http_signature::{self, ReadRefusal};

use crate::failure::Refusal;
use crate::relay::Relay;

/// The device that signed a read.
///
/// The address that must be signed is built from the configured origins, never from the `Host` header: a read signed for
/// another relay that forwards it here with its own name would pass otherwise.
///
/// # Errors
///
/// [`Refusal::Read`].
pub(crate) fn device(relay: &Relay, parts: &Parts) -> Result<DeviceId, Refusal> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let targets: Vec<String> = relay.origins.iter().map(|origin| format!("{origin}{path}")).collect();
    let input = single(&parts.headers, "signature-input")?;
    let signature = single(&parts.headers, "signature")?;
    let now = relay.now().wall / 1000;
    Ok(http_signature::verify(input, signature, parts.method.as_str(), &targets, now)?)
}

/// The one value of a header. Two are refused: it would be open which one was verified.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ReadRefusal> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ReadRefusal::Malformed);
    }
    first.map(|value| value.to_str().map_err(|_| ReadRefusal::Malformed)).transpose()
}
