//! The relay's routes: every POST of a signed form, every signed read. One kept-alive connection; every exchange has a time limit.

mod exchange;
mod socket;

use std::net::IpAddr;
use std::sync::Mutex;

use bytes::Bytes;
use http::Method;
use protocol::approval::Approval;
use protocol::cbor::{self, Blob};
use protocol::connect::Cursor;
use protocol::id::Random;
use protocol::keys::{DeviceKeys, SigningKey};
use protocol::record::Record;
use protocol::refill::Refill;
use protocol::request::Withdrawal;
use protocol::reset::Reset;
use protocol::round::{Nonce, Reveal};
use protocol::signed::{Form, Verified};
use protocol::wire::{
    Append, Appended, Approvals, Ask, ChainOfKey, LogPage, OpenRequests, Purpose, Put, RecordPage, RecordRow,
    ResetStanding, SealedRecord, Standing, Stored, Whereabouts,
};
use protocol::{ChainId, RequestId, http_signature, limits as bounds};

use crate::dial::Endpoint;
use crate::error::AgentError;
use crate::{clock, limits};
use exchange::Connection;

pub(crate) use socket::{Identity, Socket};

/// A relay, as one device talks to it.
#[derive(Debug)]
pub(crate) struct RelayClient {
    endpoint: Endpoint,
    connection: tokio::sync::Mutex<Option<Connection>>,
    seen: Mutex<SeenOfRelay>,
}

/// What was seen of the relay on the way.
#[derive(Debug, Default, Clone, Copy)]
struct SeenOfRelay {
    /// The relay's clock less ours, milliseconds.
    ahead: Option<i64>,
    /// This device's address towards the relay.
    own_address: Option<IpAddr>,
}

