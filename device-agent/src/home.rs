//! The state directory: where it is, who may enter, and the lock that lets one process at a time sign for a device.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use sha2::{Digest as _, Sha256};

use crate::error::AgentError;
use crate::{clock, limits};

/// A state directory. It may not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    dir: PathBuf,
}

/// The right to sign for the device; given back when dropped.
#[derive(Debug)]
#[must_use = "the directory is locked only as long as this lives"]
pub(crate) struct Lock {
    _file: File,
}

impl Home {
    /// The directory that a flag names, else `$COUNTERSIGN_HOME`, else the one of the XDG base directories.
    pub(crate) fn locate(flag: Option<PathBuf>) -> Result<Self, AgentError> {
        let named = flag.or_else(|| std::env::var_os("COUNTERSIGN_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from));
        let dir = match named {
            Some(dir) => dir,
            None => {
                let no_home = || AgentError::Usage {
                    what: "there is no home directory to keep the state in".to_owned(),
                    hint: "--home DIR".to_owned(),
                };
                let base = etcetera::base_strategy::Xdg::new().map_err(|_| no_home())?;
                base.state_dir().ok_or_else(no_home)?.join("countersign")
            }
        };
        let dir = std::path::absolute(&dir).map_err(|source| AgentError::File { path: dir, source })?;
        Ok(Self { dir })
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The key file.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.dir.join("device.keys")
    }

    /// The store.
    pub(crate) fn store_file(&self) -> PathBuf {
        self.dir.join("state.db")
    }

    /// Makes the directory, or closes an existing one to others.
    pub(crate) fn create(&self) -> Result<(), AgentError> {
        self.file(DirBuilder::new().recursive(true).mode(0o700).create(&self.dir))?;
        self.file(std::fs::set_permissions(&self.dir, Permissions::from_mode(0o700)))
    }

    /// Waits for the lock, up to [`limits::LOCK_WAIT`]. The directory must exist: no state, no start.
    pub(crate) async fn lock(&self) -> Result<Lock, AgentError> {
        let begun = clock::instant();
        loop {
            match self.try_lock()? {
                Some(lock) => return Ok(lock),
                None if clock::instant().duration_since(begun) > limits::LOCK_WAIT => {
                    return Err(AgentError::Locked { home: self.dir.clone() });
                }
                None => tokio::time::sleep(limits::LOCK_POLL).await,
            }
        }
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, AgentError> {
        if !self.dir.is_dir() {
            return Err(AgentError::NotAMember { home: self.dir.clone() });
        }
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.dir.join("lock"));
        let file = self.file(open)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(AgentError::File { path: self.dir.join("lock"), source }),
        }
    }

    /// Where the daemon listens: in the runtime directory under a name of its own for each home, else in the home itself.
    pub(crate) fn sockets(&self) -> Vec<PathBuf> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let name = data_encoding::HEXLOWER.encode(&Sha256::digest(self.dir.as_os_str().as_encoded_bytes()));
        let short = name.get(..16).unwrap_or_default().to_owned();
        let in_runtime = runtime.filter(|dir| dir.is_dir()).map(|dir| dir.join("countersign").join(format!("{short}.sock")));
        in_runtime.into_iter().chain([self.dir.join("agent.sock")]).collect()
    }

    /// The user that owns this process.
    pub(crate) fn own_uid(&self) -> Result<u32, AgentError> {
        let path = Path::new("/proc/self");
        let found = std::fs::metadata(path).or_else(|_| std::fs::metadata(&self.dir));
        found.map(|meta| meta.uid()).map_err(|source| AgentError::File { path: path.to_owned(), source })
    }

    /// Reads a secret file, refusing one that others can read.
    pub(crate) fn read_private(&self, path: &Path) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, AgentError> {
        let wrap = |source| AgentError::File { path: path.to_owned(), source };
        let meta = match std::fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrap(error)),
        };
        let mode = meta.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(AgentError::OpenToOthers { path: path.to_owned(), mode });
        }
        std::fs::read(path).map(|bytes| Some(zeroize::Zeroizing::new(bytes))).map_err(wrap)
    }

    /// Writes a secret file whole: beside it, synced, renamed, the folder synced. A reader sees the old or the new one.
    pub(crate) fn write_private(&self, path: &Path, bytes: &[u8]) -> Result<(), AgentError> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|source| AgentError::File { path: path.to_owned(), source })
    }

    fn file<T>(&self, result: std::io::Result<T>) -> Result<T, AgentError> {
        result.map_err(|source| AgentError::File { path: self.dir.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path().join("state"))).unwrap();
        (dir, home)
    }

    #[test]
    fn the_directory_is_closed_to_others() {
        let (_dir, home) = home();
        home.create().unwrap();
        assert_eq!(std::fs::metadata(home.dir()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn without_state_nothing_starts() {
        let (_dir, home) = home();
        assert!(matches!(home.try_lock(), Err(AgentError::NotAMember { .. })));
        assert!(!home.dir().exists());
    }

    #[test]
    fn one_process_at_a_time_holds_the_lock() {
        let (_dir, home) = home();
        home.create().unwrap();
        let first = home.try_lock().unwrap();
        assert!(first.is_some());
        assert!(home.try_lock().unwrap().is_none());
        drop(first);
        assert!(home.try_lock().unwrap().is_some());
    }

    #[test]
    fn a_secret_file_is_private_and_refused_if_others_can_read_it() {
        let (_dir, home) = home();
        home.create().unwrap();
        let path = home.key_file();
        home.write_private(&path, b"secret").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(home.read_private(&path).unwrap().unwrap().as_slice(), b"secret");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(home.read_private(&path), Err(AgentError::OpenToOthers { mode: 0o640, .. })));
    }
}
