//! A file that is there once everything is in it, is closed to others, and replaces none.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::AgentError;

/// A file that is being written beside its place.
#[must_use = "nothing is there until it is finished"]
pub(super) struct NewFile {
    path: PathBuf,
    folder: PathBuf,
    kept: NamedTempFile,
    command: &'static str,
}

impl NewFile {
    /// Begins one, unless something stands in its place already. `command` is what to type with another.
    pub(super) fn begin(path: &Path, command: &'static str) -> Result<Self, AgentError> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path, command));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let kept = NamedTempFile::new_in(&folder).map_err(|source| failed(path, source))?;
        Ok(Self { path: path.to_owned(), folder, kept, command })
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        self.kept.write_all(bytes).map_err(|source| failed(&self.path, source))
    }

    /// Puts it in its place. Then it is on the disk.
    pub(super) fn finish(self) -> Result<(), AgentError> {
        let Self { path, folder, kept, command } = self;
        kept.as_file().sync_all().map_err(|source| failed(&path, source))?;
        match kept.persist_noclobber(&path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(exists(&path, command));
            }
            Err(error) => return Err(failed(&path, error.error)),
        }
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| failed(&path, source))
    }
}

fn failed(path: &Path, source: std::io::Error) -> AgentError {
    AgentError::File { path: path.to_owned(), source }
}

fn exists(path: &Path, command: &str) -> AgentError {
    AgentError::Usage {
        what: format!("{} is there already, and is not written over", path.display()),
        hint: format!("{command}   (another one)"),
    }
}
