//! Layers point down only: a module uses what stands above its own line in `lib.rs`, and crates know only the crates they may.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Code without comments and strings, so that a doc link up the layers is no use of them.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules that a file declares, lowest first.
fn declared(code: &str) -> Vec<String> {
    let module = |line: &str| {
        let line = line.trim();
        let rest = ["pub mod ", "pub(crate) mod ", "pub(super) mod ", "mod "]
            .iter()
            .find_map(|head| line.strip_prefix(head))?;
        rest.strip_suffix(';').map(str::to_owned)
    };
    code.lines().filter_map(module).collect()
}

/// Every file of a module: `name.rs`, and what lies in the folder `name`.
fn files_of(folder: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let single = folder.join(format!("{module}.rs"));
    if single.exists() {
        files.push(single);
    }
    let mut folders = vec![folder.join(module)];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no file of module {module} in {}", folder.display());
    files
}

/// The first names after each `crate::`, those in braces included.
fn used(code: &str) -> BTreeSet<String> {
    let name =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut names = BTreeSet::new();
    for (at, marker) in code.match_indices("crate::") {
        let rest = &code[at + marker.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = true;
        for (at, character) in list.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => item = true,
                _ if item && !character.is_whitespace() => {
                    names.insert(name(&list[at..]));
                    item = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// What is wrong with the layers below one file that declares modules.
fn upward_uses(folder: &Path, declaring: &Path, prefix: &str) -> Vec<String> {
    let modules = declared(&code_of(declaring));
    let mut wrong = Vec::new();
    for (index, module) in modules.iter().enumerate() {
        let above = modules.get(index + 1..).unwrap_or_default();
        for file in files_of(folder, module) {
            let code = code_of(&file);
            // `super::` in a module right below the crate's root is the root.
            let direct = file.parent() == Some(folder);
            let code = if direct { code.replace("super::", "crate::") } else { code };
            for name in used(&code).iter().filter(|name| above.contains(name)) {
                wrong.push(format!("{prefix}: {} uses {name}, which is declared below {module}", file.display()));
            }
        }
    }
    wrong
}

#[test]
fn no_module_uses_one_below_its_own_line() {
    let mut wrong = Vec::new();
    for package in ["protocol", "server", "device-agent"] {
        let source = root().join(package).join("src");
        wrong.extend(upward_uses(&source, &source.join("lib.rs"), package));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_what_it_must_see() {
    let names = used("use crate::low::A; use crate::{mid::{B, C}, high, VERSION}; crate::top::go();");
    let expected = ["VERSION", "high", "low", "mid", "top"];
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(declared("pub mod a;\nmod b;\n    pub(crate) mod c;\nmod inline {"), ["a", "b", "c"]);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "pub mod low;\npub mod high;\n");
    write("low.rs", "/// See [`crate::high`].\nuse crate::high::X;\n");
    write("high.rs", "use crate::low::Y;\n");
    let wrong = upward_uses(folder.path(), &folder.path().join("lib.rs"), "sample");
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    write("low.rs", "/// See [`crate::high`].\n");
    assert!(upward_uses(folder.path(), &folder.path().join("lib.rs"), "sample").is_empty());
}

/// The names of all dependencies in a manifest.
fn dependencies(package: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line.starts_with("[target") || line == "[build-dependencies]";
        } else if inside && let Some(name) = line.split(['.', '=', ' ']).next().filter(|name| !name.is_empty()) {
            names.push(name.to_owned());
        }
    }
    names
}

#[test]
fn relay_and_agent_do_not_know_each_other() {
    for (package, other) in [("server", "countersign"), ("device-agent", "countersign-relay")] {
        let text = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let folder = if package == "server" { "../device-agent" } else { "../server" };
        assert!(!text.contains(folder), "{package} names {folder}");
        let names = dependencies(package);
        assert!(names.contains(&"protocol".to_owned()));
        for stranger in [other, "server", "device-agent", "countersign-tests"] {
            assert!(!names.iter().any(|name| name == stranger), "{package} depends on {stranger}");
        }
    }
}

#[test]
fn the_protocol_has_no_runtime_no_clock_and_no_io() {
    let names = dependencies("protocol");
    for banned in
        ["tokio", "tokio-util", "futures-util", "axum", "hyper", "rusqlite", "tracing", "getrandom", "clap", "rustls"]
    {
        assert!(!names.iter().any(|name| name == banned), "protocol depends on {banned}");
    }
    let source = root().join("protocol/src");
    for module in declared(&code_of(&source.join("lib.rs"))) {
        for file in files_of(&source, &module) {
            let code = code_of(&file);
            for banned in
                ["std::net", "std::fs", "std::io", "std::thread", "std::process", "SystemTime", "Instant", "async fn"]
            {
                assert!(!code.contains(banned), "{} uses {banned}", file.display());
            }
        }
    }
}

/// Words of the kind `folder/file.rs::Type::name` in the text on the architecture.
#[test]
fn every_function_that_the_architecture_names_is_where_it_says() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut named = 0;
    for word in text.split('`').filter(|word| !word.contains(char::is_whitespace)) {
        let Some((file, path)) = word.split_once(".rs::") else { continue };
        let name = path.rsplit("::").next().unwrap_or_default();
        let sources = ["protocol/src", "server/src", "device-agent/src"];
        let mut files = sources.iter().flat_map(|source| files_below(&root().join(source)));
        let defines = |path: &PathBuf| {
            let code = code_of(path);
            let kinds = ["fn", "struct", "enum", "trait"].map(|kind| format!("{kind} {name}"));
            path.ends_with(format!("{file}.rs")) && kinds.iter().any(|kind| code.contains(kind.as_str()))
        };
        assert!(files.any(|path| defines(&path)), "no {name} in a file {file}.rs");
        named += 1;
    }
    assert!(named > 30, "{named}");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
