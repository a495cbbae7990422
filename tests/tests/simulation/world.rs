//! The machines, the network between them, and what was asked of whom.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use countersign::simulation::Kept;
use protocol::Hash;
use tempfile::TempDir;

use crate::dice::Dice;
use crate::machines::{self, Desk};
use crate::observed::Observed;
use crate::people::Errand;

/// Devices that there are at a time; the first founds.
pub(crate) const DEVICES: usize = 4;
/// Simulated time between two looks at the machines.
const TICK: Duration = Duration::from_millis(10);
/// The wall clock at the beginning: 2026.
const BEGINNING: Duration = Duration::from_secs(1_767_225_600);

/// Exit code of what does not verify.
pub(crate) const VERIFICATION: u8 = 8;

/// The way between a device and the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Whole,
    /// Messages wait.
    Held,
    /// Messages are lost.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    Off,
}

/// Something that somebody does, and that has not ended.
pub(crate) struct UnderWay {
    pub(crate) device: usize,
    pub(crate) what: String,
    pub(crate) since: Duration,
}

/// A write that somebody made.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) number: u64,
    pub(crate) home: PathBuf,
    pub(crate) id: String,
    pub(crate) value: Option<String>,
    pub(crate) began: Duration,
    /// When the device said that the relay has it.
    pub(crate) acknowledged: Option<Duration>,
}

pub(crate) struct World {
    sim: turmoil::Sim<'static>,
    pub(crate) dice: Dice,
    pub(crate) desks: Vec<Rc<Desk>>,
    pub(crate) power: Vec<Power>,
    pub(crate) links: Vec<Link>,
    pub(crate) relay: Power,
    /// Disks of the relay that were kept.
    pub(crate) disks: Vec<PathBuf>,
    pub(crate) under_way: BTreeMap<u64, UnderWay>,
    /// What ended well, and with what.
    pub(crate) answers: BTreeMap<u64, String>,
    next: u64,
    pub(crate) writes: Vec<Write>,
    /// How often the relay came back with another disk.
    pub(crate) disks_changed: usize,
    pub(crate) observed: Observed,
    /// Counters at which the lines of removed devices ended, by what removed them.
    pub(crate) ends_of_lines: RefCell<HashMap<Hash, u64>>,
    /// What people were told of lies.
    pub(crate) alarms: Vec<String>,
    /// What was done, for whoever reads a failure.
    pub(crate) told: Vec<String>,
    folder: TempDir,
}

impl World {
    pub(crate) fn begin(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .epoch(UNIX_EPOCH + BEGINNING)
            .simulation_duration(Duration::from_secs(1 << 30))
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(80))
            .tcp_capacity(1 << 14)
            .enable_random_order()
            .build();
        let relay = folder.path().join("relay");
        sim.host("relay", move || machines::relay(relay.clone()));
        let desks: Vec<_> = (0..DEVICES).map(|number| Desk::new(folder.path(), &format!("device-{number}"))).collect();
        for desk in &desks {
            let at = Rc::clone(desk);
            sim.host(desk.name.as_str(), move || machines::device(Rc::clone(&at)));
        }
        Self {
            sim,
            dice: Dice::new(seed),
            desks,
            power: vec![Power::On; DEVICES],
            links: vec![Link::Whole; DEVICES],
            relay: Power::On,
            disks: Vec::new(),
            under_way: BTreeMap::new(),
            answers: BTreeMap::new(),
            next: 0,
            writes: Vec::new(),
            disks_changed: 0,
            observed: Observed::default(),
            ends_of_lines: RefCell::default(),
            alarms: Vec::new(),
            told: Vec::new(),
            folder,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    pub(crate) fn tell(&mut self, what: impl Into<String>) {
        let line = format!("{:8.2} s  {}", self.now().as_secs_f64(), what.into());
        if std::env::var_os("COUNTERSIGN_SEED").is_some() {
            eprintln!("  {line}");
        }
        self.told.push(line);
    }

    pub(crate) fn relay_folder(&self) -> PathBuf {
        self.folder.path().join("relay")
    }

    /// Lets time go by, and hears what became of what was asked.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now() + time;
        while self.now() < until {
            self.sim.step().unwrap();
            self.hear();
        }
    }

    /// Lets time go by until nothing is under way, at most so long. Whether that is so.
    pub(crate) fn pass_until_idle(&mut self, most: Duration) -> bool {
        let until = self.now() + most;
        while !self.under_way.is_empty() && self.now() < until {
            self.pass(TICK);
        }
        self.under_way.is_empty()
    }

