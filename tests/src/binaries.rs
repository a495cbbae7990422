//! Where the binaries under test are.

use std::path::PathBuf;

/// The relay's binary.
#[must_use]
pub fn relay() -> PathBuf {
    find("countersign-relay")
}

/// The agent's binary.
#[must_use]
pub fn agent() -> PathBuf {
    find("countersign")
}

/// Beside the folder of the test's own executable: `target/debug/deps/suite-…` finds `target/debug/countersign`.
///
/// # Panics
///
/// If it was not built: a test that is skipped proves nothing.
fn find(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the test's own path");
    let folder = own.parent().and_then(|deps| deps.parent()).expect("target/debug/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `make test`, which builds it first", path.display());
    path
}
