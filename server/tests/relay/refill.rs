//! Records that a relay lost, given back by a member.

use protocol::approval::RoleSubject;
use protocol::change::{self, CodeChange};
use protocol::cut::CutAt;
use protocol::keys::DeviceKeys;
use protocol::policy::Role;
use protocol::record::Record;
use protocol::refill::{Refill, hash_of};
use protocol::wire::{Purpose, Put, RecordRow, SealedRecord, Stored, ToDevice};
use protocol::{ChainId, VERSION, Verified};

use crate::harness::{Answer, House, Member, rng};
use crate::members::{cut, phone_of, put};

/// Records of one writer, with a member's word for them.
fn vouched(by: &DeviceKeys, chain: ChainId, records: &[SealedRecord]) -> Put {
    let verified: Vec<Verified<Record>> =
        records.iter().map(|sealed| Verified::from_bytes(&sealed.record).unwrap()).collect();
    let form = Refill { version: VERSION, chain, records: hash_of(&verified) };
    let refill = Verified::sign(form, &by.signing, &[]).unwrap();
    Put { records: records.to_vec(), refill: Some(refill.bytes().to_vec().into()) }
}

async fn gives(house: &House, put: &Put) -> Answer {
    house.post("/v1/records", &protocol::cbor::encode(put)).await
}

/// A chain in which a phone wrote, was removed, and the laptop wrote on: the laptop, the phone, and the feed of its relay.
async fn lived(house: &House) -> (Member, Member, Vec<RecordRow>) {
    let mut laptop = Member::founds(house).await;
    let mut phone = phone_of(house, &mut laptop).await;
    assert_eq!(phone.puts(house, "a").await.status, 200);
    assert_eq!(laptop.puts(house, "b").await.status, 200);
    assert_eq!(phone.puts(house, "c").await.status, 200);
    let removal = laptop.removes(&[(&phone, CutAt::Last)]);
    assert_eq!(house.append(&removal).await.status, 200);
    laptop.opens(&removal);
    let rotate = laptop.rotates(CodeChange::Keep);
    assert_eq!(house.append(&rotate).await.status, 200);
    laptop.opens(&rotate);
    assert_eq!(laptop.puts(house, "d").await.status, 200);
    let feed = laptop.feed(house).await;
    (laptop, phone, feed)
}

/// A relay that has the log again, and nothing else.
async fn emptied(full: &House, laptop: &Member) -> House {
    let empty = House::start().await;
    let log = laptop.log(full).await;
    assert_eq!(empty.post("/v1/chains", log[0].bytes()).await.status, 201);
    let rest: Vec<_> = log[1..].iter().collect();
    assert_eq!(empty.append_as(&rest, Purpose::Heal).await.status, 200);
    empty
}

/// A feed without its numbers, which are another relay's own.
fn sealed(feed: &[RecordRow]) -> Vec<SealedRecord> {
    feed.iter().map(|row| row.sealed.clone()).collect()
}

#[tokio::test]
async fn an_emptied_relay_is_filled_again_with_records_of_who_is_gone_and_of_epochs_that_are_over() {
    let full = House::start().await;
    let (laptop, phone, feed) = lived(&full).await;
    let empty = emptied(&full, &laptop).await;
    let mut screen = laptop.connects(&empty, None).await;
    let mut last = 0;
    for row in &feed {
        let given = vouched(&laptop.keys, laptop.chain(), std::slice::from_ref(&row.sealed));
        let [first, again] =
            [gives(&empty, &given).await, gives(&empty, &given).await].map(|it| it.decode::<Stored>().numbers);
        assert_eq!(first, again, "the same bytes, the same answer");
        let ToDevice::Records(page) = screen.next_acknowledged().await else { panic!("records") };
        assert!(page.rows.len() == 1 && page.rows[0].sealed == row.sealed && [page.rows[0].number] == first[..]);
        assert!(last == 0 && first == [1] || last > 0 && first[0] > last + 1, "a refill leaves numbers out");
        last = first[0];
    }
    assert_eq!(sealed(&laptop.feed(&empty).await), sealed(&feed));
    let mut phone = phone;
    let late = vouched(&laptop.keys, laptop.chain(), &[phone.writes("late", Some(b"1"), None)]);
    assert_eq!(gives(&empty, &late).await.code(), "past-cut", "no word of a member revives a line that was cut");
}

