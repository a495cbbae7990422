//! The `countersign` program: everything is in the library.

fn main() -> std::process::ExitCode {
    countersign::main()
}
