//! The relay as a child process, and what the system knows about it.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A child that ends with its handle.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    pub(super) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// The ports in the first line that it writes, one after each colon.
    pub(super) fn ports(&mut self) -> Vec<u16> {
        let mut line = String::new();
        let mut output = BufReader::new(self.0.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("the first line of a child");
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        let ports: Vec<u16> = line.split(':').skip(1).filter_map(|text| digits(text).parse().ok()).collect();
        assert!(!ports.is_empty(), "a child ended at its start; it wrote {line:?}, see its log");
        ports
    }

    /// Resident memory in KiB.
    pub(super) fn resident_kib(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Seconds of processor time so far, of all its threads, in the system's ticks of 10 ms.
    pub(super) fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        // After the name, which stands in parentheses: field 3 of proc(5) is the first, utime and stime are 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<f64>().expect("ticks");
        (ticks(11) + ticks(12)) / 100.0
    }

    fn proc(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.0.id())).expect("our child's state")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the relay speaks TLS itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Plain,
    Tls,
}

/// A running relay.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    pub(super) transport: Transport,
    folder: PathBuf,
}

impl Relay {
    /// Starts a relay with its store in a folder: limits on, those on connections raised for thousands of devices, and time
    /// enough for a device that was dialled before the clock starts.
    pub(super) fn start(folder: &Path, transport: Transport) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut config = format!(
            "listen = \"127.0.0.1:0\"\ndata = {:?}\nlimits.connections = 19000\nlimits.connections_unproven = 8192\n\
             timeouts.handshake = \"30s\"\n",
            folder.join("data")
        );
        if transport == Transport::Tls {
            config.push_str(&certificate(folder));
        }
        let file = folder.join("relay.toml");
        std::fs::write(&file, config).expect("a file");
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a file");
        let mut command = Command::new(beside("countersign-relay"));
        command.env_clear().arg("serve").arg("--config").arg(&file);
        let mut process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log));
        let port = *process.ports().last().expect("a port");
        Self { process, address: (Ipv4Addr::LOCALHOST, port).into(), transport, folder: folder.to_owned() }
    }

    /// The certificate that it shows.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join("relay.pem")
    }
}

fn certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (certificate, key) = (folder.join("relay.pem"), folder.join("relay.key"));
    std::fs::write(&certificate, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    format!("tls.certificate = {certificate:?}\ntls.key = {key:?}\n")
}

/// A binary beside our own, so that a release build is measured with a release build.
pub(super) fn beside(name: &str) -> PathBuf {
    let path = std::env::current_exe().expect("our own path").with_file_name(name);
    assert!(path.exists(), "{} is missing: run `make bench`, which builds it first", path.display());
    path
}
