//! Every current item as plain lines, for a backup or another program. The form is `docs/export.md`.

use data_encoding::BASE64;
use protocol::record::{self, Kind, Record, blind_collection};
use protocol::signed::Verified;

use super::Core;
use super::view::{ExportHeader, ExportedView, Freshness, ItemStanding};
use crate::clock;
use crate::error::AgentError;
use crate::store::ItemRow;

impl Core {
    /// What stands above the items: what they belong to, and whether the relay was asked.
    pub(crate) fn export_header(&self, relay: Freshness) -> ExportHeader {
        ExportHeader {
            schema: "countersign.export/1".to_owned(),
            chain: self.roster.chain().to_string(),
            head: self.roster.head().to_string(),
            at: clock::now(),
            relay,
        }
    }

    /// The places of the current items, of one collection or of all, in the order of writing. What is written later changes none of them.
    pub(crate) fn export_places(&self, collection: Option<&str>) -> Result<Vec<u64>, AgentError> {
        let blinded = collection.map(|collection| blind_collection(self.keyring.name_key(), collection));
        self.store.current_places(blinded.as_ref())
    }

    /// The item at a place; nothing where it is a tombstone. One that does not open is marked, and hides no other.
    pub(crate) fn exported(&self, place: u64, collection: Option<&str>) -> Result<Option<ExportedView>, AgentError> {
        let Some(row) = self.store.record_at(place)? else { return Ok(None) };
        let record = Verified::<Record>::from_bytes(&row.header)
            .map_err(|_| AgentError::Damaged { what: "a record does not verify" })?;
        if record.kind == Kind::Delete {
            return Ok(None);
        }
        let content = self.content_of(&record, &row);
        // The caller named the collection, and its blinded name is in the signed header.
        let named = || collection.map(str::to_owned);
        let (collection, id, value, damaged) = match content {
            Ok(content) => (Some(content.collection), Some(content.id), Some(BASE64.encode(&content.value)), None),
            Err(why) => (named(), None, None, Some(why.to_owned())),
        };
        Ok(Some(ExportedView {
            collection,
            id,
            value,
            writer: record.signer().to_string(),
            writer_name: self.bare_name_of(&record.signer()),
            at: record.at,
            version: record.hash().to_string(),
            damaged,
            disputed: self.is_on_a_branch(&record) || self.standing_of(&record) == ItemStanding::Disputed,
        }))
    }

    fn content_of(&self, record: &Verified<Record>, row: &ItemRow) -> Result<record::Content, &'static str> {
        let ciphertext = row.ciphertext.as_deref().ok_or("withheld")?;
        record::open(&self.keyring, record, ciphertext).map_err(|_| "sealed")
    }

    /// Whether a record was written on one branch of a forked log: nobody has settled yet whether that one counts.
    fn is_on_a_branch(&self, record: &Record) -> bool {
        let cited = self.roster.position(&record.head);
        self.fork().is_some_and(|seq| cited.is_none_or(|cited| cited.seq >= seq))
    }
}
