//! What a device is told over its socket, compared with what the relay took.

use protocol::cbor::Blob;
use protocol::wire::{RecordRow, Stage, ToDevice};

use super::World;
use super::book::Chain;
use super::client::{Client, Who};

impl World {
    /// What the relay tells a device is what the book says, or said.
    pub(super) fn takes(&self, client: &mut Client, message: &ToDevice) {
        match client.who {
            Who::Member(chain) => {
                let chain = self.book.known(&chain).expect("it has members");
                self.member_takes(chain, client, message);
            }
            Who::Joiner(id) => {
                let ToDevice::Standing(standing) = message else { panic!("a joiner is sent {message:?}") };
                let asked = self.book.asked.iter().find(|asked| asked.form.id() == id).expect("it asked");
                let now = self.book.standing(asked, self.house.now());
                assert!(standing.request == id && now.nonces.starts_with(&standing.nonces));
                // What is over does not come back but with another branch, and a denial is not told.
                let open = matches!(standing.stage, Stage::Waiting | Stage::Code | Stage::Expired);
                let forked = self.book.known(&asked.chain).is_some_and(|chain| !chain.past.is_empty());
                assert!(open || forked || standing.stage == now.stage, "told {:?}, is {:?}", standing.stage, now.stage);
            }
        }
    }

    fn member_takes(&self, chain: &Chain, client: &mut Client, message: &ToDevice) {
        match message {
            ToDevice::Entries(page) => {
                // What was on its way when a fork ended is of the branch that was abandoned.
                let log = chain.past.get(client.branch).unwrap_or(&chain.log);
                let next = log.iter().skip(client.log).take(page.entries.len()).map(|entry| &entry.bytes()[..]);
                assert!(page.entries.iter().map(|entry| &entry[..]).eq(next), "the next entries, and no others");
            }
            ToDevice::Records(page) => takes_records(chain, client.feed, &page.rows),
            ToDevice::Requested(open) => {
                let asked = self.book.asked.iter().find(|asked| *open.request == **asked.form.bytes());
                let asked = asked.expect("a request that was taken");
                let of_chain = asked.chain == chain.roster.chain();
                assert!(of_chain && !asked.muted, "no member is shown what is not for it");
                assert!(open.rounds.len() <= asked.rounds.len());
            }
            ToDevice::Ended(ended) => {
                assert!(self.book.asked.iter().any(|asked| asked.form.id() == ended.request));
            }
            ToDevice::Approved(approved) => takes_form(chain, client, &approved.approval),
            ToDevice::Reset(standing) => takes_form(chain, client, &standing.reset),
            message => panic!("a member is sent {message:?}"),
        }
    }
}

/// An approval or a reset that was taken, and told this device once.
fn takes_form(chain: &Chain, client: &mut Client, form: &Blob) {
    assert!(chain.told.contains(form), "only what was posted");
    assert!(!client.told.contains(form), "and once");
    client.told.push(form.clone());
}

/// The next records: those that had these numbers when they were taken, and none left out that is still there.
fn takes_records(chain: &Chain, after: u64, rows: &[RecordRow]) {
    let mut before = after;
    for row in rows {
        let had = |(number, record): &(u64, Blob)| *number == row.number && *record == row.sealed.record;
        assert!(row.number > before && chain.numbered.iter().any(had), "a record that has this number");
        before = row.number;
    }
    let mut due = chain.feed.iter().map(|kept| kept.number).filter(|number| (after + 1..=before).contains(number));
    assert!(due.all(|number| rows.iter().any(|row| row.number == number)), "no record is left out");
}
