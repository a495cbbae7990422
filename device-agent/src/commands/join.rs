//! `countersign join`: asks the members of a chain to admit this device.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::code::{PAYLOAD_PREFIX, SyncCode};
use protocol::policy::How;
use protocol::request::Description;
use protocol::round::six_digits;
use serde::Serialize;
use zeroize::Zeroizing;

use super::join_screen::Screen;
use super::{
    Context, EXIT_CODES, PlainArgs, RelayArgs, Risks, asked_to_stop, description, hidden, read_file, read_stdin,
};
use crate::clock::{self, Age};
use crate::dial::{Endpoint, Plaintext};
use crate::error::AgentError;
use crate::joiner::{Joined, Joiner, OneTimeCode, Shows, Step};
use crate::keyfile::{Secrets, Standing};
use crate::limits;
use crate::recovery::is_under_way;
use crate::relay_client::{RelayClient, Socket};
use crate::store::{Setting, Store};
use crate::told::Exit;
use crate::{terminal, text};

/// Ask the devices of a chain to admit this one
///
/// The sync code (24 words, or the line that 'countersign code show --qr' shows below its QR code) is read from a prompt, from a file, or from standard input. It is never an
/// argument: other users of this machine can read those.
///
/// Ctrl-C withdraws the request at the relay too and ends with exit code 4. A join that was cut off otherwise goes on where it was when
/// join is typed again: the same request, the same codes.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:\n  countersign join --relay https://relay.example.org\n  \
    countersign join --relay https://relay.example.org --code-file words.txt --name phone\n  \
    pass show sync-code | countersign join --relay https://relay.example.org --code-file -\n  \
    countersign join --code-file line.txt --name phone\n\n{EXIT_CODES}"))]
pub(super) struct Args {
    /// Address of the relay; not needed with a QR payload, which names it
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
    /// File with the sync code; - for standard input
    #[arg(long, value_name = "FILE|-")]
    code_file: Option<PathBuf>,
    /// One-time code of the chain's authenticator: the digits, a file with them, or - for standard input; asked for where nothing is given
    ///
    /// It lets one device in and counts for about a minute. Other users of this machine can read arguments: on a shared one let it ask.
    #[arg(long, value_name = "DIGITS|FILE|-", num_args = 0..=1, default_missing_value = ASK)]
    totp_code: Option<String>,
    /// Name of this device, sealed for the members [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    how: RelayArgs<JoinRisk>,
    #[command(flatten)]
    plain: PlainArgs,
    /// A sync code is never an argument
    #[arg(hide = true, value_name = "WORDS")]
    words: Vec<String>,
}

/// A risk that is taken by naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum JoinRisk {
    /// Speak unencrypted HTTP over a network.
    Plaintext,
    /// Believe an admission for which nothing was checked. Anybody with the sync code could have made it.
    NoCheckCode,
}

impl Risks for JoinRisk {
    const PLAINTEXT: Self = Self::Plaintext;
}

/// What `--totp-code` without a value stands for.
const ASK: &str = "";

/// Joins.
pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, AgentError> {
    if !args.words.is_empty() {
        return Err(AgentError::Usage {
            what: "a sync code is never an argument: other users of this machine can read those".to_owned(),
            hint: "countersign join --relay URL   (and type it when asked, or --code-file FILE, or --code-file -)"
                .to_owned(),
        });
    }
    let home = &context.home;
    home.create()?;
    let _lock = home.lock().await?;
    let mut joiner = match prepare(context, &args).await? {
        Prepared::Resumed(joiner) => {
            context.output.progress("going on with the unfinished request of this device");
            if args.name.is_some() {
                context.output.progress("  under the name that it was made with: Ctrl-C withdraws it, then join anew");
            }
            *joiner
        }
        Prepared::New(joiner) => *joiner,
    };
    if args.how.accepts(&JoinRisk::NoCheckCode) {
        joiner.accept_unchecked();
    }
    if joiner.one_time_code() == OneTimeCode::Sent {
        context.output.progress(
            "a one-time code goes along: it counts for a minute or so. If nothing happens then, Ctrl-C, and join again with a new one.",
        );
    }
    let mut screen = Screen::new(context.output, args.plain.writing(), joiner.one_time_code());
    let ended = tokio::select! {
        ended = wait(&mut joiner, &mut screen) => Some(ended),
        () = asked_to_stop() => None,
    };
    screen.end_line();
    match ended {
        None => {
            screen.state("withdrawn");
            match joiner.withdraw().await {
                Ok(()) => context.output.progress("withdrawn"),
                Err(error) => context.output.progress(&format!("stopped; the relay was not told: {error}")),
            }
            Ok(Exit::Expired)
        }
        Some(Ok(())) => {
            let joined = joiner.accept().await.inspect_err(|error| give_up(&mut joiner, error))?;
            show_joined(context, &joiner, &joined);
            Ok(Exit::Done)
        }
        Some(Err(error)) => {
            give_up(&mut joiner, &error);
            // Nothing is here that could be taken out, or to another relay.
            Err(if matches!(error, AgentError::WasReset { .. }) { AgentError::NothingToJoin } else { error })
        }
    }
}

