//! Child processes: every line they write is kept, and they end with their handle.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use crate::scan;
use crate::wait::PATIENCE;

/// What a child wrote so far, both streams in the order of arrival.
#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    streams_open: usize,
}

/// The kept output of a child.
#[derive(Debug, Clone, Default)]
pub struct Output(Arc<(Mutex<Written>, Condvar)>);

impl Output {
    /// Follows a terminal, whose last line has no end yet: everything is kept as it comes.
    fn follow_terminal(&self, mut stream: impl Read + Send + 'static) {
        self.change(|written| written.streams_open += 1);
        let output = self.clone();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                output.change(|written| written.lines.push(text));
            }
            output.change(|written| written.streams_open -= 1);
        });
    }

    /// Waits until a terminal shows a text after the first `from` bytes; where it stands.
    ///
    /// # Panics
    ///
    /// With the whole screen, if it does not.
    pub fn wait_on_screen(&self, from: usize, text: &str) -> usize {
        let mut found = None;
        let mut screen = String::new();
        self.wait(text, |chunk| {
            screen.push_str(chunk);
            found = screen.get(from..).and_then(|rest| rest.find(text)).map(|at| from + at);
            found
        })
    }

    /// Follows a stream into this output and into `all`.
    fn follow(&self, all: &Self, stream: impl Read + Send + 'static) {
        let outputs = [self.clone(), all.clone()];
        for output in &outputs {
            output.change(|written| written.streams_open += 1);
        }
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut bytes = Vec::new();
            // A line ends at \n or \r: progress on a terminal is written over.
            while let Ok(1..) = reader.read_until(b'\n', &mut bytes) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                for output in &outputs {
                    let parts = text.split(['\n', '\r']).filter(|part| !part.is_empty()).map(str::to_owned);
                    output.change(|written| written.lines.extend(parts));
                }
                bytes.clear();
            }
            for output in &outputs {
                output.change(|written| written.streams_open -= 1);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Written)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    /// Every line so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// Everything so far, as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Waits for a line that `find` makes something of, and returns that.
    ///
    /// # Panics
    ///
    /// With all the output, if the child ends before, or takes longer than [`PATIENCE`].
    pub fn wait<T>(&self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let (mutex, condition) = &*self.0;
        let mut written = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = 0;
        let begun = clock();
        loop {
            if let Some(found) = written.lines.get(seen..).unwrap_or_default().iter().find_map(|line| find(line)) {
                return found;
            }
            seen = written.lines.len();
            let over = written.streams_open == 0;
            assert!(!over, "{what}: the process ended first; it wrote:\n{}", written.lines.join("\n"));
            let (next, time_out) = condition
                .wait_timeout_while(written, PATIENCE, |written| {
                    written.lines.len() == seen && written.streams_open > 0
                })
                .unwrap_or_else(PoisonError::into_inner);
            written = next;
            assert!(
                begun.elapsed() < PATIENCE && !time_out.timed_out(),
                "{what}: not within {PATIENCE:?}; it wrote:\n{}",
                written.lines.join("\n")
            );
        }
    }

    fn wait_for_the_end(&self) {
        let (mutex, condition) = &*self.0;
        let written = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        let (written, time_out) = condition
            .wait_timeout_while(written, PATIENCE, |written| written.streams_open > 0)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!time_out.timed_out(), "the process did not end within {PATIENCE:?}:\n{}", written.lines.join("\n"));
    }
}

/// Now, for the bound on a wait: a terminal that counts down writes for ever.
#[expect(clippy::disallowed_methods, reason = "the harness is a driver: it bounds every wait")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

/// A running child. Dropping it kills it, by its own handle.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Both, in the order of arrival.
    pub all: Output,
    audience: Audience,
    leaks: Vec<String>,
}

/// Who reads what a child writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A log, which may be shown to a stranger: no secret may stand there.
    Anybody,
    /// The person in front of it, to whom a command shows a sync code or a check code on purpose.
    ItsPerson,
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// The exit code, or -1 for a signal.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

impl Process {
    /// Starts a command with its three streams as pipes: no child of ours has a terminal unless a test gives it one.
    #[must_use]
    pub fn start(command: &mut Command, audience: Audience) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (stdout, stderr, all) = <(Output, Output, Output)>::default();
        stdout.follow(&all, child.stdout.take().expect("a pipe"));
        stderr.follow(&all, child.stderr.take().expect("a pipe"));
        let stdin = child.stdin.take();
        Self { child, stdin, stdout, stderr, all, audience, leaks: Vec::new() }
    }

    /// Starts a command on a terminal of its own, made by `script` (util-linux). What it shows is in [`Process::all`].
    ///
    /// # Panics
    ///
    /// If an argument would need quoting.
    #[must_use]
    pub fn start_on_terminal(command: &Command, audience: Audience) -> Self {
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-:".contains(&byte));
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<&str> = words.map(|word| word.to_str().expect("text")).collect();
        assert!(words.iter().all(|word| plain(word)), "{words:?}");
        let mut script = Command::new("script");
        script.args(["-q", "-f", "-e", "-c", &format!("exec {}", words.join(" ")), "/dev/null"]).env_clear();
        script.envs(command.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
        script.env("TERM", "xterm").env("SHELL", "/bin/sh");
        let mut child = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("script (util-linux): {error}"));
        let (stdout, stderr, all) = <(Output, Output, Output)>::default();
        all.follow_terminal(child.stdout.take().expect("a pipe"));
        let stdin = child.stdin.take();
        Self { child, stdin, stdout, stderr, all, audience, leaks: Vec::new() }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("an open standard input");
        // A child that ended already is found out by what it wrote.
        let _ = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush());
    }

    /// Ends its standard input.
    pub fn hush(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    #[must_use]
    pub fn end(mut self) -> Ended {
        self.look_at_it();
        self.stdin = None;
        self.stdout.wait_for_the_end();
        self.stderr.wait_for_the_end();
        self.all.wait_for_the_end();
        let status = self.child.wait().expect("the status of our child");
        Ended { status, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }

    /// Reads what anybody on the machine can read of it while it runs: its arguments and its environment.
    fn look_at_it(&mut self) {
        for name in ["cmdline", "environ"] {
            let place = format!("/proc/{}/{name}", self.id());
            let bytes = std::fs::read(&place).unwrap_or_default();
            let strict_only = self.audience == Audience::ItsPerson;
            self.leaks.extend(scan::leaks(&place, &String::from_utf8_lossy(&bytes).replace('\0', " "), strict_only));
        }
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name, such as `TERM` or `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {}", self.id());
    }

    /// Its memory in KiB that lies in RAM.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("our child's status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.look_at_it();
        self.kill();
        let mut leaks = std::mem::take(&mut self.leaks);
        if self.audience == Audience::Anybody {
            leaks.extend(scan::leaks("the output of a child", &self.all.text(), false));
        }
        assert!(thread::panicking() || leaks.is_empty(), "{}\n{}", leaks.join("\n"), self.all.text());
    }
}
