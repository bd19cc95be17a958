//! The `scrimmage` program.

fn main() -> std::process::ExitCode {
    scrimmage::cli::main()
}
