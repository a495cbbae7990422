//! A program that is started for each thing that happens: `run --on-event`. It is told, and decides nothing.
//!
//! It gets the event as one line of JSON on standard input, an emptied environment, no arguments, no shell, and a limited time. One runs at a
//! time, in the order of events. The content of records never leaves the agent by this way.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::core::view::{EVENT_SCHEMA, Event};
use crate::door::Events;
use crate::error::AgentError;
use crate::limits;

/// A program that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    path: PathBuf,
    /// How long it may take for one event.
    wait: Duration,
}

impl Program {
    /// Looks at a file before anything depends on it. It is never looked up in a search path.
    pub(crate) fn find(path: &Path) -> Result<Self, AgentError> {
        let wrap = |source| AgentError::File { path: path.to_owned(), source };
        let path = std::path::absolute(path).map_err(wrap)?;
        let meta = std::fs::metadata(&path).map_err(wrap)?;
        if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
            return Err(AgentError::Usage {
                what: format!("{} is no program", path.display()),
                hint: format!("chmod +x {}", path.display()),
            });
        }
        Ok(Self { path, wait: limits::HOOK_WAIT })
    }
}

/// A program that is told of events. It ends with its handle.
#[must_use = "nothing is told once it is dropped"]
pub(crate) struct Hook {
    task: AbortOnDropHandle<()>,
    stop: CancellationToken,
}

impl Hook {
    /// Tells a program of everything that comes.
    pub(crate) fn start(program: Program, events: Events) -> Self {
        let stop = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(tell(program, events, stop.clone())));
        Self { task, stop }
    }

    /// Tells what has happened already, as far as [`limits::DRAIN_WAIT`] allows: the last event may be the alarm that ends the daemon.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if tokio::time::timeout(limits::DRAIN_WAIT, self.task).await.is_err() {
            tracing::warn!("the program of --on-event is stopped with the daemon");
        }
    }
}

async fn tell(program: Program, mut events: Events, stop: CancellationToken) {
    let waiting = Waiting::default();
    let listening = async {
        tokio::select! {
            () = listen(&mut events, &waiting) => {}
            () = stop.cancelled() => {}
        }
        while let Some(Some(event)) = events.next().now_or_never() {
            waiting.push(&event);
        }
        waiting.close();
    };
    tokio::join!(listening, work(&program, &waiting));
}

async fn listen(events: &mut Events, waiting: &Waiting) {
    while let Some(event) = events.next().await {
        waiting.push(&event);
    }
}

/// Starts the program for one event after the other.
async fn work(program: &Program, waiting: &Waiting) {
    while let Some(line) = waiting.next().await {
        match tokio::time::timeout(program.wait, started(program, &line)).await {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => tracing::warn!("the program of --on-event failed: {status}"),
            Ok(Err(error)) => tracing::warn!("the program of --on-event does not start: {error}"),
            Err(_) => {
                tracing::warn!("the program of --on-event took more than {} s: killed", program.wait.as_secs());
            }
        }
    }
}

async fn started(program: &Program, line: &[u8]) -> std::io::Result<ExitStatus> {
    let child = Command::new(&program.path)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        // What it writes could hold anything, and this log may be shown to a stranger.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let mut running = Running { child };
    let stdin = running.child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read what it is told has its reasons.
            let _ = stdin.write_all(line).await;
        }
    };
    tokio::join!(write, running.child.wait()).1
}

/// A started program. Dropped before its end, it is killed with everything that it started.
struct Running {
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let leader = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Events that wait for the program, oldest first.
#[derive(Default)]
struct Waiting {
    queue: Mutex<Queue>,
    rung: Notify,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Line>,
    missed: u64,
    closed: bool,
}

struct Line {
    json: Vec<u8>,
    weight: Weight,
}

/// What makes way where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// A record can be read at any time, and thousands of them come at once.
    Light,
    /// Everything else is told by this way only.
    Heavy,
}

impl Waiting {
    fn push(&self, event: &Event) {
        let weight = if matches!(event, Event::Record { .. }) { Weight::Light } else { Weight::Heavy };
        let line = Line { json: line_of(event), weight };
        self.change(|queue| queue.push(line));
        self.rung.notify_one();
    }

    fn close(&self) {
        self.change(|queue| queue.closed = true);
        self.rung.notify_one();
    }

