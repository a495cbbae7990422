//! Reads what the preloaded witness (`tests/shim/shim.c`) wrote down, and finds what left before it was synced.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A byte of a store file is about to be written.
    Dirty(String),
    /// A store file was synced.
    Synced(String),
    /// Syncing a store file was made to fail.
    Failed(String),
    /// Bytes came from a network socket.
    In {
        /// The descriptor.
        fd: i32,
        /// What they begin with.
        text: String,
    },
    /// Bytes are about to leave on a network socket.
    Out {
        /// The descriptor.
        fd: i32,
        /// What they begin with.
        text: String,
    },
}

/// The preloaded witness: a library, the trace that it writes, and a switch that makes syncing fail.
#[derive(Debug)]
pub struct Witness {
    folder: TempDir,
}

impl Witness {
    /// Builds it with the system's C compiler.
    ///
    /// # Panics
    ///
    /// If there is none; `make test` installs one.
    #[must_use]
    pub fn new() -> Self {
        let witness = Self { folder: tempfile::tempdir().expect("a folder") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/shim.c");
        let library = witness.folder.path().join("witness.so");
        let built =
            Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(library).arg(source).arg("-ldl").status();
        assert!(built.is_ok_and(|status| status.success()), "cc did not build the witness: run make test");
        witness
    }

    /// What a child's environment must hold to be watched.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let at = |name| self.folder.path().join(name);
        vec![("LD_PRELOAD", at("witness.so")), ("SHIM_TRACE", at("trace")), ("SHIM_FAIL", at("fail"))]
    }

    /// From now on syncing a store fails.
    pub fn breaks_the_disk(&self) {
        std::fs::write(self.folder.path().join("fail"), "").expect("a file");
    }

    /// From now on it works again.
    pub fn mends_the_disk(&self) {
        std::fs::remove_file(self.folder.path().join("fail")).expect("the file");
    }

    /// What it saw so far, of all children that it was given to.
    ///
    /// # Panics
    ///
    /// If it was given to none, or wrote what it never writes.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let text = std::fs::read(self.folder.path().join("trace")).expect("a trace: was the witness preloaded?");
        String::from_utf8_lossy(&text).lines().map(event).collect()
    }
}

impl Default for Witness {
    fn default() -> Self {
        Self::new()
    }
}

fn event(line: &str) -> Event {
    let (kind, rest) = line.split_once(' ').expect("a line of the witness");
    let socket = || {
        let (fd, text) = rest.split_once(' ').expect("descriptor and text");
        (fd.parse().expect("a descriptor"), text.to_owned())
    };
    match kind {
        "dirty" => Event::Dirty(rest.to_owned()),
        "synced" => Event::Synced(rest.to_owned()),
        "failed" => Event::Failed(rest.to_owned()),
        "in" => {
            let (fd, text) = socket();
            Event::In { fd, text }
        }
        "out" => {
            let (fd, text) = socket();
            Event::Out { fd, text }
        }
        other => panic!("the witness never writes {other:?}"),
    }
}

/// What a walk over a trace found.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many outgoing messages of interest there were: a walk that saw none proves nothing.
    pub seen: usize,
    /// Those that left while a byte of the write-ahead log was not synced.
    pub early: Vec<String>,
}

/// The relay's successes: answers of 2xx to a POST, each of which says "stored durably".
#[must_use]
pub fn relay_successes(events: &[Event]) -> Findings {
    let mut asked: HashMap<i32, String> = HashMap::new();
    walk(events, |event| match event {
        Event::In { fd, text } if text.starts_with("POST ") => {
            asked.insert(*fd, text.clone());
            None
        }
        Event::In { fd, text } if text.starts_with("GET ") => {
            asked.remove(fd);
            None
        }
        Event::Out { fd, text } if text.starts_with("HTTP/1.1 2") => asked.remove(fd),
        _ => None,
    })
}

/// An agent's steps: every POST that it sends, for which what it acts on must be pinned, and what it promises to repeat be stored.
#[must_use]
pub fn agent_steps(events: &[Event]) -> Findings {
    walk(events, |event| match event {
        Event::Out { text, .. } if text.starts_with("POST ") => Some(text.clone()),
        _ => None,
    })
}

fn walk(events: &[Event], mut of_interest: impl FnMut(&Event) -> Option<String>) -> Findings {
    let mut unsynced: BTreeSet<&str> = BTreeSet::new();
    let mut findings = Findings::default();
    for event in events {
        match event {
            Event::Dirty(path) if path.ends_with("-wal") => {
                unsynced.insert(path);
            }
            Event::Synced(path) => {
                unsynced.remove(path.as_str());
            }
            _ => {}
        }
        if let Some(message) = of_interest(event) {
            findings.seen += 1;
            if !unsynced.is_empty() {
                findings.early.push(message);
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(lines: &[&str]) -> Vec<Event> {
        lines.iter().map(|line| event(line)).collect()
    }

    #[test]
    fn success_after_sync_is_no_finding() {
        let events =
            trace(&["in 7 POST /v1/log HTTP/1.1", "dirty /r.db-wal", "synced /r.db-wal", "out 7 HTTP/1.1 200 OK"]);
        let findings = relay_successes(&events);
        assert_eq!((findings.seen, findings.early.len()), (1, 0));
    }

    #[test]
    fn success_before_sync_is_found() {
        let events =
            trace(&["in 7 POST /v1/log HTTP/1.1", "dirty /r.db-wal", "out 7 HTTP/1.1 200 OK", "synced /r.db-wal"]);
        assert_eq!(relay_successes(&events).early, ["POST /v1/log HTTP/1.1"]);
    }
}
