//! A server of somebody else's that takes writes from the devices of a chain: no accounts, no passwords, no relay.
//!
//! `cargo run -p countersign-protocol --example gate` plays it. What is to be copied is [`Server`]: it keeps the newest head of
//! each chain, takes a credential and a signed write beside it, and asks five questions.

// The name that every other crate of the workspace knows it by.
extern crate countersign_protocol as protocol;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write as _;

use minicbor::{Decode, Encode};
use protocol::credential::{Credential, CredentialError, Known, Proven, verify};
use protocol::entry::Entry;
use protocol::id::Random;
use protocol::policy::Role;
use protocol::{ChainId, Form, FormError, Verified};
use rand_core::CryptoRng;

/// What a device asks this server to do: a form of the server's own, which the protocol knows nothing of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Write {
    /// Always 1.
    #[n(0)]
    pub(crate) version: u8,
    /// The chain whose documents these are.
    #[n(1)]
    pub(crate) chain: ChainId,
    /// The nonce that the server drew for this write.
    #[n(2)]
    pub(crate) nonce: Random,
    /// Which document.
    #[n(3)]
    pub(crate) name: String,
    /// What it says from now on.
    #[n(4)]
    pub(crate) text: String,
}

impl Form for Write {
    type Evidence = ();
    const NAME: &'static str = "write";
    // The server's own. Under a label of the protocol's, a nonce of a server could be an entry of somebody's log.
    const LABEL: &'static str = "example.com/v1/write";
    const BYTES_MAX: usize = 16 * 1024;

    fn check(&self, _signer: &protocol::DeviceId, _known: Option<&()>) -> Result<(), FormError> {
        match self.version {
            1 => Ok(()),
            got => Err(FormError::UnknownVersion { form: Self::NAME, got }),
        }
    }
}

/// Why a write was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// No customer of this server.
    #[error("nobody registered this chain here")]
    UnknownChain,
    /// The credential proves nothing.
    #[error("the credential is refused: {0}")]
    Credential(#[from] CredentialError),
    /// The write is none, or not signed as it must be.
    #[error("the write is refused: {0}")]
    Write(#[from] FormError),
    /// Somebody else's credential.
    #[error("the write is not signed by the device of the credential")]
    AnotherDevice,
    /// A reader, or a recovery device.
    #[error("the device is a {0}, which writes nothing here")]
    MayNotWrite(Role),
    /// A nonce that this server did not draw, or that served before.
    #[error("the nonce is not one that is waited for")]
    Replayed,
}

/// The server. A real one keeps all of this in a database, and what one write changes in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Server {
    /// What is known of each chain that may write here. The heads only go forward.
    known: BTreeMap<ChainId, Known>,
    /// Nonces that were drawn and not used yet. A real one bounds them, and lets them expire.
    nonces: BTreeSet<Random>,
    documents: BTreeMap<(ChainId, String), String>,
}

impl Server {
    /// Registers a chain. How a server comes to trust the id is its own affair: somebody pays for it, types it, scans it.
    pub(crate) fn register(&mut self, chain: ChainId) {
        self.known.entry(chain).or_insert(Known::of(chain));
    }

    /// Draws the nonce of one write.
    pub(crate) fn nonce(&mut self, rng: &mut impl CryptoRng) -> Random {
        let nonce = Random::draw(rng);
        self.nonces.insert(nonce);
        nonce
    }

    /// Learns the newest head of a chain from the credential of any of its members. Worth a route of its own: whoever removes a
    /// device tells the server at once.
    pub(crate) fn learn(&mut self, chain: ChainId, credential: &[u8]) -> Result<Proven, Refused> {
        let known = self.known.get_mut(&chain).ok_or(Refused::UnknownChain)?;
        let verdict = verify(credential, known);
        // Also of a device that is refused: a removed one that shows its removal goes back to no log without it.
        let newest = verdict.as_ref().map_or_else(CredentialError::newest, |proven| Some(proven.newest()));
        *known = newest.unwrap_or(*known);
        Ok(verdict?)
    }

    /// Takes a write, or says why not.
    pub(crate) fn write(&mut self, credential: &[u8], write: &[u8]) -> Result<(), Refused> {
        // Is it a write, as it was signed? Cheap, so it comes first.
        let write = Verified::<Write>::from_bytes(write)?;
        // Is the bearer a member of that chain, by the newest log that anybody has shown?
        let proven = self.learn(write.chain, credential)?;
        // Is the bearer the device, or somebody who copied its credential?
        if write.signer() != proven.device().signing {
            return Err(Refused::AnotherDevice);
        }
        // May it write?
        if !proven.role().writes() {
            return Err(Refused::MayNotWrite(proven.role()));
        }
        // Is it this write's first time?
        if !self.nonces.remove(&write.nonce) {
            return Err(Refused::Replayed);
        }
        self.documents.insert((write.chain, write.name.clone()), write.text.clone());
        Ok(())
    }

    /// What a document says.
    pub(crate) fn read(&self, chain: ChainId, name: &str) -> Option<&str> {
        self.documents.get(&(chain, name.to_owned())).map(String::as_str)
    }
}

/// What a device sends: its credential, and the write that it signed.
pub(crate) fn signed(
    keys: &protocol::keys::DeviceKeys,
    log: &[Verified<Entry>],
    chain: ChainId,
    nonce: Random,
    text: &str,
) -> Result<(Vec<u8>, Vec<u8>), Refused> {
    let write = Write { version: 1, chain, nonce, name: "groceries".to_owned(), text: text.to_owned() };
    let write = Verified::sign(write, &keys.signing, &[])?;
    Ok((Credential::of(keys.id(), log)?.to_bytes(), write.bytes().to_vec()))
}