    /// The next event; nothing once no more can come.
    async fn next(&self) -> Option<Vec<u8>> {
        loop {
            let (line, closed) = self.change(|queue| (queue.pop(), queue.closed));
            if line.is_some() || closed {
                return line;
            }
            self.rung.notified().await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        change(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Queue {
    fn push(&mut self, line: Line) {
        if self.lines.len() >= limits::HOOK_EVENTS_KEPT {
            if self.missed == 0 {
                tracing::warn!("the program of --on-event is too slow: it misses events");
            }
            self.missed += 1;
            match self.lines.iter().position(|kept| kept.weight == Weight::Light) {
                Some(lightest) => drop(self.lines.remove(lightest)),
                None if line.weight == Weight::Light => return,
                None => drop(self.lines.pop_front()),
            }
        }
        self.lines.push_back(line);
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front();
        if line.is_none() && self.missed > 0 {
            tracing::warn!("the program of --on-event has caught up; it missed {} events", self.missed);
            self.missed = 0;
        }
        line.map(|line| line.json)
    }
}

/// An event as the program gets it: as `run --json` tells it, and of a record no more than whose and which.
fn line_of(event: &Event) -> Vec<u8> {
    let mut told = match event {
        Event::Record { item, kind } => json!({
            "event": "record", "kind": kind, "collection": item.collection, "id": item.id, "writer": item.writer,
        }),
        other => serde_json::to_value(other).unwrap_or_default(),
    };
    if let Value::Object(fields) = &mut told {
        fields.insert("schema".to_owned(), json!(EVENT_SCHEMA));
    }
    let mut line = told.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use std::process::Command as Blocking;

    use super::*;
    use crate::core::view::ItemView;

    /// A program that lies in a folder of its own. A shell writes it: a file that this process had open for writing while another
    /// test forks could not be started.
    fn program(dir: &Path, script: &str) -> Program {
        let path = dir.join("program");
        let write = r#"printf '%s' "$1" > "$2" && chmod 700 "$2""#;
        let text = format!("#!/bin/sh\ncd {} || exit\n{script}\n", dir.display());
        assert!(Blocking::new("/bin/sh").args(["-c", write, "sh", &text]).arg(&path).status().unwrap().success());
        Program::find(&path).unwrap()
    }

    fn link(state: &str) -> Event {
        Event::Link { state: state.to_owned() }
    }

    fn record(id: &str) -> Event {
        let item = ItemView {
            collection: "notes".to_owned(),
            id: id.to_owned(),
            value: "Y29uZmlkZW50aWFs".to_owned(),
            writer: "laptop".to_owned(),
            at: 0,
            version: "confidential".to_owned(),
            standing: crate::core::view::ItemStanding::Counts,
        };
        Event::Record { item: Box::new(item), kind: "put".to_owned() }
    }

    async fn told(program: &Program, events: &[Event]) {
        let waiting = Waiting::default();
        events.iter().for_each(|event| waiting.push(event));
        waiting.close();
        work(program, &waiting).await;
    }

    #[tokio::test]
    async fn each_event_is_told_in_order_with_an_empty_environment_and_a_failure_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let program = program(dir.path(), "cat >> told; /usr/bin/env >> environment; exit 3");
        told(&program, &[link("connected"), record("first"), link("away")]).await;
        let lines = std::fs::read_to_string(dir.path().join("told")).unwrap();
        let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(events.iter().all(|event| event["schema"] == "countersign.event/1"));
        assert_eq!((&events[0]["state"], &events[2]["state"]), (&"connected".into(), &"away".into()));
        assert_eq!((events[1]["kind"].as_str(), events[1]["id"].as_str()), (Some("put"), Some("first")));
        let environment = std::fs::read_to_string(dir.path().join("environment")).unwrap();
        // A shell sets these itself.
        let own = |line: &&str| !["PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|name| line.starts_with(name));
        assert_eq!(environment.lines().find(own), None);
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_killed_with_what_it_started_and_the_next_event_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let script = "if test -e hung; then touch next; exit; fi\ntouch hung; sleep 1000 & echo $! > child; wait";
        let mut program = program(dir.path(), script);
        program.wait = Duration::from_millis(500);
        told(&program, &[link("one"), link("two")]).await;
        assert!(dir.path().join("next").exists());
        let child = std::fs::read_to_string(dir.path().join("child")).unwrap();
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
            stat.contains("(sleep)") && !stat.contains(" Z ")
        };
        assert!((0..1_000_000).any(|_| !runs()), "the sleep goes on");
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_or_is_gone_holds_nothing_up() {
        let dir = tempfile::tempdir().unwrap();
        let deaf = program(dir.path(), "exec <&-; rm program");
        told(&deaf, &[link("one"), link("two")]).await;
        assert!(!dir.path().join("program").exists());
    }

    #[test]
    fn where_there_is_no_room_records_make_way_first() {
        let waiting = Waiting::default();
        waiting.push(&link("oldest"));
        (0..limits::HOOK_EVENTS_KEPT + 10).for_each(|at| waiting.push(&record(&at.to_string())));
        let kept = |waiting: &Waiting| waiting.change(|queue| queue.lines.len());
        assert_eq!(kept(&waiting), limits::HOOK_EVENTS_KEPT);
        (1..limits::HOOK_EVENTS_KEPT).for_each(|_| waiting.push(&link("newer")));
        let oldest = |waiting: &Waiting| {
            waiting.change(|queue| String::from_utf8(queue.lines.front().unwrap().json.clone()).unwrap())
        };
        assert!(oldest(&waiting).contains("oldest"), "no record is left, and everything else is");
        waiting.push(&record("last"));
        assert!(oldest(&waiting).contains("oldest"));
        waiting.push(&link("newest"));
        assert!(!oldest(&waiting).contains("oldest"));
        assert_eq!(kept(&waiting), limits::HOOK_EVENTS_KEPT);
    }

    #[test]
    fn a_record_is_told_without_its_content() {
        let told: Value = serde_json::from_slice(&line_of(&record("first"))).unwrap();
        let fields: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["collection", "event", "id", "kind", "schema", "writer"]);
        assert!(!told.to_string().contains("Y29uZmlkZW50aWFs"));
    }

    #[test]
    fn what_is_no_program_is_refused_before_anything_depends_on_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Program::find(&dir.path().join("absent")), Err(AgentError::File { .. })));
        assert!(matches!(Program::find(dir.path()), Err(AgentError::Usage { .. })));
        let text = dir.path().join("text");
        std::fs::write(&text, "text").unwrap();
        assert!(matches!(Program::find(&text), Err(AgentError::Usage { .. })));
    }
}
