//! The `floodmark` command: a thin binary over the library.

fn main() -> std::process::ExitCode {
    floodmark::cli::main()
}
