//! `countersign-relay`: boring on purpose.

use std::process::ExitCode;

fn main() -> ExitCode {
    countersign_relay::cli::main()
}
