//! The main way, end to end.

use protocol::keyring::Keyring;
use protocol::wire::{self, LogPage, RecordPage, RecordRow, Stage, Stored, ToDevice};
use protocol::{Verified, decision};

use crate::harness::{House, Joiner, Member};

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_asks_is_shown_with_its_address_is_admitted_and_writes() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut laptop_socket = laptop.connects(&house, None).await;

    let mut phone = Joiner::new(laptop.keyring.code());
    let standing: wire::Standing = phone.asks_from(&house, 9).await.decode();
    assert_eq!((standing.stage, standing.online), (Stage::Waiting, true));
    let mut phone_socket = phone.connects(&house).await;
    assert!(matches!(phone_socket.next().await, ToDevice::Standing(told) if told.stage == Stage::Waiting));

    let ToDevice::Requested(open) = laptop_socket.next().await else { panic!("expected the request") };
    assert_eq!(open.seen.address, "127.0.0.9");
    assert_eq!(open.request[..], phone.request.bytes()[..]);

    let nonce = laptop.nonce(phone.id(), 1);
    assert_eq!(house.post("/v1/nonces", nonce.bytes()).await.status, 200);
    let ToDevice::Standing(told) = phone_socket.next().await else { panic!("expected the nonce") };
    assert_eq!(told.stage, Stage::Code);
    let answer = phone.rounds.answer(Verified::from_bytes(&told.nonces[0]).unwrap(), &phone.keys.signing).unwrap();
    assert!(matches!(laptop_socket.next().await, ToDevice::Requested(open) if open.rounds[0].reveal.is_none()));
    assert_eq!(house.post("/v1/reveals", answer.reveal.bytes()).await.status, 200);
    let ToDevice::Requested(open) = laptop_socket.next().await else { panic!("expected the reveal") };
    let reveal = Verified::from_bytes(open.rounds[0].reveal.as_ref().unwrap()).unwrap();

    let admit = laptop.admits(&phone, &nonce, &reveal, &answer.code.digits());
    let appended: wire::Appended = house.append(&admit).await.decode();
    assert_eq!((appended.head, appended.seq), (admit.hash(), 1));
    assert!(matches!(laptop_socket.next_acknowledged().await, ToDevice::Entries(page) if page.seq == 1));
    assert!(matches!(laptop_socket.next().await, ToDevice::Ended(ended) if ended.ending == wire::Ending::Decided));
    assert!(matches!(phone_socket.next().await, ToDevice::Standing(told) if told.stage == Stage::Admitted));
    laptop.follows(&admit);

    // The phone reads the log with its own key, opens its welcome, and writes.
    let page: LogPage = house.read(&phone.keys, &format!("/v1/chains/{}/log", laptop.chain())).await.decode();
    assert_eq!(page.entries.len(), 2);
    let showed = |device: &protocol::DeviceId| phone.rounds.showed_code_for(device);
    let accepts = [decision::Accepts::TypedBy(&showed)];
    let keyring: Keyring =
        decision::accept_admission(&laptop.roster, &admit, &phone.keys, &phone.request, &accepts).unwrap();
    let mut phone = Member { keys: phone.keys, roster: laptop.roster.clone(), keyring, line: Default::default() };
    let record = phone.writes("first", Some(b"hello"), None);
    let put = wire::Put { records: vec![record.clone()], refill: None };
    let stored: Stored = house.post("/v1/records", &protocol::cbor::encode(&put)).await.decode();
    assert_eq!(stored.numbers, [1]);

    let ToDevice::Records(page) = laptop_socket.next_acknowledged().await else { panic!("expected the record") };
    assert_eq!(page.rows, [RecordRow { number: 1, sealed: record.clone() }]);
    let path = format!("/v1/chains/{}/records", laptop.chain());
    let fed: RecordPage = house.read(&laptop.keys, &path).await.decode();
    assert_eq!((fed.rows, fed.last), (page.rows, 1));
    let header: Verified<protocol::record::Record> = Verified::from_bytes(&record.record).unwrap();
    let row: RecordRow =
        house.read(&laptop.keys, &format!("{path}/{}/{}", header.collection, header.id)).await.decode();
    assert_eq!(row.sealed, record);
    let content = protocol::record::open(&laptop.keyring, &header, row.sealed.ciphertext.as_ref().unwrap()).unwrap();
    assert_eq!(content.value[..], b"hello"[..]);
}
