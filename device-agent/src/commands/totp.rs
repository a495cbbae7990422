//! `countersign totp`: one-time codes of an authenticator.

use std::io::IsTerminal as _;

use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Context, EXIT_CODES, asked_to_stop, confirm, show_outcome};
use crate::core::view::{CodeView, NewSecretView, OutcomeView, PolicyView};
use crate::door::{Door, Session};
use crate::error::AgentError;
use crate::local::body::{NewSecret, OneTimeCode, SecretWish};
use crate::qr::{self, Ink};
use crate::terminal::{self, Screen};
use crate::told::Exit;

/// Use codes of an authenticator: before people are asked, or in the place of asking
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign totp setup --mode before-prompt\n  countersign totp verify 482913\n  \
    countersign run --admit-totp      (on a machine that is always on, with --mode way)\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a new secret and show it once, for an authenticator. It is in force once a code of it was typed back
    #[command(after_help = format!("Examples:\n  countersign totp setup\n  countersign totp setup --mode way\n\n{EXIT_CODES}"))]
    Setup {
        /// What codes are asked for
        #[arg(long, value_enum, default_value = "before-prompt")]
        mode: Mode,
    },
    /// Compare a code with the secret of the chain, and change nothing
    #[command(after_help = format!("Example:\n  countersign totp verify 482913\n\n{EXIT_CODES}"))]
    Verify {
        /// Six digits
        code: String,
    },
    /// Ask for no codes any more
    ///
    /// At a terminal a word is asked for first; without one it is done at once. 'totp setup' makes a new secret.
    #[command(after_help = format!("Example:\n  countersign totp off\n\n{EXIT_CODES}"))]
    Off,
    /// Let this device compare codes again after too many failed
    #[command(after_help = format!("Example:\n  countersign totp unlock\n\n{EXIT_CODES}"))]
    Unlock,
}

/// What codes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    /// A right code may let a device in without a person, by a device that runs with --admit-totp
    Way,
    /// Nobody is asked about a device that did not send a right code
    BeforePrompt,
}

impl Mode {
    const fn name(self) -> &'static str {
        match self {
            Self::Way => "way",
            Self::BeforePrompt => "before-prompt",
        }
    }
}

/// Sets up, verifies, ends or unlocks.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    let door = context.door(Session::NotNeeded).await?;
    match args.what {
        What::Setup { mode } => setup(context, &door, mode).await,
        What::Verify { code } => verify(context, &door, code).await,
        What::Off => {
            let policy: PolicyView = door.get("/policy").await?;
            if policy.settings.iter().any(|setting| setting.name == "totp" && setting.value == "none") {
                return Err(AgentError::NoOneTimeCodes);
            }
            context.output.progress("Nobody will be asked for one-time codes any more.");
            confirm(context, "off").await?;
            let outcome: OutcomeView = door.post("/totp/off", &()).await?;
            show_outcome(context, &outcome, "next: countersign policy show");
            Ok(Exit::Done)
        }
        What::Unlock => {
            door.post::<()>("/totp/unlock", &()).await?;
            context.result("countersign.totp-unlock/1", &Unlocked { state: "open" }, |output| {
                output.line("this device compares one-time codes again");
            });
            Ok(Exit::Done)
        }
    }
}

#[derive(Serialize)]
struct Unlocked {
    state: &'static str,
}

async fn setup(context: &Context, door: &Door, mode: Mode) -> Result<Exit, AgentError> {
    if !std::io::stdin().is_terminal() {
        return Err(AgentError::Usage {
            what: "setup shows a secret and asks for a code of it: it needs a terminal".to_owned(),
            hint: "countersign totp setup   (at a terminal)".to_owned(),
        });
    }
    let new: NewSecretView = door.post("/totp/begin", &SecretWish { mode: mode.name().to_owned() }).await?;
    let outcome = tokio::select! {
        // First, so that an interrupt finds somebody who listens, and the screen is given back.
        biased;
        () = asked_to_stop() => Err(nothing_done()),
        typed = typed_back(context, door, &new, mode) => typed,
    }?;
    let next = match mode {
        Mode::Way => "next: countersign run --admit-totp   (on a machine that is always on)",
        Mode::BeforePrompt => "next: countersign join --totp-code   (on the next device)",
    };
    show_outcome(context, &outcome, next);
    Ok(Exit::Done)
}

fn nothing_done() -> AgentError {
    AgentError::Usage { what: "nothing was done".to_owned(), hint: String::new() }
}

/// Shows the secret on a screen that is wiped, until a code of it is typed.
async fn typed_back(
    context: &Context,
    door: &Door,
    new: &NewSecretView,
    mode: Mode,
) -> Result<OutcomeView, AgentError> {
    let output = context.output;
    let _screen = Screen::take(output);
    // On standard error, where nothing is kept by a pipe: it is shown once.
    let ink = if output.prompt_is_colored() { Ink::Colors } else { Ink::Plain };
    output.prompt(&qr::draw(&new.line, ink)?);
    output.progress(&new.line);
    output.progress(
        "Read it into an authenticator. The screen is wiped then, it is not shown again, and it is in force once you typed a code of it.",
    );
    if mode == Mode::Way {
        output.progress(
            "What remains: a relay that also has the sync code can use a code that was just typed, once. All devices hear of it.",
        );
    }
    loop {
        output.prompt("The code that the authenticator shows (empty to stop): ");
        let typed = terminal::read_line().await?;
        let code = Zeroizing::new(typed.trim().to_owned());
        if code.is_empty() {
            return Err(nothing_done());
        }
        let finish = NewSecret { secret: new.secret.clone(), code, mode: mode.name().to_owned() };
        match door.post::<OutcomeView>("/totp/finish", &finish).await {
            Err(AgentError::Told(told)) if told.code == "wrong-totp" => output.progress(&told.message),
            done => return done,
        }
    }
}

async fn verify(context: &Context, door: &Door, code: String) -> Result<Exit, AgentError> {
    let digits: Zeroizing<String> = Zeroizing::new(code.chars().filter(|c| !c.is_whitespace()).collect());
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AgentError::Usage {
            what: "a one-time code is six digits".to_owned(),
            hint: "countersign totp verify DIGITS".to_owned(),
        });
    }
    let code: CodeView = door.post("/totp/verify", &OneTimeCode { code: digits }).await?;
    context.result("countersign.totp-code/1", &code, |output| match code.verdict.as_str() {
        "used" => output.line("the code is right, and a device was let in with it or a later one: the next one counts"),
        _ => output.line("the code is right"),
    });
    Ok(Exit::Done)
}
