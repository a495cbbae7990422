//! What the fuzzers found worth keeping, replayed: every input that once reached something new, or broke something.

use std::path::Path;

use countersign_tests::fuzz;

fn replay(target: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    // Named inputs lie in the folder itself, those that only reach something new in `grown`.
    let mut inputs = 0;
    for folder in [folder.clone(), folder.join("grown")] {
        let files = std::fs::read_dir(&folder).into_iter().flatten().map(|file| file.unwrap().path());
        for file in files.filter(|path| path.is_file()) {
            run(&std::fs::read(file).unwrap());
            inputs += 1;
        }
    }
    assert!(inputs > 0, "an empty corpus proves nothing: {}", folder.display());
}

#[test]
fn every_decoder_keeps_its_promises_on_the_corpus() {
    replay("decoders", fuzz::decoders);
}

#[test]
fn no_conversation_of_the_corpus_admits_another_device() {
    replay("conversation", fuzz::conversation);
}

#[test]
fn the_relay_takes_refuses_and_serves_what_it_must_on_the_corpus() {
    replay("relay", fuzz::relay);
}

/// A form that the fuzzer does not know is one that nobody tries to break.
#[test]
fn every_form_of_the_protocol_is_decoded_by_the_fuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/src");
    let fuzzer = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fuzz/decoders.rs");
    let fuzzer = std::fs::read_to_string(fuzzer).unwrap();
    let mut forms = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(file).unwrap();
        for form in text.lines().filter_map(|line| line.strip_prefix("impl Form for ")?.strip_suffix(" {")) {
            for decoder in [format!("form::<{form}>"), format!("payload::<{form}>")] {
                assert!(fuzzer.contains(&decoder), "the fuzzer has no {decoder}");
            }
            forms += 1;
        }
    }
    assert!(forms > 8, "only {forms} forms were found");
}
