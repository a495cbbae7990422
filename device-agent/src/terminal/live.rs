//! The live prompt: requests appear by themselves, one is opened by its number, its code is typed, and it vanishes when another
//! device decides first.
//!
//! Approving is typing six digits and Enter: no single key does it. Denying is one key, as are "not me" and leaving it for later.

use crossterm::event::{Event as TerminalEvent, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt as _;
use tokio::time::{Duration, MissedTickBehavior, interval};
use zeroize::Zeroizing;

use super::block::Block;
use super::{CODE_REPLACED, CODE_REPLACED_NEXT, NOT_ME, facts, line_of, row, which_code};
use crate::clock::Age;
use crate::core::view::{ApprovedView, DecisionView, Event, RequestView, short};
use crate::door::{Door, Events};
use crate::error::AgentError;
use crate::local::body::{Approve, Denial, DenyRequest, Named};
use crate::output::Output;
use crate::{clock, exit, limits};

/// A request with the age of what is known of it, for the countdown.
struct Row {
    request: RequestView,
    age: Age,
}

impl Row {
    fn new(request: RequestView) -> Self {
        Self { request, age: Age::since(clock::now()) }
    }

    /// The request with its countdown as of now.
    fn now(&self) -> RequestView {
        let remaining = self.request.remaining.saturating_sub(self.age.millis());
        RequestView { remaining, ..self.request.clone() }
    }
}

/// What is on the screen.
enum Mode {
    /// The open requests, folded into one row if there are many.
    Folded,
    /// All of them.
    Unfolded,
    /// The prompt of one.
    Prompt {
        /// Its id.
        id: String,
        /// What was typed so far.
        typed: Zeroizing<String>,
    },
}

/// What a key leads to.
enum Action {
    Nothing,
    Stop,
    Open(String),
    Approve(String, Zeroizing<String>),
    Deny(String, Denial),
}

struct Live<'a> {
    door: &'a Door,
    block: Block,
    rows: Vec<Row>,
    mode: Mode,
}

/// Runs the live prompt until Ctrl-C, or until the agent ends.
pub(super) async fn live(door: &Door, mut events: Events, output: Output) -> Result<(), AgentError> {
    let mut live = Live { door, block: Block::open(output)?, rows: Vec::new(), mode: Mode::Folded };
    let mut keys = EventStream::new();
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        live.draw();
        let action = tokio::select! {
            event = events.next() => match event {
                Some(Event::Stopped { told }) => return Err(AgentError::Told(told)),
                Some(event) => live.happened(event),
                None => return Err(AgentError::Daemon { what: "it ended".to_owned() }),
            },
            key = keys.next() => match key {
                Some(Ok(TerminalEvent::Key(key))) if key.kind != KeyEventKind::Release => live.key(key),
                Some(Ok(TerminalEvent::Resize(width, _))) => { live.block.resize(width); Action::Nothing }
                Some(Ok(_)) => Action::Nothing,
                Some(Err(error)) => return Err(AgentError::Terminal(error)),
                None => Action::Stop,
            },
            _ = second.tick() => Action::Nothing,
        };
        match action {
            Action::Nothing => {}
            Action::Stop => return Ok(()),
            Action::Open(id) => live.open(id).await,
            Action::Approve(id, code) => live.approve(id, code).await,
            Action::Deny(id, reason) => live.deny(id, reason).await,
        }
    }
}

