//! The prompt as lines of text, one after the other: a screen reader reads each once and in order, nothing is written over.
//!
//! A person types words and Enter. The beginning of an id opens a request; then the six digits approve it, `deny` denies it, `not me`
//! also replaces the sync code, `later` leaves it. Enter alone lists who asks.

use zeroize::Zeroizing;

use super::{CODE_REPLACED, CODE_REPLACED_NEXT, NOT_ME, facts, line_of, read_line, row, which_code};
use crate::core::view::{ApprovedView, DecisionView, Event, RequestView, short};
use crate::door::{Door, Events};
use crate::error::AgentError;
use crate::exit;
use crate::local::body::{Approve, Denial, DenyRequest, Named};
use crate::output::Output;

/// Characters of an id as every screen shows it.
const ID_SHOWN: usize = 8;

struct Dialogue<'a> {
    door: &'a Door,
    output: Output,
    /// The request whose prompt is open.
    open: Option<Opened>,
}

/// A request as its prompt shows it.
#[derive(Clone)]
struct Opened {
    id: String,
    /// The role that the prompt names: what is typed there lets it in as that.
    role: String,
}

/// Talks until its input ends, or until the agent ends.
pub(super) async fn dialogue(door: &Door, mut events: Events, output: Output) -> Result<(), AgentError> {
    let mut dialogue = Dialogue { door, output, open: None };
    output.progress("Type the beginning of a request's id to open it, or Enter to list who asks. Ctrl-C ends.");
    loop {
        let mut line = std::pin::pin!(read_line());
        let typed = loop {
            tokio::select! {
                typed = line.as_mut() => break typed?,
                event = events.next() => match event {
                    Some(Event::Stopped { told }) => return Err(AgentError::Told(told)),
                    Some(event) => dialogue.happened(&event),
                    None => return Err(AgentError::Daemon { what: "it ended".to_owned() }),
                },
            }
        };
        if typed.is_empty() {
            return Ok(());
        }
        if let Err(error) = dialogue.typed(typed.trim()).await {
            dialogue.failed(&error);
        }
    }
}

impl Dialogue<'_> {
    fn happened(&mut self, event: &Event) {
        if let Some(line) = line_of(event) {
            self.output.progress(&line);
        }
        let over = match event {
            Event::Decided { decision } => &decision.request,
            Event::Ended { request, .. } => request,
            _ => return,
        };
        if self.open.as_ref().is_some_and(|open| open.id == *over) {
            self.output.progress(&format!("The prompt of {} is closed.", short(over)));
            self.open = None;
        }
    }

    async fn typed(&mut self, word: &str) -> Result<(), AgentError> {
        let digits: Zeroizing<String> = Zeroizing::new(word.chars().filter(|c| !c.is_whitespace()).collect());
        let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_code = are_digits && digits.len() == 6;
        match self.open.clone() {
            _ if word.is_empty() => self.list().await,
            Some(open) if is_code => self.approve(open, digits).await,
            Some(open) if word == "deny" => self.deny(open.id, Denial::Denied).await,
            Some(open) if word == "not me" || word == "not-me" => self.deny(open.id, Denial::NotMe).await,
            Some(open) if word == "later" => {
                self.output.progress(&format!("{} is left undecided.", short(&open.id)));
                self.open = None;
                Ok(())
            }
            // Shorter than the id that rows show, and all digits: a code that was mistyped, while a prompt waits for one.
            Some(_) if are_digits && digits.len() < ID_SHOWN => {
                self.output.progress("A code has six digits. Nothing was counted as a try.");
                Ok(())
            }
            _ => self.open(word).await,
        }
    }

    async fn list(&self) -> Result<(), AgentError> {
        let requests: Vec<RequestView> = self.door.get("/requests").await?;
        if requests.is_empty() {
            self.output.progress("nobody asks");
        }
        requests.iter().for_each(|request| self.output.progress(&row(request)));
        Ok(())
    }

    async fn open(&mut self, id: &str) -> Result<(), AgentError> {
        let request: RequestView = self.door.post("/requests/open", &Named { id: id.to_owned() }).await?;
        self.output.progress("A device wants to join.");
        facts(&request).iter().for_each(|fact| self.output.progress(fact));
        self.output.progress(&format!(
            "Type {} to approve (that lets it in as {}), or deny, or not me, or later.",
            which_code(&request),
            request.admits_as
        ));
        self.output.progress(NOT_ME);
        self.open = Some(Opened { id: request.id, role: request.admits_as });
        Ok(())
    }

    /// The decision itself is told as an event, like one of another device.
    async fn approve(&self, Opened { id, role }: Opened, code: Zeroizing<String>) -> Result<(), AgentError> {
        self.door.post::<ApprovedView>("/requests/approve", &Approve { id, code, role }).await.map(|_| ())
    }

    async fn deny(&self, id: String, reason: Denial) -> Result<(), AgentError> {
        self.door.post::<DecisionView>("/requests/deny", &DenyRequest { id, block: 0, reason }).await?;
        self.output.progress(match reason {
            Denial::Denied => "The new device is not told: stop it there and run join again.",
            Denial::NotMe => CODE_REPLACED,
        });
        if reason == Denial::NotMe {
            self.output.progress(CODE_REPLACED_NEXT);
        }
        Ok(())
    }

    fn failed(&self, error: &AgentError) {
        let told = exit::tell(error);
        self.output.progress(&told.message);
        if let Some(hint) = told.hint {
            self.output.progress(&format!("next: {hint}"));
        }
    }
}
