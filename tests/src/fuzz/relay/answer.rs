//! What the relay answers, and what every answer must look like.

use std::sync::OnceLock;

use protocol::cbor;

/// The documentation is what says which codes there are.
const DOCUMENTED: &str = include_str!("../../../../docs/protocol.md");

/// An answer of the relay.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The code of a problem.
    pub(super) code: Option<String>,
    /// The problem whole.
    pub(super) problem: serde_json::Value,
}

impl Answer {
    /// Takes an answer, and checks its form.
    pub(super) fn new(status: u16, headers: &http::HeaderMap, body: Vec<u8>) -> Self {
        assert!(headers.contains_key("countersign-time"), "every answer carries the relay's clock");
        assert!(status < 500, "{status}: {}", String::from_utf8_lossy(&body));
        let problem = (status >= 400).then(|| {
            assert_eq!(headers.get("content-type").expect("a type"), "application/problem+json");
            let problem: serde_json::Value = serde_json::from_slice(&body).expect("a problem is JSON");
            let code = problem["code"].as_str().expect("a problem has a code").to_owned();
            assert_eq!(problem["status"], status);
            assert_eq!(problem["type"], format!("urn:countersign:problem:{code}"));
            assert!(is_documented(&code, status), "{status} {code} is not in docs/protocol.md");
            if status == 429 {
                assert!(headers.contains_key("retry-after"), "{code} says when to come back");
            }
            (code, problem)
        });
        let (code, problem) = problem.unzip();
        Self { status, body, code, problem: problem.unwrap_or_default() }
    }

    pub(super) fn is_success(&self) -> bool {
        self.status < 300
    }

    pub(super) fn cbor<T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>>(&self) -> T {
        assert!(self.is_success(), "{} {:?}", self.status, self.code);
        cbor::decode("answer", &self.body, usize::MAX).expect("an answer in the one encoding")
    }
}

/// Whether a line of the table of problems has both.
fn is_documented(code: &str, status: u16) -> bool {
    static ROWS: OnceLock<Vec<(Vec<&str>, &str)>> = OnceLock::new();
    let mut rows = ROWS.get_or_init(documented).iter();
    rows.any(|(codes, statuses)| codes.contains(&code) && statuses.contains(&status.to_string()))
}

/// Codes, and the statuses that they come with.
fn documented() -> Vec<(Vec<&'static str>, &'static str)> {
    let (_, table) = DOCUMENTED.split_once("## Problem types").expect("the table");
    let (table, _) = table.split_once("## Close codes").expect("the end of the table");
    let row = |line: &'static str| {
        let (codes, rest) = line.strip_prefix('|')?.split_once('|')?;
        // What stands between the ticks.
        Some((codes.split('`').skip(1).step_by(2).collect(), rest.split('|').next()?))
    };
    table.lines().filter_map(row).collect()
}
