//! `countersign code`: the sync code, and another in its place.

use clap::Subcommand;
use serde::Serialize;

use super::{Context, EXIT_CODES, show_change};
use crate::core::view::ChangeView;
use crate::door::{Door, Session};
use crate::error::AgentError;
use crate::local::body::Code;
use crate::qr::{self, Ink};
use crate::told::Exit;

/// Show the sync code that a new device joins with, or replace it
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign code show\n  countersign code show --qr\n  countersign code rotate\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the 24 words. They let a device ask, and nothing more
    #[command(after_help = format!("Examples:\n  countersign code show\n  countersign code show --qr\n\n{EXIT_CODES}"))]
    Show {
        /// Draw a QR code instead, which names the relay too; the line below it is what a camera reads
        ///
        /// 'countersign join' takes that line at its prompt, in a file, or on standard input. Without colours the code is drawn for a dark
        /// background; '--color always' makes it right on every one.
        #[arg(long)]
        qr: bool,
    },
    /// Replace the sync code, and the keys of the chain: who knows the old words can ask no more. No device has to be added again
    #[command(after_help = format!("Example:\n  countersign code rotate\n\n{EXIT_CODES}"))]
    Rotate,
}

#[derive(Serialize)]
struct Shown<'a> {
    words: &'a str,
    relay: &'a str,
    payload: &'a str,
    /// Why nobody joins with it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    over: Option<&'a str>,
}

/// Shows or rotates.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    match args.what {
        What::Show { qr } => show(context, &door, qr).await,
        What::Rotate => {
            let change: ChangeView = door.post("/code/rotate", &()).await?;
            show_change(context, &change, "The old words are dead.\nnext: countersign code show   (the new ones)");
            Ok(Exit::Done)
        }
    }
}

async fn show(context: &Context, door: &Door, qr: bool) -> Result<Exit, AgentError> {
    let code: Code = door.get("/code").await?;
    let ink = if context.output.result_is_colored() { Ink::Colors } else { Ink::Plain };
    let drawn = qr.then(|| qr::draw(&code.payload, ink)).transpose()?;
    let over = code.over.as_deref();
    let shown = Shown { words: &code.words, relay: &code.relay, payload: &code.payload, over };
    context.result("countersign.code/1", &shown, |output| match &drawn {
        Some(drawn) => {
            output.bytes(drawn.as_bytes());
            output.line(&code.payload);
            output.progress(&next(
                &code,
                "countersign join   (on the new device: it asks for the line that a camera reads here)",
            ));
        }
        None => {
            output.line(&code.words);
            output.progress(&next(&code, &format!("countersign join --relay {}   (on the new device)", code.relay)));
        }
    });
    Ok(Exit::Done)
}

/// What to do with the code, unless nobody joins with it any more.
fn next(code: &Code, join: &str) -> String {
    match &code.over {
        Some(over) => format!("nobody joins with it: {over}"),
        None => format!("next: {join}"),
    }
}
