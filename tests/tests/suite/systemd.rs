//! What systemd is told by both programs, through a socket as systemd makes it.

use std::os::unix::net::UnixDatagram;

use countersign_tests::home::Home;
use countersign_tests::relay::{Relay, Setup};
use countersign_tests::wait::PATIENCE;

/// A service manager that kills what is silent for half a second, and only listens.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

/// Microseconds.
const WATCHDOG: &str = "500000";

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    fn path(&self) -> String {
        self.folder.path().join("notify").to_str().unwrap().to_owned()
    }

    /// Waits until it is told something.
    fn is_told(&self, expected: &str) {
        let mut buffer = [0; 256];
        loop {
            let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{expected}: {error}"));
            let told = String::from_utf8_lossy(&buffer[..length]).trim().to_owned();
            if told == expected {
                return;
            }
            assert_eq!(told, "WATCHDOG=1", "before {expected}");
        }
    }
}

#[test]
fn the_relay_says_that_it_listens_lives_and_stops() {
    let manager = Manager::new();
    let relay = Setup::default()
        .with_variable("NOTIFY_SOCKET", &manager.path())
        .with_variable("WATCHDOG_USEC", WATCHDOG)
        .start();
    manager.is_told("READY=1");
    manager.is_told("WATCHDOG=1");
    manager.is_told("WATCHDOG=1");
    assert_eq!(relay.stop().code(), 0);
    manager.is_told("STOPPING=1");
}

#[test]
fn the_daemon_says_that_it_serves_lives_and_stops() {
    let (manager, relay) = (Manager::new(), Relay::start());
    let laptop = Home::new("laptop");
    laptop.founds(&relay.origin());
    let laptop = laptop.with_variable("NOTIFY_SOCKET", &manager.path()).with_variable("WATCHDOG_USEC", WATCHDOG);
    let daemon = laptop.runs();
    manager.is_told("READY=1");
    manager.is_told("WATCHDOG=1");
    manager.is_told("WATCHDOG=1");
    assert_eq!(daemon.stops().code(), 0);
    manager.is_told("STOPPING=1");
}