enum Prepared {
    Resumed(Box<Joiner>),
    New(Box<Joiner>),
}

/// Goes on with an unfinished request, or reads the sync code and makes a new one.
async fn prepare(context: &Context, args: &Args) -> Result<Prepared, AgentError> {
    let home = &context.home;
    let store = Store::open(&home.store_file())?;
    let secrets = Secrets::read(home)?;
    if is_under_way(&store)? {
        return Err(AgentError::Unrecovered);
    }
    if let Some(Secrets { standing: Standing::Member(_), .. }) = &secrets {
        return Err(AgentError::HomeInUse { home: home.dir().to_owned() });
    }
    let unfinished = store.joining()?.is_some();
    drop(store);
    // With an unfinished request the person is not asked for the code again, but one that is given counts.
    let given = if unfinished && args.code_file.is_none() {
        None
    } else {
        Some(read_code(context, args.code_file.as_deref())?)
    };
    let code_sent = one_time_code(args)?;
    let mut name = args.name.clone();
    if unfinished {
        let same = match (&given, &secrets) {
            (Some((code, _)), Some(Secrets { standing: Standing::Joiner(asked), .. })) => *code == asked.code,
            _ => true,
        };
        let named = given.as_ref().and_then(|(_, named)| named.clone()).filter(|_| same);
        match resume(context, args, named)? {
            Some(joiner) if same && code_sent.is_none() => return Ok(Prepared::Resumed(Box::new(joiner))),
            Some(mut joiner) => {
                name = name.or_else(|| joiner.name().map(str::to_owned));
                context.output.progress(if same {
                    "the unfinished request was made without this one-time code: it is withdrawn"
                } else {
                    "the unfinished request was made with another sync code: it is withdrawn"
                });
                if let Err(error) = joiner.withdraw().await {
                    tracing::info!(%error, "the relay was not told");
                }
            }
            None => tracing::warn!("the unfinished request has lost its keys: asking anew"),
        }
    }
    // Only a one-time code was given: the rest of the unfinished request stays as it was.
    let asked = match secrets {
        Some(Secrets { standing: Standing::Joiner(asked), .. }) if unfinished && code_sent.is_some() => {
            Some(asked.code)
        }
        _ => None,
    };
    let (code, named) = match (given, asked) {
        (Some(given), _) => given,
        (None, Some(code)) => (code, Store::open(&home.store_file())?.text_setting(Setting::Relay)?),
        (None, None) => read_code(context, args.code_file.as_deref())?,
    };
    let url = match args.relay.clone().or(named) {
        Some(url) => url,
        None => ask_relay(context, args).await?,
    };
    let (endpoint, ca) = args.how.endpoint(&url, context.source)?;
    let origin = endpoint.origin().to_owned();
    let relay = RelayClient::new(endpoint);
    // Before anything is drawn or asked: nobody should type a code for a device that could never read its own admission.
    relay.check_address().await?;
    let described = Description { totp: code_sent.map(|code| code.to_string()), ..description(name.as_deref()) };
    let mut joiner = Joiner::begin(home, relay, code, &described)?;
    joiner.keep_relay(&origin, ca.as_deref())?;
    Ok(Prepared::New(Box::new(joiner)))
}

/// Asks for the address of the relay until it is one: the words, which did not name it, are not typed again. Not before them, where the line of a
/// QR code, which does, would be pasted in plain sight.
async fn ask_relay(context: &Context, args: &Args) -> Result<String, AgentError> {
    let unnamed = || AgentError::Usage {
        what: "the words do not say which relay to ask".to_owned(),
        hint: "countersign join --relay URL".to_owned(),
    };
    if args.code_file.is_some() || !std::io::stdin().is_terminal() {
        return Err(unnamed());
    }
    loop {
        context.output.prompt("Address of the relay ('countersign code show' names it): ");
        let typed = terminal::read_line().await?.trim().to_owned();
        match args.how.endpoint(&typed, context.source) {
            _ if typed.is_empty() => return Err(unnamed()),
            Ok(_) => return Ok(typed),
            Err(error) => context.output.progress(&error.to_string()),
        }
    }
}

