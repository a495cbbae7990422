//! The command line.

use std::path::PathBuf;

/// What is run when nothing is asked for.
pub(super) const USAGE: &str = "\
usage: bench [--quick | --long] [--devices N] [--idle SECONDS] [--json FILE] [--only SECTION]...

  --quick    about a minute: fewer of everything, no growth
  --long     growth up to 1,000,000 records
  --devices  idle connections of the memory figures (2,000; a process may hold 20,000 descriptors)
  --idle     seconds of idleness before memory is read (60; pings go out every 30)
  --only     floor, join, write, push, memory, rotation or growth; may stand several times
";

/// Which of its lives the program is to live.
pub(super) enum What {
    Run(Options),
    /// The child without Countersign.
    Bare,
}

/// How long a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Quick,
    Usual,
    Long,
}

/// What the command line says.
pub(super) struct Options {
    pub(super) length: Length,
    pub(super) devices: usize,
    pub(super) idle: u64,
    pub(super) json: Option<PathBuf>,
    only: Vec<String>,
}

impl Options {
    pub(super) fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<What, &'static str> {
        let mut options = Self { length: Length::Usual, devices: 2_000, idle: 60, json: None, only: Vec::new() };
        let (mut devices, mut idle) = (None, None);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match argument.as_str() {
                "bare" => return Ok(What::Bare),
                "--quick" => options.length = Length::Quick,
                "--long" => options.length = Length::Long,
                "--devices" => devices = Some(value()?.parse().map_err(|_| USAGE)?),
                "--idle" => idle = Some(value()?.parse().map_err(|_| USAGE)?),
                "--json" => options.json = Some(value()?.into()),
                "--only" => options.only.push(value()?),
                _ => return Err(USAGE),
            }
        }
        let (usual_devices, usual_idle) = if options.is_quick() { (800, 3) } else { (2_000, 60) };
        options.devices = devices.unwrap_or(usual_devices);
        options.idle = idle.unwrap_or(usual_idle);
        Ok(What::Run(options))
    }

    pub(super) fn is_quick(&self) -> bool {
        self.length == Length::Quick
    }

    /// Whether a section is to be run.
    pub(super) fn wants(&self, section: &str) -> bool {
        if self.only.is_empty() {
            section != "growth" || !self.is_quick()
        } else {
            self.only.iter().any(|o| o == section)
        }
    }

    /// A number of rounds, a fifth of it in a quick run.
    pub(super) fn rounds(&self, usual: usize) -> usize {
        if self.is_quick() { usual.div_ceil(5) } else { usual }
    }
}
