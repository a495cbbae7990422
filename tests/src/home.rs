//! A device's home and the agent's binary: what a person types there, and what she sees.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use protocol::code::SyncCode;
use protocol::wire::ToDevice;
use serde_json::Value;
use tempfile::TempDir;

use crate::actor::{COLLECTION, Joiner, Member, Reach};
use crate::binaries;
use crate::process::{Audience, Ended, Process};
use crate::scan::{self, Secrecy};
use crate::socket::Socket;
use crate::trace::Witness;

/// A device: its name, its state directory, the address that it dials from.
#[derive(Debug)]
pub struct Home {
    name: String,
    folder: Arc<TempDir>,
    source: Option<String>,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Home {
    /// A device that was never used.
    #[must_use]
    pub fn new(name: &str) -> Self {
        scan::secret("a collection's name", Secrecy::Private, COLLECTION);
        Self {
            name: name.to_owned(),
            folder: Arc::new(tempfile::tempdir().expect("a folder")),
            source: None,
            environment: Vec::new(),
        }
    }

    /// The same at another address.
    #[must_use]
    pub fn at(mut self, address: &str) -> Self {
        self.source = Some(address.to_owned());
        self
    }

    /// The same, watched.
    #[must_use]
    pub fn witnessed_by(mut self, witness: &Witness) -> Self {
        self.environment = witness.environment();
        self
    }

    /// The same with a variable in its environment.
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Its state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binaries::agent());
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .envs(self.environment.iter().cloned())
            .arg("--home")
            .arg(self.state());
        if let Some(source) = &self.source {
            command.arg("--source-address").arg(source);
        }
        command.args(args);
        command
    }

    /// Types a command, and waits for its end.
    #[must_use]
    pub fn types(&self, args: &[&str]) -> Ended {
        self.starts(args).end()
    }

    /// Types a command that goes on.
    #[must_use]
    pub fn starts(&self, args: &[&str]) -> Process {
        let daemon = args.first() == Some(&"run");
        Process::start(&mut self.command(args), if daemon { Audience::Anybody } else { Audience::ItsPerson })
    }

    /// What a shell is offered for the last word of a line, besides options.
    #[must_use]
    pub fn completes(&self, words: &[&str]) -> Vec<String> {
        let command = self.command(&[]);
        let given: Vec<String> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let mut line = Command::new(command.get_program());
        line.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        line.env("COUNTERSIGN_COMPLETE", "bash").env("_CLAP_IFS", "\n");
        line.env("_CLAP_COMPLETE_INDEX", (given.len() + words.len()).to_string());
        // As the shell's script calls it: the whole line, and which word of it is meant.
        line.args(["--", "countersign"]).args(given).args(words);
        let ended = Process::start(&mut line, Audience::ItsPerson).end();
        ended.stdout.lines().filter(|word| !word.starts_with('-')).map(str::to_owned).collect()
    }

    /// Types a command that goes on, at a terminal that shows nothing of what is typed: what it writes is read line by line.
    #[must_use]
    pub fn types_at_a_terminal(&self, args: &[&str]) -> Process {
        Process::start(&mut self.at_a_terminal(args), Audience::ItsPerson)
    }

    /// Types a command at a terminal; every character that it shows.
    #[must_use]
    pub fn shows_at_a_terminal(&self, args: &[&str]) -> String {
        let shown = self.at_a_terminal(args).stdin(Stdio::null()).output().expect("script (util-linux)");
        String::from_utf8(shown.stdout).expect("text")
    }

    /// Types a command that must succeed, into a pipe: every byte that comes out.
    #[must_use]
    pub fn piped(&self, args: &[&str]) -> Vec<u8> {
        let ended = self.command(args).stdin(Stdio::null()).output().expect("the agent");
        assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
        ended.stdout
    }

    fn at_a_terminal(&self, args: &[&str]) -> Command {
        let command = self.command(args);
        let words = [command.get_program()].into_iter().chain(command.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let mut script = Command::new("script");
        script.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.args(["--quiet", "--echo", "never", "--command", &line.join(" "), "/dev/null"]);
        script
    }

    /// Keeps a text in a file of its own.
    #[must_use]
    pub fn keeps(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("a path of text").to_owned()
    }

    /// Types a command that goes on, on a terminal whose screen is read as it comes.
    #[must_use]
    pub fn sits_at(&self, args: &[&str]) -> Process {
        Process::start_on_terminal(&self.command(args), Audience::ItsPerson)
    }

    /// Types a command with `--json` that must succeed; what it prints.
    #[must_use]
    pub fn reads(&self, args: &[&str]) -> Value {
        let ended = self.types(&[args, &["--json"]].concat());
        assert_eq!(ended.code(), 0, "{}: {args:?}: {}{}", self.name, ended.stderr, ended.stdout);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ended.stdout))
    }

    /// Types a command with `--json` that must fail; its exit code and its stable name.
    #[must_use]
    pub fn fails(&self, args: &[&str]) -> (i32, String) {
        let ended = self.types(&[args, &["--json"]].concat());
        (ended.code(), failure_of(&ended))
    }

    /// Founds a chain on a relay.
    pub fn founds(&self, origin: &str) {
        let founded = self.reads(&["init", "--no-recovery", "--relay", origin, "--name", &self.name]);
        assert_eq!(founded["schema"], "countersign.init/1");
        assert_eq!(founded["recovery"], "none");
        let _ = self.words();
    }

    /// Founds a chain with a recovery device; its words.
    #[must_use]
    pub fn founds_with_words(&self, origin: &str) -> String {
        let file = self.paper("recovery words");
        let founded = self.reads(&["init", "--relay", origin, "--name", &self.name, "--recovery-file", &file]);
        assert_eq!(founded["recovery"], "file");
        let _ = self.words();
        words_of(&file)
    }

    /// Makes new recovery words, in the place of those before.
    #[must_use]
    pub fn renews_words(&self, name: &str) -> String {
        let file = self.paper(name);
        let renewed = self.reads(&["recovery", "new", "--recovery-file", &file]);
        assert_eq!(renewed["schema"], "countersign.recovery/1");
        words_of(&file)
    }

    /// What `recovery use` is typed with, without a terminal: the words on standard input, the new ones into a file of that name.
    #[must_use]
    pub fn recovers(&self, origin: &str, words: &str, paper: &str, args: &[&str]) -> Ended {
        let mut process = self.starts_to_recover(origin, words, paper, args);
        process.hush();
        process.end()
    }

    /// The same, going on.
    #[must_use]
    pub fn starts_to_recover(&self, origin: &str, words: &str, paper: &str, args: &[&str]) -> Process {
        let paper = self.paper(paper);
        let how = ["recovery", "use", "--relay", origin, "--name", &self.name, "--words-file", "-", "--json"];
        let mut process = self.starts(&[how.as_slice(), &["--recovery-file", &paper], args].concat());
        process.say(words);
        process
    }

    /// A path of its own, where nothing is yet.
    #[must_use]
    pub fn paper(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("a path of text").to_owned()
    }

    /// The words of its sync code.
    #[must_use]
    pub fn words(&self) -> String {
        let words = self.reads(&["code", "show"])["words"].as_str().expect("words").to_owned();
        scan::words(&words);
        words
    }

    /// Asks to join with a sync code.
    #[must_use]
    pub fn asks(&self, origin: &str, words: &str) -> Joining {
        self.asks_with(origin, words, &[])
    }

    /// The same with further options.
    #[must_use]
    pub fn asks_with(&self, origin: &str, words: &str, options: &[&str]) -> Joining {
        let asking = ["join", "--relay", origin, "--name", &self.name, "--code-file", "-", "--json"];
        let mut process = self.starts(&[&asking, options].concat());
        process.say(words);
        process.hush();
        Joining { process, _home: Arc::clone(&self.folder) }
    }

    /// Goes on with an unfinished join.
    #[must_use]
    pub fn asks_on(&self) -> Joining {
        self.asks_on_with(&[])
    }

    /// The same with further options.
    #[must_use]
    pub fn asks_on_with(&self, options: &[&str]) -> Joining {
        let mut process = self.starts(&[&["join", "--json"], options].concat());
        process.hush();
        Joining { process, _home: Arc::clone(&self.folder) }
    }

    /// Starts its daemon, and waits until it is connected.
    #[must_use]
    pub fn runs(&self) -> Daemon {
        self.runs_with(&[])
    }

    /// The same with further options.
    #[must_use]
    pub fn runs_with(&self, options: &[&str]) -> Daemon {
        let process = self.starts(&[&["run", "-vv"], options].concat());
        process.all.wait("the daemon's connection", |line| line.contains("RELAY connected").then_some(()));
        Daemon { process, _home: Arc::clone(&self.folder) }
    }

    /// The ids of the open requests.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let list = self.reads(&["requests", "list"]);
        let ids =
            list["requests"].as_array().expect("requests").iter().map(|request| request["id"].as_str().expect("an id"));
        ids.map(str::to_owned).collect()
    }

    /// Opens the prompt of a request: the code then shows on the new device.
    #[must_use]
    pub fn opens(&self, id: &str) -> Value {
        self.reads(&["requests", "show", id])["request"].clone()
    }

    /// Types a check code.
    #[must_use]
    pub fn approves(&self, id: &str, code: &str) -> Ended {
        self.types(&["approve", id, "--check-code", code, "--json"])
    }

    /// Puts a record.
    #[must_use]
    pub fn puts(&self, id: &str, value: &str) -> Ended {
        self.types(&["record", "put", COLLECTION, id, value, "--json"])
    }

    /// Reads a record's text.
    #[must_use]
    pub fn gets(&self, id: &str) -> String {
        self.reads(&["record", "get", COLLECTION, id])["value"].as_str().expect("text").to_owned()
    }

    /// The head that it pinned, and its position.
    #[must_use]
    pub fn head(&self) -> (String, u64) {
        let status = self.reads(&["status"]);
        (status["head"].as_str().expect("a head").to_owned(), status["seq"].as_u64().expect("a position"))
    }

    /// Kinds of its log's entries, in order.
    #[must_use]
    pub fn kinds(&self) -> Vec<String> {
        let log = self.reads(&["log", "show"]);
        let entries = log["entries"].as_array().expect("entries").iter();
        entries.map(|entry| entry["kind"].as_str().expect("a kind").to_owned()).collect()
    }

    /// Joins a chain with everything that belongs to it: `approver` opens the prompt and types the code.
    pub fn joins(&self, origin: &str, approver: &Self) {
        let joining = self.asks(origin, &approver.words());
        let id = joining.waits();
        let _ = approver.opens(&id);
        let approved = approver.approves(&id, &joining.code(1));
        assert_eq!(approved.code(), 0, "{}{}", approved.stderr, approved.stdout);
        let ended = joining.end();
        assert_eq!(ended.code(), 0, "{}{}", ended.stderr, ended.stdout);
    }

    /// Lets a device in that a test plays itself.
    #[must_use]
    pub fn admits(&self, reach: Reach, name: &str) -> Member {
        let code = SyncCode::from_words(&self.words()).expect("its words");
        let mut asks = Joiner::ask(reach, &code, name);
        let id = asks.request.id().to_string();
        let mut waiting = Socket::of_joiner(&asks);
        let opening = self.starts(&["requests", "show", &id, "--json"]);
        waiting.until("a nonce", |message| match message {
            ToDevice::Standing(standing) => (!standing.nonces.is_empty()).then_some(()),
            _ => None,
        });
        let code = asks.answers().remove(0).code.digits();
        assert_eq!(opening.end().code(), 0);
        assert_eq!(self.approves(&id, &code).code(), 0);
        asks.accepts()
    }

    /// Every file of its state directory, for what a stranger could read there.
    ///
    /// # Panics
    ///
    /// If others than its owner could.
    pub fn is_closed_to_others(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        assert_eq!(mode(&self.state()), 0o700);
        assert_eq!(mode(&self.state().join("device.keys")), 0o600);
    }
}

