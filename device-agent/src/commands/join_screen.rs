//! The joiner's screen: codes, and one line that is written over once a second on a terminal.

use std::io::IsTerminal as _;

use protocol::RequestId;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock;
use crate::joiner::{Members, OneTimeCode, Scene, Shows};
use crate::output::{Format, Output};
use crate::terminal::Writing;

/// What the joiner's person sees: codes, and one line that is written over once a second on a terminal.
pub(super) struct Screen {
    output: Output,
    request: String,
    codes: u8,
    last: Option<Members>,
    live: Live,
    one_time_code: OneTimeCode,
}

/// Whether the last line is one that is written over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Live {
    No,
    Ready,
    Drawn,
}

#[derive(Serialize)]
struct State<'a> {
    schema: &'static str,
    state: &'a str,
    request: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

impl Screen {
    /// A screen on standard error, or JSON lines on standard output.
    pub(super) fn new(output: Output, writing: Writing, one_time_code: OneTimeCode) -> Self {
        let on_terminal =
            std::io::stderr().is_terminal() && output.format() == Format::Text && writing == Writing::Over;
        let live = if on_terminal { Live::Ready } else { Live::No };
        Self { output, request: String::new(), codes: 0, last: None, live, one_time_code }
    }

    fn waiting(&mut self, remaining: u64, members: Members) {
        if self.last == Some(members) {
            return;
        }
        let first = self.last.replace(members).is_none();
        self.end_line();
        let online = members == Members::Online;
        if self.output.format() == Format::Json {
            let (schema, request) = ("countersign.join/1", self.request.as_str());
            let state = State {
                schema,
                state: "waiting",
                request,
                online: Some(online),
                remaining: Some(remaining),
                round: None,
                code: None,
            };
            self.output.json(&state);
        } else if self.codes == 0 {
            let who = if online { "one of them is online" } else { "none of them is online now" };
            self.output.progress(&format!(
                "waiting: Open this request on one of your devices; a code will then appear here ({who}; expires in {})",
                clock::span(remaining)
            ));
            // A chain may show nobody a request that came without a code, and its device is not told.
            if first && self.one_time_code == OneTimeCode::NotSent {
                self.output.progress(
                    "         (if your chain uses an authenticator: stop this with Ctrl-C, then countersign join --totp-code)",
                );
            }
        }
    }

    fn code(&mut self, round: u8, digits: &str) {
        self.codes = round;
        self.end_line();
        if self.output.format() == Format::Json {
            let code: Zeroizing<String> = Zeroizing::new(digits.chars().filter(char::is_ascii_digit).collect());
            let (schema, request) = ("countersign.join/1", self.request.as_str());
            let state = State {
                schema,
                state: "code",
                request,
                online: None,
                remaining: None,
                round: Some(round),
                code: Some(&code),
            };
            self.output.json(&state);
        } else if self.live == Live::No {
            self.output.progress(&format!("code {round}: {digits}   (type this on the device where you opened it)"));
        } else {
            self.output.progress(&format!("\n    code {round}:   {}\n", self.output.bold(digits)));
            self.output.progress("type this on the device where you opened it");
        }
    }

    /// Names a last state, for programs.
    pub(super) fn state(&mut self, state: &str) {
        if self.output.format() == Format::Json {
            let (schema, request) = ("countersign.join/1", self.request.as_str());
            self.output.json(&State { schema, state, request, online: None, remaining: None, round: None, code: None });
        }
    }

    /// Leaves the line that is written over.
    pub(super) fn end_line(&mut self) {
        if self.live == Live::Drawn {
            self.output.rewrite("");
            self.live = Live::Ready;
        }
    }
}

impl Shows for Screen {
    fn asked(&mut self, id: RequestId) {
        self.output.progress(&format!("request {}", id.short()));
        self.request = id.to_string();
    }

    fn show(&mut self, scene: Scene) {
        match scene {
            Scene::Waiting { remaining, members } => self.waiting(remaining, members),
            Scene::Code { round, digits } => self.code(round, &digits),
        }
    }

    /// On a terminal only.
    fn tick(&mut self, remaining: u64) {
        if self.live != Live::No {
            self.output.rewrite(&format!("expires in {}; Ctrl-C withdraws the request", clock::span(remaining)));
            self.live = Live::Drawn;
        }
    }
}
