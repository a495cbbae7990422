//! `countersign devices`: the members, their roles, and which are to go.

use clap::Subcommand;
use protocol::policy::Role;
use serde::Serialize;

use super::{Context, EXIT_CODES, remove, show_outcome};
use crate::core::view::{Here, MemberView, OutcomeView, short};
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::RoleAsked;
use crate::told::Exit;
use crate::{clock, text};

/// See and change the devices of the chain
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign devices list\n  countersign devices remove phone --reason lost\n  \
    countersign devices role tablet reader\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// List the members, the founder first
    #[command(after_help = format!("Example:\n  countersign devices list\n\n{EXIT_CODES}"))]
    List,
    Remove(remove::Args),
    /// Give a member another role: approvers decide and write, writers write, readers read
    #[command(after_help = format!("Examples:\n  countersign devices role tablet reader\n  countersign devices role 3f9c approver\n\n{EXIT_CODES}"))]
    Role {
        /// Its name, or a prefix of its id
        name: String,
        /// The role
        #[arg(value_enum)]
        role: MemberRole,
    },
}

/// The roles that a person gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum MemberRole {
    /// Decides who comes in, and writes
    Approver,
    /// Writes
    Writer,
    /// Reads
    Reader,
}

impl MemberRole {
    /// The role of the protocol.
    pub(super) const fn role(self) -> Role {
        match self {
            Self::Approver => Role::Approver,
            Self::Writer => Role::Writer,
            Self::Reader => Role::Reader,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Approver => "approver",
            Self::Writer => "writer",
            Self::Reader => "reader",
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    devices: &'a [MemberView],
}

/// Shows or changes.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what.unwrap_or(What::List) {
        What::List => list(context).await,
        What::Remove(args) => remove::run(context, args).await,
        What::Role { name, role } => {
            let asked = RoleAsked { device: name, role: role.name().to_owned() };
            let outcome: OutcomeView = context.door(Session::NotNeeded).await?.post("/devices/role", &asked).await?;
            show_outcome(context, &outcome, "next: countersign devices list");
            Ok(Exit::Done)
        }
    }
}

async fn list(context: &Context) -> Result<Exit, AgentError> {
    let devices: Vec<MemberView> = context.door(Session::NotNeeded).await?.get("/devices").await?;
    context.result("countersign.devices/1", &Listed { devices: &devices }, |output| {
        for device in &devices {
            let here = if device.here == Here::ThisDevice { "  (this device)" } else { "" };
            let how = device.how.as_deref().map_or_else(
                || "founded".to_owned(),
                |how| format!("admitted by {} ({how})", text::quote(&device.admitted_by)),
            );
            output.line(&format!(
                "{}  {} {}  {}  {how} {}{here}",
                short(&device.device),
                text::quote(&device.name),
                device.platform,
                device.role,
                clock::show(device.admitted_at)
            ));
        }
    });
    Ok(Exit::Done)
}
