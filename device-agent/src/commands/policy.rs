//! `countersign policy`: the rules of the chain.

use clap::Subcommand;
use protocol::limits::MEMBERS_MAX;

use super::{Context, EXIT_CODES, confirm, seconds, show_outcome};
use crate::core::PolicyWish;
use crate::core::view::{CautionView, FieldView, OutcomeView, PolicyPlanView, PolicyView};
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::PolicyOrdered;
use crate::output::Output;
use crate::told::Exit;

/// Show, change or check the rules of the chain
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign policy show\n  countersign policy check --quorum-admit 2\n  \
    countersign policy set --quorum-admit 2 --request-lifetime 30m\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Show every setting, its value and what it does
    #[command(after_help = format!("Example:\n  countersign policy show\n\n{EXIT_CODES}"))]
    Show,
    /// Change settings, for all devices at once. What is not named stays
    ///
    /// Old and new values are shown, and what they weaken. A setting that would leave nobody able to decide is refused. Where the
    /// policy asks for several approvers, the others must agree.
    #[command(after_help = format!("Examples:\n  countersign policy set --request-lifetime 30m\n  \
        countersign policy set --quorum-admit 2 --quorum-remove 2\n\n{EXIT_CODES}"))]
    Set(Wanted),
    /// Say what 'set' with the same options would do, and change nothing
    #[command(after_help = format!("Example:\n  countersign policy check --quorum-admit 2\n\n{EXIT_CODES}"))]
    Check(Wanted),
}

/// Risks that are taken by naming them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Risk {
    /// Let devices in of which nothing is checked
    NoCheck,
}

/// What is to change.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Wanted {
    /// Ways to be let in, with commas: typed, totp, none
    #[arg(long, value_delimiter = ',', value_name = "WAYS")]
    ways: Option<Vec<String>>,
    /// Approvers that must agree to let a device in
    #[arg(long, value_name = "N", value_parser = one_to_most())]
    quorum_admit: Option<u8>,
    /// Approvers that must agree to remove devices
    #[arg(long, value_name = "N", value_parser = one_to_most())]
    quorum_remove: Option<u8>,
    /// Approvers that must agree to change the policy or a role
    #[arg(long, value_name = "N", value_parser = one_to_most())]
    quorum_policy: Option<u8>,
    /// Approvers that must agree to end the chain
    #[arg(long, value_name = "N", value_parser = one_to_most())]
    quorum_closing: Option<u8>,
    /// How long a join request stays open, from 1s to 24h
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    request_lifetime: Option<u32>,
    /// Most devices, the recovery device aside
    #[arg(long, value_name = "N", value_parser = one_to_most())]
    members_max: Option<u8>,
    /// How long the end of the chain stays announced before it may be carried out
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    closing_delay: Option<u32>,
    /// How long a reset waits for a veto
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    reset_delay: Option<u32>,
    /// Take a risk by naming it
    #[arg(long, value_enum, value_name = "RISK")]
    accept_risk: Vec<Risk>,
}

/// A number of devices: 0, and more than a chain can have, are told before anything is asked.
fn one_to_most() -> impl clap::builder::TypedValueParser<Value = u8> {
    clap::value_parser!(u8).range(1..=MEMBERS_MAX as i64)
}

impl Risk {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoCheck => crate::core::NO_CHECK,
        }
    }
}

impl Wanted {
    fn wish(self) -> PolicyWish {
        PolicyWish {
            ways: self.ways,
            quorum_admit: self.quorum_admit,
            quorum_remove: self.quorum_remove,
            quorum_policy: self.quorum_policy,
            quorum_closing: self.quorum_closing,
            request_lifetime: self.request_lifetime,
            members_max: self.members_max,
            closing_delay: self.closing_delay,
            reset_delay: self.reset_delay,
            accepted: self.accept_risk.iter().map(|risk| risk.name().to_owned()).collect(),
        }
    }
}

/// Shows, changes or checks.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what.unwrap_or(What::Show) {
        What::Show => show(context).await,
        What::Set(wanted) => set(context, wanted.wish()).await,
        What::Check(wanted) => check(context, wanted.wish()).await,
    }
}

async fn show(context: &Context) -> Result<Exit, AgentError> {
    let policy: PolicyView = context.door(Session::NotNeeded).await?.get("/policy").await?;
    context.result("countersign.policy/1", &policy, |output| {
        for setting in &policy.settings {
            output.line(&format!("{:<17} {:<13} {}", setting.name, setting.value, setting.meaning));
        }
        cautions(output, &policy.cautions);
        output.progress(&format!("since entry {} of the log; {} approvers now", policy.seq, policy.approvers));
    });
    Ok(Exit::Done)
}

async fn check(context: &Context, wish: PolicyWish) -> Result<Exit, AgentError> {
    let plan: PolicyPlanView = context.door(Session::NotNeeded).await?.post("/policy/plan", &wish).await?;
    context.result("countersign.policy-plan/1", &plan, |output| {
        for field in &plan.fields {
            output.line(&old_and_new(field));
        }
        recap(output, &plan);
    });
    match plan.refused {
        // The object above says it, and a second one would be none for programs that read one.
        Some(told) if context.output.format() == crate::output::Format::Json => Ok(told.exit),
        Some(told) => Err(AgentError::Told(told)),
        None => Ok(Exit::Done),
    }
}

async fn set(context: &Context, wish: PolicyWish) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    let plan: PolicyPlanView = door.post("/policy/plan", &wish).await?;
    for field in &plan.fields {
        context.output.progress(&old_and_new(field));
    }
    recap(&context.output, &plan);
    if let Some(told) = plan.refused {
        return Err(AgentError::Told(told));
    }
    confirm(context, "change").await?;
    let outcome: OutcomeView = door.post("/policy/set", &PolicyOrdered { wish, base: plan.base }).await?;
    show_outcome(context, &outcome, "next: countersign policy show");
    Ok(Exit::Done)
}

fn old_and_new(FieldView { field, from, to }: &FieldView) -> String {
    format!("{field}: {from} -> {to}")
}

fn recap(output: &Output, plan: &PolicyPlanView) {
    cautions(output, &plan.cautions);
    if plan.others_needed > 0 && plan.refused.is_none() {
        output.progress(&match plan.others_needed {
            1 => "One more approver must agree before it is in force.".to_owned(),
            more => format!("{more} more approvers must agree before it is in force."),
        });
    }
}

fn cautions(output: &Output, cautions: &[CautionView]) {
    for caution in cautions {
        output.progress(&format!("CAUTION {}", caution.text));
    }
}
