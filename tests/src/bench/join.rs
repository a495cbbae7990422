//! One whole join with full clients on both sides: they verify everything, pin with fsync, and the joiner opens its welcome.

use std::path::PathBuf;
use std::sync::Arc;

use protocol::cbor::{self, Blob};
use protocol::connect::Connect;
use protocol::entry::{Entry, EntryEvidence};
use protocol::id::Random;
use protocol::policy::Role;
use protocol::request::{Description, JoinRequest};
use protocol::roster::Roster;
use protocol::round::{Nonce, Prompt, Reveal};
use protocol::wire::{Append, Ask, LogPage, OpenRequest, Purpose, Stage, ToDevice};
use protocol::{Signed, Verified, decision, limits};
use tokio::sync::oneshot;

use super::bare::Log;
use super::clock::Start;
use super::device::{Asking, Device, SignedRead, chain, connect, described, nonce, typed};
use super::dial::{Http, Place, Socket, address_of};
use crate::actor::{now, rng};

/// A member that is connected.
struct Approver {
    device: Device,
    socket: Socket,
    http: Http,
    pin: Arc<Log>,
}

/// A device that has dialled and asked for nothing yet.
struct Joiner {
    asking: Asking,
    socket: Socket,
    challenge: Random,
    http: Http,
    pin: Arc<Log>,
}

/// A join that can begin, in a chain of its own.
pub(super) struct Join {
    place: Place,
    approver: Approver,
    joiner: Joiner,
}

/// Pins a head as a device does: on disk before anything rests on it, in a store that was there before.
async fn pin(store: Arc<Log>) {
    tokio::task::spawn_blocking(move || store.commit(1)).await.expect("a thread");
}

impl Join {
    /// Founds the chain, connects its founder, and lets the joiner dial. `number` is the join's own; it takes two addresses.
    pub(super) async fn prepare(place: Place, pins: PathBuf, number: u32) -> Self {
        let device = chain(1, 2 * number).pop().expect("a founder");
        let mut http = place.http(device.from).await;
        device.founds(&mut http).await;
        let socket = device.connects(&place).await;
        let pin = |who| Arc::new(Log::open(pins.join(format!("{number}-{who}"))));
        let asking = Asking::new(&device.chain.keyring);
        let from = address_of(2 * number + 1);
        let mut joining = Box::pin(place.socket(from)).await;
        let ToDevice::Challenge(challenge) = joining.next().await else { panic!("a challenge comes first") };
        let joiner = Joiner {
            asking,
            socket: joining,
            challenge: challenge.nonce,
            http: place.http(from).await,
            pin: pin("joiner"),
        };
        Self { approver: Approver { device, socket, http, pin: pin("approver") }, joiner, place }
    }

    /// From the joiner's POST to its opened welcome, in microseconds.
    pub(super) async fn run(mut self) -> f64 {
        let (shown, typed) = oneshot::channel();
        let start = Start::now();
        let joins = async {
            self.joiner.joins(&self.place, shown).await;
            start.micros()
        };
        let ((), micros) = tokio::join!(self.approver.approves(typed), joins);
        micros
    }
}

impl Approver {
    async fn requested(&mut self) -> OpenRequest {
        loop {
            if let ToDevice::Requested(open) = self.socket.next().await {
                return open;
            }
        }
    }

    /// Opens the prompt, waits for the reveal, types the code as the joiner's person reads it out, and signs.
    async fn approves(&mut self, code: oneshot::Receiver<String>) {
        let open = self.requested().await;
        let (keys, chain) = (self.device.keys.clone(), self.device.chain.clone());
        let request = Verified::<JoinRequest>::from_bytes(&open.request).expect("a verified request");
        let described_as = Description::open(chain.keyring.code(), &request.device.signing, &open.description);
        assert_eq!(described_as.expect("its description"), described());
        let nonce = nonce(&chain.roster, &keys, request.id());
        self.http.post("/v1/nonces", nonce.bytes().to_vec()).await;
        let reveal = loop {
            let open = self.requested().await;
            if let Some(reveal) = open.rounds.first().and_then(|round| round.reveal.clone()) {
                break Verified::<Reveal>::from_bytes(&reveal).expect("a verified reveal");
            }
        };
        let prompt = Prompt::new(request, nonce, &reveal).expect("a prompt");
        let confirmed = typed(&prompt, &code.await.expect("a code"));
        let acting = protocol::keyring::Acting { keys: &keys, roster: &chain.roster, keyring: &chain.keyring };
        let entry =
            decision::admit(acting, &confirmed, &described(), Role::Approver, now(), &mut rng()).expect("an admit");
        let after = chain.roster.clone().apply(&entry).expect("a next entry");
        assert_eq!(after.head(), entry.hash());
        pin(Arc::clone(&self.pin)).await;
        let append = Append { entries: vec![Blob(entry.bytes().to_vec())], purpose: Purpose::New };
        self.http.post("/v1/log", cbor::encode(&append)).await;
    }
}

impl Joiner {
    async fn joins(&mut self, place: &Place, shown: oneshot::Sender<String>) {
        let Asking { keys, request, description, rounds } = &mut self.asking;
        let ask = Ask { request: Blob(request.bytes().to_vec()), description: description.clone() };
        self.http.post("/v1/requests", cbor::encode(&ask)).await;
        let connect = Connect { request: Some(request.id()), ..connect(place, keys, self.challenge) };
        self.socket.send(Verified::sign(connect, &keys.signing, &[]).expect("a Connect").bytes()).await;
        let mut shown = Some(shown);
        loop {
            let ToDevice::Standing(standing) = self.socket.next().await else {
                panic!("a joiner is told its standing")
            };
            if standing.stage == Stage::Admitted {
                break;
            }
            if let (Some(nonce), Some(_)) = (standing.nonces.first(), &shown) {
                let nonce = Verified::<Nonce>::from_bytes(nonce).expect("a verified nonce");
                let reply = rounds.answer(nonce, &keys.signing).expect("a reveal");
                self.http.post("/v1/reveals", reply.reveal.bytes().to_vec()).await;
                let _ = shown.take().map(|shown| shown.send(reply.code.digits().to_string()));
            }
        }
        let path = format!("/v1/chains/{}/log", rounds.chain().expect("the chain of the nonce"));
        let page = SignedRead::new(keys, place, path).send(&mut self.http).await;
        let page: LogPage = cbor::decode("page", &page, limits::BODY_BYTES_MAX).expect("a page");
        let own = EntryEvidence::of(Arc::new(request.clone()));
        let verify = |entry: &Blob| Signed::<Entry>::decode(entry).and_then(|entry| entry.verify_knowing(Some(&own)));
        let log: Vec<_> = page.entries.iter().map(|entry| verify(entry).expect("a verified entry")).collect();
        let (first, rest) = log.split_first().expect("a founding");
        let roster = Roster::found(first).expect("a roster");
        let roster = rest.iter().fold(roster, |roster, entry| roster.apply(entry).expect("a next entry"));
        pin(Arc::clone(&self.pin)).await;
        let admitting = log.last().expect("its admission");
        let showed = |approver: &protocol::DeviceId| rounds.showed_code_for(approver);
        let accepts = [decision::Accepts::TypedBy(&showed)];
        decision::accept_admission(&roster, admitting, keys, request, &accepts).expect("an opened welcome");
    }
}