impl RelayClient {
    /// A client that has not dialled yet.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, connection: tokio::sync::Mutex::default(), seen: Mutex::default() }
    }

    /// The relay's address.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// This device's address towards the relay, once it has dialled.
    pub(crate) fn own_address(&self) -> Option<IpAddr> {
        self.seen().own_address
    }

    /// The relay's clock less ours, milliseconds; nothing if what answers tells no time, and so is no relay.
    pub(crate) async fn ahead(&self) -> Result<Option<i64>, AgentError> {
        match self.exchange(Method::GET, "/.well-known/countersign", Body::None).await {
            Ok(_) | Err(AgentError::Problem { .. }) => Ok(self.seen().ahead),
            Err(error) => Err(error),
        }
    }

    /// Asks, signed by a key of the moment, for a request that nobody made. A relay that knows itself by other addresses than the one
    /// dialled refuses the signature; any other answer is well, for nobody is known by that key.
    ///
    /// A founding or a request to join proves itself without the address, and would pass where no read ever will.
    pub(crate) async fn check_address(&self) -> Result<(), AgentError> {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let key = SigningKey::draw(&mut rng);
        let nobodys = RequestId(Random::draw(&mut rng).0);
        match self.signed(&key, &format!("/v1/requests/{nobodys}")).await {
            Err(AgentError::Problem { code, .. }) if code == "bad-signature" => {
                Err(AgentError::OtherAddress { origin: self.endpoint.origin().to_owned() })
            }
            Ok(_) | Err(AgentError::Problem { .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// What a holder of the sync code must know to sign a reset.
    pub(crate) async fn chain_of_key(&self, key: &SigningKey) -> Result<ChainOfKey, AgentError> {
        self.read(key, format!("/v1/join-keys/{}", key.join_key())).await
    }

    /// Announces a reset. The same bytes get what is left of its wait.
    pub(crate) async fn reset(&self, reset: &Verified<Reset>) -> Result<ResetStanding, AgentError> {
        self.post("/v1/resets", reset.bytes().to_vec()).await
    }

    /// Founds a chain.
    pub(crate) async fn found(&self, entry: &[u8]) -> Result<Appended, AgentError> {
        self.post("/v1/chains", entry.to_vec()).await
    }

    /// Appends entries.
    pub(crate) async fn append(&self, entries: Vec<Vec<u8>>, purpose: Purpose) -> Result<Appended, AgentError> {
        let entries = entries.into_iter().map(Blob).collect();
        self.post("/v1/log", cbor::encode(&Append { entries, purpose })).await
    }

    /// Asks which chain a recovery device is of.
    pub(crate) async fn whereabouts(&self, keys: &DeviceKeys) -> Result<Whereabouts, AgentError> {
        self.read(&keys.signing, format!("/v1/keys/{}", keys.id())).await
    }

    /// Reads the log after a position, or from `found`.
    pub(crate) async fn log(
        &self,
        keys: &DeviceKeys,
        chain: ChainId,
        after: Option<u64>,
    ) -> Result<LogPage, AgentError> {
        let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
        self.read(&keys.signing, format!("/v1/chains/{chain}/log{after}")).await
    }

    /// Reads the open requests.
    pub(crate) async fn open_requests(&self, keys: &DeviceKeys, chain: ChainId) -> Result<OpenRequests, AgentError> {
        self.read(&keys.signing, format!("/v1/chains/{chain}/requests")).await
    }

    /// Asks to join. The same bytes get the same answer.
    pub(crate) async fn ask(&self, request: &[u8], description: &[u8]) -> Result<Standing, AgentError> {
        self.post("/v1/requests", cbor::encode(&Ask { request: request.into(), description: description.into() })).await
    }

    /// Takes an own request back.
    pub(crate) async fn withdraw(&self, withdrawal: &Verified<Withdrawal>) -> Result<(), AgentError> {
        self.post_form("/v1/withdrawals", withdrawal).await
    }

    /// Sends a nonce.
    pub(crate) async fn nonce(&self, nonce: &Verified<Nonce>) -> Result<(), AgentError> {
        self.post_form("/v1/nonces", nonce).await
    }

    /// Sends the answer to a nonce.
    pub(crate) async fn reveal(&self, reveal: &Verified<Reveal>) -> Result<(), AgentError> {
        self.post_form("/v1/reveals", reveal).await
    }

    /// Gives an approval.
    pub(crate) async fn approve(&self, approval: &Verified<Approval>) -> Result<(), AgentError> {
        self.post_form("/v1/approvals", approval).await
    }

    /// Reads the approvals that count.
    pub(crate) async fn approvals(&self, keys: &DeviceKeys, chain: ChainId) -> Result<Approvals, AgentError> {
        self.read(&keys.signing, format!("/v1/chains/{chain}/approvals")).await
    }

    /// Writes records.
    pub(crate) async fn put(&self, records: Vec<SealedRecord>) -> Result<Stored, AgentError> {
        self.post("/v1/records", cbor::encode(&Put { records, refill: None })).await
    }

    /// Gives records back that the relay lost, with a member's word for them.
    pub(crate) async fn refill(
        &self,
        records: Vec<SealedRecord>,
        refill: &Verified<Refill>,
    ) -> Result<Stored, AgentError> {
        let refill = Some(Blob(refill.bytes().to_vec()));
        self.post("/v1/records", cbor::encode(&Put { records, refill })).await
    }

    /// Reads where the feed ends, and the record at a place in it.
    pub(crate) async fn record_at(
        &self,
        keys: &DeviceKeys,
        chain: ChainId,
        place: Cursor,
    ) -> Result<RecordPage, AgentError> {
        let after = place.number.saturating_sub(1);
        self.read(&keys.signing, format!("/v1/chains/{chain}/records?after={after}&limit=1")).await
    }

    /// Reads records after a place in the feed.
    pub(crate) async fn records(
        &self,
        keys: &DeviceKeys,
        chain: ChainId,
        after: Option<Cursor>,
    ) -> Result<RecordPage, AgentError> {
        let after = after.map(|cursor| format!("?after={}", cursor.number)).unwrap_or_default();
        self.read(&keys.signing, format!("/v1/chains/{chain}/records{after}")).await
    }

    /// Reads the current version of an item.
    pub(crate) async fn current(
        &self,
        keys: &DeviceKeys,
        chain: ChainId,
        record: &Record,
    ) -> Result<RecordRow, AgentError> {
        let (collection, id) = (record.collection, record.id);
        self.read(&keys.signing, format!("/v1/chains/{chain}/records/{collection}/{id}")).await
    }

    /// Opens a socket and proves who is there.
    pub(crate) async fn socket(&self, keys: &DeviceKeys, identity: Identity) -> Result<Socket, AgentError> {
        let (stream, own) = self.endpoint.dial().await?;
        self.note_address(own);
        Socket::open(&self.endpoint, stream, keys, identity).await
    }

    async fn post<T>(&self, path: &str, body: Vec<u8>) -> Result<T, AgentError>
    where
        T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        let answer = self.exchange(Method::POST, path, Body::Cbor(Bytes::from(body))).await?;
        self.decode(&answer)
    }

    async fn post_form<T: Form>(&self, path: &str, form: &Verified<T>) -> Result<(), AgentError> {
        let body = Body::Cbor(Bytes::from(form.bytes().to_vec()));
        self.exchange(Method::POST, path, body).await.map(|_| ())
    }

    async fn read<T>(&self, key: &SigningKey, path: String) -> Result<T, AgentError>
    where
        T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        self.decode(&self.signed(key, &path).await?)
    }

    /// A signed read. A clock that differs is met once: the relay says its time, and the read is signed by that.
    async fn signed(&self, key: &SigningKey, path: &str) -> Result<Bytes, AgentError> {
        match self.exchange(Method::GET, path, Body::Signed(self.sign(key, path))).await {
            Err(AgentError::Problem { code, .. }) if code == "clock" => {
                self.exchange(Method::GET, path, Body::Signed(self.sign(key, path))).await
            }
            answer => answer,
        }
    }

    fn sign(&self, key: &SigningKey, path: &str) -> http_signature::Headers {
        let now = clock::now().saturating_add_signed(self.seen().ahead.unwrap_or_default()) / 1000;
        let nonce = Random::draw(&mut rand_core::UnwrapErr(getrandom::SysRng));
        http_signature::sign(key, "GET", &format!("{}{path}", self.endpoint.origin()), now, nonce)
    }

    fn decode<T>(&self, bytes: &[u8]) -> Result<T, AgentError>
    where
        T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        cbor::decode("answer", bytes, bounds::BODY_BYTES_MAX)
            .map_err(|error| AgentError::Garbled { what: error.to_string() })
    }

    /// One exchange, repeated when it failed on the way: the same bytes get the same answer.
    async fn exchange(&self, method: Method, path: &str, body: Body) -> Result<Bytes, AgentError> {
        let mut tries = 1;
        loop {
            let mut slot = self.connection.lock().await;
            let done = tokio::time::timeout(limits::EXCHANGE_WAIT, self.try_exchange(&mut slot, &method, path, &body));
            let result = done.await.unwrap_or_else(|_| {
                Err(self.endpoint.unreachable(format!("no answer within {} s", limits::EXCHANGE_WAIT.as_secs())))
            });
            if matches!(result, Err(AgentError::Unreachable { .. })) {
                *slot = None;
                if tries < limits::EXCHANGE_TRIES {
                    drop(slot);
                    tokio::time::sleep(limits::EXCHANGE_PAUSE * tries).await;
                    tries += 1;
                    continue;
                }
            }
            return result;
        }
    }

    async fn try_exchange(
        &self,
        slot: &mut Option<Connection>,
        method: &Method,
        path: &str,
        body: &Body,
    ) -> Result<Bytes, AgentError> {
        let mut connection = match slot.take().filter(Connection::is_open) {
            Some(open) => open,
            None => {
                let (stream, own) = self.endpoint.dial().await?;
                self.note_address(own);
                Connection::open(&self.endpoint, stream).await?
            }
        };
        let answer = connection.send(&self.endpoint, method, path, body).await?;
        *slot = Some(connection);
        if let Some(relay_time) = answer.relay_time {
            let ahead = i64::try_from(relay_time).unwrap_or(i64::MAX).saturating_sub_unsigned(clock::now());
            self.note(|seen| seen.ahead = Some(ahead));
        }
        answer.into_body()
    }

    fn note_address(&self, own: IpAddr) {
        self.note(|seen| seen.own_address = Some(own));
    }

    fn seen(&self) -> SeenOfRelay {
        *self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn note(&self, change: impl FnOnce(&mut SeenOfRelay)) {
        change(&mut self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// What a request carries.
#[derive(Debug)]
enum Body {
    /// A body, whose forms prove themselves.
    Cbor(Bytes),
    /// No body; the headers of a signed read.
    Signed(http_signature::Headers),
    /// No body, and nobody's name.
    None,
}
