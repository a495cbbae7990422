//! The daemon's socket: mode 0600 in a folder of mode 0700, and only for this user and root.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use axum::Router;
use axum::serve::Listener;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};

use crate::error::AgentError;
use crate::home::Home;
use crate::limits;

/// A bound socket. It is removed when dropped.
#[derive(Debug)]
#[must_use = "nobody is served until it is run"]
pub(crate) struct Listening {
    guarded: Guarded,
    path: PathBuf,
}

/// Accepts only this user and root, whatever the modes of the folders above.
#[derive(Debug)]
struct Guarded {
    listener: UnixListener,
    uid: u32,
}

/// Binds the socket of a home. The caller holds the lock, so a socket that is there already is a leftover.
pub(crate) fn bind(home: &Home) -> Result<Listening, AgentError> {
    let uid = home.own_uid()?;
    let mut last = None;
    for path in home.sockets() {
        match bind_at(&path) {
            Ok(listener) => return Ok(Listening { guarded: Guarded { listener, uid }, path }),
            Err(source) => last = Some(AgentError::File { path, source }),
        }
    }
    Err(last.unwrap_or(AgentError::Task { what: "no place for the socket".to_owned() }))
}

fn bind_at(path: &Path) -> std::io::Result<UnixListener> {
    if let Some(dir) = path.parent().filter(|dir| !dir.is_dir()) {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Listening {
    /// Where.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Serves until told to stop, then finishes what is in flight, up to [`limits::DRAIN_WAIT`].
    pub(crate) async fn serve(
        self,
        router: Router,
        stop: tokio_util::sync::CancellationToken,
    ) -> Result<(), AgentError> {
        let path = self.path;
        let stopped = stop.clone();
        let serving =
            axum::serve(self.guarded, router).with_graceful_shutdown(async move { stopped.cancelled().await });
        let drained = async {
            stop.cancelled().await;
            tokio::time::sleep(limits::DRAIN_WAIT).await;
        };
        let result = tokio::select! {
            result = serving => result,
            () = drained => Ok(()),
        };
        let _ = std::fs::remove_file(&path);
        result.map_err(|source| AgentError::File { path, source })
    }
}

impl Listener for Guarded {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => match stream.peer_cred() {
                    Ok(peer) if peer.uid() == self.uid || peer.uid() == 0 => return (stream, address),
                    _ => tracing::warn!("another user tried the socket"),
                },
                Err(error) => {
                    tracing::warn!("the socket of this daemon cannot accept: {error}");
                    tokio::time::sleep(limits::POLL).await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[tokio::test]
    async fn the_socket_and_the_folder_made_for_it_are_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("countersign").join("a.sock");
        let _listener = bind_at(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }
}
