//! Devices in chains of their own: made before the clock starts, as honest as any.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use protocol::cbor::{self, Blob};
use protocol::connect::{Connect, Standing as As};
use protocol::entry::{self, Entry};
use protocol::id::Random;
use protocol::keyring::{Acting, Keyring};
use protocol::keys::DeviceKeys;
use protocol::policy::{Policy, Role};
use protocol::record::{self, Draft, Line};
use protocol::request::{Description, JoinRequest};
use protocol::roster::Roster;
use protocol::round::{Attempt, Commitments, Confirmed, JoinerRounds, Nonce, Prompt};
use protocol::wire::{Append, Appended, Purpose, Put, SealedRecord, ToDevice};
use protocol::{RequestId, SUBPROTOCOL, VERSION, Verified, decision, http_signature};

use super::dial::{Http, Place, Socket, address_of};
use crate::actor::{now, rng};

/// A chain as its members know it.
pub(super) struct Chain {
    pub(super) roster: Roster,
    pub(super) keyring: Keyring,
    entries: Vec<Verified<Entry>>,
}

/// A member.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) keys: DeviceKeys,
    pub(super) chain: Arc<Chain>,
    pub(super) from: IpAddr,
    line: Line,
}

pub(super) fn described() -> Description {
    Description { name: "benchmark".into(), platform: "Linux".into(), version: "1".into(), totp: None }
}

/// A device that is about to ask.
pub(super) struct Asking {
    pub(super) keys: DeviceKeys,
    pub(super) request: Verified<JoinRequest>,
    pub(super) description: Blob,
    pub(super) rounds: JoinerRounds,
}

impl Asking {
    pub(super) fn new(keyring: &Keyring) -> Self {
        let (keys, code) = (DeviceKeys::draw(&mut rng()), keyring.code());
        let description = described().seal(code, &keys.id(), &mut rng()).expect("a description");
        let commitments = Commitments::draw(&mut rng());
        let request = JoinRequest::sign(code, &keys, &description, commitments.public(), now()).expect("a request");
        let rounds = JoinerRounds::new(request.clone(), commitments);
        Self { keys, request, description, rounds }
    }
}

/// An approver's nonce for the first round.
pub(super) fn nonce(roster: &Roster, keys: &DeviceKeys, request: RequestId) -> Verified<Nonce> {
    let form = Nonce {
        version: VERSION,
        chain: roster.chain(),
        request,
        round: 1,
        head: roster.head(),
        epoch: roster.epoch(),
        nonce: Random::draw(&mut rng()),
    };
    Verified::sign(form, &keys.signing, &[]).expect("a nonce")
}

/// A whole join without a relay: founders of large chains need many.
fn admit(founder: &DeviceKeys, roster: &Roster, keyring: &Keyring) -> (DeviceKeys, Verified<Entry>) {
    let mut asking = Asking::new(keyring);
    let nonce = nonce(roster, founder, asking.request.id());
    let reply = asking.rounds.answer(nonce.clone(), &asking.keys.signing).expect("a reveal");
    let prompt = Prompt::new(asking.request, nonce, &reply.reveal).expect("a prompt");
    let confirmed = typed(&prompt, &reply.code.digits());
    let acting = Acting { keys: founder, roster, keyring };
    let admit = decision::admit(acting, &confirmed, &described(), Role::Approver, now(), &mut rng());
    (asking.keys, admit.expect("an admission"))
}

/// The right code, typed.
pub(super) fn typed(prompt: &Prompt, digits: &str) -> Confirmed {
    match prompt.type_code(digits) {
        Attempt::Right(confirmed) => confirmed,
        other => panic!("the code that was shown is {other:?}"),
    }
}

/// A chain of so many devices, with addresses from a number on, not yet known to any relay.
pub(super) fn chain(size: usize, address: u32) -> Vec<Device> {
    let founder = DeviceKeys::draw(&mut rng());
    let policy = Policy { members_max: 120, ..Policy::default() };
    let founding = entry::found(&founder, &described(), policy, None, now(), &mut rng()).expect("a founding");
    let mut roster = Roster::found(&founding.entry).expect("a roster");
    let keyring = Keyring::open(&roster, founding.epoch_key).expect("its keys");
    let (mut entries, mut keys) = (vec![founding.entry], vec![founder]);
    for _ in 1..size {
        let (joined, entry) = admit(&keys[0], &roster, &keyring);
        roster = roster.apply(&entry).expect("a next entry");
        entries.push(entry);
        keys.push(joined);
    }
    let chain = Arc::new(Chain { roster, keyring, entries });
    let device =
        |(keys, address)| Device { keys, chain: Arc::clone(&chain), from: address_of(address), line: Line::default() };
    keys.into_iter().zip(address..).map(device).collect()
}

