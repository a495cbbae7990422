//! Devices written from the protocol crate alone. They keep every rule by default and can break any: whatever they sign or send
//! comes back as bytes that a test changes first.

use std::net::IpAddr;

use ::http::Method;
use getrandom::SysRng;
use protocol::cbor::{self, Blob};
use protocol::code::SyncCode;
use protocol::connect::{Connect, Standing as As};
use protocol::decision::{self, Accepts, accept_admission};
use protocol::entry::{self, DenyReason, Entry};
use protocol::http_signature;
use protocol::id::Random;
use protocol::keyring::{Acting, Keyring};
use protocol::keys::DeviceKeys;
use protocol::policy::{Policy, Role};
use protocol::record::{self, Content, Draft, Line, Record};
use protocol::request::{Description, JoinRequest, Withdrawal};
use protocol::roster::Roster;
use protocol::round::{Answer as Reply, Attempt, Commitments, Confirmed, JoinerRounds, Nonce, Prompt};
use protocol::wire::{
    Append, Appended, Ask, LogPage, OpenRequest, OpenRequests, Purpose, Put, RecordPage, RecordRow, SealedRecord,
    Standing,
};
use protocol::{Form, RequestId, SUBPROTOCOL, VERSION, Verified};
use rand_core::UnwrapErr;

use crate::http::{Answer, Caller};
use crate::relay::Relay;
use crate::scan::{self, Secrecy};

/// The system's random source.
#[must_use]
pub fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Where a device dials, and which origin it signs.
#[derive(Debug, Clone)]
pub struct Reach {
    /// How it dials.
    pub caller: Caller,
    /// The origin that it signs.
    pub origin: String,
}

impl Reach {
    /// To a relay, as it is configured.
    #[must_use]
    pub fn to(relay: &Relay) -> Self {
        Self { caller: relay.caller(), origin: relay.origin() }
    }

    /// The same from another address.
    #[must_use]
    pub fn from(mut self, address: &str) -> Self {
        self.caller.from = Some(address.parse::<IpAddr>().expect("an address"));
        self
    }

    /// The same with a header besides.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.caller.headers.push((name, value.to_owned()));
        self
    }

    /// A signed read.
    #[must_use]
    pub fn read(&self, keys: &DeviceKeys, path: &str) -> Answer {
        let uri = format!("{}{path}", self.origin);
        let headers = http_signature::sign(&keys.signing, "GET", &uri, now() / 1000, Random::draw(&mut rng()));
        let headers = [("signature-input", headers.input), ("signature", headers.signature)];
        self.caller.exchange(Method::GET, path, &headers, Vec::new())
    }
}

/// Unix milliseconds, from the one clock that a test reads.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the harness is a driver: a signed read needs the time")]
pub fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_millis()).expect("this millennium")
}

/// A member of a chain, with its verified log and keys.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its keys.
    pub keys: DeviceKeys,
    /// How it reaches the relay.
    pub line: Reach,
    /// The log as it verified it.
    pub log: Vec<Verified<Entry>>,
    /// The roster at its head.
    pub roster: Roster,
    /// The chain's keys.
    pub keyring: Keyring,
    /// Where its own records end.
    pub records: Line,
}

/// A device that asks.
#[derive(Debug, Clone)]
pub struct Joiner {
    /// Its keys.
    pub keys: DeviceKeys,
    /// How it reaches the relay.
    pub line: Reach,
    /// Its request.
    pub request: Verified<JoinRequest>,
    /// Its sealed description.
    pub description: Blob,
    /// Its rounds.
    pub rounds: JoinerRounds,
}

/// The collection that everybody writes to. Its name is a secret that no log may show.
pub const COLLECTION: &str = "quiet-collection";

fn described(name: &str) -> Description {
    Description { name: name.to_owned(), platform: "test".to_owned(), version: "0".to_owned(), totp: None }
}

impl Member {
    /// Founds a chain on a relay.
    #[must_use]
    pub fn found(line: Reach, name: &str) -> Self {
        Self::found_with(line, name, Policy::default())
    }

