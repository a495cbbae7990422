//! A relay as a child process.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binaries;
use crate::http::{Answer, Caller};
use crate::process::{Audience, Ended, Process};
use crate::trace::Witness;

/// A running relay with a store of its own.
#[derive(Debug)]
pub struct Relay {
    process: Process,
    folder: TempDir,
    address: SocketAddr,
    origins: Vec<String>,
    config: String,
    environment: Vec<(&'static str, PathBuf)>,
}

/// What a test changes of a relay's configuration.
#[derive(Debug, Clone)]
pub struct Setup {
    listen: SocketAddr,
    lines: String,
    origins: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            lines: String::new(),
            origins: Vec::new(),
            environment: Vec::new(),
        }
    }
}

impl Setup {
    /// Listens on another address than 127.0.0.1.
    #[must_use]
    pub fn on(mut self, host: &str) -> Self {
        self.listen.set_ip(host.parse::<IpAddr>().expect("an address"));
        self
    }

    /// Listens on the very address of a relay that is gone.
    #[must_use]
    pub fn on_address(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Believes forwarding headers of these proxies.
    #[must_use]
    pub fn trusting(mut self, proxies: &[&str]) -> Self {
        writeln!(self.lines, "trusted_proxies = {proxies:?}").expect("text");
        self
    }

    /// Is known by these origins.
    #[must_use]
    pub fn known_as(mut self, origins: &[&str]) -> Self {
        self.origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        self
    }

    /// Adds a line of TOML.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        writeln!(self.lines, "{line}").expect("text");
        self
    }

    /// Speaks TLS with a certificate of its own for 127.0.0.1, which is also the authority to trust.
    #[must_use]
    pub fn over_tls(self, certificates: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let (certificate, key) = (certificates.join("relay.pem"), certificates.join("relay.key"));
        std::fs::write(&certificate, made.cert.pem()).expect("a file");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        self.with(&format!("tls.certificate = {certificate:?}")).with(&format!("tls.key = {key:?}"))
    }

    /// Is watched.
    #[must_use]
    pub fn witnessed_by(mut self, witness: &Witness) -> Self {
        self.environment = witness.environment();
        self
    }

    /// Has a variable in its environment.
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Relay {
        let folder = tempfile::tempdir().expect("a folder");
        // Top-level keys before any table of `lines`.
        let mut config = String::new();
        if !self.origins.is_empty() {
            writeln!(config, "public_origins = {:?}", self.origins).expect("text");
        }
        config.push_str(&self.lines);
        let (process, address) = launch(folder.path(), self.listen, &config, &self.environment);
        Relay { process, folder, address, origins: self.origins, config, environment: self.environment }
    }
}

type Environment = [(&'static str, PathBuf)];

fn launch(folder: &Path, listen: SocketAddr, config: &str, environment: &Environment) -> (Process, SocketAddr) {
    let file = folder.join("relay.toml");
    let data = folder.join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    // Everything that it could ever log is searched for secrets.
    std::fs::write(&file, format!("listen = \"{listen}\"\ndata = {data:?}\nlog.level = \"debug\"\n{config}"))
        .expect("a file");
    let process = Process::start(
        Command::new(binaries::relay())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(environment.iter().cloned())
            .arg("serve")
            .arg("--config")
            .arg(&file),
        Audience::Anybody,
    );
    let host = if listen.is_ipv6() { format!("[{}]:", listen.ip()) } else { format!("{}:", listen.ip()) };
    let port = process.all.wait("the relay's address", |line| {
        line.match_indices(&host).find_map(|(at, _)| {
            let digits: String = line.get(at + host.len()..)?.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u16>().ok().filter(|port| *port != 0)
        })
    });
    (process, SocketAddr::new(listen.ip(), port))
}

impl Relay {
    /// Starts a relay with no configuration but a port and a folder.
    #[must_use]
    pub fn start() -> Self {
        Setup::default().start()
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin that devices dial.
    #[must_use]
    pub fn origin(&self) -> String {
        self.origins.first().cloned().unwrap_or_else(|| format!("http://{}", self.address))
    }

    /// The folder of its store.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The process, for its memory and its output.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// A caller of this relay.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::new(self.address)
    }

    /// Posts bytes as anybody.
    #[must_use]
    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.caller().post(path, body)
    }

    /// Kills it as `kill -9` does, and starts it again on the same address with the same store.
    pub fn crash(&mut self) {
        self.process.kill();
        self.start_again();
    }

    /// Kills it and leaves it dead.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same address with the same store.
    pub fn start_again(&mut self) {
        let (process, address) = launch(self.folder.path(), self.address, &self.config, &self.environment);
        assert_eq!(address, self.address);
        self.process = process;
    }

    /// Asks it to end as an operator does.
    #[must_use]
    pub fn stop(self) -> Ended {
        self.process.signal("TERM");
        self.process.end()
    }
}

fn copy(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).expect("a file") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), to.join(file.file_name())).expect("a file");
    }
}

/// What a relay's operator does: stops it, keeps its data, and later puts that in the place of what was there.
#[derive(Debug)]
pub struct Backup(TempDir);

impl Backup {
    /// Takes one.
    #[must_use]
    pub fn of(relay: &mut Relay) -> Self {
        let backup = tempfile::tempdir().expect("a folder");
        relay.kill();
        copy(&relay.data(), backup.path());
        relay.start_again();
        Self(backup)
    }

    /// Puts it in the place of what is there.
    pub fn is_restored(&self, relay: &mut Relay) {
        relay.kill();
        for file in std::fs::read_dir(relay.data()).expect("a file") {
            std::fs::remove_file(file.expect("a file").path()).expect("a file");
        }
        copy(self.0.path(), &relay.data());
        relay.start_again();
    }
}
