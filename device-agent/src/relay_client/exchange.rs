//! One HTTP/1.1 connection to the relay, and what an answer says.

use bytes::Bytes;
use data_encoding::BASE64;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use protocol::limits::BODY_BYTES_MAX;
use protocol::wire::MEDIA_TYPE;
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;

use super::Body;
use crate::dial::{Endpoint, Stream};
use crate::error::AgentError;
use crate::text;

/// An open connection; its driver ends with it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// An answer: status, body, and the relay's clock.
pub(super) struct Answer {
    status: StatusCode,
    body: Bytes,
    /// The relay's clock, unix milliseconds.
    pub(super) relay_time: Option<u64>,
}

impl Connection {
    /// Speaks HTTP over a dialled stream.
    pub(super) async fn open(endpoint: &Endpoint, stream: Box<dyn Stream>) -> Result<Self, AgentError> {
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| endpoint.unreachable(error.to_string()))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the relay ended");
            }
        });
        Ok(Self { sender, _driver: AbortOnDropHandle::new(driver) })
    }

    /// Whether it can carry another request.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends one request and reads its answer to the end.
    pub(super) async fn send(
        &mut self,
        endpoint: &Endpoint,
        method: &Method,
        path: &str,
        body: &Body,
    ) -> Result<Answer, AgentError> {
        let lost = |error: &dyn std::fmt::Display| endpoint.unreachable(error.to_string());
        self.sender.ready().await.map_err(|error| lost(&error))?;
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::HOST, endpoint.authority())
            .header(header::ACCEPT, MEDIA_TYPE)
            .header(header::USER_AGENT, concat!("countersign/", env!("CARGO_PKG_VERSION")));
        let request = match body {
            Body::Cbor(bytes) => request.header(header::CONTENT_TYPE, MEDIA_TYPE).body(Full::new(bytes.clone())),
            Body::Signed(headers) => request
                .header("signature-input", &headers.input)
                .header("signature", &headers.signature)
                .body(Full::default()),
            Body::None => request.body(Full::default()),
        };
        let request = request.map_err(|error| AgentError::Task { what: error.to_string() })?;
        let answer = self.sender.send_request(request).await.map_err(|error| lost(&error))?;
        let relay_time = answer.headers().get("countersign-time").and_then(|value| value.to_str().ok()?.parse().ok());
        let status = answer.status();
        let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await.map_err(|error| lost(&error))?;
        Ok(Answer { status, body: body.to_bytes(), relay_time })
    }
}

/// RFC 9457, what of it is read.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ProblemBody {
    code: String,
    title: String,
    detail: String,
    left: Option<u64>,
    form: String,
}

impl Answer {
    /// The body of a success; the problem otherwise.
    pub(super) fn into_body(self) -> Result<Bytes, AgentError> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let problem: ProblemBody = serde_json::from_slice(&self.body).unwrap_or_default();
        if let ("closing-too-early", Some(left)) = (problem.code.as_str(), problem.left) {
            return Err(AgentError::ClosingTooEarly { left });
        }
        if problem.code == "reset" {
            let form = BASE64.decode(problem.form.as_bytes()).unwrap_or_default();
            return Err(AgentError::WasReset { form });
        }
        let detail = [problem.detail, problem.title].into_iter().find(|text| !text.is_empty());
        let code: String = problem.code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
        Err(AgentError::Problem {
            status: self.status.as_u16(),
            code: if code.is_empty() { format!("status-{}", self.status.as_u16()) } else { code },
            detail: clean_detail(&detail.unwrap_or_else(|| self.status.to_string())),
        })
    }
}

/// The relay's words are a stranger's text too: cleaned line by line, with more room than a name.
fn clean_detail(raw: &str) -> String {
    let words: Vec<String> = raw.split_whitespace().take(60).map(text::clean).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &'static str) -> Result<Bytes, AgentError> {
        Answer { status: StatusCode::from_u16(status).unwrap(), body: body.into(), relay_time: None }.into_body()
    }

    #[test]
    fn a_redirect_is_no_answer() {
        assert!(matches!(read(307, "elsewhere"), Err(AgentError::Problem { status: 307, .. })));
    }

    #[test]
    fn the_relays_words_are_cleaned() {
        let Err(AgentError::Problem { code, detail, .. }) =
            read(403, r#"{"code": "not\u001b[2J-a", "detail": "no\u202e \u001bway"}"#)
        else {
            panic!("a problem")
        };
        assert_eq!((code.as_str(), detail.as_str()), ("not2J-a", "no way"));
    }
}