/// The recovery words in a file that the agent wrote.
///
/// # Panics
///
/// If others than its owner could read it.
#[must_use]
pub fn words_of(file: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(file).expect("a file").permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(file).expect("text");
    let words = text.lines().find(|line| !line.starts_with('#')).expect("words").to_owned();
    scan::words(&words);
    words
}

/// The stable name of how a command failed.
#[must_use]
pub fn failure_of(ended: &Ended) -> String {
    let last = ended.stdout.lines().last().unwrap_or_default();
    let json: Value = serde_json::from_str(last).unwrap_or_default();
    json["code"].as_str().map_or_else(|| format!("{}{}", ended.stdout, ended.stderr), str::to_owned)
}

/// A `join` under way.
#[derive(Debug)]
pub struct Joining {
    process: Process,
    /// Its state directory is there as long as it runs.
    _home: Arc<TempDir>,
}

impl Joining {
    fn state(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.process.stdout.wait(what, |line| serde_json::from_str(line).ok().filter(&wanted))
    }

    /// Waits until it waits; the id of its request.
    #[must_use]
    pub fn waits(&self) -> String {
        self.state("waiting", |line| line["state"] == "waiting")["request"].as_str().expect("an id").to_owned()
    }

    /// Waits for the code of a round, as a person reads it.
    #[must_use]
    pub fn code(&self, round: u64) -> String {
        let line = self.state("a code", |line| line["state"] == "code" && line["round"] == round);
        let code = line["code"].as_str().expect("digits").to_owned();
        scan::check_code(&code);
        code
    }

