//! What a person at a terminal sees and types; and the same, line by line, where there is no terminal.

mod block;
mod dialogue;
mod live;
mod sheet;

use std::io::IsTerminal as _;

use zeroize::Zeroizing;

use crate::clock;
use crate::core::view::{
    ApprovalView, DecisionView, EVENT_SCHEMA, Event, Here, PromptView, RequestView, approved, lost_records, short,
};
use crate::door::{Door, Events};
use crate::error::AgentError;
use crate::output::{Format, Output};
use crate::text;

use dialogue::dialogue;
use live::live;
pub(crate) use sheet::{OnPaper, Screen, Sheet};

/// What "not me" means, said before it is chosen.
pub(crate) const NOT_ME: &str = "not me: nobody here asked, so the sync code has leaked; it is replaced";
/// What "not me" did.
pub(crate) const CODE_REPLACED: &str =
    "The sync code has leaked, and is replaced: whoever has the old words can ask no more.";
/// What to type then.
pub(crate) const CODE_REPLACED_NEXT: &str = "next: countersign code show";

/// How a person is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    /// At a terminal, with lines that are written over.
    Live,
    /// At a terminal, line by line.
    Dialogue,
    /// Nobody types: lines are only told.
    Told,
}

impl Face {
    /// The face for these streams. A terminal that cannot move its cursor is spoken to line by line.
    fn of(wanted: Writing) -> Self {
        let dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match wanted {
            _ if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) => Self::Told,
            Writing::Over if !dumb() => Self::Live,
            Writing::Over | Writing::Lines => Self::Dialogue,
        }
    }
}

/// How a person wants it written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Lines may be written over.
    Over,
    /// Lines only.
    Lines,
}

/// Tells what happens until the agent ends: as objects, or as lines, and at a terminal lets a person decide. What happened before
/// `events` was opened is not told.
pub(crate) async fn tell(door: &Door, events: Events, output: Output, writing: Writing) -> Result<(), AgentError> {
    match output.format() {
        Format::Json => json(events, output).await,
        Format::Text => match Face::of(writing) {
            Face::Live => live(door, events, output).await,
            Face::Dialogue => dialogue(door, events, output).await,
            Face::Told => plain(events, output).await,
        },
    }
}

/// One line for a request.
pub(crate) fn row(request: &RequestView) -> String {
    let approvals =
        request.more_needed.map_or_else(String::new, |more| format!("  {}", approved(&request.approved_by, more)));
    format!(
        "{}  {} ({}) claimed by the device  from {} seen by the relay  expires in {}{approvals}",
        short(&request.id),
        text::quote(&request.name),
        request.platform,
        request.address,
        clock::span(request.remaining)
    )
}

/// Every fact of a request, its source first: a narrow terminal must not cut it off.
pub(crate) fn facts(request: &RequestView) -> Vec<String> {
    let mut lines = vec![
        format!(
            "claimed by the device        {} on {}, version {}",
            text::quote(&request.name),
            text::quote(&request.platform),
            text::quote(&request.version)
        ),
        format!("seen by the relay            {}", request.address),
        format!("same network as this device: {}", request.same_network.word()),
        format!("seen by the relay            asked {}", clock::show(request.asked_at)),
        format!("expires in                   {}", clock::span(request.remaining)),
        format!("verified                     request {}", short(&request.id)),
        format!("verified                     key {}", request.fingerprint),
    ];
    if let Some(proxy) = &request.proxy {
        lines.insert(2, format!("seen by the relay            through the trusted proxy {proxy}"));
    }
    if let Some(code) = &request.one_time_code {
        lines.push(format!("checked on this device       one-time code: {code}"));
    }
    if let Some(more) = request.more_needed {
        lines.push(format!("verified                     {}", approved(&request.approved_by, more)));
    }
    if let Some(same) = request.looks_like.first() {
        lines.push(format!("CAUTION                      a device called {} is a member already", text::quote(same)));
    }
    lines
}

