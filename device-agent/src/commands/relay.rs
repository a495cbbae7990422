//! `countersign relay`: where this device meets the others, and the move to another relay.

use clap::Subcommand;

use super::{Context, EXIT_CODES, RelayArgs};
use crate::core::view::{MovedView, RelayView, short};
use crate::dial::Plaintext;
use crate::door::Session;
use crate::error::AgentError;
use crate::local::body::MoveAsked;
use crate::told::Exit;

/// See the relay of this device, or move the chain to another
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign relay show\n  \
    countersign relay move --relay https://relay.example.net\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the relay's address, and whether it is reached
    #[command(after_help = format!("Example:\n  countersign relay show\n\n{EXIT_CODES}"))]
    Show,
    /// Move to another relay: it is given the log and all records, and only then its address is kept
    ///
    /// Nobody joins again. The first device that moves fills an empty relay; each other one finds everything there and only changes the
    /// address. The old relay may be gone. Interrupted, it goes on when it is typed again. A relay that has another branch of the log is
    /// refused (exit 8): the address stays, and the alarm stands until 'log settle'.
    #[command(after_help = format!("Examples:\n  countersign relay move --relay https://relay.example.net\n  \
        countersign relay move --relay https://relay.home --relay-ca home.pem\n\n{EXIT_CODES}"))]
    Move {
        /// Address of the new relay
        #[arg(long, value_name = "URL")]
        relay: String,
        #[command(flatten)]
        how: RelayArgs,
    },
}

/// Shows or moves.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    match args.what {
        What::Show => show(context).await,
        What::Move { relay, how } => move_to(context, relay, &how).await,
    }
}

async fn show(context: &Context) -> Result<Exit, AgentError> {
    let view: RelayView = context.door(Session::NotNeeded).await?.get("/relay").await?;
    context.result("countersign.relay/1", &view, |output| {
        let how = match (view.transport.as_str(), view.authority.as_deref()) {
            ("tls", Some("own")) => "TLS, with a certificate authority of your own",
            ("tls", _) => "TLS",
            _ => "not encrypted",
        };
        output.line(&format!("relay    {} ({})", view.relay, view.state));
        output.line(&format!("way      {how}"));
        if let Some(proxy) = &view.proxy {
            output.line(&format!("proxy    {proxy}"));
        }
        output.line(&format!("head     {} at entry {}", short(&view.head), view.seq));
    });
    Ok(Exit::Done)
}

async fn move_to(context: &Context, relay: String, how: &RelayArgs) -> Result<Exit, AgentError> {
    // Before anything is asked of the old relay: an address that is none is told at once.
    let (endpoint, ca) = how.endpoint(&relay, context.source)?;
    let not_text =
        |_| AgentError::Usage { what: "the certificate authority is no PEM".to_owned(), hint: String::new() };
    let ca = ca.map(String::from_utf8).transpose().map_err(not_text)?;
    let door = context.door(Session::NotNeeded).await?;
    context.output.progress("asking the old relay for what is new, then giving the new one what it lacks");
    let asked =
        MoveAsked { relay: endpoint.origin().to_owned(), ca, plaintext: how.plaintext() == Plaintext::Accepted };
    let moved: MovedView = door.post("/relay/move", &asked).await?;
    context.result("countersign.relay-move/1", &moved, |output| {
        output.line(&format!(
            "moved to {} (log up to entry {}, {} records given)",
            moved.relay, moved.seq, moved.records_given
        ));
        if moved.old_relay != "read to its end" {
            output.progress(&format!("the old relay was left without its last news: {}", moved.old_relay));
        }
        if moved.records_refused > 0 {
            let refused = moved.records_refused;
            output.progress(&format!(
                "{refused} records do not fit in there: somebody wrote in their place. This device keeps them"
            ));
        }
        moved.advice.iter().for_each(|advice| output.progress(advice));
        output.progress("Nobody tells the other devices: each is moved by itself.");
        output.progress(&format!("next: countersign relay move --relay {}   (on each of them)", moved.relay));
    });
    Ok(Exit::Done)
}
