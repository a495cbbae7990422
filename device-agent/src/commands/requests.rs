//! `countersign requests`: who asks, live or once, and the prompt of one request.

use clap::Subcommand;
use serde::Serialize;

use super::{Context, EXIT_CODES, PlainArgs, asked_to_stop};
use crate::core::held_back;
use crate::core::view::RequestView;
use crate::door::{Door, Session};
use crate::error::AgentError;
use crate::local::body::Named;
use crate::terminal::{self, Writing};
use crate::told::Exit;

/// See who asks to join
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign requests list\n  countersign requests watch\n  \
    countersign requests show 3f9c      (opens the prompt: the code appears on the new device)\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// List the open requests
    #[command(after_help = format!("Example:\n  countersign requests list\n\n{EXIT_CODES}"))]
    List,
    /// Watch requests and decisions; on a terminal, decide
    #[command(after_help = format!("Examples:\n  countersign requests watch\n  countersign requests watch --plain\n\n{EXIT_CODES}"))]
    Watch(PlainArgs),
    /// Open the prompt of one request: a code appears on the new device
    #[command(after_help = format!("Example:\n  countersign requests show 3f9c\n\n{EXIT_CODES}"))]
    Show {
        /// A prefix of its id
        #[arg(add = clap_complete::ArgValueCompleter::new(super::completion::open_requests))]
        id: String,
    },
}

#[derive(Serialize)]
struct Listed<'a> {
    requests: &'a [RequestView],
    /// When prompts come again, unix milliseconds, if those of a day are used up.
    prompts_again_at: Option<u64>,
}

#[derive(Serialize)]
struct Shown<'a> {
    request: &'a RequestView,
}

/// Shows.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what.unwrap_or(What::List) {
        What::List => list(context).await,
        What::Show { id } => show(context, id).await,
        What::Watch(plain) => {
            let door = context.door(Session::Needed).await?;
            tokio::select! {
                watched = watch(context, &door, plain.writing()) => watched.map(|()| Exit::Done),
                () = asked_to_stop() => Ok(Exit::Done),
            }
        }
    }
}

async fn list(context: &Context) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    let requests: Vec<RequestView> = door.get("/requests").await?;
    let prompts_again_at: Option<u64> = door.get("/requests/held").await?;
    context.result("countersign.requests/1", &Listed { requests: &requests, prompts_again_at }, |output| {
        match prompts_again_at {
            Some(again_at) => output.progress(&held_back(again_at)),
            None if requests.is_empty() => output.progress("nobody asks"),
            None => {}
        }
        for request in &requests {
            output.line(&terminal::row(request));
        }
    });
    Ok(Exit::Done)
}

async fn show(context: &Context, id: String) -> Result<Exit, AgentError> {
    let request: RequestView = context.door(Session::Needed).await?.post("/requests/open", &Named { id }).await?;
    context.result("countersign.request/1", &Shown { request: &request }, |output| {
        for line in terminal::facts(&request) {
            output.line(&line);
        }
        let short = crate::core::view::short(&request.id);
        output.progress(&format!("The code now appears on the new device ({}).", terminal::which_code(&request)));
        output.progress(&format!("next: countersign approve {short}   or   countersign deny {short}"));
    });
    Ok(Exit::Done)
}

async fn watch(context: &Context, door: &Door, writing: Writing) -> Result<(), AgentError> {
    let events = door.events().await?;
    terminal::tell(door, events, context.output, writing).await
}