    /// Founds a chain with a policy.
    #[must_use]
    pub fn found_with(line: Reach, name: &str, policy: Policy) -> Self {
        let keys = DeviceKeys::draw(&mut rng());
        let founding = entry::found(&keys, &described(name), policy, None, now(), &mut rng()).expect("a founding");
        scan::words(&founding.code.words());
        scan::secret("a collection's name", Secrecy::Private, COLLECTION);
        scan::secret_bytes("a sync code", founding.code.expose());
        scan::secret_bytes("an epoch key", founding.epoch_key.expose());
        scan::secret_bytes("a signing key", keys.signing.expose_seed().as_ref());
        let appended: Appended = line.caller.post("/v1/chains", founding.entry.bytes()).cbor();
        assert_eq!(appended, Appended { head: founding.entry.hash(), seq: 0 });
        let roster = Roster::found(&founding.entry).expect("a roster");
        let keyring = Keyring::open(&roster, founding.epoch_key).expect("its keys");
        Self { keys, line, log: vec![founding.entry], roster, keyring, records: Line::default() }
    }

    /// As it acts now.
    #[must_use]
    pub fn acting(&self) -> Acting<'_> {
        Acting { keys: &self.keys, roster: &self.roster, keyring: &self.keyring }
    }

    /// The sync code.
    #[must_use]
    pub fn code(&self) -> SyncCode {
        self.keyring.code().clone()
    }

    /// A signed read below its chain.
    #[must_use]
    pub fn read(&self, path: &str) -> Answer {
        self.line.read(&self.keys, &format!("/v1/chains/{}{path}", self.roster.chain()))
    }

    /// Fetches and verifies what is new in the log.
    pub fn sync(&mut self) {
        let page: LogPage = self.read(&format!("/log?after={}", self.roster.seq())).cbor();
        for entry in page.entries {
            let entry = Verified::<Entry>::from_bytes(&entry).expect("a verified entry");
            self.roster = self.roster.clone().apply(&entry).expect("a next entry");
            self.log.push(entry);
        }
        assert_eq!(self.roster.head(), page.head, "one page held it all");
    }

    /// The open requests that the relay shows.
    #[must_use]
    pub fn requests(&self) -> Vec<OpenRequest> {
        self.read("/requests").cbor::<OpenRequests>().requests
    }

    /// The one open request of a joiner, if the relay shows it.
    #[must_use]
    pub fn sees(&self, joiner: &Joiner) -> Option<OpenRequest> {
        self.requests().into_iter().find(|open| *open.request == **joiner.request.bytes())
    }

    /// A signed nonce for a round, not yet sent.
    #[must_use]
    pub fn nonce(&self, request: RequestId, round: u8) -> Verified<Nonce> {
        let form = Nonce {
            version: VERSION,
            chain: self.roster.chain(),
            request,
            round,
            head: self.roster.head(),
            epoch: self.roster.epoch(),
            nonce: Random::draw(&mut rng()),
        };
        self.sign(form)
    }

    /// Signs any form with the device's key.
    #[must_use]
    pub fn sign<T: Form>(&self, form: T) -> Verified<T> {
        Verified::sign(form, &self.keys.signing, &[]).expect("a form")
    }

    /// Opens the prompt: posts a nonce for a round.
    #[must_use]
    pub fn opens(&self, joiner: &Joiner, round: u8) -> Verified<Nonce> {
        let nonce = self.nonce(joiner.request.id(), round);
        assert_eq!(self.line.caller.post("/v1/nonces", nonce.bytes()).told(), "200");
        nonce
    }

    /// The prompt of an answered nonce, from what the relay shows.
    #[must_use]
    pub fn prompt(&self, joiner: &Joiner, nonce: &Verified<Nonce>) -> Prompt {
        let open = self.sees(joiner).expect("an open request");
        let round = open.rounds.iter().find(|round| *round.nonce == **nonce.bytes()).expect("the round");
        let reveal = Verified::from_bytes(round.reveal.as_ref().expect("a reveal")).expect("a verified reveal");
        let request = Verified::from_bytes(&open.request).expect("a verified request");
        Prompt::new(request, nonce.clone(), &reveal).expect("a prompt")
    }

    /// The whole round with a joiner that answers, and the right code typed.
    #[must_use]
    pub fn confirms(&self, joiner: &mut Joiner, round: u8) -> Confirmed {
        let nonce = self.opens(joiner, round);
        let codes = joiner.answers();
        let code = codes.iter().find(|reply| reply.round == round).expect("a code").code.digits();
        match self.prompt(joiner, &nonce).type_code(&code) {
            Attempt::Right(confirmed) => confirmed,
            other => panic!("the code shown is the code asked for: {other:?}"),
        }
    }

    /// Signs an admission; it is not yet sent.
    #[must_use]
    pub fn admission(&self, confirmed: &Confirmed, role: Role) -> Verified<Entry> {
        decision::admit(self.acting(), confirmed, &described("joined"), role, now(), &mut rng()).expect("an admit")
    }

    /// Signs a denial; it is not yet sent.
    #[must_use]
    pub fn denial(&self, joiner: &Joiner, block: u32) -> Verified<Entry> {
        let request = (joiner.request.id(), joiner.keys.id());
        decision::deny(&self.roster, &self.keys, request, DenyReason::Denied, block, now()).expect("a deny")
    }

    /// Appends entries.
    #[must_use]
    pub fn append(&self, entries: &[&[u8]], purpose: Purpose) -> Answer {
        let entries = entries.iter().map(|entry| Blob(entry.to_vec())).collect();
        self.line.caller.post("/v1/log", &cbor::encode(&Append { entries, purpose }))
    }

    /// Appends one own entry and follows it.
    pub fn appends(&mut self, entry: &Verified<Entry>) {
        let appended: Appended = self.append(&[entry.bytes()], Purpose::New).cbor();
        assert_eq!(appended, Appended { head: entry.hash(), seq: entry.seq });
        self.roster = self.roster.clone().apply(entry).expect("a next entry");
        self.log.push(entry.clone());
    }

    /// Admits a joiner, with everything that belongs to it.
    pub fn admits(&mut self, joiner: &mut Joiner, role: Role) {
        let confirmed = self.confirms(joiner, 1);
        let admit = self.admission(&confirmed, role);
        self.appends(&admit);
    }

    /// A device that joined this chain.
    #[must_use]
    pub fn joined_by(&mut self, name: &str, role: Role) -> Self {
        let mut joiner = Joiner::ask(self.line.clone(), &self.code(), name);
        self.admits(&mut joiner, role);
        joiner.accepts()
    }

    /// Signs the next record of its line; it is not yet sent, and the line not moved.
    #[must_use]
    pub fn record(&self, id: &str, value: Option<&[u8]>, base: Option<protocol::Hash>) -> SealedRecord {
        let draft = Draft { collection: COLLECTION, id, value, base, at: now() };
        let (record, ciphertext) = record::write(self.acting(), self.records, &draft, &mut rng()).expect("a record");
        SealedRecord { record: Blob(record.bytes().to_vec()), ciphertext }
    }

    /// Puts records.
    #[must_use]
    pub fn put(&self, records: &[SealedRecord]) -> Answer {
        self.line.caller.post("/v1/records", &cbor::encode(&Put { records: records.to_vec(), refill: None }))
    }

    /// Writes a new item and follows its line.
    pub fn writes(&mut self, id: &str, value: &[u8]) -> Verified<Record> {
        let sealed = self.record(id, Some(value), None);
        let answer = self.put(std::slice::from_ref(&sealed));
        assert_eq!(answer.told(), "200");
        self.follows(&sealed)
    }

    /// Moves its line past a record that was stored.
    pub fn follows(&mut self, sealed: &SealedRecord) -> Verified<Record> {
        let record = Verified::<Record>::from_bytes(&sealed.record).expect("a verified record");
        self.records = self.records.follow(&record).expect("the next of the line");
        record
    }

    /// Reads an item's content.
    #[must_use]
    pub fn reads(&self, id: &str) -> Content {
        let key = self.keyring.name_key();
        let collection = record::blind_collection(key, COLLECTION);
        let path = format!("/records/{collection}/{}", record::blind_id(key, &collection, id));
        self.opens_row(&self.read(&path).cbor())
    }

    /// Opens a row of the feed.
    #[must_use]
    pub fn opens_row(&self, row: &RecordRow) -> Content {
        let record = Verified::<Record>::from_bytes(&row.sealed.record).expect("a verified record");
        record::check_cited(&self.roster, &record).expect("a record that its writer could write");
        let ciphertext = row.sealed.ciphertext.as_ref().expect("a ciphertext");
        record::open(&self.keyring, &record, ciphertext).expect("content")
    }

    /// A page of the feed.
    #[must_use]
    pub fn feed(&self) -> RecordPage {
        self.read("/records").cbor()
    }

    /// A Connect to a challenge, not yet sent.
    #[must_use]
    pub fn connect(&self, relay_nonce: Random) -> Connect {
        Connect {
            version: VERSION,
            offered: vec![SUBPROTOCOL.to_owned()],
            origin: self.line.origin.clone(),
            relay_nonce,
            own_nonce: Random::draw(&mut rng()),
            chain: Some(self.roster.chain()),
            device: self.keys.id(),
            standing: As::Member,
            request: None,
            head: Some(self.roster.head()),
            cursor: None,
        }
    }
}