    fn hear(&mut self) {
        let outcomes: Vec<_> = self.desks.iter().flat_map(|desk| desk.outcomes.take()).collect();
        for outcome in outcomes {
            let Some(UnderWay { device, what, since }) = self.under_way.remove(&outcome.number) else { continue };
            if let Err(failed) = &outcome.result
                && failed.exit == VERIFICATION
            {
                self.alarms.push(format!("{device} {what}: {}", failed.message));
            }
            let took = (self.now() - since).as_secs_f64();
            let now = self.now();
            let result = match &outcome.result {
                Ok(done) if done.len() > 40 => "read".to_owned(),
                Ok(done) => done.clone(),
                Err(failed) => format!("{} ({})", failed.code, failed.message),
            };
            if outcome.result.is_ok()
                && let Some(write) = self.writes.iter_mut().find(|write| write.number == outcome.number)
            {
                write.acknowledged = Some(now);
            }
            self.tell(format!("{device} {what}: {result} after {took:.1} s"));
            if let Ok(done) = outcome.result {
                self.answers.insert(outcome.number, done);
            }
        }
    }

    /// Sends somebody on an errand.
    pub(crate) fn send(&mut self, device: usize, what: &str, errand: Errand) -> u64 {
        let number = self.number(device, what);
        self.desks[device].send(number, errand);
        number
    }

    /// A number for something that begins now.
    pub(crate) fn number(&mut self, device: usize, what: &str) -> u64 {
        self.next += 1;
        self.tell(format!("{device} {what} ..."));
        self.under_way.insert(self.next, UnderWay { device, what: what.to_owned(), since: self.now() });
        self.next
    }

    pub(crate) fn busy(&self, device: usize) -> usize {
        self.under_way.values().filter(|errand| errand.device == device).count()
    }

    pub(crate) fn set_link(&mut self, device: usize, link: Link) {
        let name = self.desks[device].name.clone();
        match self.links[device] {
            Link::Whole => {}
            Link::Held => self.sim.release("relay", name.as_str()),
            Link::Cut => self.sim.repair("relay", name.as_str()),
        }
        match link {
            Link::Whole => {}
            Link::Held => self.sim.hold("relay", name.as_str()),
            Link::Cut => self.sim.partition("relay", name.as_str()),
        }
        self.links[device] = link;
        self.tell(format!("the way of {device} is {link:?}"));
    }

    pub(crate) fn crash(&mut self, device: usize) {
        self.tell(format!("{device} crashes"));
        self.sim.crash(self.desks[device].name.as_str());
        self.desks[device].crash();
        self.power[device] = Power::Off;
        self.under_way.retain(|_, errand| errand.device != device);
    }

    pub(crate) fn start(&mut self, device: usize) {
        self.tell(format!("{device} starts"));
        self.sim.bounce(self.desks[device].name.as_str());
        self.power[device] = Power::On;
    }

    pub(crate) fn crash_relay(&mut self) {
        self.tell("the relay crashes");
        self.sim.crash("relay");
        self.relay = Power::Off;
    }

    pub(crate) fn start_relay(&mut self) {
        self.tell("the relay starts");
        self.sim.bounce("relay");
        self.relay = Power::On;
    }

    /// Keeps a copy of the disk of the relay, which is off.
    pub(crate) fn keep_disk(&mut self) {
        let copy = self.folder.path().join(format!("disk-{}", self.disks.len()));
        copy_folder(&self.relay_folder(), &copy);
        self.tell(format!("disk {} is kept", self.disks.len()));
        self.disks.push(copy);
    }

    /// Puts a disk that was kept into the relay, which is off.
    pub(crate) fn change_disk(&mut self, number: usize) {
        self.tell(format!("the relay has disk {number}"));
        // What is lost with the old one was there.
        let _ = self.observed.at_relay(&self.relay_folder());
        let folder = self.relay_folder();
        std::fs::remove_dir_all(&folder).unwrap();
        copy_folder(&self.disks[number], &folder);
        self.disks_changed += 1;
    }

    /// What the disk of a device has.
    pub(crate) fn kept(&self, device: usize) -> Option<Kept> {
        let home = self.desks[device].home();
        if home.exists() { countersign::simulation::kept(&home).unwrap() } else { None }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