/// The unfinished request, at the address that is given now or was given then. The device keeps the address that it joined by.
fn resume(context: &Context, args: &Args, named: Option<String>) -> Result<Option<Joiner>, AgentError> {
    let home = &context.home;
    let store = Store::open(&home.store_file())?;
    let given = args.relay.clone().or(named);
    let (endpoint, ca) = if let Some(url) = given {
        args.how.endpoint(&url, context.source)?
    } else {
        let url = store.text_setting(Setting::Relay)?.ok_or(AgentError::Damaged { what: "it names no relay" })?;
        let ca = match args.how.ca()? {
            Some(ca) => Some(ca),
            None => store.setting(Setting::RelayCa)?,
        };
        // Whether plain text over a network is accepted was asked when the address was first given.
        (Endpoint::parse(&url, ca.as_deref(), context.source, Plaintext::Accepted)?, ca)
    };
    drop(store);
    let origin = endpoint.origin().to_owned();
    let Ok(mut joiner) = Joiner::resume(home, RelayClient::new(endpoint))? else {
        return Ok(None);
    };
    joiner.keep_relay(&origin, ca.as_deref())?;
    Ok(Some(joiner))
}

/// The one-time code, if one is given or asked for.
fn one_time_code(args: &Args) -> Result<Option<Zeroizing<String>>, AgentError> {
    let Some(given) = &args.totp_code else { return Ok(None) };
    let usage = |what: &str| AgentError::Usage {
        what: what.to_owned(),
        hint: "countersign join --totp-code DIGITS   (the six that the authenticator shows)".to_owned(),
    };
    let from_stdin = args.code_file.as_ref().is_some_and(|path| path.as_os_str() == "-");
    let text = match given.as_str() {
        ASK if std::io::stdin().is_terminal() => {
            hidden::ask("One-time code of the authenticator (six digits, not shown): ")?
        }
        ASK => return Err(usage("there is no terminal to ask for the one-time code")),
        "-" if from_stdin => return Err(usage("standard input has the sync code already")),
        code if six_digits(code).is_some() => Zeroizing::new(code.to_owned()),
        path => {
            let bytes = if path == "-" { read_stdin()? } else { read_file(std::path::Path::new(path))? };
            Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
        }
    };
    six_digits(text.trim()).map(Some).ok_or_else(|| usage("a one-time code has six digits"))
}

/// The sync code, and the relay that a payload names.
pub(super) fn read_code(context: &Context, code_file: Option<&Path>) -> Result<(SyncCode, Option<String>), AgentError> {
    let bytes = match code_file {
        Some(path) if path.as_os_str() == "-" => Zeroizing::new(read_stdin()?),
        Some(path) => Zeroizing::new(read_file(path)?),
        None if std::io::stdin().is_terminal() => {
            context.output.progress("The sync code is shown by 'countersign code show' on a device of the chain.");
            let typed = hidden::ask("Sync code (24 words, or the line of a QR code; not shown while you type): ")?;
            Zeroizing::new(typed.as_bytes().to_vec())
        }
        None => {
            return Err(AgentError::Usage {
                what: "there is no terminal to ask for the sync code".to_owned(),
                hint: "countersign join --relay URL --code-file FILE   (or --code-file - for standard input)"
                    .to_owned(),
            });
        }
    };
    let wrong = |what: String| AgentError::Usage {
        what,
        hint: "countersign code show   (on a device of the chain: compare the words)".to_owned(),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("the sync code is not text".to_owned()))?;
    // What editors and phones put around it, the mark of some text files included.
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.starts_with(PAYLOAD_PREFIX) {
        let (code, relay) = SyncCode::from_payload(text).map_err(|error| wrong(error.to_string()))?;
        return Ok((code, Some(relay)));
    }
    SyncCode::from_words(text).map(|code| (code, None)).map_err(|error| wrong(error.to_string()))
}