impl Joiner {
    /// A device that is about to ask.
    #[must_use]
    pub fn new(line: Reach, code: &SyncCode, name: &str) -> Self {
        Self::describing(line, code, &described(name))
    }

    /// Asks with a one-time code.
    #[must_use]
    pub fn ask_with_totp(line: Reach, code: &SyncCode, name: &str, totp: &str) -> Self {
        let described = Description { totp: Some(totp.to_owned()), ..described(name) };
        let joiner = Self::describing(line, code, &described);
        let answer = joiner.asks();
        assert_eq!(answer.status, 202, "{}", answer.told());
        joiner
    }

    fn describing(line: Reach, code: &SyncCode, described: &Description) -> Self {
        let keys = DeviceKeys::draw(&mut rng());
        let description = described.seal(code, &keys.id(), &mut rng()).expect("a description");
        let commitments = Commitments::draw(&mut rng());
        let request = JoinRequest::sign(code, &keys, &description, commitments.public(), now()).expect("a request");
        let rounds = JoinerRounds::new(request.clone(), commitments);
        Self { keys, line, request, description, rounds }
    }

    /// Asks.
    #[must_use]
    pub fn ask(line: Reach, code: &SyncCode, name: &str) -> Self {
        let joiner = Self::new(line, code, name);
        let answer = joiner.asks();
        assert_eq!(answer.status, 202, "{}", answer.told());
        joiner
    }

