//! `countersign approve`: types the check code that the new device shows.

use std::io::IsTerminal as _;

use zeroize::Zeroizing;

use super::devices::MemberRole;
use super::{Context, EXIT_CODES, show_proposal};
use crate::core::view::{ApprovedView, RequestView};
use crate::door::{Door, Session};
use crate::error::AgentError;
use crate::local::body::{AdmitUnchecked, Approve, Named};
use crate::terminal;
use crate::told::Exit;

/// Admit a device by typing the code that it shows
///
/// Without --check-code it opens the prompt and asks for the code. With it, the prompt must have been opened on this device before
/// (countersign requests show ID). The third wrong code denies the request.
///
/// The device comes in as an approver: it writes, lets others in, and removes them. --role writer or --role reader gives it less; 'devices role'
/// changes it later. Where the policy asks for several approvers, all must name the same role.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign approve 3f9c\n  \
    countersign requests show 3f9c && countersign approve 3f9c --check-code 482913\n  \
    countersign approve 3f9c --role writer\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// A prefix of the request's id
    #[arg(add = clap_complete::ArgValueCompleter::new(super::completion::open_requests))]
    id: String,
    /// The six digits that the new device shows
    #[arg(long, value_name = "DIGITS")]
    check_code: Option<String>,
    /// What it may do
    #[arg(long, value_enum, default_value = "approver")]
    role: MemberRole,
    /// Take a risk by naming it
    #[arg(long, value_enum, value_name = "RISK", conflicts_with = "check_code")]
    accept_risk: Option<Risk>,
}

/// Risks that are taken by naming them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Risk {
    /// Let it in without a code, where the policy allows it: whoever has the sync code may be asking
    NoCheckCode,
}

/// Approves.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let role = args.role.name();
    let approved = match args.check_code {
        None if args.accept_risk == Some(Risk::NoCheckCode) => {
            let door = context.door(Session::NotNeeded).await?;
            door.post("/requests/admit-unchecked", &AdmitUnchecked { id: args.id, role: role.to_owned() }).await?
        }
        checked => with_code(context, &args.id, role, checked).await?,
    };
    match approved {
        ApprovedView::Decided(decision) => {
            context.result("countersign.decision/1", &decision, |output| output.line(&decision.sentence));
        }
        ApprovedView::Agreed(proposal) => show_proposal(context, &proposal),
    }
    Ok(Exit::Done)
}

/// By the code that is given, or asked for.
async fn with_code(context: &Context, id: &str, role: &str, code: Option<String>) -> Result<ApprovedView, AgentError> {
    match code {
        Some(code) => send(&context.door(Session::NotNeeded).await?, id, role, Zeroizing::new(code)).await,
        None if std::io::stdin().is_terminal() => ask(context, id, role).await,
        None => Err(AgentError::Usage {
            what: "there is no terminal to ask for the check code".to_owned(),
            hint: format!(
                "countersign requests show {id}   (the new device then shows a code)   and   countersign approve {id} --check-code DIGITS"
            ),
        }),
    }
}

/// Opens the prompt, shows the facts, and asks for the code until it is right, denied, or decided elsewhere.
async fn ask(context: &Context, id: &str, role: &str) -> Result<ApprovedView, AgentError> {
    let door = context.door(Session::Needed).await?;
    let mut events = door.events().await?;
    let request: RequestView = door.post("/requests/open", &Named { id: id.to_owned() }).await?;
    let output = context.output;
    for line in terminal::facts(&request) {
        output.progress(&line);
    }
    output.progress(&format!("The code lets it in as {role}."));
    loop {
        output.prompt(&format!("Type {} (empty to leave it undecided): ", terminal::which_code(&request)));
        let typed = tokio::select! {
            typed = terminal::read_line() => typed?,
            ended = terminal::ended_elsewhere(&mut events, &request.id) => {
                output.progress("");
                return Err(ended);
            }
        };
        if typed.trim().is_empty() {
            return Err(AgentError::Usage {
                what: "nothing was decided".to_owned(),
                hint: format!("countersign approve {id}   or   countersign deny {id}"),
            });
        }
        match send(&door, &request.id, role, Zeroizing::new(typed.trim().to_owned())).await {
            Err(AgentError::Told(told)) if matches!(told.code.as_str(), "wrong-code" | "not-a-code") => {
                output.progress(&told.message);
            }
            decided => return decided,
        }
    }
}

async fn send(door: &Door, id: &str, role: &str, code: Zeroizing<String>) -> Result<ApprovedView, AgentError> {
    door.post("/requests/approve", &Approve { id: id.to_owned(), code, role: role.to_owned() }).await
}