/// A laptop founds a chain; a phone joins, writes here, and is removed.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let rng = &mut rand_core::UnwrapErr(getrandom::SysRng);
    let mut family = family::Family::founded(rng)?;
    let phone = family.admits("phone", Role::Writer, rng)?;
    let reader = family.admits("television", Role::Reader, rng)?;
    let chain = family.roster.chain();

    let mut server = Server::default();
    server.register(chain);
    let nonce = server.nonce(rng);
    let (credential, write) = signed(&phone, &family.log, chain, nonce, "milk")?;
    server.write(&credential, &write)?;
    writeln!(out, "the phone writes:     {}", server.read(chain, "groceries").unwrap_or_default())?;
    writeln!(out, "the same again:       {}", told(server.write(&credential, &write)))?;

    let nonce = server.nonce(rng);
    let (shown, write) = signed(&reader, &family.log, chain, nonce, "beer")?;
    writeln!(out, "the television:       {}", told(server.write(&shown, &write)))?;
    let stolen = server.write(&credential, &write);
    writeln!(out, "by another's papers:  {}", told(stolen))?;

    let old = family.log.clone();
    family.removes(&phone, rng)?;
    // The laptop removed it, and tells the server: from here on, no log without the removal counts.
    server.learn(chain, &Credential::of(family.laptop.id(), &family.log)?.to_bytes())?;
    let nonce = server.nonce(rng);
    let (credential, write) = signed(&phone, &old, chain, nonce, "nothing")?;
    writeln!(out, "the phone, removed:   {}", told(server.write(&credential, &write)))?;
    writeln!(out, "the document says:    {}", server.read(chain, "groceries").unwrap_or_default())?;
    Ok(())
}

fn told(verdict: Result<(), Refused>) -> String {
    verdict.map_or_else(|refused| refused.to_string(), |()| "taken".to_owned())
}

/// A chain to play with. In life this is what `countersign` does on several devices; a server needs none of it.
mod family {
    use protocol::change::{self, RecoveryChange};
    use protocol::cut::{Cut, CutAt, Removal};
    use protocol::entry::{Entry, RemoveReason, found};
    use protocol::id::Random;
    use protocol::keyring::{Acting, Keyring};
    use protocol::keys::DeviceKeys;
    use protocol::policy::{Policy, Role};
    use protocol::request::{Description, JoinRequest};
    use protocol::roster::Roster;
    use protocol::round::{Attempt, Commitments, JoinerRounds, Nonce, Prompt};
    use protocol::{Verified, decision};
    use rand_core::CryptoRng;

    pub(super) struct Family {
        pub(super) laptop: DeviceKeys,
        pub(super) log: Vec<Verified<Entry>>,
        pub(super) roster: Roster,
        keyring: Keyring,
    }

    fn description(name: &str) -> Description {
        Description { name: name.to_owned(), platform: "Linux".to_owned(), version: "1".to_owned(), totp: None }
    }

    impl Family {
        pub(super) fn founded(rng: &mut impl CryptoRng) -> Result<Self, Box<dyn super::Error>> {
            let laptop = DeviceKeys::draw(rng);
            let founding = found(&laptop, &description("laptop"), Policy::default(), None, 0, rng)?;
            let roster = Roster::found(&founding.entry)?;
            let keyring = Keyring::open(&roster, founding.epoch_key)?;
            Ok(Self { laptop, log: vec![founding.entry], roster, keyring })
        }

        pub(super) fn admits(
            &mut self,
            name: &str,
            role: Role,
            rng: &mut impl CryptoRng,
        ) -> Result<DeviceKeys, Box<dyn super::Error>> {
            let (device, commitments) = (DeviceKeys::draw(rng), Commitments::draw(rng));
            let sealed = description(name).seal(self.keyring.code(), &device.id(), rng)?;
            let request = JoinRequest::sign(self.keyring.code(), &device, &sealed, commitments.public(), 0)?;
            let nonce = Nonce {
                version: protocol::VERSION,
                chain: self.roster.chain(),
                request: request.id(),
                round: 1,
                head: self.roster.head(),
                epoch: self.roster.epoch(),
                nonce: Random::draw(rng),
            };
            let nonce = Verified::sign(nonce, &self.laptop.signing, &[])?;
            let answer = JoinerRounds::new(request.clone(), commitments).answer(nonce.clone(), &device.signing)?;
            let prompt = Prompt::new(request, nonce, &answer.reveal)?;
            let Attempt::Right(confirmed) = prompt.type_code(&answer.code.digits()) else {
                return Err("the code was typed as shown".into());
            };
            let acting = Acting { keys: &self.laptop, roster: &self.roster, keyring: &self.keyring };
            let admit = decision::admit(acting, &confirmed, &description(name), role, 0, rng)?;
            self.append(admit)?;
            Ok(device)
        }

        pub(super) fn removes(
            &mut self,
            gone: &DeviceKeys,
            rng: &mut impl CryptoRng,
        ) -> Result<(), Box<dyn super::Error>> {
            let cut = Cut { counter: 0, last: None, at: CutAt::Last };
            let removals = vec![Removal { device: gone.id(), cut }];
            let acting = Acting { keys: &self.laptop, roster: &self.roster, keyring: &self.keyring };
            let (reason, keep) = (RemoveReason::Lost, RecoveryChange::Keep);
            let entry = change::remove(acting, removals, reason, keep, Vec::new(), 0, rng)?;
            self.append(entry)
        }

        fn append(&mut self, entry: Verified<Entry>) -> Result<(), Box<dyn super::Error>> {
            self.roster = self.roster.clone().apply(&entry)?;
            self.log.push(entry);
            Ok(())
        }
    }
}
