//! Who takes part: always the same devices, chains and requests, so that a find can be replayed.

use std::sync::OnceLock;

use protocol::Verified;
use protocol::cbor::{self, Blob};
use protocol::code::SyncCode;
use protocol::entry::{self, Body, Entry};
use protocol::keyring::Keyring;
use protocol::keys::DeviceKeys;
use protocol::policy::Policy;
use protocol::request::{Description, JoinRequest};
use protocol::roster::Roster;
use protocol::round::Commitments;
use protocol::wire::Ask;

use crate::fuzz::seeded;

/// Seconds of life that a request of the second chain has. The first has the default.
const SHORT_LIFE: u32 = 60;
/// The devices. The first two found chains of their own, the last one a chain with a sync code that it stole.
const NAMES: [&str; 8] = ["laptop", "desk", "phone", "tablet", "watch", "camera", "stranger", "thief"];

/// A device, whatever it becomes.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) keys: DeviceKeys,
    pub(super) commitments: Commitments,
}

/// A chain that may be founded.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) founder: usize,
    pub(super) entry: Verified<Entry>,
    /// What its members hold. There is one epoch as yet.
    pub(super) keyring: Keyring,
}

/// A request that may be asked.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) device: usize,
    pub(super) form: Verified<JoinRequest>,
    pub(super) body: Vec<u8>,
}

/// Everything that is the same in each run.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) devices: Vec<Device>,
    pub(super) chains: Vec<Chain>,
    pub(super) asking: Vec<Asking>,
}

/// The cast, made once.
pub(super) fn cast() -> &'static Cast {
    static CAST: OnceLock<Cast> = OnceLock::new();
    CAST.get_or_init(Cast::new)
}

impl Cast {
    fn new() -> Self {
        let device = |name: &&str| {
            let mut rng = seeded(name);
            Device { keys: DeviceKeys::draw(&mut rng), commitments: Commitments::draw(&mut rng) }
        };
        let devices: Vec<Device> = NAMES.iter().map(device).collect();
        let long = Chain::found(&devices, 0, Policy::default());
        let short = Chain::found(&devices, 1, Policy { request_lifetime: SHORT_LIFE, ..Policy::default() });
        let stolen = long.stolen_by(&devices, NAMES.len() - 1);
        let codes = [long.keyring.code().clone(), short.keyring.code().clone()];
        let asking = devices.iter().enumerate().flat_map(|(at, device)| {
            // Two requests of each device with each code: a device may ask again.
            [0, 1, 2, 3].map(|which: usize| Asking::new(at, device, &codes[which % 2], which as u64 / 2))
        });
        Self { asking: asking.collect(), chains: vec![long, short, stolen], devices }
    }

    pub(super) fn device(&self, byte: u8) -> &Device {
        &self.devices[usize::from(byte) % self.devices.len()]
    }

    pub(super) fn chain(&self, byte: u8) -> &Chain {
        &self.chains[usize::from(byte) % self.chains.len()]
    }

    /// A request: the low bits name the device, the next one the code, the next one which of the two.
    pub(super) fn asking(&self, byte: u8) -> &Asking {
        let byte = usize::from(byte);
        &self.asking[(byte % 8) * 4 + (byte / 8) % 4]
    }
}

impl Chain {
    fn found(devices: &[Device], founder: usize, policy: Policy) -> Self {
        let description =
            Description { name: String::new(), platform: String::new(), version: String::new(), totp: None };
        let mut rng = seeded(&format!("founding {founder}"));
        let founding =
            entry::found(&devices[founder].keys, &description, policy, None, 0, &mut rng).expect("a founding");
        let roster = Roster::found(&founding.entry).expect("a roster");
        let keyring = Keyring::open(&roster, founding.epoch_key).expect("its keys");
        Self { founder, entry: founding.entry, keyring }
    }

    /// Another chain with the same sync code.
    fn stolen_by(&self, devices: &[Device], thief: usize) -> Self {
        let mut form = (*self.entry).clone();
        let keys = &devices[thief].keys;
        if let Body::Found(found) = &mut form.body {
            found.device = keys.public();
        }
        let join = self.keyring.code().join_key();
        let entry = Verified::sign(form, &keys.signing, &[&join]).expect("a founding");
        Self { founder: thief, entry, keyring: self.keyring.clone() }
    }
}

impl Asking {
    fn new(at: usize, device: &Device, code: &SyncCode, when: u64) -> Self {
        let description =
            Description { name: NAMES[at].into(), platform: String::new(), version: String::new(), totp: None };
        let sealed = description.seal(code, &device.keys.id(), &mut seeded(NAMES[at])).expect("a description");
        let form = JoinRequest::sign(code, &device.keys, &sealed, device.commitments.public(), when);
        let form = form.expect("a request");
        let body = cbor::encode(&Ask { request: Blob(form.bytes().to_vec()), description: sealed });
        Self { device: at, form, body }
    }
}
