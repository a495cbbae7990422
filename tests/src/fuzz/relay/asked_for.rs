//! Reads about a chain's life: approvals that wait, the chain of a sync code, the chain of a recovery device.

use protocol::keys::DeviceKeys;
use protocol::wire::{Approvals, ChainOfKey, Whereabouts};
use protocol::{ChainId, JoinKey};

use super::World;
use super::posts::compare_refused;

impl World {
    /// Somebody reads, as who may or as who may not.
    pub(super) fn asks_for(&mut self, who: u8, what: u8) {
        let keys = self.cast.signer(who).clone();
        let chain = self.cast.chain(what >> 2);
        match what % 4 {
            0 => self.reads_approvals(&keys, &chain.entry.hash().into()),
            1 => {
                let code = &self.cast.codes[chain.family][usize::from(what >> 4) % 4];
                self.reads_join_key(&code.join_key().join_key());
            }
            2 => self.reads_whereabouts(&keys),
            _ => {
                // Only the key itself asks for what it opens.
                let paper = self.cast.papers[0].id();
                let answer = self.house.read(&keys, &format!("/v1/keys/{paper}"));
                let own = keys.id() == paper && self.whereabouts(&keys).is_some();
                assert_eq!(answer.code.as_deref() == Some("not-found"), !own);
                let key = self.cast.codes[chain.family][0].join_key().join_key();
                let answer = self.house.read(&keys, &format!("/v1/join-keys/{key}"));
                assert_eq!(answer.code.as_deref(), Some("not-a-member"));
            }
        }
    }

    /// Members read the approvals that would count, and nothing else.
    pub(super) fn reads_approvals(&mut self, keys: &DeviceKeys, chain: &ChainId) {
        let Some(answer) = self.reads_below(keys, chain, "/approvals") else { return };
        let now = self.house.now();
        let wanted = self.book.wanted(self.book.chain(chain).expect("it has members"), now);
        let served: Approvals = answer.cbor();
        let served = served.approvals.iter().map(|approval| &approval[..]);
        assert!(served.eq(wanted.map(|approval| &approval.bytes()[..])), "approvals that count, and no others");
    }

    /// Whoever has a sync code learns what it is of.
    pub(super) fn reads_join_key(&mut self, key: &JoinKey) {
        let signing = self.cast.code(key).join_key();
        let answer = self.house.read_at(&signing, &format!("/v1/join-keys/{key}"), 0);
        match self.book.chain_of_key(key) {
            Ok(expected) => assert_eq!(answer.cbor::<ChainOfKey>(), expected),
            Err(refused) => compare_refused("the chain of a join key", &refused, &answer),
        }
    }

    /// The chain whose recovery device a key is; of two the later one.
    fn whereabouts(&self, keys: &DeviceKeys) -> Option<&super::book::Chain> {
        let is_of = |chain: &&super::book::Chain| {
            chain.roster.recovery().is_some_and(|member| member.device.signing == keys.id())
        };
        self.book.chains.iter().rev().find(is_of)
    }

    /// Whoever has a key learns of which chain it is the recovery device.
    pub(super) fn reads_whereabouts(&mut self, keys: &DeviceKeys) {
        let answer = self.house.read(keys, &format!("/v1/keys/{}", keys.id()));
        match self.whereabouts(keys) {
            None => assert_eq!((answer.status, answer.code.as_deref()), (404, Some("not-found"))),
            Some(chain) if chain.gone.is_some() => {
                assert_eq!((answer.status, answer.code.as_deref()), (410, Some("reset")))
            }
            Some(chain) => {
                let roster = &chain.roster;
                let expected = Whereabouts { chain: roster.chain(), head: roster.head(), seq: roster.seq() };
                assert_eq!(answer.cbor::<Whereabouts>(), expected);
            }
        }
    }
}
