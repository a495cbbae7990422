//! Who takes part: always the same devices, chains and requests, so that a find can be replayed.

use std::sync::OnceLock;

use protocol::Verified;
use protocol::cbor::{self, Blob};
use protocol::code::SyncCode;
use protocol::entry::{self, Body, Entry};
use protocol::id::{JoinKey, KeyId};
use protocol::keyring::Keyring;
use protocol::keys::{DeviceKeys, EpochKey};
use protocol::policy::Policy;
use protocol::request::{Description, JoinRequest};
use protocol::roster::Roster;
use protocol::round::Commitments;
use protocol::wire::Ask;

use crate::fuzz::seeded;

/// Seconds of life that a request of the second chain has. The first has the default.
const SHORT_LIFE: u32 = 60;
/// Sync codes that a chain has, one after the other, the one of its founding included.
pub(super) const CODES: usize = 4;
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
    /// What its members hold at first.
    pub(super) keyring: Keyring,
    /// Whose codes it has: a stolen chain has those of the one it was stolen from.
    pub(super) family: usize,
}

/// A request that may be asked.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) device: usize,
    pub(super) family: usize,
    pub(super) form: Verified<JoinRequest>,
    pub(super) body: Vec<u8>,
}

/// Everything that is the same in each run.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) devices: Vec<Device>,
    pub(super) chains: Vec<Chain>,
    pub(super) asking: Vec<Asking>,
    /// Recovery devices: the second chain is founded with the first one, a rotation may bring the other.
    pub(super) papers: [DeviceKeys; 2],
    /// The sync codes of the first two chains, in the order in which rotations bring them.
    pub(super) codes: [[SyncCode; CODES]; 2],
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
        let papers = ["paper", "other paper"].map(|name| DeviceKeys::draw(&mut seeded(name)));
        let long = Chain::found(&devices, 0, Policy::default(), None);
        let policy = Policy { request_lifetime: SHORT_LIFE, ..Policy::default() };
        let short = Chain::found(&devices, 1, policy, Some(&papers[0]));
        let stolen = long.stolen_by(&devices, NAMES.len() - 1);
        let codes = [&long, &short].map(|chain| {
            core::array::from_fn(|at| match at {
                0 => chain.keyring.code().clone(),
                _ => SyncCode::draw(&mut seeded(&format!("code {at} of {}", chain.founder))),
            })
        });
        let asking = devices.iter().enumerate().flat_map(|(at, device)| {
            // Two requests of each device with each code: a device may ask again.
            let each = (0..4 * CODES).map(|which| (which % 2, which / 2 % 2, which / 4));
            each.map(|(family, when, code)| Asking::new(at, device, (family, &codes[family][code]), when as u64))
                .collect::<Vec<_>>()
        });
        Self { asking: asking.collect(), chains: vec![long, short, stolen], devices, papers, codes }
    }

    pub(super) fn device(&self, byte: u8) -> &Device {
        &self.devices[usize::from(byte) % self.devices.len()]
    }

    pub(super) fn chain(&self, byte: u8) -> &Chain {
        &self.chains[usize::from(byte) % self.chains.len()]
    }

    /// A device, or with a high bit a recovery device.
    pub(super) fn signer(&self, byte: u8) -> &DeviceKeys {
        if byte & 0x40 == 0 { &self.device(byte).keys } else { &self.papers[usize::from(byte) % 2] }
    }

    /// A request: the low bits name the device, the next one the chain, the next one which of the two, the next ones the code.
    pub(super) fn asking(&self, byte: u8) -> &Asking {
        let byte = usize::from(byte);
        &self.asking[(byte % 8) * 4 * CODES + (byte / 8) % (4 * CODES)]
    }

    /// The sync code of a join key.
    pub(super) fn code(&self, key: &JoinKey) -> &SyncCode {
        let mut codes = self.codes.iter().flatten();
        codes.find(|code| code.join_key().join_key() == *key).expect("no rotation brings another")
    }
}

impl Chain {
    fn found(devices: &[Device], founder: usize, policy: Policy, recovery: Option<&DeviceKeys>) -> Self {
        let description =
            Description { name: String::new(), platform: String::new(), version: String::new(), totp: None };
        let mut rng = seeded(&format!("founding {founder}"));
        let founding =
            entry::found(&devices[founder].keys, &description, policy, recovery, 0, &mut rng).expect("a founding");
        let roster = Roster::found(&founding.entry).expect("a roster");
        let keyring = Keyring::open(&roster, founding.epoch_key).expect("its keys");
        Self { founder, entry: founding.entry, keyring, family: founder }
    }

    /// The key of its first epoch, and the id by which the log names it.
    pub(super) fn epoch_key(&self) -> (KeyId, EpochKey) {
        let key = self.keyring.epoch_key();
        (key.key_id(1), key.clone())
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
        Self { founder: thief, entry, keyring: self.keyring.clone(), family: self.family }
    }
}

impl Asking {
    fn new(at: usize, device: &Device, (family, code): (usize, &SyncCode), when: u64) -> Self {
        let description =
            Description { name: NAMES[at].into(), platform: String::new(), version: String::new(), totp: None };
        let sealed = description.seal(code, &device.keys.id(), &mut seeded(NAMES[at])).expect("a description");
        let form = JoinRequest::sign(code, &device.keys, &sealed, device.commitments.public(), when);
        let form = form.expect("a request");
        let body = cbor::encode(&Ask { request: Blob(form.bytes().to_vec()), description: sealed });
        Self { device: at, family, form, body }
    }
}
