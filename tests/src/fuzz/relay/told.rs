//! What a device is told over its socket, compared with what the relay took.

use protocol::wire::{Stage, ToDevice};

use super::World;
use super::client::{Client, Who};

impl World {
    /// What the relay tells a device is what the book says, or said.
    pub(super) fn takes(&self, client: &Client, message: &ToDevice) {
        match (client.who, message) {
            (Who::Member(chain), ToDevice::Entries(page)) => {
                let log = &self.book.chain(&chain).expect("it has members").log;
                let next = log.iter().skip(client.log).take(page.entries.len()).map(|entry| &entry.bytes()[..]);
                assert!(page.entries.iter().map(|entry| &entry[..]).eq(next), "the next entries, and no others");
            }
            (Who::Member(chain), ToDevice::Records(page)) => {
                let rows = self.book.chain(&chain).expect("it has members").rows();
                for (row, expected) in page.rows.iter().zip(rows.iter().skip(client.feed)) {
                    // A version may have been replaced since it was sent.
                    assert_eq!((row.number, &row.sealed.record), (expected.number, &expected.sealed.record));
                }
                assert!(client.feed + page.rows.len() <= rows.len());
            }
            (Who::Member(chain), ToDevice::Requested(open)) => {
                let asked = self.book.asked.iter().find(|asked| *open.request == **asked.form.bytes());
                let asked = asked.expect("a request that was taken");
                assert!(asked.chain == chain && !asked.muted, "no member is shown what is not for it");
                assert!(open.rounds.len() <= asked.rounds.len());
            }
            (Who::Member(_), ToDevice::Ended(ended)) => assert!(self.book.asked(&ended.request).is_some()),
            (Who::Joiner(id), ToDevice::Standing(standing)) => {
                let asked = self.book.asked(&id).expect("it asked");
                let now = self.book.standing(asked, self.house.now());
                assert!(standing.request == id && now.nonces.starts_with(&standing.nonces));
                // What is over does not come back, and a denial is not told.
                let open = matches!(standing.stage, Stage::Waiting | Stage::Code | Stage::Expired);
                assert!(open || standing.stage == now.stage, "told {:?}, is {:?}", standing.stage, now.stage);
            }
            (who, message) => panic!("{who:?} is sent {message:?}"),
        }
    }
}
