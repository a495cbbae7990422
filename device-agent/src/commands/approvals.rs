//! `countersign approvals`: what more than one approver must agree to.

use clap::Subcommand;
use serde::Serialize;

use super::policy::Risk;
use super::remove::Reason;
use super::{Context, EXIT_CODES, confirm, show_outcome};
use crate::core::view::{Here, OutcomeView, ProposalView, short};
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::{Agreed, Named};
use crate::output::Output;
use crate::text;
use crate::told::Exit;

/// See what other approvers propose, and agree to it
///
/// Where the policy asks for several approvers, the first one's 'devices remove', 'devices role', 'policy set' or 'chain purge' proposes; the others agree here,
/// and the last one carries it out. A device is let in by each approver typing its code ('countersign approve').
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign approvals list\n  countersign approvals agree 3f9c\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// List what is proposed, by whom, and how many more must agree
    #[command(after_help = format!("Example:\n  countersign approvals list\n\n{EXIT_CODES}"))]
    List,
    /// Agree to exactly what is shown
    #[command(after_help = format!("Examples:\n  countersign approvals agree 3f9c\n  \
        countersign approvals agree 3f9c --reason lost\n\n{EXIT_CODES}"))]
    Agree {
        /// A prefix of its id
        id: String,
        /// Why devices are removed, if this completes a removal
        #[arg(long, value_enum, default_value = "retired")]
        reason: Reason,
        /// Take a risk by naming it
        #[arg(long, value_enum, value_name = "RISK")]
        accept_risk: Vec<Risk>,
    },
}

#[derive(Serialize)]
struct Listed<'a> {
    approvals: &'a [ProposalView],
}

/// Lists or agrees.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what.unwrap_or(What::List) {
        What::List => list(context).await,
        What::Agree { id, reason, accept_risk } => {
            let accepted = accept_risk.iter().map(|risk| risk.name().to_owned()).collect();
            agree(context, id, reason, accepted).await
        }
    }
}

async fn list(context: &Context) -> Result<Exit, AgentError> {
    let proposals: Vec<ProposalView> = context.door(Session::NotNeeded).await?.get("/approvals").await?;
    context.result("countersign.approvals/1", &Listed { approvals: &proposals }, |output| {
        if proposals.is_empty() {
            output.progress("nothing is proposed");
        }
        for proposal in &proposals {
            output.line(&format!("{}  {}  ({})", short(&proposal.proposal), proposal.what, proposal.standing()));
            if proposal.here != Here::ThisDevice {
                output.progress(&format!("next: {}", proposal.next()));
            }
        }
    });
    Ok(Exit::Done)
}

async fn agree(context: &Context, id: String, reason: Reason, accepted: Vec<String>) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    let proposal: ProposalView = door.post("/approvals/find", &Named { id }).await?;
    show(&context.output, &proposal);
    confirm(context, "agree").await?;
    // By its whole id: what was shown is what is agreed to.
    let agreed = Agreed { id: proposal.proposal, reason: reason.name().to_owned(), accepted };
    let outcome: OutcomeView = door.post("/approvals/agree", &agreed).await?;
    show_outcome(context, &outcome, "next: countersign log show");
    Ok(Exit::Done)
}

fn show(output: &Output, proposal: &ProposalView) {
    output.progress(&format!("{} proposes to {}", text::quote_all(&proposal.approved_by), proposal.what));
    for detail in &proposal.details {
        output.progress(&format!("  {detail}"));
    }
    output.progress(&format!("  {}", proposal.standing()));
}
