//! Every current item as plain values, also those that do not open.

use super::*;
use crate::core::view::{ExportedView, Freshness};

fn put(laptop: &mut Laptop, collection: &str, id: &str, value: &[u8]) -> SealedRecord {
    let value = Some(zeroize::Zeroizing::new(value.to_vec()));
    laptop.core.write(&Draft { collection: collection.to_owned(), id: id.to_owned(), value }).unwrap()
}

impl Laptop {
    fn puts(&mut self, collection: &str, id: &str, value: &[u8]) {
        let sealed = put(self, collection, id, value);
        self.core.take_record(&sealed).unwrap();
    }

    fn exports(&self, collection: Option<&str>) -> Vec<ExportedView> {
        let places = self.core.export_places(collection).unwrap();
        places.into_iter().filter_map(|place| self.core.exported(place, collection).unwrap()).collect()
    }
}

fn named(exported: &[ExportedView]) -> Vec<(Option<&str>, Option<&str>, Option<&str>)> {
    exported.iter().map(|it| (it.collection.as_deref(), it.id.as_deref(), it.value.as_deref())).collect()
}

#[test]
fn every_current_item_is_exported_once_and_deleted_ones_are_not() {
    let mut laptop = Laptop::founds();
    laptop.puts("notes", "first", b"one");
    laptop.puts("notes", "gone", b"x");
    laptop.puts("photos", "cat", &[0xff, 0]);
    laptop.puts("notes", "first", b"two");
    let delete = Draft { collection: "notes".to_owned(), id: "gone".to_owned(), value: None };
    let sealed = laptop.core.write(&delete).unwrap();
    laptop.core.take_record(&sealed).unwrap();
    let (cat, first) = ((Some("photos"), Some("cat"), Some("/wA=")), (Some("notes"), Some("first"), Some("dHdv")));
    assert_eq!(named(&laptop.exports(None)), [cat, first]);
    assert_eq!(named(&laptop.exports(Some("notes"))), [first]);
    assert!(laptop.exports(Some("nothing")).is_empty());
    let exported = laptop.exports(None).remove(1);
    assert_eq!(exported.writer, laptop.core.keys().id().to_string());
    assert_eq!(exported.version, laptop.core.item("notes", "first").unwrap().unwrap().version);
    assert!(exported.writer_name == "laptop" && exported.damaged.is_none() && !exported.disputed);
}

#[test]
fn what_was_read_first_is_exported_as_it_was_when_something_is_written_meanwhile() {
    let mut laptop = Laptop::founds();
    laptop.puts("notes", "first", b"one");
    let places = laptop.core.export_places(None).unwrap();
    laptop.puts("notes", "first", b"two");
    let exported = laptop.core.exported(places[0], None).unwrap().unwrap();
    assert_eq!(exported.value.as_deref(), Some("b25l"));
}

#[test]
fn an_item_without_content_is_marked_and_hides_no_other() {
    let mut laptop = Laptop::founds();
    let withheld = put(&mut laptop, "notes", "first", b"one");
    laptop.core.take_record(&SealedRecord { ciphertext: None, ..withheld }).unwrap();
    let sealed = put(&mut laptop, "notes", "second", b"two");
    let mut form = (*Verified::<Record>::from_bytes(&sealed.record).unwrap()).clone();
    form.ciphertext_hash = Some(protocol::request::description_hash(b"garbage"));
    let garbage = Verified::sign(form, &laptop.core.keys().signing, &[]).unwrap();
    let ciphertext = Some(b"garbage".as_slice().into());
    laptop.core.take_record(&SealedRecord { record: garbage.bytes().to_vec().into(), ciphertext }).unwrap();
    laptop.puts("notes", "third", b"x");
    let exported = laptop.exports(None);
    assert_eq!(
        named(&exported),
        [(None, None, None), (None, None, None), (Some("notes"), Some("third"), Some("eA=="))]
    );
    let damaged: Vec<_> = exported.iter().map(|it| it.damaged.as_deref()).collect();
    assert_eq!(damaged, [Some("withheld"), Some("sealed"), None]);
    assert_eq!(laptop.exports(Some("notes"))[0].collection.as_deref(), Some("notes"), "it was asked for");
}

#[test]
fn on_a_forked_log_what_was_written_behind_the_fork_is_disputed() {
    let mut laptop = Laptop::founds();
    laptop.puts("notes", "before", b"x");
    laptop.sees_a_fork();
    laptop.puts("notes", "after", b"x");
    let disputed: Vec<bool> = laptop.exports(None).iter().map(|it| it.disputed).collect();
    assert_eq!(disputed, [false, true]);
}

#[test]
fn the_form_of_an_export_is_what_its_page_says() {
    let mut laptop = Laptop::founds();
    laptop.puts("notes", "first", b"hello");
    let header = serde_json::to_value(laptop.core.export_header(Freshness::NotReached)).unwrap();
    let item = serde_json::to_value(&laptop.exports(None)[0]).unwrap();
    let page = include_str!("../../../../docs/export.md");
    for field in header.as_object().unwrap().keys().chain(item.as_object().unwrap().keys()) {
        assert!(page.contains(&format!("| `{field}` |")), "{field}");
    }
    assert_eq!((&header["schema"], &header["relay"]), (&"countersign.export/1".into(), &"not-reached".into()));
}
