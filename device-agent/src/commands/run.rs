//! `countersign run`: the daemon. It keeps the session with the relay and serves this device's other commands.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::devices::MemberRole;
use super::{Context, EXIT_CODES, PlainArgs, asked_to_stop};
use crate::core::{Allowed, held_back};
use crate::door::{Door, agent_of};
use crate::error::AgentError;
use crate::hook::{Hook, Program};
use crate::local::{self, Place};
use crate::told::Exit;
use crate::{clock, service, session, terminal};

/// Receive requests, answer this device's other commands; on a terminal, ask you
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign run\n  countersign run --plain\n  \
    countersign run --on-event ~/bin/tell-me\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(flatten)]
    plain: PlainArgs,
    /// Start this program for each event: a request, a decision, an alarm, a record that changed
    ///
    /// It gets the event on standard input, as one line of JSON in the form of 'run --json'; of a record no content, only collection, id,
    /// writer and kind. Its environment is empty, there is no shell, and what it writes is discarded. One runs at a time, in order, for at
    /// most 30 seconds. Whether it fails changes nothing.
    #[arg(long, value_name = "PROGRAM")]
    on_event: Option<PathBuf>,
    /// Let in whoever sends a right one-time code, without asking anybody, where the policy allows the way totp
    ///
    /// For a machine that is always on. Every device hears of it. What remains: a relay that also has the sync code can use a code that was just
    /// typed, once.
    #[arg(long, value_enum, value_name = "ROLE", num_args = 0..=1, default_missing_value = "writer")]
    admit_totp: Option<MemberRole>,
}

/// Runs until told to stop, or until the relay is caught lying.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let program = args.on_event.as_deref().map(Program::find).transpose()?;
    let Some(_lock) = context.home.try_lock()? else {
        return Err(AgentError::Locked { home: context.home.dir().to_owned() });
    };
    let agent = agent_of(&context.home, context.source)?;
    let listening = local::bind(&context.home)?;
    let relay = agent.relay().endpoint().origin().to_owned();
    let output = context.output;
    output.progress(&format!("running: relay {relay}, socket {}", listening.path().display()));
    if let Some(role) = args.admit_totp {
        let allowed = agent.core(move |core| core.admit_by_code(role.role())).await?;
        output.progress(&match allowed {
            Allowed::ByPolicy => format!("lets devices in as {} by a right one-time code alone", role.name()),
            Allowed::NotAlone { quorum } => {
                let why = AgentError::CodeIsNoVoice { quorum };
                format!("--admit-totp: nobody is let in by a code alone: {why}")
            }
            Allowed::NotAnApprover => {
                "--admit-totp: this device is no approver, so it lets nobody in   (countersign devices role NAME approver, on one that is)".to_owned()
            }
            Allowed::NotByPolicy => {
                "--admit-totp: as far as this device knows, the policy does not name the way totp. Until it does, nobody is let in by a code alone   (countersign totp setup --mode way)".to_owned()
            }
        });
    }
    if let Some(seq) = agent.core(|core| core.fork()).await? {
        output.progress(&AgentError::Fork { seq }.to_string());
    }
    if let Some(again_at) = agent.core(|core| core.prompts_again_at(clock::now())).await?? {
        output.progress(&held_back(again_at));
    }
    service::ready();
    let stop = CancellationToken::new();
    let router = local::router(agent.clone(), Place::Daemon);
    let serving = AbortOnDropHandle::new(tokio::spawn(listening.serve(router, stop.clone())));
    let door = Door::within(&agent, Place::Daemon);
    // Before the session begins, so that nothing of it goes untold.
    let events = door.events().await?;
    let hook = match program {
        Some(program) => Some(Hook::start(program, door.events().await?)),
        None => None,
    };
    agent.core(|core| core.begin_telling()).await??;
    let telling = terminal::tell(&door, events, output, args.plain.writing());
    let ended = tokio::select! {
        error = session::keep(agent.clone()) => Err(error),
        told = telling => told,
        () = asked_to_stop() => Ok(()),
        never = service::stay_alive() => match never {},
    };
    service::stopping();
    stop.cancel();
    let told = async {
        if let Some(hook) = hook {
            hook.finish().await;
        }
    };
    let (served, ()) = tokio::join!(serving, told);
    let served = served.map_err(|error| AgentError::Task { what: error.to_string() })?;
    ended.and(served)?;
    output.progress("stopped");
    Ok(Exit::Done)
}