#[tokio::test]
async fn without_a_members_word_for_exactly_these_records_nothing_lost_comes_back() {
    let full = House::start().await;
    let (laptop, phone, feed) = lived(&full).await;
    let empty = emptied(&full, &laptop).await;
    let chain = laptop.chain();
    let sealed = |number: usize| feed[number - 1].sealed.clone();
    let told = |answer: Answer| (answer.status, answer.code());
    let plain = empty.post("/v1/records", &put(sealed(1))).await;
    assert_eq!(told(plain), (403, "not-a-member".into()));
    let plain = empty.post("/v1/records", &put(sealed(2))).await;
    assert_eq!(told(plain), (409, "stale-epoch".into()));
    for stranger in [&phone.keys, &DeviceKeys::draw(&mut rng())] {
        let refused = gives(&empty, &vouched(stranger, chain, &[sealed(1)])).await;
        assert_eq!(told(refused), (403, "not-a-member".into()));
    }
    let mut other = vouched(&laptop.keys, chain, &[sealed(1)]);
    other.records = vec![sealed(2)];
    assert_eq!(told(gives(&empty, &other).await), (400, "bad-field".into()));
    other.records = vec![sealed(1), sealed(3)];
    assert_eq!(told(gives(&empty, &other).await), (400, "bad-field".into()), "nor some besides");
    let elsewhere = vouched(&laptop.keys, Member::founds(&empty).await.chain(), &[sealed(1)]);
    assert_eq!(told(gives(&empty, &elsewhere).await), (400, "bad-field".into()));
    let out_of_order = gives(&empty, &vouched(&laptop.keys, chain, &[sealed(3)])).await;
    assert_eq!(told(out_of_order), (409, "broken-line".into()));
    let mixed = gives(&empty, &vouched(&laptop.keys, chain, &[sealed(1), sealed(2)])).await;
    assert_eq!(told(mixed), (400, "malformed".into()), "each writer's in a put of its own");
    let mut changed = sealed(1);
    changed.ciphertext.as_mut().unwrap().0[30] ^= 1;
    let refused = gives(&empty, &vouched(&laptop.keys, chain, &[changed])).await;
    assert_eq!(told(refused), (409, "other-ciphertext".into()));
    assert!(laptop.feed(&empty).await.is_empty());
}

/// A member that came later never had the content of versions that were replaced: the relay keeps none.
#[tokio::test]
async fn a_version_comes_back_without_its_content_and_gets_it_from_whoever_has_it() {
    let full = House::start().await;
    let (laptop, _, feed) = lived(&full).await;
    let empty = emptied(&full, &laptop).await;
    let mut without = feed[0].sealed.clone();
    without.ciphertext = None;
    let given = vouched(&laptop.keys, laptop.chain(), &[without]);
    assert_eq!(gives(&empty, &given).await.decode::<Stored>().numbers, [1]);
    assert_eq!(laptop.feed(&empty).await[0].sealed.ciphertext, None);
    for row in &feed {
        let given = vouched(&laptop.keys, laptop.chain(), std::slice::from_ref(&row.sealed));
        assert_eq!(gives(&empty, &given).await.status, 200);
    }
    assert_eq!(sealed(&laptop.feed(&empty).await), sealed(&feed));
}

/// It holds an old head, and could sign records under it for as long as any word of a member's brings them in.
#[tokio::test]
async fn a_writer_that_was_made_a_reader_overwrites_nothing_with_a_refill() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = phone_of(&house, &mut laptop).await;
    assert_eq!(phone.puts(&house, "a").await.status, 200);
    let subject =
        RoleSubject { device: phone.keys.id(), role: Role::Reader, cut: Some(cut(phone.line, CutAt::Earlier)) };
    let demoted = change::change_role(laptop.acting(), subject, Vec::new(), 3).unwrap();
    assert_eq!(house.append(&demoted).await.status, 200);
    laptop.follows(&demoted);
    let last = phone.line.last;
    let late = [phone.writes("a", Some(b"2"), last)];
    let own = gives(&house, &vouched(&phone.keys, laptop.chain(), &late)).await;
    assert_eq!((own.status, own.code().as_str()), (409, "past-cut"));
    assert_eq!(laptop.feed(&house).await.len(), 1, "nothing was stored");
    // What was lost and stood past the cut comes back by whoever writes, as before.
    let given = gives(&house, &vouched(&laptop.keys, laptop.chain(), &late)).await;
    assert!(given.decode::<Stored>().numbers[0] > 2, "a refill leaves numbers out");
}