    /// Whether it has shown any code.
    #[must_use]
    pub fn has_shown_a_code(&self) -> bool {
        self.process.stdout.text().contains("\"state\":\"code\"")
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ctrl-C.
    #[must_use]
    pub fn interrupted(self) -> Ended {
        self.process.signal("INT");
        self.process.end()
    }

    /// Waits for its end.
    #[must_use]
    pub fn end(self) -> Ended {
        self.process.end()
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    /// Its state directory is there as long as it runs.
    _home: Arc<TempDir>,
}

impl Daemon {
    /// Waits for a line that begins like this; the whole line.
    #[must_use]
    pub fn says(&self, beginning: &str) -> String {
        self.process.all.wait(beginning, |line| line.starts_with(beginning).then(|| line.to_owned()))
    }

    /// Waits for a line like this.
    #[must_use]
    pub fn waits_for(&self, what: &str, like: impl Fn(&str) -> bool) -> String {
        self.process.all.wait(what, |line| like(line).then(|| line.to_owned()))
    }

    /// Everything that it said.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.all.text()
    }

    /// Kills it as `kill -9` does.
    pub fn crashes(mut self) {
        self.process.kill();
    }

    /// Asks it to end.
    #[must_use]
    pub fn stops(self) -> Ended {
        self.process.signal("TERM");
        self.process.end()
    }

    /// Waits for its end.
    #[must_use]
    pub fn end(self) -> Ended {
        self.process.end()
    }
}