/// Many chains, each published, made on all cores.
pub(super) async fn chains(place: &Place, count: usize, size: usize, address: u32) -> Vec<Device> {
    let step = u32::try_from(size).expect("a small chain");
    let place = place.clone();
    let numbers: Vec<u32> = (0..u32::try_from(count).expect("few chains")).collect();
    let made = super::spread::each(numbers, 8, move |number| {
        let place = place.clone();
        async move {
            let devices = chain(size, address + number * step);
            publish(&mut place.http(devices[0].from).await, &devices[0].chain).await;
            devices
        }
    });
    made.await.into_iter().flatten().collect()
}

/// Founds a chain on a relay and hands it the rest of the log, as a device heals a relay that lost its tail.
async fn publish(http: &mut Http, chain: &Chain) {
    let (first, rest) = chain.entries.split_first().expect("a founding");
    http.post("/v1/chains", first.bytes().to_vec()).await;
    for part in rest.chunks(32) {
        let entries = part.iter().map(|entry| Blob(entry.bytes().to_vec())).collect();
        let answer = http.post("/v1/log", cbor::encode(&Append { entries, purpose: Purpose::Heal })).await;
        let _: Appended = cbor::decode("answer", &answer, 1024).expect("an answer");
    }
}

impl Device {
    /// Publishes its chain.
    pub(super) async fn founds(&self, http: &mut Http) {
        publish(http, &self.chain).await;
    }

    /// The next record of its line, signed and moved past.
    pub(super) fn writes(&mut self, id: &str) -> SealedRecord {
        let acting = Acting { keys: &self.keys, roster: &self.chain.roster, keyring: &self.chain.keyring };
        let draft = Draft { collection: "notes", id, value: Some(&[7; 100]), base: None, at: now() };
        let (record, ciphertext) = record::write(acting, self.line, &draft, &mut rng()).expect("a record");
        self.line = self.line.follow(&record).expect("the next of the line");
        SealedRecord { record: Blob(record.bytes().to_vec()), ciphertext }
    }

    /// The body of a put of new items, so many from a number on.
    pub(super) fn puts(&mut self, from: usize, count: usize) -> Bytes {
        let records = (from..from + count).map(|number| self.writes(&format!("item {number}"))).collect();
        cbor::encode(&Put { records, refill: None }).into()
    }

    /// Stands where its chain stands after an entry.
    pub(super) fn stands_at(&mut self, roster: Roster, keyring: Keyring) {
        self.chain = Arc::new(Chain { roster, keyring, entries: Vec::new() });
    }

    /// A signed read of an item: path and headers.
    pub(super) fn reads(&self, place: &Place, id: &str) -> SignedRead {
        let key = self.chain.keyring.name_key();
        let collection = record::blind_collection(key, "notes");
        let id = record::blind_id(key, &collection, id);
        let path = format!("/v1/chains/{}/records/{collection}/{id}", self.chain.roster.chain());
        SignedRead::new(&self.keys, place, path)
    }

    /// Connects as a member, up to `Ready`.
    pub(super) async fn connects(&self, place: &Place) -> Socket {
        let mut socket = Box::pin(place.socket(self.from)).await;
        let ToDevice::Challenge(challenge) = socket.next().await else { panic!("a challenge comes first") };
        let roster = &self.chain.roster;
        let connect = Connect {
            chain: Some(roster.chain()),
            standing: As::Member,
            head: Some(roster.head()),
            ..connect(place, &self.keys, challenge.nonce)
        };
        socket.send(Verified::sign(connect, &self.keys.signing, &[]).expect("a Connect").bytes()).await;
        let ToDevice::Ready(_) = socket.next().await else { panic!("Ready answers a Connect") };
        socket
    }
}

/// A Connect to be completed for a member or a joiner.
pub(super) fn connect(place: &Place, keys: &DeviceKeys, relay_nonce: Random) -> Connect {
    Connect {
        version: VERSION,
        offered: vec![SUBPROTOCOL.to_owned()],
        origin: place.origin.clone(),
        relay_nonce,
        own_nonce: Random::draw(&mut rng()),
        chain: None,
        device: keys.id(),
        standing: As::Joiner,
        request: None,
        head: None,
        cursor: None,
    }
}

/// A read that is ready to be sent.
pub(super) struct SignedRead {
    path: String,
    headers: http_signature::Headers,
}

impl SignedRead {
    pub(super) fn new(keys: &DeviceKeys, place: &Place, path: String) -> Self {
        let uri = format!("{}{path}", place.origin);
        let headers = http_signature::sign(&keys.signing, "GET", &uri, now() / 1000, Random::draw(&mut rng()));
        Self { path, headers }
    }

    pub(super) async fn send(&self, http: &mut Http) -> Bytes {
        let headers = [("signature-input", &*self.headers.input), ("signature", &*self.headers.signature)];
        let (status, body) = http.exchange(hyper::Method::GET, &self.path, &headers, Bytes::new()).await;
        assert!(status.is_success(), "{}: {status}", self.path);
        body
    }
}