    /// Sends the request as it is.
    #[must_use]
    pub fn asks(&self) -> Answer {
        self.line.caller.post("/v1/requests", &self.body())
    }

    /// The body that it sends.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        cbor::encode(&Ask { request: Blob(self.request.bytes().to_vec()), description: self.description.clone() })
    }

    /// What it is told of its request.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.line.read(&self.keys, &format!("/v1/requests/{}", self.request.id())).cbor()
    }

    /// Answers every nonce that the relay has for it; all codes so far.
    pub fn answers(&mut self) -> Vec<Reply> {
        let nonces = self.standing().nonces;
        let answers = nonces.iter().map(|nonce| {
            let nonce = Verified::<Nonce>::from_bytes(nonce).expect("a verified nonce");
            let reply = self.rounds.answer(nonce, &self.keys.signing).expect("a next nonce");
            scan::check_code(&reply.code.digits());
            assert_eq!(self.line.caller.post("/v1/reveals", reply.reveal.bytes()).told(), "200");
            reply
        });
        answers.collect()
    }

    /// Takes the request back.
    #[must_use]
    pub fn withdraws(&self) -> Answer {
        let form = Withdrawal { version: VERSION, request: self.request.id() };
        let form = Verified::sign(form, &self.keys.signing, &[]).expect("a withdrawal");
        self.line.caller.post("/v1/withdrawals", form.bytes())
    }

    /// Verifies the log that admits it, opens its welcome, and is a member.
    #[must_use]
    pub fn accepts(&self) -> Member {
        let chain = self.rounds.chain().expect("a nonce that was answered");
        let page: LogPage = self.line.read(&self.keys, &format!("/v1/chains/{chain}/log")).cbor();
        let log: Vec<Verified<Entry>> =
            page.entries.iter().map(|entry| Verified::from_bytes(entry).expect("a verified entry")).collect();
        let (first, rest) = log.split_first().expect("a founding entry");
        let roster = rest
            .iter()
            .fold(Roster::found(first).expect("a roster"), |roster, entry| roster.apply(entry).expect("a next entry"));
        let own = roster.member(&self.keys.id()).expect("a member").admission.seq;
        let admit = log.iter().find(|entry| entry.seq == own).expect("its admit");
        let shown = |device: &protocol::DeviceId| self.rounds.showed_code_for(device);
        let keyring = accept_admission(&roster, admit, &self.keys, &self.request, &[Accepts::TypedBy(&shown)])
            .expect("an admission");
        Member { keys: self.keys.clone(), line: self.line.clone(), log, roster, keyring, records: Line::default() }
    }

    /// A Connect to a challenge, not yet sent.
    #[must_use]
    pub fn connect(&self, relay_nonce: Random) -> Connect {
        Connect {
            version: VERSION,
            offered: vec![SUBPROTOCOL.to_owned()],
            origin: self.line.origin.clone(),
            relay_nonce,
            own_nonce: Random::draw(&mut rng()),
            chain: None,
            device: self.keys.id(),
            standing: As::Joiner,
            request: Some(self.request.id()),
            head: None,
            cursor: None,
        }
    }
}
