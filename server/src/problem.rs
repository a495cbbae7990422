//! The one map from failures to what the outside sees: RFC 9457 problems.

use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use http::{HeaderValue, StatusCode, header};
use protocol::error::FormError;
use protocol::record::RecordRefusal;
use protocol::reset::ResetRefusal;
use protocol::roster::Refusal as LogRefusal;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Refusal};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Marks an answer as one that somebody gets who is no member: it cost the relay a verification, and is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToAStranger;

/// A problem as it is sent.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    more: Map<String, Value>,
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: String) -> Self {
        Self { status, code, detail, more: Map::new(), retry_after: None }
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    fn retry_after(mut self, millis: u64) -> Self {
        // Rounded up: whoever comes at the second named finds the door open.
        self.retry_after = Some(millis.div_ceil(1000).max(1));
        self
    }

    fn is_for_strangers(&self) -> bool {
        // Whoever has a key can sign a reveal or a withdrawal of a request that does not exist.
        self.code == "request-unknown"
            || matches!(
                self.status,
                StatusCode::BAD_REQUEST
                    | StatusCode::UNAUTHORIZED
                    | StatusCode::FORBIDDEN
                    | StatusCode::GONE
                    | StatusCode::PAYLOAD_TOO_LARGE
            )
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::NotDurable(why) => {
                tracing::error!(%why, "not durable");
                let detail = "this could not be stored durably; the same bytes may be sent again".to_owned();
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-durable", detail).retry_after(1000)
            }
            Failure::Broken(what) => {
                tracing::error!(what, "the store is damaged, or this program wrong");
                let detail = "the relay cannot answer this; its log says why".to_owned();
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            }
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = outside(&refusal);
        let problem = Self::new(status, code, refusal.to_string());
        match refusal {
            Refusal::HeadMoved(stand) => {
                problem.with("head", json!(stand.head.to_string())).with("seq", json!(stand.seq))
            }
            Refusal::CutBehind { device, counter, last } => {
                let problem = problem.with("device", json!(device.to_string())).with("counter", json!(counter));
                match last {
                    Some(last) => problem.with("hash", json!(last.to_string())),
                    None => problem,
                }
            }
            Refusal::Log { index, .. } | Refusal::Record { index, .. } => problem.with("index", json!(index)),
            Refusal::RoundTaken { next, .. } => problem.with("next", json!(next)),
            Refusal::TooMany { retry_after } | Refusal::TooManyPending { retry_after } => {
                problem.retry_after(retry_after)
            }
            Refusal::ClosingTooEarly { left } => problem.with("left", json!(left)),
            Refusal::Reset { form } => problem.with("form", json!(BASE64.encode(&form))),
            Refusal::Announcement(ResetRefusal::WaitTooShort { least }) => problem.with("least", json!(least)),
            // Nobody knows when; a person decides.
            Refusal::TooManyApprovals => problem.retry_after(60_000),
            _ => problem,
        }
    }
}

/// Status and code of each refusal.
fn outside(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::Form(error @ FormError::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, error.code()),
        Refusal::Form(error) => (StatusCode::BAD_REQUEST, error.code()),
        Refusal::Read(error) => (StatusCode::UNAUTHORIZED, error.code()),
        Refusal::Log { refusal: error @ (LogRefusal::NotAMember | LogRefusal::NotAnApprover), .. } => {
            (StatusCode::FORBIDDEN, error.code())
        }
        Refusal::Log { refusal: error, .. } => (StatusCode::CONFLICT, error.code()),
        Refusal::HeadMoved(_) => (StatusCode::CONFLICT, "head-moved"),
        Refusal::CutBehind { .. } => (StatusCode::CONFLICT, "cut-behind"),
        Refusal::Record { refusal: error @ RecordRefusal::NotAMember, .. } => (StatusCode::FORBIDDEN, error.code()),
        Refusal::Record { refusal: error, .. } => (StatusCode::CONFLICT, error.code()),
        Refusal::Round(error) => (StatusCode::CONFLICT, error.code()),
        Refusal::RoundTaken { .. } => (StatusCode::CONFLICT, "round-taken"),
        Refusal::RevealTaken => (StatusCode::CONFLICT, "reveal-taken"),
        Refusal::JoinKeyTaken => (StatusCode::CONFLICT, "join-key-taken"),
        Refusal::UnknownJoinKey => (StatusCode::NOT_FOUND, "unknown-join-key"),
        Refusal::TooManyPending { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many-pending"),
        Refusal::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"),
        Refusal::RequestUnknown => (StatusCode::CONFLICT, "request-unknown"),
        Refusal::RequestClosed => (StatusCode::CONFLICT, "request-closed"),
        Refusal::NotAMember => (StatusCode::FORBIDDEN, "not-a-member"),
        Refusal::NotAnApprover => (StatusCode::FORBIDDEN, "not-an-approver"),
        Refusal::UnknownHead => (StatusCode::CONFLICT, "unknown-head"),
        Refusal::StaleEpoch => (StatusCode::CONFLICT, "stale-epoch"),
        Refusal::ClosingTooEarly { .. } => (StatusCode::CONFLICT, "closing-too-early"),
        Refusal::ChainClosed => (StatusCode::CONFLICT, "chain-closed"),
        Refusal::Reset { .. } => (StatusCode::GONE, "reset"),
        Refusal::Announcement(error @ ResetRefusal::NotAMember) => (StatusCode::FORBIDDEN, error.code()),
        Refusal::Announcement(error) => (StatusCode::CONFLICT, error.code()),
        Refusal::ApprovalVoid => (StatusCode::CONFLICT, "approval-void"),
        Refusal::TooManyApprovals => (StatusCode::TOO_MANY_REQUESTS, "too-many-approvals"),
        Refusal::NotFound => (StatusCode::NOT_FOUND, "not-found"),
        Refusal::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
        Refusal::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
        Refusal::BodyIncomplete => (StatusCode::REQUEST_TIMEOUT, "incomplete"),
        Refusal::BadRequest(_) => (StatusCode::BAD_REQUEST, "malformed"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // The same id stands in the log, so that a person who reports a problem can be helped without sending any content.
        let instance = format!("urn:uuid:{}", uuid::Uuid::now_v7());
        if self.retry_after.is_some() {
            // Whoever floods must not fill the log with it.
            tracing::debug!(%instance, status = self.status.as_u16(), code = self.code, "refused");
        } else {
            tracing::info!(%instance, status = self.status.as_u16(), code = self.code, "refused");
        }
        let for_strangers = self.is_for_strangers();
        let mut body = self.more;
        body.insert("type".into(), json!(format!("urn:countersign:problem:{}", self.code)));
        body.insert("title".into(), json!(self.status.canonical_reason().unwrap_or_default()));
        body.insert("status".into(), json!(self.status.as_u16()));
        body.insert("code".into(), json!(self.code));
        body.insert("detail".into(), json!(self.detail));
        body.insert("instance".into(), json!(instance));
        let mut response = (self.status, Value::Object(body).to_string()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if for_strangers {
            response.extensions_mut().insert(ToAStranger);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