impl Live<'_> {
    fn happened(&mut self, event: Event) -> Action {
        if let Some(line) = line_of(&event) {
            self.block.say(&line);
        }
        match event {
            Event::Requested { request } | Event::Answered { request } => self.keep(*request),
            Event::Decided { decision } => self.decided(&decision),
            Event::Ended { request, ending } => self.gone(&request, &ending),
            Event::Approved { approval } => {
                if let Some(request) = approval.request {
                    self.keep(*request);
                }
            }
            Event::Changed { .. }
            | Event::Reset { .. }
            | Event::Lost { .. }
            | Event::Dropped { .. }
            | Event::CodeFailed { .. }
            | Event::Record { .. }
            | Event::Link { .. }
            | Event::Stopped { .. }
            | Event::Alarm { .. } => {}
        }
        Action::Nothing
    }

    fn keep(&mut self, request: RequestView) {
        match self.rows.iter_mut().find(|row| row.request.id == request.id) {
            Some(row) => *row = Row::new(request),
            None => self.rows.push(Row::new(request)),
        }
    }

    fn decided(&mut self, decision: &DecisionView) {
        self.gone(&decision.request, &decision.how);
    }

    /// A request is no longer open: its row and its prompt vanish, whatever was typed.
    fn gone(&mut self, id: &str, how: &str) {
        self.rows.retain(|row| row.request.id != id);
        if matches!(&self.mode, Mode::Prompt { id: open, .. } if open == id) {
            self.block.say(&format!("{} {how}", short(id)));
            self.mode = Mode::Folded;
        }
    }

    fn key(&mut self, key: KeyEvent) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Action::Stop;
        }
        match &mut self.mode {
            Mode::Folded | Mode::Unfolded => match key.code {
                KeyCode::Char('a') => {
                    self.mode = Mode::Unfolded;
                    Action::Nothing
                }
                KeyCode::Char(digit @ '1'..='9') => {
                    let index = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or_default();
                    let row = index.checked_sub(1).and_then(|index| self.rows.get(index));
                    row.map_or(Action::Nothing, |row| Action::Open(row.request.id.clone()))
                }
                _ => Action::Nothing,
            },
            Mode::Prompt { id, typed } => match key.code {
                KeyCode::Char(digit) if digit.is_ascii_digit() && typed.len() < 6 => {
                    typed.push(digit);
                    Action::Nothing
                }
                KeyCode::Backspace => {
                    typed.pop();
                    Action::Nothing
                }
                KeyCode::Enter if typed.len() == 6 => Action::Approve(id.clone(), std::mem::take(typed)),
                KeyCode::Char('d') => Action::Deny(id.clone(), Denial::Denied),
                KeyCode::Char('n') => Action::Deny(id.clone(), Denial::NotMe),
                KeyCode::Char('l') | KeyCode::Esc => {
                    self.mode = Mode::Folded;
                    Action::Nothing
                }
                _ => Action::Nothing,
            },
        }
    }

    async fn open(&mut self, id: String) {
        self.block.draw(&[format!("opening {} …", short(&id))]);
        match self.door.post::<RequestView>("/requests/open", &Named { id: id.clone() }).await {
            Ok(request) => {
                self.keep(request);
                self.mode = Mode::Prompt { id, typed: Zeroizing::default() };
            }
            Err(error) => self.failed(&error),
        }
    }

    async fn approve(&mut self, id: String, code: Zeroizing<String>) {
        self.block.draw(&["checking …".to_owned()]);
        // The role that the prompt names.
        let shown = self.rows.iter().find(|row| row.request.id == id);
        let Some(role) = shown.map(|row| row.request.admits_as.clone()) else { return };
        let sent = self.door.post::<ApprovedView>("/requests/approve", &Approve { id, code, role }).await;
        match sent {
            // A decision comes as an event too, and that one takes the prompt away.
            Ok(ApprovedView::Decided(_)) => {}
            Ok(ApprovedView::Agreed(_)) => self.mode = Mode::Folded,
            Err(error) => self.failed(&error),
        }
    }

    async fn deny(&mut self, id: String, reason: Denial) {
        self.block.draw(&["denying …".to_owned()]);
        match self.door.post::<DecisionView>("/requests/deny", &DenyRequest { id, block: 0, reason }).await {
            Ok(_) if reason == Denial::NotMe => {
                self.block.say(CODE_REPLACED);
                self.block.say(CODE_REPLACED_NEXT);
            }
            Ok(_) => self.block.say("The new device is not told: stop it there and run join again."),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &AgentError) {
        let told = exit::tell(error);
        self.block.say(&told.message);
        if let Some(hint) = told.hint {
            self.block.say(&format!("next: {hint}"));
        }
    }

    fn draw(&mut self) {
        self.rows.retain(|row| row.now().remaining > 0);
        let prompted = match &self.mode {
            Mode::Prompt { id, typed } => {
                self.rows.iter().find(|row| row.request.id == *id).map(|row| prompt(&row.now(), typed))
            }
            Mode::Folded | Mode::Unfolded => None,
        };
        let lines = prompted.unwrap_or_else(|| self.list());
        self.block.draw(&lines);
    }

    fn list(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return vec!["nobody asks   (Ctrl-C ends)".to_owned()];
        }
        if self.rows.len() > limits::PROMPTS_SHOWN && !matches!(self.mode, Mode::Unfolded) {
            return vec![format!("{} devices ask to join; [a] shows all", self.rows.len())];
        }
        let numbered = |(index, row_of): (usize, &Row)| format!("[{}] {}", index + 1, row(&row_of.now()));
        let mut lines: Vec<String> = self.rows.iter().take(9).enumerate().map(numbered).collect();
        lines.push("[number] opens a request: its code then appears on the new device".to_owned());
        lines
    }
}

fn prompt(request: &RequestView, typed: &str) -> Vec<String> {
    let mut lines = vec!["A device wants to join".to_owned()];
    lines.extend(facts(request));
    lines.push("[d] deny   [n] not me   [l] later".to_owned());
    lines.push(format!("    {NOT_ME}"));
    lines.push(format!("To approve, type the six digits and press Enter. That lets it in as {}.", request.admits_as));
    let (first, second) = typed.split_at_checked(3).unwrap_or((typed, ""));
    lines.push(format!("{}: {first} {second}", which_code(request)));
    lines
}