/// Waits until the relay says admitted. What is said on the socket is asked again over HTTP whenever it is dialled anew.
pub(crate) async fn wait(joiner: &mut Joiner, screen: &mut impl Shows) -> Result<(), AgentError> {
    let first = joiner.ask().await?;
    screen.asked(joiner.id());
    let mut deadline = Age::since(clock::now());
    let mut remaining = first.remaining;
    if joiner.take(&first, &mut |scene| screen.show(scene)).await? == Step::Admitted {
        return Ok(());
    }
    let mut pause = limits::RECONNECT_WAIT.0;
    loop {
        let served = match joiner.socket().await {
            Ok(mut socket) => {
                pause = limits::RECONNECT_WAIT.0;
                pump(joiner, &mut socket, screen, &mut remaining, &mut deadline).await
            }
            Err(error) => Err(error),
        };
        match served {
            // Without the relay's word the request is not over: it may admit this device already. So it is kept, to be asked again.
            Err(error) if passes(&error) && deadline.millis() <= remaining => {
                tracing::info!(%error, "the socket ended")
            }
            // A request that went with its chain is refused like an address that the relay does not know itself by. Asked again, it
            // is answered with what became of the chain.
            Err(error) if is_refused(&error) => return joiner.ask().await.and(Err(error)),
            done => return done,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
        let told = match joiner.ask().await {
            Ok(standing) => {
                (remaining, deadline) = (standing.remaining, Age::since(clock::now()));
                joiner.take(&standing, &mut |scene| screen.show(scene)).await
            }
            Err(error) => Err(error),
        };
        match told {
            Ok(Step::Admitted) => return Ok(()),
            Ok(Step::Wait) => {}
            Err(error) if passes(&error) => tracing::info!(%error, "the relay is away"),
            Err(error) => return Err(error),
        }
    }
}

/// Whether a relay that answers so may answer otherwise in a moment: it is away, its disk is full, or it has too much to do.
fn passes(error: &AgentError) -> bool {
    matches!(error, AgentError::Unreachable { .. } | AgentError::Problem { status: 429 | 500.., .. })
}

/// Whether the relay refused the socket.
fn is_refused(error: &AgentError) -> bool {
    matches!(error, AgentError::Problem { code, .. } if code == "connect-refused")
}

async fn pump(
    joiner: &mut Joiner,
    socket: &mut Socket,
    screen: &mut impl Shows,
    remaining: &mut u64,
    deadline: &mut Age,
) -> Result<(), AgentError> {
    loop {
        tokio::select! {
            message = socket.next() => {
                let Some(standing) = Joiner::standing_of(message?) else { continue };
                (*remaining, *deadline) = (standing.remaining, Age::since(clock::now()));
                if joiner.take(&standing, &mut |scene| screen.show(scene)).await? == Step::Admitted {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                screen.tick(remaining.saturating_sub(deadline.millis()));
                if deadline.millis() > *remaining {
                    // The relay's word comes first, if it comes.
                    let last = joiner.ask().await?;
                    return match joiner.take(&last, &mut |scene| screen.show(scene)).await? {
                        Step::Admitted => Ok(()),
                        Step::Wait => Err(AgentError::Expired),
                    };
                }
            }
        }
    }
}

/// A request that ended is forgotten: the next join makes new keys. One that only lost its relay is kept.
pub(crate) fn give_up(joiner: &mut Joiner, error: &AgentError) {
    let over = match error {
        AgentError::Expired | AgentError::Withdrawn => true,
        // Other words, or another relay, make another request.
        AgentError::WasReset { .. } => true,
        AgentError::Problem { code, .. } => matches!(code.as_str(), "unknown-join-key" | "chain-closed"),
        other => crate::exit::tell(other).exit == Exit::Verification,
    };
    if over && let Err(error) = joiner.forget() {
        tracing::warn!("the request could not be forgotten: {error}");
    }
}

#[derive(Serialize)]
struct JoinedView<'a> {
    state: &'static str,
    chain: String,
    fingerprint: String,
    founded_at: u64,
    devices: usize,
    approved_by: &'a str,
    how: &'static str,
    device: String,
}

fn show_joined(context: &Context, joiner: &Joiner, joined: &Joined) {
    let roster = &joined.roster;
    let view = JoinedView {
        state: "joined",
        chain: roster.chain().to_string(),
        fingerprint: protocol::id::fingerprint(roster.chain().as_bytes()),
        founded_at: roster.founded_at(),
        devices: roster.people_count(),
        approved_by: &joined.by,
        how: joined.how.name(),
        device: joiner.device().to_string(),
    };
    context.result("countersign.join/1", &view, |output| {
        let age = clock::now().saturating_sub(roster.founded_at());
        output.line(&format!("joined chain {}", view.fingerprint));
        output.line(&format!(
            "  founded {} ({} ago, by its founder's clock); {} devices; {} {}",
            clock::show(roster.founded_at()),
            clock::span(age),
            view.devices,
            match joined.how {
                How::Totp => "let in by the one-time code on",
                How::None => "let in UNCHECKED on",
                _ => "approved on",
            },
            text::quote(&joined.by)
        ));
        output.progress("It is finished only when your other device says ADDED.");
        output.progress("next: countersign run");
    });
}
