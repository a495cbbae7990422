//! Where the store lies when nobody says so.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::Config;

/// The folder of the store: the one configured, or the state directory of service, system or user.
pub(super) fn of(config: &Config) -> anyhow::Result<PathBuf> {
    if !config.data.as_os_str().is_empty() {
        return Ok(config.data.clone());
    }
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = var("STATE_DIRECTORY") {
        return Ok(folder);
    }
    // Who we are, without unsafe: the owner of our own entry in /proc.
    if Path::new("/proc/self").metadata().is_ok_and(|metadata| metadata.uid() == 0) {
        return Ok(PathBuf::from("/var/lib/countersign-relay"));
    }
    let state = var("XDG_STATE_HOME").or_else(|| var("HOME").map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| anyhow::anyhow!("no folder for the store: set --data, or HOME"))?;
    Ok(state.join("countersign-relay"))
}