/// How the code is asked for: by its number, as the new device may show several.
pub(crate) fn which_code(request: &RequestView) -> String {
    match request.prompt {
        PromptView::Ready { round, .. } | PromptView::Opening { round } => format!("code {round} of the new device"),
        PromptView::Closed => "the code of the new device".to_owned(),
    }
}

/// An event as one line.
pub(crate) fn line_of(event: &Event) -> Option<String> {
    Some(match event {
        Event::Requested { request } => format!("REQUEST {}", row(request)),
        Event::Answered { request } => match request.prompt {
            PromptView::Ready { round, .. } | PromptView::Opening { round } => {
                format!("CODE {}  the new device shows code {round}", short(&request.id))
            }
            PromptView::Closed => format!("CODE {}  the new device shows a code", short(&request.id)),
        },
        Event::Decided { decision } => decision.sentence.clone(),
        Event::Changed { change } => change.sentence.clone(),
        Event::Approved { approval } => {
            let ApprovalView { by, proposal, .. } = &**approval;
            let next =
                if proposal.here == Here::ThisDevice { String::new() } else { format!("   ({})", proposal.next()) };
            let by = text::quote(by);
            format!("APPROVED by {by}: {}; {}{next}", proposal.what, proposal.standing())
        }
        Event::CodeFailed { request, why } => {
            format!("NOT LET IN {}  by its one-time code: {why}", short(request))
        }
        Event::Dropped { proposal } => format!(
            "DROPPED the approval of {}: {}; the chain changed first, so it must be proposed anew",
            text::quote_all(&proposal.approved_by),
            proposal.what
        ),
        Event::Ended { request, ending } => format!("ENDED {} ({ending})", short(request)),
        Event::Reset { reset } => format!(
            "RESET announced: somebody with the sync code wants the relay to delete this chain in {}; countersign chain veto stops it",
            clock::span(reset.remaining)
        ),
        Event::Lost { records } => format!("LOST {}   (countersign record lost)", lost_records(*records)),
        Event::Link { state } => format!("RELAY {state}"),
        Event::Alarm { message } => message.clone(),
        Event::Record { .. } | Event::Stopped { .. } => return None,
    })
}

/// Tells every event as a line on standard error.
async fn plain(mut events: Events, output: Output) -> Result<(), AgentError> {
    while let Some(event) = events.next().await {
        if let Some(line) = line_of(&event) {
            output.progress(&line);
        }
        if let Event::Stopped { told } = event {
            return Err(AgentError::Told(told));
        }
    }
    Err(AgentError::Daemon { what: "it ended".to_owned() })
}

/// Tells every event as one object a line.
async fn json(mut events: Events, output: Output) -> Result<(), AgentError> {
    #[derive(serde::Serialize)]
    struct Told<'a> {
        schema: &'static str,
        #[serde(flatten)]
        event: &'a Event,
    }
    while let Some(event) = events.next().await {
        if !matches!(event, Event::Record { .. }) {
            output.json(&Told { schema: EVENT_SCHEMA, event: &event });
        }
        if let Event::Stopped { told } = event {
            return Err(AgentError::Told(told));
        }
    }
    Err(AgentError::Daemon { what: "it ended".to_owned() })
}

/// Reads one line without holding up anything else.
pub(crate) async fn read_line() -> Result<Zeroizing<String>, AgentError> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    read.await.map_err(|error| AgentError::Task { what: error.to_string() })?.map_err(AgentError::Terminal)
}

/// Ends when a request is decided on another device, or is over: the error that says how.
pub(crate) async fn ended_elsewhere(events: &mut Events, request: &str) -> AgentError {
    loop {
        match events.next().await {
            Some(Event::Decided { decision }) if decision.request == request => return decided(&decision),
            Some(Event::Ended { request: ended, ending }) if ended == request => {
                return match ending.as_str() {
                    "withdrawn" => AgentError::Withdrawn,
                    "stale" => AgentError::StaleRequest,
                    _ => AgentError::Expired,
                };
            }
            Some(_) => {}
            None => return AgentError::Daemon { what: "it ended".to_owned() },
        }
    }
}

fn decided(decision: &DecisionView) -> AgentError {
    AgentError::Decided { how: decision.how.clone() }
}
