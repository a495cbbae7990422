//! A secret that a person types and does not see.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use zeroize::Zeroizing;

use crate::error::AgentError;

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    fn begin() -> std::io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone has nothing to show either.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks at the terminal for a secret.
///
/// The terminal is silent before it asks: whoever pastes at once would see the secret on the screen else.
pub(super) fn ask(prompt: &str) -> Result<Zeroizing<String>, AgentError> {
    let _silence = Silence::begin().map_err(AgentError::Terminal)?;
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(AgentError::Terminal)
}
