//! What devices write: the next of their lines at the head, or at an old one, or somebody gives it back.

use protocol::cbor::{self, Blob};
use protocol::keyring::Acting;
use protocol::record::{self, Draft, Line};
use protocol::refill::{self, Refill};
use protocol::wire::{Put, SealedRecord};
use protocol::{VERSION, Verified};

use super::World;
use super::book::Route;
use super::book::log::roster_of;

impl World {
    /// A device writes one record or a few.
    pub(super) fn writes(&mut self, who: u8, which: u8, how: u8) {
        let (chain, device) = (self.cast.chain(which), self.cast.device(who));
        let mut roster = self.roster(chain);
        let book = self.book.known(&roster.chain());
        // Bits of `how`: an old line, no base, another ciphertext, an old head; then the item, and how many.
        let mut line = book.filter(|_| how & 1 == 0).map_or(Line::default(), |chain| chain.line(&device.keys.id()));
        if how & 8 != 0 {
            let log = book.map_or(std::slice::from_ref(&chain.entry), |chain| &chain.log);
            roster = roster_of(&log[..=usize::from(who >> 3).min(log.len() - 1)]);
        }
        let keyring = self.keyring(&roster);
        let acting = Acting { keys: &device.keys, roster: &roster, keyring: &keyring };
        let content = [how; 3];
        let (mut records, mut signed) = (Vec::new(), Vec::new());
        for step in 0..=(how >> 6) {
            let id = if how & 0x10 == 0 { "first" } else { "second" };
            let id = if step == 0 { id.to_owned() } else { format!("{id} {step}") };
            let value = if how & 0x20 == 0 { Some(content.as_slice()) } else { None };
            let mut draft = Draft { collection: "notes", id: &id, value, base: None, at: 0 };
            let (bare, _) = record::write(acting, line, &draft, &mut self.rng).expect("a record");
            draft.base = book.filter(|_| how & 2 == 0).and_then(|chain| chain.base(&bare));
            let (record, mut ciphertext) = record::write(acting, line, &draft, &mut self.rng).expect("a record");
            if how & 4 != 0 {
                ciphertext = if which & 0x80 == 0 { Some(Blob(vec![how])) } else { None };
            }
            line = Line { counter: line.counter + 1, last: Some(record.hash()) };
            records.push(SealedRecord { record: Blob(record.bytes().to_vec()), ciphertext });
            signed.push(record);
        }
        // Somebody gives them back, who may be a member, and may name others.
        let form = Refill { version: VERSION, chain: roster.chain(), records: refill::hash_of(&signed) };
        let form = if which & 0x20 == 0 { form } else { Refill { records: roster.head(), ..form } };
        let refill = Verified::sign(form, &self.cast.device(which >> 3).keys.signing, &[]).ok();
        let refill = refill.filter(|_| which & 0x40 != 0).map(|refill| Blob(refill.bytes().to_vec()));
        self.posts(Route::Records, &cbor::encode(&Put { records, refill }));
    }
}
