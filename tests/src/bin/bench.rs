//! The benchmark: the real relay beside what the machine can do at all. See `bench --help`.

fn main() -> std::process::ExitCode {
    countersign_tests::bench::main()
}
