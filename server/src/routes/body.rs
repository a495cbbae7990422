//! Bodies, paths and queries: bounded, timed, and parsed once.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Request};
use http::request::Parts;

use super::problem;
use crate::failure::Refusal;
use crate::problem::Problem;
use crate::relay::Relay;

/// The parts of an address that its route names. axum's own refusal of what is no UTF-8 would be an answer without a code.
pub(super) struct Named<T>(pub(super) T);

impl<S: Sync, T> FromRequestParts<S> for Named<T>
where
    Path<T>: FromRequestParts<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::from_request_parts(parts, state).await;
        named.map(|Path(named)| Self(named)).map_err(|_| problem(NO_ID))
    }
}

/// Reads a body of at most `limit` bytes. A peer that sends a byte a second is cut off by the time-out, not served for ever.
pub(super) async fn read(relay: &Relay, request: Request, limit: usize) -> Result<Bytes, Refusal> {
    let body = axum::body::to_bytes(request.into_body(), limit);
    match tokio::time::timeout(relay.config.timeouts.body, body).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_length_limit(&error) => Err(Refusal::BodyTooLarge { limit }),
        Ok(Err(_)) | Err(_) => Err(Refusal::BodyIncomplete),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

const NO_ID: Refusal = Refusal::BadRequest("expected 64 hexadecimal digits in the address");

/// An id in a path.
pub(super) fn id<T: FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| NO_ID)
}

/// The values of a query, each name at most once, in the order of `names`.
pub(super) fn query<'a, const N: usize>(parts: &'a Parts, names: [&str; N]) -> Result<[Option<&'a str>; N], Refusal> {
    let mut values = [None; N];
    for pair in parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let index = names.iter().position(|known| *known == name);
        match index.and_then(|index| values.get_mut(index)) {
            Some(slot @ None) => *slot = Some(value),
            _ => return Err(Refusal::BadRequest("the query has a name twice, or one that is not known")),
        }
    }
    Ok(values)
}

/// A number in a query.
pub(super) fn number(value: Option<&str>) -> Result<Option<u64>, Refusal> {
    let refusal = Refusal::BadRequest("expected a number in the query");
    // The standard library also takes a plus sign.
    let parse = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    value.map(|text| parse(text).ok_or(refusal)).transpose()
}

/// The most items of a page: what was asked for, at most `max`.
pub(super) fn limit(value: Option<&str>, max: usize) -> Result<usize, Refusal> {
    Ok(number(value)?.map_or(max, |limit| usize::try_from(limit).unwrap_or(max)).clamp(1, max))
}
